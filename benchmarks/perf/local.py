"""`python -m archon.benchmarks.perf.local`: the local engine beside transformers' own ways.

Every contender gets the same requests in the same process, with the same weights in the same
dtype, in turn, so that what slows one repetition slows all; ratios are taken within a repetition.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from archon.backends.torch import Torch
from archon.backends.torch_device import Local
from archon.backends.torch_files import folder_of
from archon.benchmarks.perf import bandwidth, local_models, local_work, machine, report
from archon.benchmarks.perf.figures import Benchmark, Group, Line, Target
from archon.benchmarks.perf.local_contest import (
    FLOOR,
    OURS,
    TOGETHER,
    Contest,
    Entry,
    Subject,
    faster,
    rivals,
)
from archon.benchmarks.perf.local_rivals import Weights
from archon.benchmarks.perf.local_work import Sizes
from archon.benchmarks.perf.rig import Options
from archon.errors import did_you_mean

__all__ = ["MEASURES", "main", "measured"]

NANO = local_models.NANO
FRESH = "archon, prefix reuse off"
PROMPT, STEP = 200, 20
"""Tokens of the tree's prompt, and of each of its steps."""
NATURAL = 192
"""Most tokens of a reply that ends by itself."""
QUICK = Sizes(samples=8, prompts=4, most=2, levels=2, branches=2, items=2)
_WIDE = 160


def samples(subject: Subject, sizes: Sizes, options: Options) -> Benchmark:
    """Many samples of one prompt."""
    model, count = subject.model(), sizes.samples
    work = local_work.samples(model, count, PROMPT if subject.words else 0)
    contest = Contest(
        f"{count} samples of one prompt",
        subject,
        model,
        rivals(subject, work, forks=count),
        {"samples": count},
    )
    group = contest.group(options)
    targets = [_times(group, FLOOR, 8)]
    if not subject.words:
        # Replies of one length leave nothing to gain from rows that end early.
        targets.append(_times(group, TOGETHER, 1.5))
    return Benchmark("samples", contest.title, [group], targets)


def mixed(subject: Subject, sizes: Sizes, options: Options) -> Benchmark:
    """Prompts of mixed lengths, with 1 to 8 samples each."""
    model = subject.model()
    work = local_work.mixed(model, sizes, words=subject.words)
    contest = Contest(
        f"{sizes.prompts} prompts of mixed lengths, 1 to {sizes.most} samples",
        subject,
        model,
        rivals(subject, work),
        {"prompts": sizes.prompts},
    )
    group = contest.group(options)
    return Benchmark("mixed", contest.title, [group], [_times(group, FLOOR, 4)])


def tree(subject: Subject, sizes: Sizes, options: Options) -> Benchmark:
    """A tree of steps, with prefix reuse on and off."""
    model = subject.model(STEP)
    work = local_work.tree(model, sizes, PROMPT)
    fresh = Entry(work, lambda: Torch(replace(Local.from_environment(), reuse=False)))
    contest = Contest(
        f"tree of {sizes.levels} levels with {sizes.branches} branches",
        subject,
        model,
        {**rivals(subject, work, forks=sizes.branches), FRESH: fresh},
        {"prompt": PROMPT, "step": STEP, "leaves": sizes.branches**sizes.levels},
    )
    group = contest.group(options)
    return Benchmark("tree", contest.title, [group], [_times(group, FRESH, 2)])


def architecture(subject: Subject, sizes: Sizes, options: Options) -> Benchmark:
    """A whole evaluation through a session."""
    model = subject.model()
    work = local_work.architecture(model, sizes)
    contest = Contest(
        f"best of {sizes.most} by the model's own checks, {sizes.items} items",
        subject,
        model,
        rivals(subject, work),
        {"items": sizes.items, "samples": sizes.most},
    )
    return Benchmark("architecture", contest.title, [contest.group(options)])


def decoding(subject: Subject, sizes: Sizes, options: Options) -> Benchmark:
    """The share of the memory's bandwidth that decoding reaches, alone and with many rows."""
    weights = Weights(subject.folder)
    read = bandwidth.traffic(weights.net)
    per_second = bandwidth.copied_per_second(weights.device)
    lines = []
    for rows in (1, sizes.samples):
        model = subject.model()
        work = local_work.samples(model, rows, PROMPT)
        contest = Contest(f"{rows} rows", subject, model, {OURS: Entry(work, Torch)}, {})
        runs: list[Mapping[str, Any]] = []
        for found in contest.group(options).floor.runs:
            step = found["wall"] / subject.tokens
            share = read.share(rows, PROMPT + subject.tokens / 2, step, per_second)
            runs.append({**found, "step_ms": 1000 * step, "share": share})
        lines.append(Line(contest.name, runs))
    settings = {
        "gb_per_second": per_second / 1e9,
        "weight_bytes": read.weights,
        "prompt": PROMPT,
        "tokens": subject.tokens,
    }
    title = f"share of the memory's bandwidth that decoding reaches, {subject.name}"
    group = Group("decoding", settings, lines, ("tokens_s", "step_ms", "share"))
    return Benchmark("bandwidth", title, [group])


