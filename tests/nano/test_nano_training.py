"""The program that trains the family: going on after a kill, own samples, reward heads."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from rich.console import Console  # noqa: E402

from archon.backends.torch_config import head_of, nominal_price  # noqa: E402
from archon.backends.torch_files import flops_per_token  # noqa: E402
from archon.backends.torch_heads import Heads  # noqa: E402
from archon.benchmarks.arithmetic import parse_key, total_of  # noqa: E402
from archon.errors import ConfigError  # noqa: E402
from archon.nano import generators, heads, judges, sharpening, training  # noqa: E402
from archon.nano.data import Group  # noqa: E402
from archon.nano.examples.marking import Marked  # noqa: E402
from archon.nano.examples.mixing import MIXES, fingerprint  # noqa: E402
from archon.nano.members import MEMBERS, Member, easy  # noqa: E402
from archon.nano.own import own_groups  # noqa: E402
from archon.nano.together import in_turn, train_together  # noqa: E402
from archon.nano.train import KINDS  # noqa: E402

TINY = Member("nano", "nano", 1, width=32, layers=1, heads=1)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few groups in a chunk, no compiler, no looks at dev problems."""
    monkeypatch.setattr(generators, "CHUNK_GROUPS", 6)
    monkeypatch.setattr(generators, "OWN_PROBLEMS", 1)
    monkeypatch.setattr(generators, "OWN_EACH", 3)
    monkeypatch.setattr(heads, "CHUNK_QUESTIONS", 12)
    monkeypatch.setattr(sharpening, "CHUNK_QUESTIONS", 4)
    monkeypatch.setattr(judges, "CHUNK_GROUPS", 4)
    monkeypatch.setattr(judges, "OWN_PROBLEMS", 1)
    monkeypatch.setattr(judges, "OWN_EACH", 2)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    for kind in (generators.GeneratorTraining, heads.HeadTraining):
        monkeypatch.setattr(kind, "probe", lambda self: {})


def train(out: Path, member: Member = TINY, **options: Any) -> Any:
    kind = KINDS[member.kind]
    given = {"threads": 1, "batch": 1024, "every": 0.0} | options
    work = kind(member, training.Options(out, **given), Console(file=StringIO()))
    work.run()
    return work


def weights(work: Any) -> dict[str, Any]:
    return dict(work.model.state_dict())


def test_a_run_that_stopped_goes_on_and_ends_with_the_same_weights(tmp_path: Path) -> None:
    """The last chunks hold the model's own samples, so these repeat too."""
    whole = train(tmp_path / "whole", tokens=6_000)
    train(tmp_path / "parts", tokens=6_000, stop=2_000)
    rest = train(tmp_path / "parts", tokens=6_000)
    assert whole.progress == rest.progress == 1.0
    assert (whole.steps, whole.tokens) == (rest.steps, rest.tokens)
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(rest)[name]), name
    lines = (tmp_path / "parts" / "nano" / "log.jsonl").read_text().splitlines()
    tokens = [json.loads(line)["tokens"] for line in lines]
    assert tokens == sorted(set(tokens)), "no chunk was trained on twice"


def test_another_seed_does_not_go_on_from_a_checkpoint(tmp_path: Path) -> None:
    train(tmp_path, tokens=3_000)
    with pytest.raises(ConfigError, match=r"checkpoint\.pt: .*take another --out"):
        train(tmp_path, tokens=6_000, seed=1)


@pytest.mark.slow
def test_the_parts_of_a_training(tmp_path: Path) -> None:
    """Low levels first; at the end, judged answers by the model itself."""
    asked = []

    class Watched(generators.GeneratorTraining):
        def chunk_groups(self, seed: int) -> list[Any]:
            found = super().chunk_groups(seed)
            asked.append((self.progress, found))
            return found

    options = training.Options(tmp_path, tokens=12_000, threads=1, batch=1024, every=0.0)
    Watched(TINY, options, Console(file=StringIO())).run()
    first = [group.prefix for _, groups in asked[:1] for group in groups]
    assert not any("Rank the answers." in text for text in first)
    assert any(progress >= 0.8 for progress, _ in asked)
    assert {len(groups) for _, groups in asked} == {6}
    assert set(easy(MIXES["nano"]).levels["listfn"]) == {1, 2}


