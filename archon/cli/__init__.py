"""The command line: `archon run`, `plan`, `show`, `eval` and what lists and writes things."""

from archon.cli.app import app, main

__all__ = ["app", "main"]
