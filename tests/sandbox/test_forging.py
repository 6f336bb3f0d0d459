"""No candidate is accepted that does not solve its problem, and every one that does is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from archon.sandbox import Backend, Limits, Report, Sandbox
from tests.sandbox.conftest import Problem, made
from tests.sandbox.forgers import BY_DEFAULT, FORGERS

LIMITS = Limits(seconds=10)
"""Generous: these are honest programs, and the machine may be busy."""


def checked(
    backend: Backend,
    problems: Sequence[Problem],
    source: Callable[[Problem], str],
    limits: Limits = LIMITS,
    **rest: Any,
) -> dict[str, Report]:
    async def work() -> dict[str, Report]:
        sandbox = made(backend, limits=limits)

        async def one(problem: Problem) -> Report:
            return await sandbox.check(
                source(problem), problem.file, entry_point=problem.name, **rest
            )

        try:
            reports = await asyncio.gather(*map(one, problems))
        finally:
            sandbox.close()
        return {p.id: r for p, r in zip(problems, reports, strict=True)}

    return asyncio.run(work())


def accepted(reports: dict[str, Report]) -> list[str]:
    return [name for name, report in reports.items() if report.passed]


def test_every_canonical_solution_of_humaneval_is_accepted(
    backend: Backend, humaneval: Sequence[Problem]
) -> None:
    reports = checked(backend, humaneval, lambda p: p.reference)
    wrong = {name: r.verdicts for name, r in reports.items() if not r.passed}
    assert not wrong
    assert len(reports) == 164


@pytest.mark.parametrize("name", BY_DEFAULT)
def test_forgers_are_not_accepted(
    name: str, backend: Backend, humaneval: Sequence[Problem]
) -> None:
    _none_accepted(name, backend, humaneval)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FORGERS if name not in BY_DEFAULT])
def test_more_forgers_are_not_accepted(
    name: str, backend: Backend, humaneval: Sequence[Problem]
) -> None:
    _none_accepted(name, backend, humaneval)


def _none_accepted(name: str, backend: Backend, problems: Sequence[Problem]) -> None:
    limits = Limits(seconds=3)
    reports = checked(
        backend,
        problems,
        lambda p: FORGERS[name].replace("NAME", p.name),
        limits,
        stop_at_first=True,
    )
    assert len(reports) == 164
    assert accepted(reports) == []
    assert not any(report.retries for report in reports.values())


@pytest.mark.slow
def test_nearly_all_references_of_mbpp_are_accepted(
    backend: Backend, mbpp: Sequence[Problem]
) -> None:
    reports = checked(backend, mbpp, lambda p: p.reference)
    assert len(reports) == 500
    assert len(accepted(reports)) >= 0.98 * 500


def test_the_forgers_do_forge_where_nothing_separates_them(backend: Backend) -> None:
    """The corpus bites: one process lets through what two do not."""

    async def work() -> list[Report]:
        sandbox: Sandbox = made(backend)
        source = "class E:\n    def __eq__(self, o): return type(o) is int\ndef f(x): return E()"
        try:
            return [
                await sandbox.check(source, ["assert f(1) == 2"], entry_point="f"),
                await sandbox.check(
                    source, ["assert f(1) == 2"], entry_point="f", compatibility=True
                ),
            ]
        finally:
            sandbox.close()

    apart, together = asyncio.run(work())
    assert apart.verdicts[0].outcome == "protocol"
    assert not apart.forgeable
    assert together.verdicts[0].outcome == "pass"
    assert together.passed_if_trusted
    assert together.forgeable
    assert not together.passed
