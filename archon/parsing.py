"""Parsers of what models say: pure functions that give None for what they cannot read.

None means "ask again, then apply the layer's policy"; no parser guesses. All are total (they never
raise), take time linear in the text, and look through Markdown decoration and code fences.
"""

from __future__ import annotations

import ast
import json
import math
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence

from archon.types import Json

__all__ = ["choice_of", "critiques", "items", "passed", "ranking", "rating", "verdict"]

MOST_LITERAL = 100_000
"""Characters of a Python literal that is read; its parser is not made for hostile input."""

# Quantifiers next to each other are bounded, so that no input makes matching quadratic.
_FENCE = re.compile(r"^[ \t]{0,8}```[^\n]{0,40}$", re.MULTILINE)
_RANKING = re.compile(
    r"^\W{0,6}(?:final[ \t]{1,3})?(?:answer|ranking|order)\W{0,3}:", re.IGNORECASE | re.MULTILINE
)
_BETWEEN = re.compile(r"[>≻→,;\s]|->")
_LISTED = re.compile(r"^\s{0,8}(?:(\d{1,4})[.):]|[-*•])\s{1,8}(\S.*)$")
_NOUN = re.compile(r"\b(?:answer|candidate|response|option)s?\b", re.IGNORECASE)
_YES, _NO = r"correct|right|passed|pass", r"incorrect|not correct|wrong|failed|fail|not passed"
_TAG = re.compile(rf"(\bnot\W{{1,3}})?\[\s{{0,3}}(?:({_YES})|({_NO}))\s{{0,3}}\]", re.IGNORECASE)
_BARE = re.compile(rf"^(?:\W{{0,4}}verdict\W{{0,4}}:)?\W{{0,6}}(?:({_YES})|({_NO}))\W*$", re.I)
_TEST = re.compile(r"^\W{0,8}(?:unit\s)?test\s{0,3}(?:case\s{0,3})?#?\s{0,3}(\d{1,6})\b", re.I)
_TAIL = re.compile(rf"[:\-\u2013\u2014=]\W{{0,6}}(?:({_YES})|({_NO}))\W{{0,6}}$", re.IGNORECASE)
_CHOSEN = re.compile(r"^\W{0,6}(?:final\s)?(?:answer|winner|better|choice|verdict)\b", re.I)
_SCORED = re.compile(
    r"(?:score|rating|grade)(?:\s{1,3}is)?[\s:=*_`'(\[]{0,6}(-?\d{1,6}(?:\.\d{1,6})?)"
    r"(?:\s{0,2}(?:/|out of)\s{0,2}(\d{1,6}))?(?![\w.]\d|\w)",
    re.IGNORECASE,
)
_POINTS = re.compile(
    r"^\W{0,6}?(-?\d{1,6}(?:\.\d{1,6})?)(?:\s{0,2}(?:/|out of)\s{0,2}(\d{1,6}))?\W{0,6}$"
)


def ranking(text: str, labels: Sequence[str]) -> tuple[str, ...] | None:
    r"""Return all labels in the order that the text ends in, best first.

    Reads `B > A > C`, `[2] > [1]`, lists, and numbered lines. What follows the last `Answer:` or
    `Ranking:` decides alone; without one, the last line that is a whole order. Anything but every
    label exactly once is not read.

    >>> ranking("Both are fine.\nRanking: [B] > [A]", ["A", "B"])
    ('B', 'A')
    """
    text = _FENCE.sub("", text)
    marks = list(_RANKING.finditer(text))
    known = {label.upper(): label for label in labels}
    if marks:
        lines = text[marks[-1].end() :].strip().splitlines()
        return (_order(lines[0], known) or _column(lines, known)) if lines else None
    lines = [line for line in text.splitlines() if line.strip()]
    for line in reversed(lines):
        if found := _order(line, known):
            return found
    return _column(lines, known)


def _order(line: str, known: Mapping[str, str]) -> tuple[str, ...] | None:
    if len(line) > 80 * (len(known) + 1):
        return None
    words = [word.strip("[](){}*_`\"'.") for word in _BETWEEN.split(_NOUN.sub(" ", line))]
    return _permutation([word for word in words if word], known)


def _column(lines: Iterable[str], known: Mapping[str, str]) -> tuple[str, ...] | None:
    """Read one label at the beginning of each numbered or bulleted line."""
    found = []
    for line in lines:
        if match := _LISTED.match(line):
            rest = _NOUN.sub(" ", match.group(2)[:80]).strip(" [({*_`\"'")
            word = re.split(r"[\s\])}*_`\"'.:,(\u2013\u2014-]", rest, maxsplit=1)[0]
            found.append(word)
    return _permutation(found, known)


