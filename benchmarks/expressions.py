"""Arithmetic expressions that models write: read without `eval`, computed in exact fractions.

`parse` reads whole numbers, `+ - * /` (also as typographers write them) and brackets, round or
square. It raises nothing but `ValueError`, and takes time linear in the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

__all__ = ["LONGEST", "Expression", "parse"]

LONGEST = 400
"""Characters of an expression that is read; longer ones are refused."""

_TOKEN = re.compile(r"\s*(?:(\d{1,20})|([-+*/()]))")
_SIGNS = str.maketrans(
    {"\u00d7": "*", "\u00b7": "*", "\u00f7": "/", "\u2212": "-", "\u2013": "-", "[": "(", "]": ")"}
)
"""Multiplication sign, middle dot, division sign, minus sign, en dash; square brackets."""
_BINDS = {"+": 1, "-": 1, "*": 2, "/": 2}


@dataclass(frozen=True, slots=True)
class Expression:
    """What an expression amounts to.

    Attributes:
        value: exact.
        numbers: those it uses, in the order in which it names them.
    """

    value: Fraction
    numbers: tuple[int, ...]


def parse(text: str) -> Expression:
    """Read an expression; what stands behind `=` is left out.

    Raises:
        ValueError: saying what is wrong: no expression, a character, brackets, a division by zero.

    >>> parse("(8 - 2) * 7 = 42")
    Expression(value=Fraction(42, 1), numbers=(8, 2, 7))
    """
    tokens = _tokens(text)
    numbers = tuple(token for token in tokens if isinstance(token, int))
    return Expression(_value(tokens), numbers)


def _tokens(text: str) -> list[int | str]:
    source = text.translate(_SIGNS).partition("=")[0].strip()
    if not source:
        raise ValueError("no expression")
    if len(source) > LONGEST:
        raise ValueError(f"longer than {LONGEST} characters")
    found: list[int | str] = []
    place = 0
    while place < len(source):
        match = _TOKEN.match(source, place)
        if match is None:
            raise ValueError(f"cannot read {source[place:].strip()[:1]!r}")
        found.append(int(match.group(1)) if match.group(1) else match.group(2))
        place = match.end()
    return found


def _value(tokens: list[int | str]) -> Fraction:
    """Two stacks (Dijkstra's shunting yard): depth of brackets costs no depth of calls."""
    values: list[Fraction] = []
    waiting: list[str] = []
    wants_number = True
    for word in tokens:
        if wants_number:
            wants_number = _operand(word, values, waiting)
        else:
            wants_number = _operator(word, values, waiting)
    if wants_number:
        raise ValueError("it ends without a number")
    while waiting:
        if waiting[-1] == "(":
            raise ValueError("an opening bracket without a closing one")
        _apply(values, waiting.pop())
    return values[0]


def _operand(word: int | str, values: list[Fraction], waiting: list[str]) -> bool:
    """Take a number or an opening bracket; whether a number is wanted next."""
    if isinstance(word, int):
        values.append(Fraction(word))
        return False
    if word != "(":
        raise ValueError(f"a number is missing before {word!r}")
    waiting.append(word)
    return True


def _operator(word: int | str, values: list[Fraction], waiting: list[str]) -> bool:
    """Take an operator or a closing bracket; whether a number is wanted next."""
    if isinstance(word, int) or word == "(":
        raise ValueError(f"an operator is missing before {word}")
    least = _BINDS.get(word, 1)
    while waiting and waiting[-1] != "(" and _BINDS[waiting[-1]] >= least:
        _apply(values, waiting.pop())
    if word in _BINDS:
        waiting.append(word)
        return True
    if not waiting:
        raise ValueError("a closing bracket without an opening one")
    waiting.pop()
    return False


def _apply(values: list[Fraction], sign: str) -> None:
    right, left = values.pop(), values.pop()
    if sign == "/" and not right:
        raise ValueError("a division by zero")
    match sign:
        case "+":
            values.append(left + right)
        case "-":
            values.append(left - right)
        case "*":
            values.append(left * right)
        case _:
            values.append(left / right)
