"""List functions: steps as Python and as functions, their tests, and scoring by execution."""

from __future__ import annotations

import asyncio
import random
import re
from itertools import islice
from typing import Any

import pytest

from archon.base import ScoreContext
from archon.benchmarks import ListFn
from archon.benchmarks.listfn import LEVELS, Function, problems
from archon.benchmarks.listfn_steps import OPS, Step, mutants, program, run
from archon.benchmarks.listfn_tests import strong, told_apart, weak
from archon.benchmarks.listfn_words import LURES
from archon.errors import ConfigError

LISTS: list[tuple[int, ...]] = [
    (), (0,), (5,), (-3, 4), (2, 2, 7), (9, 1, 5, -6, 5), tuple(range(-8, 9)), (30, 11, 30, 12),
]  # fmt: skip


def executed(source: str) -> Any:
    """The function that a program defines."""
    names: dict[str, Any] = {}
    exec(source, names)
    return names["f"]


@pytest.mark.parametrize("name", list(OPS))
def test_the_python_of_a_step_does_what_the_step_does(name: str) -> None:
    op = OPS[name]
    for k in {op.least, (op.least + op.most) // 2, op.most}:
        step = Step(name, k)
        function = executed(program([step]))
        for row in LISTS:
            given = list(row)
            assert function(given) == run([step], row), (name, k, row)
            assert given == list(row)
    assert all(near in OPS for near in op.near)
    assert all(("{k}" in phrase) == op.numbered for phrase in (*op.phrases, op.code))


@pytest.mark.parametrize("level", LEVELS)
def test_references_and_examples_agree_when_python_runs_them(level: int) -> None:
    for problem in islice(problems(level, "test"), 10):
        function = executed(problem.program)
        assert len(problem.steps) == level
        assert len(problem.examples) == 2
        for row in (*problem.examples, *LISTS):
            assert function(list(row)) == run(problem.steps, row)
        for line in problem.question.splitlines()[1:]:
            assert eval(line, {"f": function}) is True  # each example holds


def test_the_description_tells_every_step_and_a_lure_only_at_times() -> None:
    lured = turned = 0
    for problem in islice(problems(4, "dev"), 60):
        lured += bool(problem.wording.lure)
        turned += problem.wording.turned >= 0
        text = problem.about.lower()
        for step in problem.steps:
            told = [phrase.replace("{k}", str(step.k)).lower() for phrase in step.op.phrases]
            assert any(phrase in text for phrase in told), (step, text)
        assert (problem.wording.turned >= 0) == ("but before that" in text)
        hints = [hint.lower() for hints in LURES.values() for hint in hints]
        assert any(hint in text for hint in hints) == bool(problem.wording.lure)
    assert 5 < lured < 30
    assert 8 < turned < 35


def outside(seed: int) -> list[tuple[int, ...]]:
    """Lists that no tier is made of, to say which mutants differ at all."""
    rng = random.Random(seed)
    rows = [
        tuple(rng.randint(-high, 2 * high) for _ in range(rng.randint(0, 12)))
        for high in (5, 15, 40, 80) * 30
    ]
    return rows + [tuple(range(low, low + 90)) for low in range(-500, 500, 50)]


def caught(problem: Function, lists: list[tuple[int, ...]], others: Any) -> tuple[int, int]:
    """How many wrong forms of a function the lists tell from it, and how many there are."""
    wrong = [m for _, m in mutants(problem.steps) if told_apart(problem.steps, m, others)]
    return sum(told_apart(problem.steps, m, lists) is not None for m in wrong), len(wrong)


def rates(count: int) -> tuple[float, float, int]:
    """Shares of wrong programs that fail the strong and the weak tier, shown examples included."""
    others = outside(3)
    found = [0, 0, 0]
    for level in LEVELS:
        for problem in islice(problems(level, "test"), count):
            rng = random.Random(problem.key)
            shown = list(problem.examples)
            killed, wrong = caught(problem, shown + strong(problem.steps, rng), others)
            found[0] += killed
            found[1] += caught(problem, shown + weak(rng), others)[0]
            found[2] += wrong
    return found[0] / found[2], found[1] / found[2], found[2]


def test_strong_tests_fail_typical_wrong_programs_and_weak_ones_fewer() -> None:
    hard, soft, wrong = rates(4)
    assert wrong > 200
    assert hard >= 0.99
    assert 0.5 < soft < 0.9


@pytest.mark.slow
def test_strong_tests_hold_over_five_hundred_items() -> None:
    hard, soft, wrong = rates(84)
    assert wrong > 4000
    assert hard >= 0.99
    assert 0.5 < soft < 0.9


def test_mutants_by_hand() -> None:
    steps = (Step("at least", 5), Step("sum"))
    wrong = [(kind, program(m).splitlines()[1:]) for kind, m in mutants(steps)]
    assert ("dropped", ["    return sum(xs)"]) in wrong
    assert ("off by one", ["    xs = [x for x in xs if x >= 4]", "    return sum(xs)"]) in wrong
    assert ("mistaken", ["    xs = [x for x in xs if x > 5]", "    return sum(xs)"]) in wrong
    assert not any(kind == "swapped" for kind, _ in wrong)  # the end stays at the end
    swapped = [m for kind, m in mutants((Step("first", 2), Step("reverse"))) if kind == "swapped"]
    assert swapped == [(Step("reverse"), Step("first", 2))]


def test_items_show_their_examples_and_hide_the_rest() -> None:
    item = ListFn(3).items("test", 1)[0]
    shown = item.task.metadata["code"]["tests"]
    assert [test["code"].removeprefix("assert ") for test in shown] == (
        item.task.question.splitlines()[1:]
    )
    hidden = {test["code"] for test in item.target["hidden"]}
    assert len(hidden) >= 3
    assert not hidden & {test["code"] for test in shown}
    assert not any(code in item.task.question for code in hidden)
    weaker = ListFn(3, tests="weak").items("test", 1)[0]
    assert weaker.task == item.task
    assert len(weaker.target["hidden"]) <= 3
    assert ListFn(3, tests="weak").digest() != ListFn(3).digest()


def test_mistakes_are_named() -> None:
    with pytest.raises(ConfigError, match="listfn: unknown tests 'good'; known: strong, weak"):
        ListFn(tests="good")
    with pytest.raises(ConfigError, match="only `score` can tell"):
        ListFn().check("def f(xs): return 1", {})


@pytest.fixture
def sandboxed() -> ListFn:
    benchmark = ListFn(2)
    try:
        benchmark.ready()
    except ConfigError as error:
        pytest.skip(str(error).splitlines()[0])
    return benchmark


def test_programs_are_scored_by_running_them(sandboxed: ListFn) -> None:
    items = sandboxed.items("test", 3)

    async def scores() -> list[Any]:
        replies = []
        for item in items:
            right = item.target["reference"]
            replies += [
                (item, f"Here it is.\n```python\n{right}\n```"),
                (item, right),
                (item, re.sub(r"return .*", "return None", right)),
                (item, "def f(xs):\n    return xs +"),
                (item, "I cannot."),
                (item, None),
            ]
        ctx = ScoreContext()
        return list(await asyncio.gather(*(sandboxed.score(i, t, ctx) for i, t in replies)))

    found = asyncio.run(scores())
    assert [scored.value for scored in found] == [1.0, 1.0, 0.0, 0.0, 0.0, 0.0] * 3
    assert found[0].detail["outcome"] == "pass"
    assert found[-1].detail == {"outcome": "no program"}


def test_a_weak_test_lets_a_wrong_program_through_that_a_strong_one_fails() -> None:
    let_through = 0
    for problem in islice(problems(3, "test"), 20):
        rng = random.Random(problem.key)
        soft, hard = weak(rng), strong(problem.steps, rng)
        for _, wrong in mutants(problem.steps):
            passes = told_apart(problem.steps, wrong, [*problem.examples, *soft]) is None
            let_through += passes and told_apart(problem.steps, wrong, hard) is not None
    assert let_through > 10
