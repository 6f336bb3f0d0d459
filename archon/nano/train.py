"""Train the nano family: ``python -m archon.nano.train --model all --out DIR``.

Generators are trained from nothing, the sharpened variant and the reward heads go on from one.
Examples are generated on the fly: `archon.nano.members` says which models there are and on how many
tokens each is trained, `archon.nano.examples.mixing` on which tasks and roles, and
`archon.nano.generators`, `archon.nano.sharpening` and `archon.nano.heads` how.

The learning rate is flat at first and then falls to zero. All chance comes from ``--seed``. A run
that was killed goes on from its last checkpoint with the same command. ``--jobs`` models are
trained at once, each on its share of ``--threads``.

Under ``--out`` each model has a folder with its weights so far as Hugging Face files,
``checkpoint.pt`` and ``log.jsonl``: a line for each checkpoint with loss, speed and figures on dev
problems. Copy the other files of a finished folder to ``archon/weights/``.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from archon.errors import ArchonError
from archon.nano.generators import GeneratorTraining
from archon.nano.heads import HeadTraining
from archon.nano.judges import JudgeTraining
from archon.nano.members import MEMBERS
from archon.nano.sharpening import Sharpening
from archon.nano.together import train_together
from archon.nano.training import Options, Training

__all__ = ["main", "train"]


KINDS: Mapping[str, type[Training]] = {
    "generator": GeneratorTraining, "judge": JudgeTraining, "sharpened": Sharpening,
    "lines": HeadTraining, "answers": HeadTraining,
}  # fmt: skip
"""What trains each kind of model."""


def train(name: str, options: Options) -> None:
    """Train the model of a name.

    Raises:
        ConfigError: when it cannot begin, or not go on.
    """
    member = MEMBERS[name]
    KINDS[member.kind](member, options, Console()).run()


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=(*MEMBERS, "all"), required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder of all models")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tokens", type=int, default=0, help="of training, instead of the usual")
    parser.add_argument("--batch", type=int, default=3072, help="tokens in a batch")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=2, help="models at once, with --model all")
    parser.add_argument("--every", type=float, default=300, help="seconds between checkpoints")
    parser.add_argument("--stop", type=int, default=0, help="stop after so many tokens, for a look")
    given = vars(parser.parse_args())
    chosen, jobs = given.pop("model"), max(1, given.pop("jobs"))
    options = Options(**given)
    try:
        if chosen == "all":
            _all(replace(options, threads=max(1, options.threads // jobs)), jobs)
        else:
            train(chosen, options)
    except ArchonError as error:
        raise SystemExit(f"error: {error}") from None


def _all(options: Options, jobs: int) -> None:
    # Each in a process of its own: torch's threads and seeds belong to a process.
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as executor:
        train_together(MEMBERS, partial(train, options=options), executor, jobs)


if __name__ == "__main__":
    main()
