"""What an importer has to say: the same thing once, however often it holds."""

from __future__ import annotations

__all__ = ["Remarks", "one_line"]


def one_line(text: str) -> str:
    """Return a text that can leave neither its line nor its comment: printable characters."""
    return "".join(char if char.isprintable() else " " for char in text)


class Remarks:
    """Collects remarks by their text, with the place of the first and how many there are."""

    def __init__(self) -> None:
        self._places: dict[str, list[str]] = {}

    def add(self, text: str, where: str) -> None:
        """Note a remark about a place, `file:line:column`."""
        self._places.setdefault(one_line(text), []).append(where)

    def lines(self) -> tuple[str, ...]:
        """Return one line for each text, in order of the first place."""
        return tuple(f"{_line(places)}: {text}" for text, places in self._places.items())


def _line(places: list[str]) -> str:
    parts = places[0].rsplit(":", 2)
    line = f"line {parts[1]}" if len(parts) == 3 else parts[0]
    return line if len(places) == 1 else f"{line} and {len(places) - 1} more"
