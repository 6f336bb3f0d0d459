"""Training and measuring the built-in tiny model ``local/nano``."""
