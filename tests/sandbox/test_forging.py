"""No candidate is accepted that does not solve its problem, and every one that does is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from archon.sandbox import Limits, Report, Sandbox, Test, TestFile
from tests.sandbox.conftest import Problem, Warm
from tests.sandbox.forgers import BY_DEFAULT, FORGERS

LIMITS = Limits(seconds=10)
"""Generous: these are honest programs, and the machine may be busy."""
FORGED = Limits(seconds=3)
TOGETHER = 8
"""Problems that share processes by default, which is what makes the tests quick."""


def checked(
    warm: Warm,
    problems: Sequence[Problem],
    source: Callable[[Problem], str],
    limits: Limits = LIMITS,
    **rest: Any,
) -> dict[str, Report]:
    async def work(sandbox: Sandbox) -> dict[str, Report]:
        async def one(problem: Problem) -> Report:
            return await sandbox.check(
                source(problem), problem.file, entry_point=problem.name, limits=limits, **rest
            )

        reports = await asyncio.gather(*map(one, problems))
        return {p.id: r for p, r in zip(problems, reports, strict=True)}

    return warm.inside(work)


def accepted(reports: dict[str, Report]) -> list[str]:
    return [name for name, report in reports.items() if report.passed]


def test_every_canonical_solution_of_humaneval_is_accepted(
    warm: Warm, humaneval: Sequence[Problem]
) -> None:
    reports = checked(warm, humaneval, lambda p: p.reference)
    wrong = {name: r.verdicts for name, r in reports.items() if not r.passed}
    assert not wrong
    assert len(reports) == 164


@pytest.mark.parametrize("name", [*BY_DEFAULT, "returns nothing"])
def test_forgers_are_not_accepted(name: str, warm: Warm, humaneval: Sequence[Problem]) -> None:
    """Several problems to a process; none of them passes all of its tests."""
    groups = [humaneval[at : at + TOGETHER] for at in range(0, len(humaneval), TOGETHER)]

    async def work(sandbox: Sandbox) -> list[Report]:
        forger = FORGERS[name]
        return await asyncio.gather(
            *(
                _together(lambda p: forger.replace("NAME", p.name), sandbox, group)
                for group in groups
            )
        )

    reports = warm.inside(work)
    outcomes = {v.id: v.outcome for report in reports for v in report.verdicts}
    assert outcomes.keys() == {problem.id for problem in humaneval}
    assert len(outcomes) == 164
    assert [problem for problem, outcome in outcomes.items() if outcome == "pass"] == []
    assert not any(report.retries for report in reports)


def test_who_solves_the_problems_is_accepted_in_the_same_form(
    warm: Warm, humaneval: Sequence[Problem]
) -> None:
    report = warm.inside(
        lambda sandbox: _together(lambda p: p.reference, sandbox, humaneval[:TOGETHER])
    )
    assert [v.outcome for v in report.verdicts] == ["pass"] * TOGETHER


async def _together(
    source: Callable[[Problem], str], sandbox: Sandbox, problems: Sequence[Problem]
) -> Report:
    """Try one candidate on some problems, all tests of one as a single test."""
    tests = tuple(
        Test("\n".join(test.code for test in reversed(p.file.tests)), p.id) for p in problems
    )
    setup = "\n".join(p.file.setup for p in problems)
    names = [p.name for p in problems]
    whole = "\n".join(map(source, problems))
    return await sandbox.check(whole, TestFile(tests, setup), entry_point=names, limits=FORGED)


@pytest.mark.slow
@pytest.mark.parametrize("name", FORGERS)
def test_no_forger_is_accepted_by_any_problem(
    name: str, warm: Warm, humaneval: Sequence[Problem]
) -> None:
    """All tests of each problem, and processes of its own for each."""
    source = FORGERS[name]
    reports = checked(
        warm, humaneval, lambda p: source.replace("NAME", p.name), FORGED, stop_at_first=True
    )
    assert len(reports) == 164
    assert accepted(reports) == []
    assert not any(report.retries for report in reports.values())


@pytest.mark.slow
def test_nearly_all_references_of_mbpp_are_accepted(warm: Warm, mbpp: Sequence[Problem]) -> None:
    reports = checked(warm, mbpp, lambda p: p.reference)
    assert len(reports) == 500
    assert len(accepted(reports)) >= 0.98 * 500


def test_the_forgers_do_forge_where_nothing_separates_them(warm: Warm) -> None:
    """The corpus bites: one process lets through what two do not."""

    async def work(sandbox: Sandbox) -> list[Report]:
        source = "class E:\n    def __eq__(self, o): return type(o) is int\ndef f(x): return E()"
        return [
            await sandbox.check(source, ["assert f(1) == 2"], entry_point="f"),
            await sandbox.check(source, ["assert f(1) == 2"], entry_point="f", compatibility=True),
        ]

    apart, together = warm.inside(work)
    assert apart.verdicts[0].outcome == "protocol"
    assert not apart.forgeable
    assert together.verdicts[0].outcome == "pass"
    assert together.passed_if_trusted
    assert together.forgeable
    assert not together.passed
