"""The contracts of a benchmark: each takes what makes one, as it is registered."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import get_args

from archon.backends.fake import Fake
from archon.base import Benchmark, Figure, Item, Need, ScoreContext, Scored, Split
from archon.errors import ConfigError, ModelError
from archon.plain import canonical
from archon.session import Session
from archon.types import AnswerKind, Json, Task

__all__ = ["BENCHMARK_CONTRACTS", "Make", "check_benchmark"]

Make = Callable[[], Benchmark]
Contract = Callable[[Make], None]
BENCHMARK_CONTRACTS: dict[str, Contract] = {}
"""Every contract by name."""

WRONG = ("no idea", "NaN", "\x00", "9" * 2000, "####", "{[(", "#### 1e999", "\\boxed{", "\ud800")
"""What no benchmark takes for an answer, or for a judgement."""
JUDGEMENTS = (
    "", "[[", "[[A]]", "[[5]]", "[[A>>B]]", "[[B=A]]", "m", "1", "Score: 0.5", '{"score": 3}',
    ModelError("will not say", kind="content"), *WRONG,
)  # fmt: skip
"""What a scripted judge says: verdicts of several protocols, and what follows none."""


def _contract(check: Contract) -> Contract:
    BENCHMARK_CONTRACTS[check.__name__] = check
    return check


def check_benchmark(make: Make, contracts: Iterable[str] = ()) -> None:
    """Check a benchmark against all contracts, or against those named.

    Raises:
        AssertionError: saying what the benchmark did.
    """
    for name in contracts or BENCHMARK_CONTRACTS:
        BENCHMARK_CONTRACTS[name](make)


@dataclass(frozen=True)
class _Graded:
    """A row for `summary`."""

    id: str
    group: str
    score: float | None
    detail: dict[str, Json] = field(default_factory=dict)


def _first(benchmark: Benchmark, count: int) -> list[Item]:
    """Return the first items of every split."""
    return [item for split in benchmark.splits for item in benchmark.items(split, count)]


def _score(benchmark: Benchmark, item: Item, text: str | None, judge: object = "") -> Scored:
    """Score one answer; whatever judge is asked says the same each time."""

    def says(*_: object) -> str | Exception:
        return judge if isinstance(judge, Exception) else str(judge)

    turns = [*("before" for _ in item.turns), text or ""]

    async def scored() -> Scored:
        if not benchmark.models():
            return await benchmark.score(item, text, ScoreContext(turns))
        backends = {model.model.partition("/")[0]: Fake(says) for model in benchmark.models()}
        async with _opened(Session(pool=None, backends=backends)) as session:
            _, spending = session.spending(mode="off")
            ctx = ScoreContext(turns, gateway=session.gateway(), spending=spending)
            return await benchmark.score(item, text, ctx)

    return asyncio.run(scored())


class _opened:  # noqa: N801
    def __init__(self, session: Session) -> None:
        self.session = session

    async def __aenter__(self) -> Session:
        return self.session

    async def __aexit__(self, *_: object) -> None:
        await self.session.aclose()


def _check_scored(scored: Scored, what: str) -> None:
    if scored.value is None:
        assert scored.reason, f"{what} has neither a score nor a reason"
    else:
        fine = math.isfinite(scored.value) and 0 <= scored.value <= 1
        assert fine, f"{what} scores {scored.value!r}"
    canonical(dict(scored.detail))  # a detail without a JSON form cannot be kept


def _judged(benchmark: Benchmark) -> bool:
    return "judge" in benchmark.needs or bool(benchmark.models())


@_contract
def declares_itself(make: Make) -> None:
    """It follows the protocol, and its digest stays."""
    benchmark = make()
    assert isinstance(benchmark, Benchmark), f"{type(benchmark).__name__} is no Benchmark"
    for name in ("name", "about", "metric"):
        assert getattr(benchmark, name).strip(), f"its {name!r} is empty"
    assert benchmark.answer in get_args(AnswerKind), f"unknown answer kind {benchmark.answer!r}"
    assert set(benchmark.needs) <= set(get_args(Need)), f"unknown need in {benchmark.needs!r}"
    splits = benchmark.splits
    assert splits, "it has no split"
    assert set(splits) <= set(get_args(Split)), f"unknown split in {splits!r}"
    assert len(set(splits)) == len(splits), "a split stands twice"
    assert benchmark.digest(), "its digest is empty"
    assert benchmark.digest() == make().digest(), "the digest changes"


@_contract
def keeps_its_order(make: Make) -> None:
    """The first n items are the first n of any larger limit, in every instance."""
    for split in make().splits:
        many = list(make().items(split, 12))
        assert many, f"the split {split!r} is empty"
        assert list(make().items(split, 12)) == many, f"another instance has another {split!r}"
        for n in (1, 5):
            few = list(make().items(split, n))
            assert few == many[:n], f"the first {n} of {split!r} depend on the limit"


@_contract
def refuses_other_splits(make: Make) -> None:
    """A split that does not exist is refused in one line, not empty."""
    benchmark = make()
    for split in ("train", *(set(get_args(Split)) - set(benchmark.splits))):
        refusal = _refusal(partial(benchmark.items, split, 1))
        assert refusal, f"it has items of the split {split!r}, which it does not declare"
        assert "\n" not in refusal, f"the refusal of {split!r} has several lines"


@_contract
def names_its_items(make: Make) -> None:
    """Every item has an id of its own, its task a question and the benchmark's answer kind."""
    benchmark = make()
    items = _first(benchmark, 30)
    ids = [item.task.id for item in items]
    assert len(set(ids)) == len(ids), "two items have one id"
    for item in items:
        assert item.task.question.strip(), f"{item.task.id!r} asks nothing"
        assert item.task.answer == benchmark.answer, f"{item.task.id!r} has another answer kind"
        assert Task.from_json(item.task.to_json()) == item.task, "a task has no JSON form"
        assert all(turn.strip() for turn in item.turns), f"{item.task.id!r} has an empty turn"


