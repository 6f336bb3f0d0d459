"""How long a searcher thinks and a study remembers, over thousands of trials.

    python -m archon.benchmarks.perf.search_pace --trials 10000 --searcher tpe

Asks and tells as a study does: the searcher's recommendation and its round, shared out over its
proposals, the books, and Optuna's journal on disk. Scores are made up, of 1,824 architectures that
are nearly alike, so that no searcher runs out of ideas; no model is asked.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from archon.config import Source
from archon.search import read_space
from archon.search.books import Books, Cells, Told
from archon.search.journal import Journal
from archon.search.reading import TAGS
from archon.search.searchers import searcher_of

__all__ = ["main", "pace"]

SPACE = """\
models:
  m: {model: fake/m, temperature: !float {low: 0.1, high: 0.8, step: 0.1}, max_tokens: 192}
stages:
  - generate: {model: m, samples: !choice [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24]}
  - !choice
    name: selection
    of:
      vote: vote
      checked:
        - verify: {model: m, votes: !int [1, 3], keep: !choice {name: keep, of: [all, passed]}}
        - !choice {name: by, of: {votes: vote, score: best, both: {vote: {weight: score}}}}
"""


def pace(searcher: str, trials: int, before: int = 0, items: int = 64) -> dict[str, float]:
    """Return median and 99th percentile of milliseconds for each trial, and the last hundred's.

    Args:
        searcher: its name.
        trials: that are asked for and told.
        before: that the books have already, told without asking.
        items: of a trial, about.
    """
    table = read_space(Source(SPACE, "space.yaml", TAGS)).table()
    chance = np.random.default_rng(0)
    skill = 0.5 + 0.05 * np.nan_to_num(table.units(), nan=0.5).mean(1)
    books, engine = Books(table, items * 64, seed=1, batch=4), searcher_of(searcher, {})
    took: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder, "journal.log"), "pace", books, {})
        for number in range(before):
            arm, start = number % len(table), items * (number // len(table))
            scores = (chance.random(items) < skill[arm]).astype(float)
            told = Told(number, number // 4, arm, start, start + items, "done")
            books.tell(told, Cells(scores))
        books.round = before // 4
        journal.write(books)
        while len(books.trials) < before + trials:
            began = time.perf_counter()
            engine.recommend(books)
            asked = list(engine.ask(books))
            if not asked:
                break
            for proposal in asked:
                size = proposal.stop - proposal.start
                scores = (chance.random(size) < skill[proposal.arm]).astype(float)
                told = Told(
                    len(books.trials), books.round, proposal.arm, proposal.start, proposal.stop,
                    "done",
                )  # fmt: skip
                books.tell(told, Cells(scores))
            journal.write(books)
            books.round += 1
            took += [1000 * (time.perf_counter() - began) / len(asked)] * len(asked)
    return {
        "trials": len(took),
        "median_ms": float(np.median(took)),
        "p99_ms": float(np.percentile(took, 99)),
        "last_hundred_median_ms": float(np.median(took[-100:])),
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--searcher", default="tpe")
    parser.add_argument("--before", type=int, default=0)
    options = parser.parse_args()
    found = pace(options.searcher, options.trials, options.before)
    sys.stdout.write(json.dumps({"searcher": options.searcher, **found}) + "\n")


if __name__ == "__main__":
    main()