def _permutation(words: Sequence[str], known: Mapping[str, str]) -> tuple[str, ...] | None:
    order = tuple(known.get(word.upper(), "") for word in words)
    if len(order) != len(known) or set(order) != set(known.values()):
        return None
    return order


def verdict(text: str) -> bool | None:
    """Return whether the text ends in `[Correct]` (or `[Passed]`) or in its opposite.

    The last line with a verdict decides; one with both, or with a negated one, is not read. Also
    read: `{"verdict": "correct"}`, and a last line of nothing but the word. Words inside prose
    ("surpasses", "passage", "not passed") are never verdicts.

    >>> verdict("Step 2 is wrong: [Incorrect]"), verdict("It surpasses the passage.")
    (False, None)
    """
    for line in reversed(text.splitlines()):
        if "]" in line and (tags := list(_TAG.finditer(line))):
            return _agreed(tags)
    if (data := _json(text, "{")) is not None and isinstance(data, Mapping):
        return _truth(data.get("verdict", data.get("correct", data.get("passed"))))
    last = _last_line(_FENCE.sub("", text))
    match = _BARE.match(last) if len(last) < 80 else None
    return match.group(1) is not None if match else None


def _agreed(tags: Iterable[re.Match[str]]) -> bool | None:
    found = {None if tag.group(1) else tag.group(2) is not None for tag in tags}
    return found.pop() if len(found) == 1 else None


def _truth(value: Json) -> bool | None:
    if isinstance(value, bool):
        return value
    match = _BARE.match(value.strip()) if isinstance(value, str) and len(value) < 80 else None
    return match.group(1) is not None if match else None


def passed(text: str, n: int) -> tuple[bool | None, ...] | None:
    r"""Return for each of `n` tests whether it passed; None in the place of one not judged.

    Reads lines such as `Test #3: [Passed]` (the last line of a test decides) and a JSON list of n
    booleans. None if no test was judged.

    >>> passed("Test #1: [Passed]\nTest #2: it does not pass. [Failed]", 2)
    (True, False)
    """
    results: list[bool | None] = [None] * max(n, 0)
    for line in text.splitlines():
        test = _TEST.match(line)
        if test and 1 <= int(test.group(1)) <= n:
            results[int(test.group(1)) - 1] = _line_verdict(line[test.end() :])
    if any(result is not None for result in results):
        return tuple(results)
    data = _json(text, "[")
    if isinstance(data, list) and len(data) == n > 0 and all(isinstance(x, bool) for x in data):
        return tuple(data)
    return None


def _line_verdict(line: str) -> bool | None:
    if tags := list(_TAG.finditer(line)):
        return _agreed(tags)
    match = _TAIL.search(line[-40:])
    return match.group(1) is not None if match else None


def items(text: str, count: int | None = None) -> tuple[str, ...] | None:
    r"""Return the entries of a list: JSON, a Python literal, or numbered or bulleted lines.

    With `count`, the first `count` of them; fewer are not read.

    >>> items("1. It names Paris.\n2. It is short."), items("['a', 'b', 'c']", 2)
    (('It names Paris.', 'It is short.'), ('a', 'b'))
    """
    found = _literal(text) or _lines(_FENCE.sub("", text))
    if not found or (count is not None and len(found) < count):
        return None
    return found[:count]


def _literal(text: str) -> tuple[str, ...] | None:
    data = _json(text, "[")
    start, end = text.find("["), text.rfind("]") + 1
    if data is None and 0 <= start < end <= start + MOST_LITERAL:
        source = text[start:end]
        # Deep nesting would exhaust the parser's stack; a list of texts has none.
        if source.count("[") + source.count("(") + source.count("{") < 200:
            data = _evaluated(source)
    if not isinstance(data, (list, tuple)) or not all(isinstance(item, str) for item in data):
        return None
    return tuple(item.strip() for item in data if item.strip())


def _evaluated(source: str) -> Json:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as invalid escapes in a model's strings
            return ast.literal_eval(source)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _lines(text: str) -> tuple[str, ...]:
    matches = [match for line in text.splitlines() if (match := _LISTED.match(line))]
    numbered = [match for match in matches if match.group(1)]
    return tuple(match.group(2).strip() for match in numbered or matches)


