"""Models that were trained to judge, encoders with a head, and batches that callers share."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from archon.errors import ConfigError, ModelError
from archon.model import Model

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from archon.backends import torch_scorers  # noqa: E402
from archon.backends.torch import Torch  # noqa: E402
from archon.backends.torch_device import Local, Memory  # noqa: E402
from archon.backends.torch_files import folder_of  # noqa: E402
from archon.backends.torch_heads import Heads  # noqa: E402
from archon.backends.torch_scorers import Place, Row, Scorer  # noqa: E402

QUESTION = "How many?"
ANSWERS = ("1 + 1 = 2\n\n2 + 2 = 4", "7", "one\ntwo\nthree")
VERDICTS = ["5", "6"]


def scores(model: Model, *answers: str) -> list[float]:
    async def work() -> list[float]:
        backend = Torch()
        try:
            backend.check(model)
            return await backend.score(model, QUESTION, answers)
        finally:
            await backend.close()

    return asyncio.run(work())


class Judge:
    """The embedded model asked by transformers alone."""

    def __init__(self) -> None:
        folder = folder_of("local/nano")
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.net = transformers.AutoModelForCausalLM.from_pretrained(folder).float().eval()

    def good(self, turns: Sequence[tuple[str, str]]) -> float:
        """Return the probability of the first verdict and the end, among both verdicts."""
        chat = [{"role": role, "content": text} for role, text in turns]
        before = self.tokenizer.apply_chat_template(
            chat, add_generation_prompt=True, return_dict=False
        )
        chances = []
        for text in VERDICTS:
            said = self.tokenizer.encode(text, add_special_tokens=False)
            said = [*said, self.tokenizer.eos_token_id]
            with torch.no_grad():
                logs = self.net(torch.tensor([before + said])).logits[0].log_softmax(-1)
            places = range(len(before) - 1, len(before) + len(said) - 1)
            chances.append(sum(float(logs[i, t]) for i, t in zip(places, said, strict=True)))
        good, bad = torch.tensor(chances).exp().tolist()
        return float(good / (good + bad))


def test_a_judge_gives_the_probability_of_its_good_verdict() -> None:
    judge = Judge()
    whole = [judge.good([("user", f"{QUESTION} {answer}")]) for answer in ANSWERS]
    model = Model("local/nano", params={"verdicts": VERDICTS})
    assert scores(model, *ANSWERS, ANSWERS[1], "") == pytest.approx(
        [*whole, whole[1], 0.0], rel=1e-3
    )
    assert len({round(score, 4) for score in whole}) == 3


def test_a_judge_of_steps_reads_each_behind_the_good_ones_before_it() -> None:
    judge = Judge()
    by_line = []
    for answer in ANSWERS:
        lines = [line for line in answer.split("\n") if line]
        talk: list[tuple[str, str]] = []
        found = []
        for line in lines:
            talk.append(("user", line if talk else f"{QUESTION} {line}"))
            found.append(judge.good(talk))
            talk.append(("assistant", VERDICTS[0]))
        by_line.append(found)
    assert [len(lines) for lines in by_line] == [2, 1, 3]
    joined = {"last": [found[-1] for found in by_line], "min": [min(found) for found in by_line]}
    for steps, expected in joined.items():
        model = Model("local/nano", params={"verdicts": VERDICTS, "steps": steps})
        assert scores(model, *ANSWERS) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"verdicts": ["+"]}, r"'verdicts' must be two different texts, the good one first"),
        ({"verdicts": ["+", "+"]}, "two different texts"),
        ({"verdicts": "+-"}, "two different texts"),
        ({"verdicts": ["+", ""]}, "two different texts"),
        ({"verdicts": ["+", "-"], "steps": "hole"}, "got 'hole'; did you mean 'whole'"),
        ({"steps": "last"}, r"no use for 'params: \{steps\}'"),
        ({"verdict": ["+", "-"]}, r"no use for 'params: \{verdict\}'"),
    ],
)
def test_wrong_params_are_refused_before_anything_is_loaded(params: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Torch().check(Model("local/nano", params=params))


def make_pair_encoder(folder: Path) -> Path:
    """Write a tiny random encoder with one score for a pair of texts, without a chat template."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "How", "many", "one", "two", "7", "?"]
    core = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", model_max_length=16,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    ).save_pretrained(folder)  # fmt: skip
    torch.manual_seed(2)
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64, initializer_range=0.7, num_labels=1,
    )  # fmt: skip
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def test_an_encoder_without_a_chat_template_reads_a_pair(tmp_path: Path) -> None:
    make_pair_encoder(tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    net = transformers.BertForSequenceClassification.from_pretrained(tmp_path).eval()
    expected = []
    for answer in ("one two", "7"):
        with torch.no_grad():
            logit = net(**tokenizer(QUESTION, answer, return_tensors="pt")).logits[0, 0]
        expected.append(float(logit.sigmoid()))
    model = Model(f"local/{tmp_path}")
    assert scores(model, "one two", "7") == pytest.approx(expected, abs=1e-5)
    assert abs(expected[0] - expected[1]) > 1e-4
    with pytest.raises(ModelError, match="more than the context of 16 tokens"):
        scores(model, "one " * 20)


class Counting(Scorer[int]):
    """Says how long each row is, and takes only so many at once."""

    def __init__(self, most: int = 1000, place: Place | None = None) -> None:
        super().__init__(Path("counting"), place)
        self.most = most
        self.loads = 0
        self.sizes: list[int] = []

    def load(self, device: Any, dtype: Any) -> Any:
        self.loads += 1
        return "weights"

    def read(self, rows: Sequence[Row]) -> list[int]:
        self.sizes.append(len(rows))
        if len(rows) > self.most:
            raise torch.OutOfMemoryError("too much")
        return [len(row.ids) for row in rows]

    async def scores(self, question: str, answers: Sequence[str]) -> list[float]:
        return [0.0 for _ in answers]


def rows(*sizes: int) -> list[Row]:
    return [Row([0] * size) for size in sizes]


def test_what_waits_is_read_together_and_one_callers_fault_is_its_own() -> None:
    scorer = Counting()
    busy = threading.Event()
    scorer._thread.submit(busy.wait)

    def broken() -> list[Row]:
        raise ValueError("these texts are odd")

    makers = (lambda: rows(3, 1), broken, lambda: rows(2))
    futures = [scorer.submit(make) for make in makers]
    busy.set()
    assert futures[0].result() == [3, 1]
    assert futures[2].result() == [2]
    with pytest.raises(ModelError, match="ValueError: these texts are odd"):
        futures[1].result()
    assert scorer.sizes == [3]


def test_a_batch_that_does_not_fit_is_halved_and_one_row_that_does_not_is_an_error() -> None:
    scorer = Counting(most=2)
    assert scorer.submit(lambda: rows(1, 2, 3, 4, 5)).result() == [1, 2, 3, 4, 5]
    assert scorer.sizes == [5, 2, 3, 1, 2]
    scorer.most = 0
    with pytest.raises(ModelError, match="a text of 7 tokens does not fit into the memory"):
        scorer.submit(lambda: rows(7)).result()


def test_models_share_a_memory_and_give_way_to_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each takes ten numbers of four bytes and a quarter more: there is room for one."""
    monkeypatch.setattr(torch_scorers, "weights_of", lambda folder: 10)
    memory = Memory()
    place = Place(Local("cpu", memory=80), memory)
    first, second = Counting(place=place), Counting(place=place)
    for _ in range(3):
        assert first.submit(lambda: rows(1)).result(60) == [1]
        assert second.submit(lambda: rows(2)).result(60) == [2]
    assert (first.loads, second.loads) == (3, 3)
    assert memory.held == 50
    small = Counting(place=Place(Local("cpu", memory=40), Memory()))
    with pytest.raises(ModelError, match="cannot load counting: the model needs"):
        small.submit(lambda: rows(1)).result(60)
    for scorer in (first, second):
        scorer.close()
        scorer._thread.shutdown()
    assert memory.held == 0


def test_a_scorer_that_cannot_be_loaded_says_which_folder_it_was(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "llama", "architectures": ["LlamaForTokenClassification"]})
    )
    with pytest.raises(ModelError, match=f"cannot load {tmp_path}"):
        Heads(tmp_path).lines("q", ["a"])
