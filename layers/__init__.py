"""Every built-in technique, one per file. Importing this package registers them."""

from archon.layers.generate import Generate

__all__ = ["Generate"]