@_contract
def splits_apart(make: Make) -> None:
    """No question of one split stands in the other."""
    benchmark = make()
    asked = [
        {canonical([m.to_json() for m in item.task.messages]) for item in benchmark.items(s, 200)}
        for s in benchmark.splits
    ]
    both = set.intersection(*asked) if len(asked) > 1 else set()
    assert not both, f"{len(both)} questions stand in both splits"


@_contract
def hides_the_target(make: Make) -> None:
    """The task does not carry the expected answer in its metadata."""
    for item in _first(make(), 20):
        if _has_hidden(item):  # what else a program's target holds may be known
            continue
        values = _leaves(dict(item.task.metadata))
        told = {str(leaf) for leaf in _leaves(item.target)} & {str(value) for value in values}
        assert not told, f"the metadata of {item.task.id!r} tells {sorted(told)[0]!r}"


def _has_hidden(item: Item) -> bool:
    return isinstance(item.target, dict) and "hidden" in item.target


def _leaves(value: Json) -> list[Json]:
    """Return the values in lists and objects."""
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in _leaves(inner)]
    if isinstance(value, list | tuple):
        return [leaf for inner in value for leaf in _leaves(inner)]
    return [] if value is None else [value]


@_contract
def reads_anything(make: Make) -> None:
    """`extract` never raises, nor does `check` where an answer alone can be checked."""
    benchmark = make()
    item = _first(benchmark, 1)[0]
    for text in ("", *WRONG):
        found = benchmark.extract(text)
        assert found is None or isinstance(found, str), f"it extracts {found!r} from {text[:20]!r}"
        if not benchmark.needs:
            verdict = benchmark.check(text, item.target)
            assert isinstance(verdict, bool), f"it checks {text[:20]!r} as {verdict!r}"


@_contract
def is_ready_or_says_why(make: Make) -> None:
    """What cannot be scored here is refused before any call, in one line.

    A refusal to execute code has a line for each sandbox that does not work here.
    """
    benchmark = make()
    refusal = _refusal(benchmark.ready)
    one_line = "\n" not in refusal or "sandbox" in benchmark.needs
    assert one_line, "the refusal has several lines"


def _refusal(work: Callable[[], object]) -> str:
    """Return why something is refused, empty where it is not."""
    try:
        work()
    except ConfigError as error:
        return str(error) or "refused without a reason"
    return ""


def _cannot_execute(benchmark: Benchmark) -> bool:
    return "sandbox" in benchmark.needs and bool(_refusal(benchmark.ready))


@_contract
def hides_its_tests(make: Make) -> None:
    """What a task tells layers holds none of the tests that only the scorer may know."""
    for item in filter(_has_hidden, _first(make(), 10)):
        told = canonical(item.task.to_json())
        for test in item.target["hidden"]:
            for value in (test.get("code"), test.get("inputs"), test.get("stdin")):
                said = value and canonical(value) in told
                assert not said, f"{item.task.id!r}: its task tells the hidden test {value!r:.60}"


@_contract
def scores_in_range(make: Make) -> None:
    """A score is from 0 to 1, or there is a reason; no answer scores 0; a score never raises."""
    benchmark = make()
    if _cannot_execute(benchmark):
        return
    for item in _first(benchmark, 4):
        none = _score(benchmark, item, None)
        assert none.value == 0, f"no answer must score 0, not {none.value!r}"
        texts = WRONG[:3] if _judged(benchmark) else ("", *WRONG, str(item.target))
        for text in texts:
            _check_scored(_score(benchmark, item, text), f"{text[:20]!r}")


@_contract
def survives_its_judge(make: Make) -> None:
    """Whatever a judge says, refusals included, there is a score or a reason."""
    benchmark = make()
    if not _judged(benchmark) or _cannot_execute(benchmark):
        return
    item = _first(benchmark, 1)[0]
    for said in JUDGEMENTS:
        _check_scored(_score(benchmark, item, "An answer.", said), f"the judgement {said!r:.40}")


@_contract
def can_be_solved(make: Make) -> None:
    """The expected answer itself is right, and what is wrong is wrong."""
    benchmark = make()
    if benchmark.needs:
        return
    for item in _first(benchmark, 10):
        if isinstance(item.target, str):
            right = _score(benchmark, item, item.target).value
            assert right == 1, f"{item.task.id!r}: its own target scores {right!r}"
            wrong = _score(benchmark, item, "no idea").value
            assert wrong == 0, f"{item.task.id!r}: 'no idea' scores {wrong!r}"


@_contract
def sums_up_anything(make: Make) -> None:
    """The published figures of no rows, of unscored rows and of real ones never raise."""
    benchmark = make()
    items = _first(benchmark, 3)
    unscored = [_Graded(item.task.id, item.group, None) for item in items]
    real = [] if _cannot_execute(benchmark) else [_row(benchmark, item) for item in items]
    for rows in ([], unscored, real):
        _check_figures(benchmark.summary(rows))


def _row(benchmark: Benchmark, item: Item) -> _Graded:
    scored = _score(benchmark, item, "An answer.", "[[A]] [[5]] 1")
    return _Graded(item.task.id, item.group, scored.value, dict(scored.detail))


def _check_figures(figures: Sequence[Figure]) -> None:
    for figure in figures:
        assert figure.name, "a figure has no name"
        for value in (figure.value, figure.low, figure.high):
            assert value is None or math.isfinite(value), f"{figure.name!r} is {value!r}"
        assert figure.value is not None or figure.about, f"{figure.name!r} is missing without why"
