"""Original architectures for real: on the embedded model, over arithmetic problems."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest

import archon
from archon.original import Choices
from tests.original.samples import (
    asserter,
    critic,
    evaluator,
    fuser,
    generator,
    imported,
    pairrm,
    ranker,
    verifier,
)  # fmt: skip

pytestmark = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("torch", "transformers")))
    or not files("archon.weights").joinpath("nano").is_dir(),
    reason="needs the extra `local` and the weights",
)

# Ten shapes of the published files, made narrow enough for the prompts of a model with 1,024
# tokens of context.
SHAPES: dict[str, tuple[Any, ...]] = {
    "1G": ([generator()],),
    "2G > 1F": ([generator(), generator()], [fuser()]),
    "2G > 2F > 1F": ([generator(), generator()], [fuser(), fuser()], [fuser()]),
    "1Gx3 > C > 1F": ([generator(samples=3)], [critic()], [fuser()]),
    "1Gx3 > R(k2) > C > 1F": ([generator(samples=3)], [ranker(2)], [critic()], [fuser()]),
    "1Gx3 > C > R(k1)": ([generator(samples=3)], [critic()], [ranker(1)]),
    "1Gx3 > V > 1F": ([generator(samples=3)], [verifier()], [fuser()]),
    "1Gx6 > R(PairRM,k3) > 1F": ([generator(samples=6)], [pairrm(3)], [fuser()]),
    "T(5) > 1Gx3 > E(f1,k1)": (
        [asserter()], [generator(samples=3)], [evaluator(top_k=1, first_k=1)],
    ),
    "T(5) > 1Gx3 > E(f3,k1) > V(f1)": (
        [asserter()], [generator(samples=3)], [evaluator(top_k=1, first_k=3)],
        [verifier(first_k=1)],
    ),
    "1G > 1G > 1F": ([generator()], [generator()], [fuser()]),
}  # fmt: skip


@pytest.fixture(scope="module")
def session() -> Iterator[archon.Session]:
    """One session for all, so that the weights are read once."""
    with archon.Session(pool=None) as session:
        yield session


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_it_runs_on_real_weights(shape: str, session: archon.Session) -> None:
    what = imported(*SHAPES[shape], choices=Choices(all_models="local/nano"))
    assert what.shape == shape
    done = archon.evaluate(what.architecture, "arithmetic", limit=2, session=session)
    assert done.n == 2, [row.error for row in done.rows]
    assert not any(row.error for row in done.rows)
    bound = what.architecture.bound()
    assert 0 < done.used.calls <= 2 * (bound.calls + bound.reasks)
