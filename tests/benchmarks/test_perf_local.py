"""The benchmark of the local engine asks what it says it asks, and says what cannot run here."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from archon.backends.fake import Fake
from archon.benchmarks.perf import bandwidth, local_work
from archon.benchmarks.perf.local_contest import FLOOR, OURS, Contest, Entry, Subject, faster
from archon.benchmarks.perf.local_work import Sizes
from archon.benchmarks.perf.rig import Options
from archon.model import Backend, Model
from archon.types import Reply, Usage

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from archon.backends.torch_files import folder_of  # noqa: E402
from archon.benchmarks.perf import local, local_models  # noqa: E402
from archon.benchmarks.perf.local_models import Shape, random_weights, word  # noqa: E402

APP = typer.Typer()
APP.command()(local.main)
MODEL = Model(local_models.NANO, temperature=0.8, max_tokens=20)


def speaker() -> Fake:
    """Say three tokens more than were given."""

    def say(request: Any, draw: Any) -> Reply:
        text = f"{request.prefix} {word(7)}"
        return Reply.of(text, model=local_models.NANO, usage=Usage(1, 200, 3))

    return Fake(say)


def done(work: local_work.Work, fake: Fake, repetition: int = 0) -> int:
    async def one() -> int:
        return await work(fake, repetition)

    return asyncio.run(one())


def test_every_node_of_the_tree_goes_on_from_its_parent() -> None:
    fake = speaker()
    tokens = done(local_work.tree(MODEL, Sizes(levels=3, branches=2), 50), fake)
    assert tokens == 3 * (2 + 4 + 8)
    by_depth = [request.prefix.count(word(7)) for request, _ in fake.requests]
    assert sorted(by_depth) == [0] * 2 + [1] * 4 + [2] * 8
    prompts = {request.messages[0].content for request, _ in fake.requests}
    assert [len(text.split()) for text in prompts] == [50]


def test_mixed_prompts_have_one_to_eight_samples_and_are_the_same_for_all() -> None:
    first, second = speaker(), speaker()
    work = local_work.mixed(MODEL, Sizes(prompts=40))
    assert done(work, first) == done(work, second) == 3 * len(first.requests)
    assert first.requests == second.requests
    counts: dict[str, int] = {}
    for request, _ in first.requests:
        counts[request.key()] = counts.get(request.key(), 0) + 1
    assert len(counts) == 40
    assert set(counts.values()) == set(range(1, 9))
    other = speaker()
    done(work, other, 1)
    assert {r.key() for r, _ in other.requests}.isdisjoint(counts)


def contest(**made: Any) -> Contest:
    work = local_work.samples(MODEL, 4)
    entries = {name: Entry(work, make) for name, make in made.items()}
    return Contest("4 samples", Subject(local_models.NANO, Path(), 20), MODEL, entries, {})


def test_a_rival_that_cannot_run_here_says_why_and_the_others_go_on() -> None:
    def broken() -> Backend:
        return Fake(lambda request, draw: MemoryError("no psutil"))

    made = contest(**{FLOOR: broken, OURS: speaker})
    group = made.group(Options(repeat=2))
    assert [line.name for line in group.lines] == [
        f"{FLOOR}: cannot run here (MemoryError: no psutil)",
        OURS,
    ]
    assert [len(line.runs) for line in group.lines] == [0, 2]
    assert group.line(OURS).runs[0]["tokens"] == 12
    assert faster(group, FLOOR) == 0.0
    with pytest.raises(MemoryError):
        contest(**{OURS: broken}).group(Options(repeat=1))


def test_what_a_step_reads_is_counted_by_hand(tmp_path: Path) -> None:
    """Two layers of width 16 with 2 of 4 heads of 4: weights without the looked-up embedding."""
    shape = Shape(
        "qwen2",
        {"vocab_size": 50, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
         "num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": False},
        "float32",
    )  # fmt: skip
    net = transformers.AutoModelForCausalLM.from_pretrained(random_weights(shape, tmp_path))
    attention = 16 * 16 + 16 + 2 * (16 * 8 + 8) + 16 * 16
    layer = attention + 3 * 16 * 32 + 2 * 16
    read = bandwidth.traffic(net.float())
    assert read.weights == 4 * (2 * layer + 16 + 50 * 16)
    assert read.column == 4 * 2 * 2 * 2 * 4
    assert bandwidth.copied_per_second("cpu", 2**16, 2) > 1e6


def test_random_weights_never_end_and_are_read_again_as_they_were_written(tmp_path: Path) -> None:
    from archon.backends.torch import Torch

    small = local_models.embedded()
    settings = {**small.settings, "num_hidden_layers": 1, "vocab_size": 500}
    random_weights(Shape(small.kind, settings, "float32"), tmp_path)
    model = Model(f"local/{tmp_path}", temperature=0.8, max_tokens=5)

    async def work() -> tuple[int, int]:
        backend = Torch()
        backend.check(model)
        try:
            sizes = Sizes(levels=2, branches=2)
            tree = await local_work.tree(model, sizes, 20)(backend, 0)
            return tree, await local_work.samples(model, 3, 20)(backend, 0)
        finally:
            await backend.close()

    assert asyncio.run(work()) == (5 * (2 + 4), 5 * 3)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    ids = [3, 499, 0, 17]
    assert tokenizer.encode(tokenizer.decode(ids), add_special_tokens=False) == ids


def test_an_unknown_name_is_refused() -> None:
    for words in (["trees"], ["--shape", "qwen"]):
        result = CliRunner().invoke(APP, words)
        assert result.exit_code == 2
        assert "unknown" in result.output


@pytest.mark.slow
def test_the_program_measures_from_end_to_end(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    result = CliRunner().invoke(APP, ["--quick", "--json", "--out", str(file)])
    assert result.exit_code == 0, result.output
    found = json.loads(file.read_text(encoding="utf-8"))
    names = [benchmark["id"] for benchmark in found["benchmarks"]]
    assert set(names) == {"samples", "mixed", "tree", "architecture"} | (
        {"bandwidth"} if torch.cuda.is_available() else set()
    )
    assert bool(found["missing"]) is not torch.cuda.is_available()
    for benchmark in found["benchmarks"]:
        for group in benchmark["groups"]:
            for line in group["lines"]:
                ran = line["runs"] and line["figures"]["tokens_s"]["median"] > 0
                assert ran or "cannot run here" in line["client"]
    assert str(folder_of(local_models.NANO)) not in file.read_text(encoding="utf-8")
