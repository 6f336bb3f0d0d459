r"""How an answer is read from a text, and when two answers are the same.

The same functions for votes, loops and scorers: `extract` finds the answer that a text ends in,
`same` compares two, `groups` puts equal ones together, and `key` is the hashable form in which
they are compared. All are total (they never raise), and all but the comparison of formulas are
linear in the text. What cannot be read is None, and None equals nothing.

A marker is `#### x`, `\boxed{x}`, or `answer: x` and `the answer is x`; the strongest wins in this
order, and of several the last. By kind, an answer is read from and compared as:

- text: a marker, else all; by its words: NFKC, case, punctuation and English articles do not count.
- exact: as text; by NFC, LF, stripped.
- number: a marker, else the number that the last lines conclude; as a Fraction. Currency, percent
  signs and units do not count, so 50% is 50. `archon.numerals` has the details.
- choice: a marker, else `(C)`, `option C`, `**C**` or a letter alone in one of the last lines; as a
  letter A to Z.
- json: the last fenced block, else all, else the last object or list; as canonical JSON (1.0 is 1).
- symbolic: `\boxed{x}` before other markers, else a last line that is a formula, else the last
  formula between dollars, else as a number; as mathematics, by `archon.symbolic`. There is no
  hashable form: equal keys are equal answers, but equal answers may have unequal keys.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import lru_cache
from typing import ParamSpec, TypeVar

from archon import numerals, symbolic
from archon.plain import canonical, normal_text, normalises
from archon.types import AnswerKind, Json

__all__ = ["boxed", "extract", "groups", "key", "off_loop", "same"]

P = ParamSpec("P")
T = TypeVar("T")

_HASHES = re.compile(r"####[^\S\n]{0,8}([^\n]{1,2000})")
_SAID = re.compile(
    r"\banswer(?:[ \t]{1,4}is\b|[ \t]{0,4}[:=\uff1a])[ \t:*_]{0,8}([^\n]{1,2000})", re.IGNORECASE
)
_BOXED = ("\\boxed", "\\fbox")
_BOX_OPENS = re.compile(r"\s{0,8}\{")
_BOX_BARE = re.compile(r"\s{1,8}([^\s${}\\]{1,100}?)[.,;]?(?=\s|\$|\\|$)")
_TEX_WORD = re.compile(r"\\(?:text|mathrm|mathbf|textbf)\{([^{}]{0,400})\}")
_FENCED = re.compile(r"```[a-zA-Z]{0,10}[ \t]{0,8}\n(.*?)```", re.DOTALL)
_LETTER_FIRST = re.compile(
    r"(?:the )?(?:(?:option|choice|letter)\s{1,3})?[(\[{*_`\"'$]{0,4}"
    r"(?:([A-Z])(?![\w'\u2019])(?!(?<=I)\s[a-z])|([a-z])(?=[)\]}*_`\"'$.,:;!]|\s{0,4}$))",
)
_PARENTHESISED = re.compile(r"[(\[]\s?([A-Za-z])\s?[)\]]")
_NAMED_LETTER = re.compile(
    r"\b(?:[Oo]ption|[Cc]hoice|[Ll]etter)\s{1,3}(?:is:?\s{1,3})?[(\[{*_`\"'$]{0,4}([A-Z])(?![\w'\u2019])"
)
_BOLD_LETTER = re.compile(r"\*\*\s?([A-Z])(?:\*\*|[.):])")
_LONE_LETTER = re.compile(r"(?<![\w'\u2019])([A-Z])(?![\w'\u2019])")
_ARTICLES = frozenset({"a", "an", "the"})


@lru_cache(maxsize=1024)  # one text is read by votes, by the result and by the scorer
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
        case "symbolic":
            return _formula_in(text)
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
            return numerals.value(answer)
        case "choice":
            return _choice_in(answer)
        case "json":
            value = _json_in(answer)
            return None if value is None else _canonical(value[0])
        case "exact":
            return normal_text(answer) or None
        case "symbolic":
            return symbolic.normal(answer) or None
    return _folded(answer)


def same(first: str | None, second: str | None, kind: AnswerKind) -> bool:
    """Return whether two answers are the same; what cannot be read equals nothing.

    >>> same("3/4", "0.75", "number"), same(None, None, "text")
    (True, False)
    """
    if first is not None and second is not None and kind == "symbolic":
        return symbolic.same(first, second)
    one = key(first, kind)
    return one is not None and one == key(second, kind)


def groups(found: Sequence[str | None], kind: AnswerKind) -> list[list[int]]:
    """Return the places of equal answers, groups in the order of their first; None is in none.

    Answers without a hashable form are compared with the first of each group.

    >>> groups(["1/2", "3", None, "0.5"], "number")
    [[0, 3], [1]]
    """
    made: dict[Hashable, list[int]] = {}
    known: dict[Hashable, Hashable] = {}
    for place, answer in enumerate(found):
        form = key(answer, kind)
        if answer is None or form is None:
            continue
        if kind == "symbolic" and form not in known:
            equal = (f for f, places in made.items() if same(found[places[0]], answer, kind))
            known[form] = next(equal, form)
        made.setdefault(known.get(form, form), []).append(place)
    return list(made.values())


async def off_loop(
    kind: AnswerKind, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Return what a function that compares answers returns; in a thread where that takes long."""
    if kind != "symbolic":
        return function(*args, **kwargs)
    import asyncio

    return await asyncio.to_thread(function, *args, **kwargs)