MEASURES: dict[str, Callable[[Subject, Sizes, Options], Benchmark]] = {
    "samples": samples,
    "mixed": mixed,
    "tree": tree,
    "architecture": architecture,
    "bandwidth": decoding,
}


def _times(group: Group, than: str, limit: float) -> Target:
    return Target(f"times the tokens/s of {than}", faster(group, than), limit, at_most=False)


def measured(
    which: Sequence[str], shape: str, options: Options, done: Callable[[Benchmark], None]
) -> dict[str, Any]:
    """Measure, telling `done` of each benchmark, and return everything as plain data."""
    import torch

    cuda = torch.cuda.is_available()
    benchmarks = []
    with tempfile.TemporaryDirectory(prefix="archon-perf-") as folder:
        subjects = _subjects(Path(folder), shape, cuda=cuda, quick=options.quick)
        for found in _benchmarks(which, subjects, options):
            done(found)
            benchmarks.append(found.to_json())
    return {
        "machine": _about(),
        "options": {"repeat": options.repeat, "quick": options.quick, "shape": shape},
        "missing": [] if cuda else _missing(shape),
        "benchmarks": benchmarks,
    }


def _benchmarks(
    which: Sequence[str], subjects: Mapping[str, Sequence[Subject]], options: Options
) -> Iterator[Benchmark]:
    sizes = QUICK if options.quick else Sizes()
    for name in which:
        for subject in subjects.get(name, ()):
            found = MEASURES[name](subject, sizes, options)
            if options.quick:
                found.targets.clear()  # they are meant for the full sizes
            yield found


def _subjects(folder: Path, shape: str, *, cuda: bool, quick: bool) -> dict[str, list[Subject]]:
    """Return what each workload is measured on."""
    tokens = 16 if quick else 64
    nano = Subject(NANO, folder_of(NANO), tokens if quick else NATURAL)
    made = local_models.random_weights(local_models.embedded(), folder / "nano")
    steps = Subject("random weights in the shape of nano-math", made, tokens, words=True)
    found = {"samples": [nano], "mixed": [nano], "tree": [steps], "architecture": [nano]}
    if cuda:
        weights = local_models.random_weights(local_models.SHAPES[shape], folder / shape)
        large = Subject(f"random weights of {shape}", weights, tokens, words=True)
        for name in ("samples", "mixed", "tree"):
            found[name].append(large)
        found["bandwidth"] = [replace(large, tokens=4 * tokens)]
    return found


def _missing(shape: str) -> list[str]:
    return [
        f"no CUDA device: all figures of {NANO} on a GPU",
        f"no CUDA device: samples, mixed and tree on random weights of {shape}",
        "no CUDA device: the share of the memory's bandwidth that decoding reaches",
    ]


def _about() -> dict[str, Any]:
    import torch
    import transformers

    return {
        **machine.describe(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }


def main(
    which: Annotated[
        list[str] | None, typer.Argument(help=f"of {', '.join(MEASURES)}; all if left out")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON, no tables")] = False,
    quick: Annotated[bool, typer.Option(help="measure little, to see that it works")] = False,
    repeat: Annotated[int, typer.Option(min=0, help="repetitions of every line")] = 0,
    shape: Annotated[
        str, typer.Option(help=f"of the random model on a GPU: {', '.join(local_models.SHAPES)}")
    ] = "qwen2-0.5b",
    out: Annotated[Path | None, typer.Option(help="write the JSON to this file")] = None,
) -> None:
    """Measure the local engine beside transformers, in the same run on the same weights."""
    chosen = [_known(name, MEASURES) for name in which or MEASURES]
    shape = _known(shape, local_models.SHAPES)
    errors, console = Console(stderr=True), Console()
    if not console.is_terminal:
        console = Console(width=_WIDE)
    options = Options(
        repeat or (1 if quick else 3),
        quick,
        tell=lambda what: errors.print(what, style="dim", highlight=False),
    )
    data = measured(
        chosen, shape, options, lambda found: None if as_json else report.show(console, found)
    )
    text = json.dumps(data, indent=1, ensure_ascii=False)
    if out is not None:
        out.write_text(text + "\n", encoding="utf-8")
    if as_json:
        typer.echo(text)
        return
    console.print(", ".join(f"{k} {v}" for k, v in data["machine"].items()), highlight=False)
    for line in data["missing"]:
        console.print(f"missing: {line}", highlight=False)


def _known(name: str, known: Mapping[str, object]) -> str:
    if name not in known:
        raise typer.BadParameter(f"unknown {name!r}{did_you_mean(name, known)}")
    return name


if __name__ == "__main__":
    typer.run(main)
