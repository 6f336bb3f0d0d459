"""Measure the nano family: ``python -m archon.nano.measure --out DIR``.

For every generator and every trained benchmark: single samples at all levels; at the middle level,
where enough of them are right, also thinking first, coverage and majority of many
samples, and every judging role on answers of the model itself. For every reward head: how well it
tells right answers from wrong ones, on answers that the generator of its trunk gave to test
problems. At the end the speeds.

Shares have 95 % intervals over problems. Everything is on the test split; answers are sampled at
temperature 0.8, judges are greedy. An answer of a list function counts as right when its lines are
steps that the benchmark knows and do what is asked; other lines are counted as wrong.

Results go to ``results.json`` (and as tables to ``results.md``) in ``--out`` after every model and
benchmark; the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from transformers.utils import logging

from archon.backends.torch_heads import JOINED, Heads
from archon.nano.answering import Asked, asked, majority, speaker
from archon.nano.cells import Cell, Place, kept, mean, read, table
from archon.nano.examples.mixing import FAMILIES
from archon.nano.judged import JUDGED, separation
from archon.nano.members import MEMBERS, Member
from archon.nano.speeds import speeds
from archon.nano.tests_written import asserts, statements
from archon.writing import whole_file

__all__ = ["MIDDLE", "Sizes", "answers", "generator", "head", "main"]

WEIGHTS = Path(__file__).parent.parent / "weights"
MIDDLE = {"arithmetic": 2, "listfn": 2, "countdown": 3, "constraints": 2}
"""The level of each benchmark at which the roles are measured."""

LEAST = 0.15
"""Share of right answers below which there is too little for a vote or a judge to work on."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured.

    Attributes:
        problems: of every level.
        samples: answers to each at the middle level.
        few: answers to each at the other levels.
        judged: answers of its trunk to each, for a judge.
    """

    problems: int = 500
    samples: int = 64
    few: int = 2
    judged: int = 8


FULL = Sizes()
QUICK = Sizes(problems=40, samples=8, few=2)


def answers(found: list[Asked], place: Place, what: str = "single sample") -> list[Cell]:
    """Accuracy of single answers, problems with several being one each."""
    return mean(
        place,
        what,
        [answer.right for one in found for answer in one.answers],
        [one.problem.key for one in found for _ in one.answers],
    )


def generator(member: Member, folder: Path, benchmark: str, sizes: Sizes) -> Iterator[Cell]:
    """All roles of a generator on a benchmark."""
    voice, family = speaker(folder), FAMILIES[benchmark]
    middle = MIDDLE[benchmark]
    for level in family.levels:
        if level != middle:
            place = Place(member.name, "generate", benchmark, level)
            yield from answers(asked(voice, family, level, sizes.problems, sizes.few), place)
    place = Place(member.name, "generate", benchmark, middle)
    few = asked(voice, family, middle, sizes.problems, sizes.few)
    if sum(one.share for one in few) < LEAST * len(few):
        yield from answers(few, place)
        return
    many = asked(voice, family, middle, sizes.problems, sizes.samples)
    yield from answers(many, place)
    thought = asked(voice, family, middle, sizes.problems, sizes.few, think=True)
    yield from answers(thought, place, "single sample, thinking first")
    keys = [one.problem.key for one in many]
    votes = [majority(one.answers).right for one in many]
    covered = [any(answer.right for answer in one.answers) for one in many]
    yield from mean(place, f"majority of {sizes.samples}", votes, keys)
    yield from mean(place, f"coverage of {sizes.samples}", covered, keys)
    gaps = [c - v for c, v in zip(covered, votes, strict=True)]
    yield from mean(place, "coverage minus majority", gaps, keys)
    unread = [a.draft is None for one in many for a in one.answers]
    yield from mean(place, "cannot be read", unread, [k for k in keys for _ in many[0].answers])
    for role, measured in JUDGED.items():
        yield from measured(voice, many, Place(member.name, role, benchmark, middle))
    if benchmark == "listfn":
        yield from statements(voice, many, Place(member.name, "unit_tests", benchmark, middle))
        yield from asserts(voice, many, Place(member.name, "code_tests", benchmark, middle))


def head(member: Member, folder: Path, trunk: Path, benchmark: str, sizes: Sizes) -> Iterator[Cell]:
    """How well a reward head tells answers apart that the generator of its trunk gave."""
    level = MIDDLE[benchmark]
    found = asked(speaker(trunk), FAMILIES[benchmark], level, sizes.problems, sizes.few)
    heads = Heads(folder)
    lines = [heads.lines(one.question, [a.text or "?" for a in one.answers]) for one in found]
    place = Place(member.name, "score", benchmark, level)
    for joined in JOINED if member.steps else JOINED[:1]:
        scored = [
            (one, answer, {"last": row[-1], "min": min(row), "mean": sum(row) / len(row)}[joined])
            for one, rows in zip(found, lines, strict=True)
            for answer, row in zip(one.answers, rows, strict=True)
        ]
        yield from separation(scored, place, f"AUC, {joined} line" if member.steps else "AUC")


def judge(
    member: Member, folder: Path, trunk: Path, benchmark: str, sizes: Sizes
) -> Iterator[Cell]:
    """All roles of a judge, on answers of the generator that it comes from."""
    if benchmark not in member.taught.tasks:
        return
    voice, family, level = speaker(folder), FAMILIES[benchmark], MIDDLE[benchmark]
    own = asked(voice, family, level, sizes.problems, sizes.few)
    yield from answers(own, Place(member.name, "generate", benchmark, level))
    found = asked(speaker(trunk), family, level, sizes.problems, sizes.judged)
    for role, measured in JUDGED.items():
        yield from measured(voice, found, Place(member.name, role, benchmark, level))


def _done(cells: list[Cell]) -> set[tuple[str, str]]:
    return {(cell.place.model, cell.place.benchmark) for cell in cells}


def main() -> None:
    """Parse the command line, measure, and write results after every step."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="folder of all models")
    parser.add_argument("--models", nargs="+", choices=MEMBERS, default=list(MEMBERS))
    parser.add_argument("--benchmarks", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--problems", type=int, default=FULL.problems)
    parser.add_argument("--samples", type=int, default=FULL.samples)
    parser.add_argument("--quick", action="store_true", help="few problems and samples, for a look")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    logging.disable_progress_bar()
    sizes = QUICK if options.quick else Sizes(options.problems, options.samples)
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "results.json"
    facts, cells = read(file)
    console = Console()
    for name in options.models:
        folder = options.weights / name
        if not (folder / "model.safetensors").is_file():
            console.print(f"{name}: no weights in {folder}, left out")
            continue
        member = MEMBERS[name]
        for benchmark in options.benchmarks:
            if (name, benchmark) in _done(cells):
                continue
            if member.head or member.judge:
                trunk = options.weights / member.trunk
                judged = head if member.head else judge
                cells += list(judged(member, folder, trunk, benchmark, sizes))
            else:
                cells += list(generator(member, folder, benchmark, sizes))
            kept(file, facts | {"problems": sizes.problems, "samples": sizes.samples}, cells)
            console.print(f"{name} on {benchmark}: done")
    generators = [options.weights / n for n in options.models if not MEMBERS[n].head]
    facts = _facts(facts, sizes, [one for one in generators if one.is_dir()])
    kept(file, facts, cells)
    with whole_file(options.out / "results.md") as out:
        out.write(table(cells).encode())
    console.print(table(cells), highlight=False, soft_wrap=True)
    console.print(facts["speeds"])


def _facts(facts: dict[str, Any], sizes: Sizes, generators: list[Path]) -> dict[str, Any]:
    measured = facts.get("speeds") or {folder.name: speeds(folder) for folder in generators}
    return {"problems": sizes.problems, "samples": sizes.samples, "speeds": measured}


if __name__ == "__main__":
    main()