def critiques(text: str, labels: Sequence[str]) -> Mapping[str, str] | None:
    r"""Return the critique of each label.

    Each begins with its label at the beginning of a line, `[A]` or `### A:`, or the text is a JSON
    object by label. A label that is mentioned again inside a critique does not end it. Every label
    needs a critique that says something.

    >>> critiques("[A]\nToo long, unlike [B].\n[B] Precise.", ["A", "B"])
    {'A': 'Too long, unlike [B].', 'B': 'Precise.'}
    """
    known = {label.upper(): label for label in labels}
    data = _json(text, "{")
    if isinstance(data, Mapping) and set(data) == set(labels):
        texts = {str(k): v.strip() for k, v in data.items() if isinstance(v, str) and v.strip()}
        return texts if len(texts) == len(known) else None
    sections: dict[str, list[str]] = {}
    current: list[str] = []
    for line in text.splitlines():
        label, rest = _header(line, known)
        if label and label not in sections:
            sections[label] = current = [rest]
        else:
            current.append(line)
    said = {label: "\n".join(lines).strip() for label, lines in sections.items()}
    if len(said) != len(known) or not all(said.values()):
        return None
    return {label: said[label] for label in labels}


_HEADER = re.compile(
    r"^[\s#*_>]{0,10}(?:(?:answer|candidate|response|critique(?:\sof)?)\s{1,3}){0,2}"
    r"(?:\[(\w{1,8})\]|(\w{1,8})(?=[*_]{0,3}(?::|$)))[*_]{0,3}\s{0,3}:?[*_]{0,3}(.*)$",
    re.IGNORECASE,
)


def _header(line: str, known: Mapping[str, str]) -> tuple[str, str]:
    match = _HEADER.match(line)
    if not match:
        return "", ""
    return known.get((match.group(1) or match.group(2)).upper(), ""), match.group(3)


def choice_of(text: str, labels: Sequence[str]) -> str | None:
    r"""Return the one label that the text decides for.

    Reads `[[A]]`, `[A]`, `Winner: A`, a lone label and `{"choice": "A"}`; the last line that names
    labels so decides, and one that names several is not read.

    >>> choice_of("[A] is short.\nWinner: [B]", ["A", "B"])
    'B'
    """
    known = {label.upper(): label for label in labels}
    data = _json(text, "{")
    if isinstance(data, Mapping):
        value = data.get("choice", data.get("winner", data.get("better")))
        return known.get(value.strip().upper()) if isinstance(value, str) else None
    for line in reversed(_FENCE.sub("", text).splitlines()):
        if line and (found := _named(line, known)):
            return found.pop() if len(found) == 1 else None
    return None


def _named(line: str, known: Mapping[str, str]) -> set[str]:
    """Return the labels that a line puts in brackets, or that stand alone or behind `Winner:`."""
    bracketed = re.findall(r"\[\s{0,2}(\w{1,8})\s{0,2}\]", line)
    found = {known[word.upper()] for word in bracketed if word.upper() in known}
    if found or len(line) > 200:
        return found
    mark, colon, rest = line.partition(":")
    source = rest if colon and _CHOSEN.match(mark) else line
    word = _NOUN.sub(" ", source).strip().strip("*_`\"'.()").strip()
    return {known[word.upper()]} if word.upper() in known else set()


def rating(text: str, low: float, high: float) -> float | None:
    r"""Return the points that the text gives, in [low, high].

    Reads the last `Score: x`, also as `x/10` where 10 is `high`, `{"score": x}`, or a last line of
    nothing but the number. What lies outside the range is not read.

    >>> rating("Good.\nScore: 7.5/10", 0, 10), rating("Score: 11", 0, 10)
    (7.5, None)
    """
    data = _json(text, "{")
    if isinstance(data, Mapping):
        return _within(data.get("score", data.get("rating")), low, high)
    scored = list(_SCORED.finditer(text))
    last = scored[-1] if scored else None
    if last is None:
        line = _last_line(_FENCE.sub("", text))
        last = _POINTS.match(line) if len(line) < 80 else None
    if last is None or (last.group(2) and float(last.group(2)) != high):
        return None
    return _within(float(last.group(1)), low, high)


def _within(value: Json, low: float, high: float) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if low <= value <= high and math.isfinite(value) else None


def _last_line(text: str) -> str:
    return text.rstrip().rpartition("\n")[2].strip()


def _json(text: str, opening: str) -> Json:
    """Return the value from the first `opening` bracket to the last closing one, or None."""
    closing = {"{": "}", "[": "]"}[opening]
    start, end = text.find(opening), text.rfind(closing) + 1
    if not 0 <= start < end:
        return None
    try:
        return json.loads(text[start:end])
    except (ValueError, RecursionError):
        return None
