"""How EvalPlus (Liu et al. 2023, arXiv 2305.01210) scores: many inputs, compared with a reference.

A record holds arguments and no results: those are what the published solution returns. Here the
solution runs in the process of the tests, which the program under test cannot see. Results are
compared as EvalPlus 0.3.1 does: equal, or for floats within an absolute 1e-6 (more where the
record says so) and a relative 1e-7, with the rules of their own that nine functions have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from archon.errors import ConfigError
from archon.types import Json

__all__ = ["inputs_as_code", "restored"]

Shape = Callable[[Any], Any]

AT_ONCE = 25
"""Inputs of one test: they share its time limit."""
SOURCE_BYTES = 100_000
"""Of the inputs of one test, unless a single one is longer."""


def inputs_as_code(target: Mapping[str, Json], test: Mapping[str, Json]) -> Iterator[Json]:
    """Yield tests with `code` that stand for one with `inputs`.

    Args:
        target: of the item, with `prompt`, `reference` and `entry_point`, and for MBPP+ the
            task's `number`.
        test: its `inputs`, `atol` and `scored`.
    """
    name = target["entry_point"]
    head = _COMPARE.format(
        source=target["prompt"] + target["reference"], name=name, atol=float(test["atol"])
    )
    number = target.get("number", 0)
    texts = [repr(restored(number, arguments)) for arguments in test["inputs"]]
    for inputs in _chunks(texts):
        code = f"{head}\n_compare({name}, [\n{inputs}])\n"
        yield {"code": code, "scored": test["scored"]}


def _chunks(inputs: Sequence[str]) -> Iterator[str]:
    chunk: list[str] = []
    for text in inputs:
        if chunk and (len(chunk) == AT_ONCE or sum(map(len, chunk)) + len(text) > SOURCE_BYTES):
            yield "".join(chunk)
            chunk = []
        chunk.append(f"{text},\n")
    if chunk:
        yield "".join(chunk)


_COMPARE = """\
import copy, math

inf, nan = math.inf, math.nan


def _reference():
    names = {{"__name__": "reference"}}
    exec({source!r}, names)
    return names[{name!r}]


def _number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _floats(value):
    return isinstance(value, float) or (
        isinstance(value, (list, tuple)) and all(isinstance(one, float) for one in value)
    )


def _near(found, wanted, atol):
    if isinstance(wanted, (list, tuple)):
        return (
            type(found) is type(wanted)
            and len(found) == len(wanted)
            and all(_near(one, other, atol) for one, other in zip(found, wanted))
        )
    if not (_number(found) and _number(wanted)):
        return found == wanted
    if math.isnan(wanted) or math.isinf(wanted):
        return found == wanted or (math.isnan(found) and math.isnan(wanted))
    return abs(found - wanted) <= atol + 1e-7 * abs(wanted)


def _zero(coefficients, found, atol):
    value = sum(factor * math.pow(found, power) for power, factor in enumerate(coefficients))
    return abs(value) <= atol


def _pyramid(edge, height):
    return round(edge**2 + 2 * edge * math.sqrt((edge / 2) ** 2 + height**2))


def _distance(one, other):
    width = max(len(str(one)), len(str(other)))
    pairs = zip(str(one).zfill(width), str(other).zfill(width))
    return sum(abs(int(a) - int(b)) for a, b in pairs)


def _exists(found):
    return found if isinstance(found, bool) else found is not None


_AS_SETS = {{
    "similar_elements", "find_char_long", "common_in_nested_lists", "extract_singly", "larg_nnum",
    "intersection_array", "find_dissimilar", "Diff",
}}
_MATCHES = {{"check_str", "text_match_three", "text_starta_endb"}}


def _right(name, found, wanted, arguments, atol):
    if name == "find_zero":
        return _zero(*arguments, found, atol)
    if name == "are_equivalent" or (name == "sum_div" and found == 0):
        return True
    if name == "surface_Area" and abs(found - _pyramid(*arguments)) <= atol:
        return True
    if name == "digit_distance_nums" and found == _distance(*arguments):
        return True
    if name in _AS_SETS:
        return set(found) == set(wanted)
    if name in _MATCHES:
        return _exists(found) == _exists(wanted)
    if found == wanted:
        return True
    atol = atol or (1e-6 if _floats(wanted) else 0)
    return bool(atol) and _near(found, wanted, atol)


def _compare(function, inputs):
    reference = _reference()
    for arguments in inputs:
        wanted = reference(*copy.deepcopy(arguments))
        found = function(*copy.deepcopy(arguments))
        assert _right({name!r}, found, wanted, arguments, {atol!r})
"""


def restored(number: int, arguments: Sequence[Json]) -> list[Any]:
    """Return the arguments of a call of MBPP+ with what JSON cannot hold restored.

    Args:
        number: of the task in MBPP.
        arguments: as the file has them: tuples are lists, complex numbers text.

    Raises:
        ConfigError: for arguments of another form than published.
    """
    try:
        return _restored(number, arguments)
    except (TypeError, ValueError, AttributeError):
        raise ConfigError(
            f"task {number} of MBPP+ has arguments of another form than in EvalPlus 0.3.1:"
            f" {str(arguments)[:80]}"
        ) from None


def _restored(number: int, arguments: Sequence[Json]) -> list[Any]:
    if every := _EVERY.get(number):
        return [every(argument) for argument in arguments]
    first = _FIRST.get(number, ())
    changed = [shape(argument) for shape, argument in zip(first, arguments, strict=False)]
    return [*changed, *arguments[len(changed) :]]


def _same(value: Any) -> Any:
    return value


def _tuples(value: Any) -> Any:
    """A list of tuples."""
    return [tuple(one) if isinstance(one, list) else one for one in value]


def _tuple_of_tuples(value: Any) -> Any:
    return tuple(_tuples(value))


def _deep(value: Any) -> Any:
    """Tuples all the way down."""
    return tuple(map(_deep, value)) if isinstance(value, list) else value


def _sets(value: Any) -> Any:
    """A list of sets, of which the empty ones are dicts, as published."""
    return [set(one) if isinstance(one, list) and one else {} for one in value]


def _values(value: Any) -> Any:
    return {key: tuple(one) for key, one in value.items()}


_EVERY: Mapping[int, Shape] = {
    **dict.fromkeys(
        (2, 116, 132, 143, 222, 261, 273, 394, 399, 421, 424, 429, 470, 560, 579, 596, 616, 630,
         726, 740, 744, 809),
        tuple,
    ),
    **dict.fromkeys(
        (63, 64, 70, 94, 120, 237, 272, 299, 400, 409, 417, 438, 473, 614, 780), _tuples
    ),
    **dict.fromkeys((259, 278, 401, 445), _tuple_of_tuples),
    **dict.fromkeys((580, 615, 791), _deep),
}  # fmt: skip
"""What every argument of a task is, by its number, as published with EvalPlus 0.3.1."""

_FIRST: Mapping[int, tuple[Shape, ...]] = {
    **dict.fromkeys((75, 413, 444, 753), (_tuples,)),
    **dict.fromkeys((250, 307, 405, 446, 617, 720, 763, 808), (tuple,)),
    **dict.fromkeys((106, 750), (_same, tuple)),
    115: (_sets,),
    124: (float, complex),
    252: (complex,),
    722: (_values,),
}
"""What the first arguments are where the others are as JSON has them."""
