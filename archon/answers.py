r"""How an answer is read from a text, and when two answers are the same.

One pair of functions for votes, loops and scorers: `extract` finds the answer that a text ends in,
`key` turns an answer into a hashable form. Both are total (they never raise) and linear in the
text. What cannot be read is None, and None equals nothing.

A marker is `#### x`, `\boxed{x}`, or `answer: x` and `the answer is x`; the strongest wins in this
order, and of several the last. By kind, an answer is read from and compared as:

- text: a marker, else all; by its words: NFKC, case, punctuation and English articles do not count.
- exact: as text; by NFC, LF, stripped.
- number: a marker, else the last number of the last line; as a Fraction. Currency, percent signs
  and units do not count, so 50% is 50.
- choice: a marker, else `(C)`, else a letter alone in the last line; as a letter A to Z.
- json: the last fenced block, else all, else the last object or list; as canonical JSON (1.0 is 1).
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Hashable, Iterator
from fractions import Fraction

from archon.plain import canonical, normal_text, normalises
from archon.types import AnswerKind, Json

__all__ = ["extract", "key", "same"]

MOST_DIGITS = 400
"""Longer numbers are no answers, and arithmetic on them would be slow."""
MOST_EXPONENT = 300

# Quantifiers next to each other are bounded, so that no input makes matching quadratic.
_DIGITS = r"\d(?:[,\u066c]?\d)*"
_NUMBER = (
    rf"(?:(?<![\w.)\]])[-+\u2212\u2013]\s?)?(?:\\?[$€£¥₹]\s?[-\u2212]?)?"
    rf"(?:{_DIGITS}(?:[.\u066b]\d+)?|(?<![\d.])\.\d+)(?:[eE][-+]?\d+(?![\w.]))?"
    rf"(?:\s?/\s?{_DIGITS})?(?:\s?\\?[%\u066a])?"
)
_NUMBER_RE = re.compile(_NUMBER)
_HASHES = re.compile(r"####[^\S\n]{0,8}([^\n]{1,2000})")
_SAID = re.compile(
    r"\banswer(?:[ \t]{1,4}is\b|[ \t]{0,4}[:=\uff1a])[ \t:*_]{0,8}([^\n]{1,2000})", re.IGNORECASE
)
_BOXED = ("\\boxed{", "\\fbox{")
_FRAC = re.compile(r"\\[dt]?frac\{([^{}]{1,400})\}\{([^{}]{1,400})\}")
_TEX_WORD = re.compile(r"\\(?:text|mathrm|mathbf|textbf)\{([^{}]{0,400})\}")
_FENCED = re.compile(r"```[a-zA-Z]{0,10}[ \t]{0,8}\n(.*?)```", re.DOTALL)
_LETTER_FIRST = re.compile(
    r"(?:the )?(?:(?:option|choice|letter)\s{1,3})?[(\[{*_`\"'$]{0,4}"
    r"(?:([A-Z])(?![\w'\u2019])(?!(?<=I)\s[a-z])|([a-z])(?=[)\]}*_`\"'$.,:;!]|\s{0,4}$))",
)
_PARENTHESISED = re.compile(r"[(\[]\s?([A-Za-z])\s?[)\]]")
_LONE_LETTER = re.compile(r"(?<![\w'\u2019])([A-Z])(?![\w'\u2019])")
_ARTICLES = frozenset({"a", "an", "the"})


def extract(text: str, kind: AnswerKind) -> str | None:
    r"""Return the answer that a text gives, or None if it cannot be read.

    >>> extract("2 + 2 = 4, so\n#### 4", "number"), extract("I pick (b).", "choice")
    ('4', 'B')
    """
    match kind:
        case "number":
            return _number_in(text)
        case "choice":
            return _choice_in(text)
        case "json":
            value = _json_in(text)
            return None if value is None else _canonical(value[0])
    return _marked(text) or text.strip() or None


def key(answer: str | None, kind: AnswerKind) -> Hashable | None:
    """Return the form in which an answer is compared; None for what is no answer of that kind.

    >>> key("$1,234.50", "number") == key("1234.5", "number"), key("The Nile.", "text")
    (True, 'nile')
    """
    if answer is None:
        return None
    match kind:
        case "number":
            return _fraction(answer)
        case "choice":
            return _choice_in(answer)
        case "json":
            value = _json_in(answer)
            return None if value is None else _canonical(value[0])
        case "exact":
            return normal_text(answer) or None
    return _folded(answer)


def same(first: str | None, second: str | None, kind: AnswerKind) -> bool:
    """Return whether two answers are the same; what cannot be read equals nothing.

    >>> same("3/4", "0.75", "number"), same(None, None, "text")
    (True, False)
    """
    one = key(first, kind)
    return one is not None and one == key(second, kind)


def _markers(text: str) -> Iterator[str]:
    """Yield what the markers name, the strongest first, the last of each kind."""
    for match in reversed(list(_HASHES.finditer(text))):
        yield match.group(1)
    if (boxed := _boxed(text)) is not None:
        yield boxed
    for match in reversed(list(_SAID.finditer(text))):
        yield match.group(1)


def _marked(text: str) -> str | None:
    for found in _markers(text):
        if cleaned := found.strip().strip("*_`").strip():
            return cleaned
    return None


def _boxed(text: str) -> str | None:
    start = max((text.rfind(word) + len(word) for word in _BOXED if word in text), default=-1)
    if start < 0:
        return None
    depth = 1
    for end in range(start, min(len(text), start + 10_000)):
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        if depth == 0:
            return text[start:end]
    return None


def _plain(text: str) -> str:
    """Return simple TeX as plain text."""
    if "\\" not in text and "{,}" not in text:
        return text
    text = _FRAC.sub(r"\1/\2", text)
    text = _TEX_WORD.sub(r" \1 ", text)
    for mark in ("\\,", "\\!", "\\;", "\\ ", "{,}"):
        text = text.replace(mark, "," if mark == "{,}" else "")
    return text


def _last_line(text: str) -> str:
    return text.rstrip().rpartition("\n")[2]


def _number_in(text: str) -> str | None:
    for found in _markers(text):
        if match := _NUMBER_RE.search(_plain(found)):
            return _whole(match)
    numbers = list(_NUMBER_RE.finditer(_last_line(text)))
    return _whole(numbers[-1]) if numbers else None


def _whole(match: re.Match[str]) -> str | None:
    """Return a number that was found, unless it goes on in signs that are not read: 10², 1½."""
    behind = match.string[match.end() :][:1]
    return None if behind and unicodedata.category(behind) == "No" else match.group().strip()


def _fraction(answer: str) -> Fraction | None:
    """Return the one number in an answer; none, several and huge ones are not read."""
    answer = _plain(answer)
    numbers = list(_NUMBER_RE.finditer(answer))
    found = _whole(numbers[0]) if len(numbers) == 1 else None
    if found is None or len(found) > MOST_DIGITS:
        return None
    number = "".join(_plain_digit(char) for char in found)
    above, _, below = number.partition("/")
    top, bottom = _decimal(above), _decimal(below) if below else Fraction(1)
    return None if top is None or not bottom else top / bottom


def _plain_digit(char: str) -> str:
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    if char in "\u2212\u2013":
        return "-"
    if char in "\u066b\u066c":
        return "." if char == "\u066b" else ","
    return char if char in "+-.,/eE" else ""


def _decimal(text: str) -> Fraction | None:
    mantissa, _, exponent = text.lower().partition("e")
    whole, _, rest = mantissa.partition(".")
    groups = whole.lstrip("+-").split(",")
    if len(groups) > 1 and not _grouped(groups):
        return None
    if exponent and (len(exponent) > 5 or abs(int(exponent)) > MOST_EXPONENT):
        return None
    digits = whole.replace(",", "").lstrip("+-")
    sign = -1 if whole.count("-") % 2 else 1
    number = Fraction(int((digits + rest) or 0), 10 ** len(rest))
    return sign * number * Fraction(10) ** int(exponent or 0)


def _grouped(groups: list[str]) -> bool:
    """Return whether commas separate thousands, also as written in India."""
    middle = {len(group) for group in groups[1:-1]}
    return 1 <= len(groups[0]) <= 3 and len(groups[-1]) == 3 and middle in (set(), {3}, {2})


def _choice_in(text: str) -> str | None:
    for named in _markers(text):
        if match := _LETTER_FIRST.match(_plain(named).strip()):
            return (match.group(1) or match.group(2)).upper()
    line = _last_line(text)
    if found := _PARENTHESISED.findall(line):
        return str(found[-1]).upper()
    bare = line.strip().strip("*_`\"'.:;,!$ ")
    if len(bare) == 1 and bare.isascii() and bare.isalpha():
        return bare.upper()
    # "A" and "I" are words too: inside a sentence they choose nothing.
    letters = {m.group(1) for m in _LONE_LETTER.finditer(line)} - {"A", "I"}
    if starts := _LETTER_FIRST.match(line.strip()):
        letter = starts.group(1)
        if letter and line.strip()[starts.end() : starts.end() + 1] in (".", ")", ":"):
            return letter
    return letters.pop() if len(letters) == 1 else None


def _json_in(text: str) -> tuple[Json] | None:
    """Return the JSON value of a text in a tuple, since the value itself may be null."""
    blocks = _FENCED.findall(text)
    for source in [*reversed(blocks[-5:]), text]:
        try:
            return (_load(source),)
        except (ValueError, RecursionError):
            continue
    return _embedded(text)


def _embedded(text: str) -> tuple[Json] | None:
    """Find the outermost object or list at the end of prose."""
    decoder = json.JSONDecoder(parse_float=_float, parse_constant=_refuse)
    end = max(text.rfind("}"), text.rfind("]"))
    close = text[end] if end >= 0 else ""
    position = -1
    for _ in range(20):
        position = text.find({"}": "{", "]": "["}.get(close, "\0"), position + 1)
        if position < 0:
            return None
        try:
            value, stop = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            continue
        if stop == end + 1:
            return (value,)
        position = stop - 1
    return None


def _load(source: str) -> Json:
    return json.loads(source, parse_float=_float, parse_constant=_refuse)


def _float(text: str) -> float | int:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError("out of range")
    return int(value) if value.is_integer() and abs(value) < 1e15 else value


def _refuse(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _canonical(value: Json) -> str | None:
    try:
        return canonical(value)
    except (ValueError, RecursionError):
        return None


def _folded(answer: str) -> str | None:
    """Return the words of a text; without any, its signs (such as `+` or `{}`)."""
    if not normalises(answer):
        return answer.casefold().strip()
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", answer).casefold())
    spaced = "".join(c if c.isalnum() or unicodedata.combining(c) else " " for c in text)
    words = spaced.split()
    kept = [word for word in words if word not in _ARTICLES] or words
    return " ".join(kept) or " ".join(text.split()) or None
