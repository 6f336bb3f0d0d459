"""What executed tests say: which of them count, and what each candidate's results amount to.

Pure functions of a matrix of candidates x tests; `run_tests` fills it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from archon.sandbox import Verdict

__all__ = ["STUBS", "Grid", "Test", "stubs"]

STUBS = ("return None", "raise Exception", "return args[0] if args else None")
"""Bodies of functions that solve nothing: a written test that one of them passes tells nothing."""


def stubs(names: Sequence[str]) -> list[str]:
    """Return modules that define the names without solving anything."""
    return [
        "\n".join(f"def {name}(*args, **options):\n    {body}" for name in names) for body in STUBS
    ]


@dataclass(frozen=True, slots=True)
class Test:
    """A test and where it comes from.

    Attributes:
        source: of an assertion, or what a program reads.
        given: whether the task itself shows it; such a test always counts.
        owners: candidates whose own replies state it, by place; empty for other tests.
    """

    __test__ = False  # its name makes pytest look for tests in it

    source: str
    given: bool = False
    owners: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Grid:
    """Verdicts on candidates.

    Attributes:
        tests: the columns.
        verdicts: a row for each distinct candidate; None where a test was not run.
        sizes: how many candidates say what the row's says.
        idle: places of tests that a stub passes.
        whole: whether every candidate has been tried, so that a test which none passes is known.
    """

    tests: Sequence[Test]
    verdicts: Sequence[Sequence[Verdict | None]]
    sizes: Sequence[int]
    idle: frozenset[int] = frozenset()
    whole: bool = True

    def passes(self, row: int, column: int) -> bool:
        """Whether a candidate passed a test."""
        verdict = self.verdicts[row][column]
        return verdict is not None and verdict.outcome == "pass"

    @property
    def weights(self) -> list[int]:
        """1 for a test that counts, 0 for one that tells nothing."""
        alone = not self.whole or len(self.verdicts) < 2
        return [
            int(test.given or (column not in self.idle and (alone or self._backed(column))))
            for column, test in enumerate(self.tests)
        ]

    def _backed(self, column: int) -> bool:
        """Whether a candidate passes a test that is not its own alone."""
        owners = self.tests[column].owners
        return any(self.passes(row, column) for row in range(len(self.verdicts)) if {row} != owners)

    def counted(self, row: int) -> list[int]:
        """Return the places of the tests that count for a candidate.

        One that it alone states does so only if another candidate passes it too.
        """
        return [
            column
            for column, weight in enumerate(self.weights)
            if weight and (self.tests[column].owners != {row} or self._backed(column))
        ]

    def share(self, row: int) -> float:
        """Return the share of the tests that count which a candidate passed; 0 of none."""
        counted = self.counted(row)
        if not counted:
            return 0.0
        return sum(self.passes(row, column) for column in counted) / len(counted)

    def passed(self, row: int, threshold: float) -> bool:
        """Whether a candidate passed such a share of the tests that count, and there are some."""
        return bool(self.counted(row)) and self.share(row) >= threshold

    def agreement(self) -> list[float]:
        """Return for each candidate how many agree with it on how many tests, from 0 to 1.

        Candidates that pass the same tests are one set; its score is its size times the tests
        passed, both as shares. CodeT: Chen et al. 2022, arXiv 2207.10397, section 3.2.
        """
        sets = [
            frozenset(column for column in self.counted(row) if self.passes(row, column))
            for row in range(len(self.verdicts))
        ]
        members: Counter[frozenset[int]] = Counter()
        for passed, size in zip(sets, self.sizes, strict=True):
            members[passed] += size
        most = sum(self.sizes) * max(1, sum(self.weights))
        return [members[passed] * len(passed) / most for passed in sets]
