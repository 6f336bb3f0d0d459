"""Whether the nano family errs as real models do: ``python -m archon.nano.realism --out DIR``.

Every line of the panel is a number with the range in which it is to be; the command fails (exit
code 1) if one is outside. The first part is on samples of single models, the second is a factorial
of five techniques, run and paid for through archon (``archon.nano.factorial``).

Published ranges for large models differ from task to task; those here say that the phenomenon is
there, and not alone: per-item success that is spread out with many items near 0 (Brown et al. 2024,
"Large Language Monkeys", section 3), votes that are wrong because errors agree (Kim et al. 2025,
"Correlated Errors in Large Language Models"; only where answers can be compared: two texts that are
written freely are never the same), verifiers that accept what their own generator got wrong, judges
that look at the position (Zheng et al. 2023, "Judging LLM-as-a-judge", section 3.3), and confidence
that is too high (Guo et al. 2017, "On Calibration of Modern Neural Networks").
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from transformers.utils import logging

import archon
from archon.nano.answering import Answer, Asked, asked, majority, speaker
from archon.nano.cells import Place
from archon.nano.examples.mixing import FAMILIES
from archon.nano.factorial import HOMES, TECHNIQUES, Measured, Subset, factorial, vote_at, votes
from archon.nano.judged import chances, ranks
from archon.nano.measure import MIDDLE, WEIGHTS
from archon.nano.members import MEMBERS
from archon.writing import whole_file

__all__ = [
    "Check",
    "accepted_gap",
    "agreeing",
    "agreement",
    "calibration_error",
    "main",
    "overconfidence",
    "spread",
    "verdicts_on",
]

SHARPENED = "arithmetic"
"""Where the sharpened variant is compared with its trunk."""

FREE = ("constraints",)
"""Where answers are texts written freely, so that no two are the same."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the panel.

    Attributes:
        what: the number.
        benchmark: on which it is measured; empty for all together.
        value: as measured; None where there is nothing to measure it on.
        low: least value that is right.
        high: largest value that is right.
    """

    what: str
    benchmark: str
    value: float | None
    low: float
    high: float

    @property
    def holds(self) -> bool:
        """Whether the value is in its range."""
        return self.value is not None and self.low <= self.value <= self.high


def spread(found: Sequence[Asked], benchmark: str) -> Iterator[Check]:
    """How success differs between items."""
    shares = [one.share for one in found]
    mean = sum(shares) / len(shares)
    deviation = (sum((share - mean) ** 2 for share in shares) / len(shares)) ** 0.5
    yield Check("standard deviation of success per item", benchmark, deviation, 0.2, 0.5)
    tail = sum(share < 0.1 for share in shares) / len(shares)
    yield Check("items with success below 10 %", benchmark, tail, 0.05, 0.5)


def agreeing(found: Sequence[Asked], benchmark: str) -> Iterator[Check]:
    """How often the most frequent answer is wrong, and two wrong answers are the same."""
    wrong = sum(not majority(one.answers).right for one in found) / len(found)
    yield Check("items whose most frequent answer is wrong", benchmark, wrong, 0.1, 0.3)
    yield Check("same wrong answer among two wrong ones", benchmark, agreement(found), 0.05, 0.6)


def agreement(found: Sequence[Asked]) -> float | None:
    """How often two wrong answers to one problem are the same; problems count alike."""
    shares = []
    for one in found:
        wrong = [answer.value for answer in one.answers if not answer.right and answer.draft]
        pairs = list(combinations(wrong, 2))
        if pairs:
            shares.append(sum(a == b for a, b in pairs) / len(pairs))
    return sum(shares) / len(shares) if shares else None


def length_correlation(found: Sequence[Asked]) -> float | None:
    """Correlation of an answer's length with its being right, within problems."""
    lengths: list[float] = []
    rights: list[float] = []
    for one in found:
        mean = sum(len(answer.text) for answer in one.answers) / len(one.answers)
        lengths += [len(answer.text) - mean for answer in one.answers]
        rights += [answer.right - one.share for answer in one.answers]
    both = sum(a * b for a, b in zip(lengths, rights, strict=True))
    sizes = sum(a * a for a in lengths) * sum(b * b for b in rights)
    return both / sizes**0.5 if sizes else None