def boxed(text: str) -> str | None:
    r"""Return what the last `\boxed{…}` of a text holds, braces balanced; None without one.

    >>> boxed(r"So \boxed{1}, no, \boxed{\frac{1}{2}}.")
    '\\frac{1}{2}'
    """
    found = _boxed(text)
    return None if found is None else found.strip()


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
    match = _BOX_OPENS.match(text, start) if start >= 0 else None
    if match is None:
        bare = _BOX_BARE.match(text, start) if start >= 0 else None
        return bare.group(1) if bare else None
    depth = 1
    for end in range(match.end(), min(len(text), match.end() + 10_000)):
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        if depth == 0:
            return text[match.end() : end]
    return None


_INLINE = re.compile(
    r"\$\$([^$]{1,2000})\$\$|\$([^$\n]{1,2000})\$|\\\((.{1,2000}?)\\\)|\\\[(.{1,2000}?)\\\]",
    re.DOTALL,
)
_PROSE = re.compile(r"(?<![\\\w])[^\W\d_]{2,}[,;:]?\s+[^\W\d_]{2,}")
_END = re.compile(r"[.!?](?:\s|$)")


def _formula_in(text: str) -> str | None:
    if found := boxed(text):
        return found
    for marker in (_SAID, _HASHES):
        for match in reversed(list(marker.finditer(text))):
            if found := _formula(match.group(1)):
                return found
    line = _last_line(text)[-2000:].strip().strip("*_`").strip()
    if line and not _is_prose(line) and not any(word in line for word in _BOXED):
        return _bare(line)
    if formulas := _INLINE.findall(text[-10_000:]):
        return "".join(formulas[-1]).strip() or None
    return numerals.concluded(text)


def _formula(said: str) -> str | None:
    """Return the formula behind a marker."""
    said = said.strip().strip("*_`").strip()
    if match := _INLINE.search(said):
        return "".join(group or "" for group in match.groups()).strip()
    first = _END.split(said, maxsplit=1)[0].strip().strip("*_`").strip()
    return numerals.stated(said) if _is_prose(first) else _bare(first)


def _is_prose(text: str) -> bool:
    return _PROSE.search(_TEX_WORD.sub("x", text)) is not None


def _bare(text: str) -> str | None:
    """Return a formula without its delimiters; nothing where nothing is left."""
    if match := _INLINE.fullmatch(text.strip().rstrip(".")):
        text = "".join(group or "" for group in match.groups())
    return text.strip().rstrip(".").strip() or None


def _last_line(text: str) -> str:
    return text.rstrip().rpartition("\n")[2]


def _number_in(text: str) -> str | None:
    for found in _markers(text):
        if number := numerals.stated(found):
            return number
    return numerals.concluded(text)


def _choice_in(text: str) -> str | None:
    for named in _markers(text):
        if match := _LETTER_FIRST.match(numerals.plain(named).strip()):
            return (match.group(1) or match.group(2)).upper()
    for line in numerals.last_lines(text):
        if found := _chosen_in(line.strip()):
            return found
    return None


def _chosen_in(line: str) -> str | None:
    """Return the one letter that a line chooses."""
    for pattern in (_PARENTHESISED, _NAMED_LETTER, _BOLD_LETTER):
        if found := pattern.findall(line):
            return str(found[-1]).upper()
    bare = line.strip("*_`\"'.:;,!$ ")
    if len(bare) == 1 and bare.isascii() and bare.isalpha():
        return bare.upper()
    # "A" and "I" are words too: inside a sentence they choose nothing.
    letters = {m.group(1) for m in _LONE_LETTER.finditer(line)} - {"A", "I"}
    if starts := _LETTER_FIRST.match(line):
        letter = starts.group(1)
        if letter and line[starts.end() : starts.end() + 1] in (".", ")", ":"):
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
