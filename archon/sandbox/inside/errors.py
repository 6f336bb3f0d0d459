"""How an exception crosses: a built-in type by name, a message, a line of the candidate."""

from __future__ import annotations

import builtins

TYPE_CHECKING = False  # `typing` is not loaded for a name
if TYPE_CHECKING:
    from typing import Any

__all__ = ["MESSAGE", "described", "restored"]

MESSAGE = 500
"""Characters of a message."""

_KNOWN: dict[str, type[Exception]] = {
    name: kind
    for name, kind in vars(builtins).items()
    if isinstance(kind, type) and issubclass(kind, Exception)
}


def described(error: BaseException, file: str) -> tuple[str, str, str, int]:
    """Return built-in type, own type, message and the last line of `file` that took part."""
    kind = type(error)
    names = [base.__name__ for base in kind.__mro__]
    known = next((name for name in names if _KNOWN.get(name)), names[0])
    if not issubclass(kind, Exception):
        known = names[0]
    return known[:80], kind.__name__[:80], _message(error), _line(error, file)


def _message(error: BaseException) -> str:
    try:
        text = str(error)[:MESSAGE]
        return text.encode("utf-8", "replace").decode("utf-8")
    except Exception:  # a message is the candidate's own code, which may do anything
        return ""


def _line(error: BaseException, file: str) -> int:
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def restored(known: Any, own: Any, message: Any) -> Exception:
    """Return an exception of a built-in type from what crossed; whatever that is."""
    kind = _KNOWN.get(known, RuntimeError) if type(known) is str else RuntimeError
    text = message if type(message) is str else ""
    if type(own) is str and own != kind.__name__:
        text = f"{own}: {text}"
    try:
        return kind(text[: 2 * MESSAGE])
    except TypeError:  # some need more arguments, such as UnicodeDecodeError
        return RuntimeError(f"{kind.__name__}: {text}"[: 2 * MESSAGE])
