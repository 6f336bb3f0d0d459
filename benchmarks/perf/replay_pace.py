"""How many outcomes of architectures that only select a search works out in a second.

    python -m archon.benchmarks.perf.replay_pace --items 1000 --draws 16

Takes a made-up sample matrix of three samplers with a check, and values every architecture that
draws from them and votes or takes the best: each number of draws of one sampler, of two, and of all
three. An outcome is one architecture on one item, over all subsets of the draws. What is sorted and
counted once for all architectures is part of the time; making the matrix is not.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from itertools import combinations, product

import numpy as np

from archon.matrix import Sample, SampleMatrix
from archon.search.subsets import Bests, Votes

__all__ = ["main", "pace"]

BLOCK = 250
"""Items that are worked on together: what belongs to them stays in the processor's cache."""


def matrix(items: int, draws: int, samplers: int = 3, answers: int = 5) -> SampleMatrix:
    """Return a sample matrix in which items are hard and easy, and a check is right in 3 of 4."""
    chance = np.random.default_rng(0)
    hard = chance.random(items)
    rows = []
    for sampler, item, draw in product(range(samplers), range(items), range(draws)):
        right = chance.random() < hard[item]
        said = "0" if right else str(int(chance.integers(1, answers)))
        passed = float(right == (chance.random() < 0.75))
        rows.append(
            Sample(f"{item}", f"s{sampler}", draw, answer=said, score=float(right),
                   signals={"check": passed})
        )  # fmt: skip
    return SampleMatrix.from_rows(rows, benchmark="made up", answer="exact")


def pace(found: SampleMatrix, most: int) -> dict[str, dict[str, float]]:
    """Return outcomes, seconds and outcomes per second, of votes, of the best, and of both.

    Args:
        found: the matrix; every sampler has equally many draws of every item.
        most: draws of a sampler at most.
    """
    parts = [*found.samplers.values()]
    groups = [some for n in range(1, len(parts) + 1) for some in combinations(parts, n)]
    made: dict[str, dict[str, float]] = {}
    for name in ("vote", "best"):
        began, count = time.perf_counter(), 0
        for some in groups:
            for start in range(0, len(found.items), BLOCK):
                rows = np.arange(start, min(start + BLOCK, len(found.items)))
                here = [part.at(rows) for part in some]
                scores = [part.scores for part in here]
                if name == "vote":
                    ready: Votes | Bests = Votes(scores, [part.answers for part in here])
                else:
                    ready = Bests(scores, [part.signals["check"] for part in here])
                for ks in product(range(1, most + 1), repeat=len(some)):
                    count += len(ready.mean(ks))
        made[name] = _figures(count, time.perf_counter() - began)
    made["both"] = _figures(
        sum(part["outcomes"] for part in made.values()),
        sum(part["seconds"] for part in made.values()),
    )
    return made


def _figures(count: float, seconds: float) -> dict[str, float]:
    return {"outcomes": count, "seconds": round(seconds, 3), "per_second": round(count / seconds)}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=16)
    options = parser.parse_args()
    found = pace(matrix(options.items, options.draws), options.draws)
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