def test_written_files_say_what_they_are(tmp_path: Path) -> None:
    work = train(tmp_path, tokens=2_000)
    folder = tmp_path / "nano"
    config = json.loads((folder / "config.json").read_text())
    assert config["archon_examples"] == fingerprint(MIXES["nano"])
    assert config["archon_trained_tokens"] == work.tokens
    price = nominal_price(folder)
    assert price is not None
    flops = flops_per_token(f"local/{folder}")
    assert flops is not None
    assert flops == 2 * sum(weight.numel() for weight in work.model.parameters())
    assert price.input == price.output == pytest.approx(flops * 1e-13 * 1e6, rel=1e-3)
    kept = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float16)
    assert torch.equal(kept.model.norm.weight, work.model.model.norm.weight.half())


@pytest.mark.slow
def test_a_reward_head_is_trained_on_a_trunk_and_loads_as_a_scorer(tmp_path: Path) -> None:
    train(tmp_path, tokens=2_000)
    for name, kind in (("nano-prm", "steps"), ("nano-orm", "outcome")):
        member = replace(MEMBERS[name], trunk="nano", mix="nano")
        train(tmp_path, member, tokens=2_000)
        assert head_of(tmp_path / name) == kind
        [lines] = Heads(tmp_path / name).lines("2 + 2", ["2 + 2 = 4\n#### 4"])
        assert len(lines) == (2 if kind == "steps" else 1)
        assert all(0 < score < 1 for score in lines)


def test_marks_stand_where_scores_are_read(tmp_path: Path) -> None:
    """A row of training and the scorer cut an answer into the same tokens."""
    train(tmp_path, tokens=2_000)
    member = replace(MEMBERS["nano-prm"], trunk="nano", mix="nano")
    options = training.Options(tmp_path, tokens=1, threads=1)
    work = heads.HeadTraining(member, options, Console(file=StringIO()))
    answer = Marked("k", "<|user|>2 + 2<|assistant|>", ("2 + 2 = 5", "#### 5"), (False, False))
    row = work.row([answer, replace(answer, lines=("2 + 2 = 4", "#### 4"), marks=(True, True))])
    ids = [row.ids[place] for place, mark in enumerate(row.target) if mark >= 0]
    newline, end = work.tokenizer("\n").input_ids[0], work.tokenizer.eos_token_id
    assert ids == [newline, end] * 2
    assert [mark for mark in row.target if mark >= 0] == [0, 0, 1, 1]


def test_a_head_without_its_trunk_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="train --model nano-math first"):
        train(tmp_path, MEMBERS["nano-prm"])


@pytest.mark.slow
def test_a_sharpened_variant_starts_from_its_trunk_and_learns_its_own_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trunk = train(tmp_path, tokens=2_000)
    taught: list[Any] = []

    def one(*args: Any) -> Any:
        taught.append(args[0])
        return iter([Group(("+1+1",), "<|user|>1 + 1", (("<|assistant|>", "#### 2<|end|>"),))])

    monkeypatch.setattr(sharpening, "sharpened", one)
    member = replace(MEMBERS["nano-sharp"], trunk="nano", mix="nano", tokens=200)
    variant = train(tmp_path, member, tokens=200)
    assert taught[0] is MIXES["nano"]
    before, after = weights(trunk), weights(variant)
    gaps = [float((after[name] - before[name].half().float()).abs().max()) for name in after]
    assert 0 < max(gaps) < 0.5
    assert head_of(tmp_path / "nano-sharp") == ""