def calibration_error(chances: Sequence[float], truths: Sequence[bool], bins: int = 10) -> float:
    """Expected calibration error, with bins of equal width (Guo et al. 2017, equation 3)."""
    total = 0.0
    for number in range(bins):
        inside = [
            (chance, truth)
            for chance, truth in zip(chances, truths, strict=True)
            if min(bins - 1, int(chance * bins)) == number
        ]
        if inside:
            said = sum(chance for chance, _ in inside) / len(inside)
            held = sum(truth for _, truth in inside) / len(inside)
            total += len(inside) / len(chances) * abs(said - held)
    return total


def verdicts_on(
    weights: Path, benchmark: str, own: Sequence[Asked], foreign: Sequence[Asked]
) -> Iterator[Check]:
    """Whom the verifier believes: wrong answers of its own model, and of another one."""
    voice = speaker(weights / HOMES[benchmark].judge)
    mine, others = chances(voice, own, 4), chances(voice, foreign, 4)
    gap = accepted_gap(mine, others)
    yield Check("wrong ones accepted, own minus other model's", benchmark, gap, 0.0, 0.6)
    shares = sorted(one.share for one in own)
    middle = shares[len(shares) // 2]
    hard = _share([p > 0.5 for one, a, p in mine if not a.right and one.share < middle])
    easy = _share([p > 0.5 for one, a, p in mine if not a.right and one.share >= middle])
    gap = None if hard is None or easy is None else hard - easy
    yield Check("wrong ones accepted, hard minus easy items", benchmark, gap, 0.0, 0.8)
    error = calibration_error([p for _, _, p in mine], [a.right for _, a, _ in mine])
    yield Check("calibration error of the verifier", benchmark, error, 0.02, 0.35)


def accepted_gap(
    mine: Sequence[tuple[Asked, Answer, float]], others: Sequence[tuple[Asked, Answer, float]]
) -> float | None:
    """Return how much more often wrong answers of `mine` are accepted than those of `others`.

    It is the mean over the problems that both have wrong answers to: a weak model is wrong on easy
    problems too, where a verifier is harder to deceive. None where there is no such problem.
    """
    found: list[dict[str, list[bool]]] = []
    for judged in (mine, others):
        found.append({})
        for one, answer, chance in judged:
            if not answer.right:
                found[-1].setdefault(one.problem.key, []).append(chance > 0.5)
    gaps = [
        sum(accepted) / len(accepted) - sum(found[1][key]) / len(found[1][key])
        for key, accepted in found[0].items()
        if key in found[1]
    ]
    return sum(gaps) / len(gaps) if gaps else None


def _share(hits: Sequence[bool]) -> float | None:
    return sum(hits) / len(hits) if hits else None


def overconfidence(found: Sequence[Asked]) -> float:
    """Mean share of the most frequent answer among the samples, minus how often it is right."""
    gap = 0.0
    for one in found:
        value = majority(one.answers)
        votes = sum(answer.value == value.value for answer in one.answers if answer.draft)
        gap += votes / len(one.answers) - value.right
    return gap / len(found)


def sharpened(weights: Path, benchmark: str, problems: int, samples: int) -> Iterator[Check]:
    """Whether the sharpened variant is surer than it deserves, beside the model it started from."""
    variant = MEMBERS["nano-sharp"]
    after, before = (
        overconfidence(
            asked(
                speaker(weights / name), FAMILIES[benchmark], MIDDLE[benchmark], problems, samples
            )
        )
        for name in (variant.name, variant.trunk)
    )
    what = "vote share minus accuracy, sharpened minus its trunk"
    yield Check(what, benchmark, after - before, 0.03, 0.6)


def single(weights: Path, benchmark: str, problems: int, samples: int) -> Iterator[Check]:
    """The lines of one benchmark that need no architecture.

    Those on verifiers and rankers are for benchmarks for which the family has a judge.
    """
    family, level = FAMILIES[benchmark], MIDDLE[benchmark]
    home = HOMES[benchmark]
    voice = speaker(weights / home.writer)
    own = asked(voice, family, level, problems, samples, think=home.think)
    yield from spread(own, benchmark)
    if benchmark not in FREE:
        yield from agreeing(own, benchmark)
    yield Check("length against being right", benchmark, length_correlation(own), -0.6, 0.3)
    if not MEMBERS[home.judge].judge:
        return
    stranger = "nano-math" if home.writer == "nano" else "nano"
    foreign = asked(speaker(weights / stranger), family, level, problems, 4)
    yield from verdicts_on(weights, benchmark, own, foreign)
    place = Place(home.judge, "rank", benchmark, level)
    cells = ranks(speaker(weights / home.judge), own, place)
    first = next((cell.value for cell in cells if "shown first" in cell.what), None)
    bias = None if first is None else abs(first - 0.5)
    yield Check("position bias of the ranker", benchmark, bias, 0.005, 0.3)


def combined(
    found: dict[str, dict[Subset, Measured]], curves: dict[str, list[Measured]]
) -> Iterator[Check]:
    """What the factorial must show, over all benchmarks together."""
    best = {
        name: max(table, key=lambda chosen: (table[chosen].accuracy, -len(chosen)))
        for name, table in found.items()
    }
    yield Check("different best architectures", "", float(len(set(best.values()))), 2, 4)
    most = max(len(chosen) for chosen in best.values())
    yield Check("techniques in the largest best architecture", "", float(most), 3, 5)
    leads = {
        name: found[name][chosen].accuracy - vote_at(curves[name], found[name][chosen].usd).accuracy
        for name, chosen in best.items()
    }
    winner = max(leads, key=lambda name: leads[name])
    yield Check("best architecture minus a vote at its cost", winner, leads[winner], 0.02, 1.0)
    worst = min(
        table[best[winner]].accuracy - vote_at(curves[name], table[best[winner]].usd).accuracy
        for name, table in found.items()
    )
    yield Check("the same architecture elsewhere, at its worst", "", worst, -1.0, -1e-9)
    table = found[winner]
    none = table[frozenset()].accuracy
    gain = table[best[winner]].accuracy - none
    alone = max(table[frozenset({name})].accuracy - none for name in TECHNIQUES)
    share = alone / gain if gain > 0 else None
    yield Check("share of the gain of one technique alone", winner, share, -10.0, 0.9)


def shown(checks: Sequence[Check]) -> Table:
    """The panel as a table."""
    table = Table(title="realism panel")
    for name in ("what", "benchmark", "value", "range", ""):
        table.add_column(name)
    for one in checks:
        value = "nothing to measure" if one.value is None else f"{one.value:.3f}"
        span = f"{one.low:g} to {one.high:g}"
        table.add_row(one.what, one.benchmark, value, span, "" if one.holds else "OUTSIDE")
    return table


def main() -> None:
    """Parse the command line, measure, print the panel; exit 1 if a number is outside."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="folder of all models")
    parser.add_argument("--benchmarks", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--problems", type=int, default=400)
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--items", type=int, default=300, help="of each cell of the factorial")
    parser.add_argument("--quick", action="store_true", help="few of everything, for a look")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    logging.disable_progress_bar()
    problems, samples, items = options.problems, options.samples, options.items
    if options.quick:
        problems, samples, items = 40, 8, 16
    options.out.mkdir(parents=True, exist_ok=True)
    console, checks = Console(), []
    for name in options.benchmarks:
        checks += list(single(options.weights, name, problems, samples))
        console.print(f"{name}: samples done")
    if SHARPENED in options.benchmarks:
        checks += list(sharpened(options.weights, SHARPENED, problems, samples))
    tables: dict[str, dict[Subset, Measured]] = {}
    curves: dict[str, list[Measured]] = {}
    with archon.Session(pool=options.out / "pool.db") as session:
        for name in options.benchmarks:
            level = MIDDLE[name]
            tables[name] = factorial(options.weights, name, level, items, session)
            curves[name] = votes(options.weights, name, level, items, session)
            console.print(f"{name}: factorial done")
    checks += list(combined(tables, curves))
    with whole_file(options.out / "realism.json") as file:
        file.write((json.dumps(_data(checks, tables, curves), indent=1) + "\n").encode())
    console.print(shown(checks))
    if not all(one.holds for one in checks):
        raise SystemExit(1)


def _data(
    checks: Sequence[Check],
    tables: dict[str, dict[Subset, Measured]],
    curves: dict[str, list[Measured]],
) -> dict[str, object]:
    cells = {
        name: [
            {"techniques": [t for t in TECHNIQUES if t in chosen], "accuracy": one.accuracy,
             "usd": one.usd, "n": len(one.scores)}
            for chosen, one in table.items()
        ]
        for name, table in tables.items()
    }  # fmt: skip
    lines = {
        name: [{"accuracy": one.accuracy, "usd": one.usd} for one in curve]
        for name, curve in curves.items()
    }
    return {"checks": [asdict(one) | {"holds": one.holds} for one in checks], "factorial": cells,
            "votes": lines}  # fmt: skip


if __name__ == "__main__":
    main()
