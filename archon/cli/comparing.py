"""`archon compare`: which of several is better, at what cost, and whether the items suffice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from archon.cli import common
from archon.cli.compared import Compared, tell, tell_plan
from archon.cli.evaluating import measured
from archon.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from archon.base import Architecture, Benchmark, Split
    from archon.cli.stopping import Stopping
    from archon.evaluation import Evaluation
    from archon.pool import Pool
    from archon.types import Json

__all__ = ["compare"]

UnitName: TypeAlias = Literal["usd", "calls", "tokens"]


def compare(
    sides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ARCH|RUN…",
            help="Two or more: YAML files, architectures that come with archon, or runs as in "
            "`archon runs`, which are compared without any call.",
            autocompletion=common.complete_architectures,
            show_default=False,
        ),
    ] = None,
    benchmark: common.BenchmarkName = None,
    option: common.Options = None,
    limit: common.Limit = None,
    sample: common.Sample = None,
    split: common.SplitOf = "test",
    level: common.Level = None,
    seed: common.Seed = None,
    budget: common.Budgeted = None,
    item_budget: Annotated[
        str | None, typer.Option(help="What each item may use, replies from the pool included.")
    ] = None,
    mode: Annotated[
        common.ModeName | None,
        typer.Option(help="How the pool is used: reuse, which resumes; only never calls."),
    ] = None,
    power: Annotated[
        float | None,
        typer.Option(
            metavar="DIFF",
            help="How many items it takes to see such a difference, 0.02 for two points.",
        ),
    ] = None,
    accuracy: Annotated[
        float | None,
        typer.Option(help="With --power and nothing to compare: what is expected, such as 0.7."),
    ] = None,
    correlation: Annotated[
        float,
        typer.Option(help="With --accuracy: how alike two architectures are, item by item."),
    ] = 0.5,
    equal: Annotated[
        UnitName | None, typer.Option(help="Compare at equal cost, in this unit.")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Items under way at once.")] = 256,
    new_pool: common.NewPool = False,
    as_json: common.AsJson = False,
) -> None:
    """Compare architectures on the same items: paired differences, costs, what may be said.

    What is not measured yet is measured first, as by `archon eval`; the same command resumes. The
    p-values of several pairs are corrected together, after Holm.
    """
    _check_power(power, accuracy, sides)
    chosen = None if benchmark is None else common.benchmark_of(benchmark, level, option)
    if not sides:
        assert power is not None
        assert accuracy is not None
        items = _items(chosen, split, limit or sample)
        tell_plan(power, accuracy, correlation, items, as_json)
        return
    used_mode, used_seed = common.replicate(mode, seed, "reuse")
    known = _resolved(sides)
    found, stopping = _measured(
        known, chosen, budget, new_pool, split=split, limit=limit, sample=sample, seed=used_seed,
        item_budget=item_budget, mode=used_mode, concurrency=concurrency,
    )  # fmt: skip
    if len(found) > 1:
        items = None if power is None else _items(chosen, split, limit or sample)
        tell(Compared.of(found), power, items, equal, as_json)
    if stopping is not None:
        stopping.leave("the same command goes on")
    if all(evaluation.n == 0 for evaluation in found.values()):
        raise typer.Exit(1)


def _check_power(power: float | None, accuracy: float | None, sides: Sequence[str] | None) -> None:
    if power is not None and not 0 < power < 1:
        raise ConfigError(
            f"--power takes a difference of scores above 0 and below 1, got {power:g};"
            " two points are 0.02"
        )
    if sides and accuracy is not None:
        raise ConfigError("--accuracy is for planning with nothing measured; leave it out here")
    if sides and len(sides) == 1:
        raise ConfigError(f"{sides[0]!r} is alone: a comparison takes two or more")
    if not sides and (power is None or accuracy is None):
        raise ConfigError(
            "say what to compare: two or more architectures or runs; or, before anything is paid,"
            " --power DIFF --accuracy ACC, such as --power 0.02 --accuracy 0.7"
        )


def _items(benchmark: Benchmark | None, split: Split, limit: int | None) -> int | None:
    """Return how many items there are to be measured; None where that is not known."""
    if limit is not None or benchmark is None:
        return limit
    return len(benchmark.items(split))


def _resolved(sides: Sequence[str]) -> dict[str, Architecture | Evaluation]:
    """Find all before anything is paid; what shares a name goes by its argument."""
    from archon.comparing import run_named, stored
    from archon.config import shipped
    from archon.session import Session

    found: list[Architecture | Evaluation] = []
    with Session() as session:
        for side in sides:
            if Path(side).exists() or side in shipped():
                found.append(common.load_architecture(side))
            elif (run := run_named(session.pool, side)) is not None:
                found.append(stored(session.pool, run))
            else:
                raise _unknown(side, session.pool)
    names = [one.label if hasattr(one, "label") else one.name for one in found]
    labels = [side if names.count(n) > 1 else n for side, n in zip(sides, names, strict=True)]
    for label in labels:
        if labels.count(label) > 1:
            raise ConfigError(f"{label!r} is given twice")
    return dict(zip(labels, found, strict=True))


def _unknown(side: str, pool: Pool) -> ConfigError:
    from archon.config import shipped
    from archon.runs import list_runs

    if side.endswith((".yaml", ".yml", ".json")):
        return ConfigError("no such file", where=side)
    runs = [row["id"] for row in list_runs(pool, 10_000) if row["what"] == "eval"]
    hint = did_you_mean(side, [*shipped(), *runs])
    return ConfigError(
        f"{side!r} is no file, no architecture that comes with archon and no run{hint}"
    )


def _measured(
    known: Mapping[str, Architecture | Evaluation],
    benchmark: Benchmark | None,
    budget: str | None,
    new_pool: bool,
    *,
    split: Split,
    **options: Json,
) -> tuple[dict[str, Evaluation], Stopping | None]:
    """Measure what is not measured yet; return all in their order, without what was not reached."""
    from archon.comparing import check_same_items
    from archon.measured import Evaluation

    have = {name: one for name, one in known.items() if isinstance(one, Evaluation)}
    wanted = {name: one for name, one in known.items() if not isinstance(one, Evaluation)}
    if wanted and benchmark is None:
        benchmark = common.benchmark_of(None, None)  # says which there are
    check_same_items(
        list(have.values()), benchmark.digest() if wanted and benchmark else None, split
    )
    stopping = None
    if wanted:
        assert benchmark is not None
        made, stopping = measured(wanted, benchmark, budget, new_pool, split=split, **options)
        have |= made
    return {name: have[name] for name in known if name in have}, stopping