def test_a_judge_starts_from_its_trunk_and_sees_what_the_trunk_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trunk = train(tmp_path, tokens=500)
    writers: list[Any] = []
    genuine = own_groups

    def seen(mix: Any, seed: int, speaker: Any, *args: Any, **more: Any) -> Any:
        writers.append(dict(speaker.model.state_dict()))
        return genuine(mix, seed, speaker, *args, **more)

    monkeypatch.setattr(judges, "own_groups", seen)
    judge = train(tmp_path, replace(MEMBERS["nano-judge"], trunk="nano"), tokens=2_000)
    start = {name: value.half().float() for name, value in weights(trunk).items()}
    assert len(writers) > 1
    for written in writers:
        assert all(torch.equal(written[name], start[name]) for name in start)
    assert any(not torch.equal(value, start[name]) for name, value in weights(judge).items())


def test_comparisons_are_right_and_words_that_judge_weigh_more(tmp_path: Path) -> None:
    rng = random.Random(3)
    right = 0
    for _ in range(60):
        group = judges.comparison(rng)
        [(_, reply)] = group.branches
        truth = total_of(parse_key(group.keys[0]))
        said = re.findall(r"^\[([A-H])\] (\d+) is (right|wrong)\.$", reply, re.MULTILINE)
        assert [value for _, value, _ in said] == re.findall(r"#### (\d+)", group.prefix)
        assert all((int(value) == truth) is (word == "right") for _, value, word in said)
        order = reply.removesuffix("<|end|>").split("Ranking: ")[1].split(" > ")
        best = {name for name, _, word in said if word == "right"}
        assert set(order[: len(best)]) == best
        assert sorted(order) == [name for name, _, _ in said]
        right += len(best)
    assert right > 60
    train(tmp_path, tokens=500)
    member = replace(MEMBERS["nano-judge"], trunk="nano")
    work = judges.JudgeTraining(
        member, training.Options(tmp_path, threads=1), Console(file=StringIO())
    )
    assert work.weights is not None
    heavy = work.tokenizer.convert_ids_to_tokens((work.weights > 1).nonzero().flatten().tolist())
    assert sorted(heavy) == ["Correct", "Incorrect", "Ġright", "Ġwrong"]


@pytest.mark.parametrize("jobs", [2, len(MEMBERS)])
def test_models_are_trained_together_each_after_its_trunk(jobs: int) -> None:
    begun: list[str] = []
    ended: list[str] = []
    news = threading.Lock()

    def work(name: str) -> None:
        with news:
            begun.append(name)
            assert len(begun) - len(ended) <= jobs
            assert not MEMBERS[name].trunk or MEMBERS[name].trunk in ended
        time.sleep(MEMBERS[name].tokens / 1e9)
        with news:
            ended.append(name)

    with ThreadPoolExecutor(jobs) as executor:
        train_together(MEMBERS, work, executor, jobs)
    assert sorted(ended) == sorted(MEMBERS)
    # Most tokens of its own, and most together with what starts from it.
    assert begun[:2] == in_turn(MEMBERS)[:2] == ["nano", "nano-math"]


def test_a_training_that_fails_is_told_and_nothing_begins_after_it() -> None:
    begun: list[str] = []

    def work(name: str) -> None:
        begun.append(name)
        raise ConfigError("other examples", where=name)

    with ThreadPoolExecutor(1) as executor, pytest.raises(ConfigError, match="nano: other"):
        train_together(MEMBERS, work, executor, 1)
    assert begun == ["nano"]


@pytest.mark.slow
def test_an_error_of_another_process_is_one_line(tmp_path: Path) -> None:
    checkpoint = tmp_path / "nano" / "checkpoint.pt"
    checkpoint.parent.mkdir()
    torch.save({"identity": {"examples": "others", "seed": 0}}, checkpoint)
    command = [sys.executable, "-m", "archon.nano.train", "--model", "all", "--out", str(tmp_path)]
    done = subprocess.run([*command, "--jobs", "1"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"error: {checkpoint}: was trained on other")
