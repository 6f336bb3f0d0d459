"""Sentence embeddings against transformers' own states, and medoids by their similarity."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import archon
from archon.backends.fake import Fake
from archon.errors import ConfigError, ModelError
from archon.layers import Generate, Rank
from archon.model import Model

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from archon.backends.torch import Torch  # noqa: E402
from archon.backends.torch_config import kind_of  # noqa: E402
from archon.backends.torch_embed import Embedder, pooling_of  # noqa: E402

WORDS = ["the", "cat", "sat", "on", "a", "mat", "one", "two", "three", "four", "five", "six"]
TEXTS = ("the cat sat", "one two three four five", "a mat", "cat")
SWITCHES = {
    "mean": "pooling_mode_mean_tokens",
    "max": "pooling_mode_max_tokens",
    "cls": "pooling_mode_cls_token",
    "last": "pooling_mode_lasttoken",
}
LONGEST = 10


def make(folder: Path, pool: str = "mean", **modules: str) -> Path:
    """Write a tiny random encoder in the layout of sentence-transformers."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS]
    core = Tokenizer(models.WordLevel({w: i for i, w in enumerate(vocabulary)}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]",
    ).save_pretrained(folder)  # fmt: skip
    torch.manual_seed(11)
    config = transformers.BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64, initializer_range=0.7,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)
    types = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize", **modules}
    listed = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{name}"}
        for i, (path, name) in enumerate(types.items())
    ]
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "1_Pooling").mkdir()
    switches = {name: name == SWITCHES[pool] for name in SWITCHES.values()}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(switches))
    limits = {"max_seq_length": LONGEST, "do_lower_case": True}
    (folder / "sentence_bert_config.json").write_text(json.dumps(limits))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("embed"))


def by_hand(folder: Path, text: str, pool: str) -> list[float]:
    """One text at a time, nothing padded."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    net = transformers.AutoModel.from_pretrained(folder).float().eval()
    with torch.no_grad():
        states = net(torch.tensor([tokenizer.encode(text)])).last_hidden_state[0]
    pooled = {
        "mean": states.mean(0), "max": states.max(0).values, "cls": states[0], "last": states[-1]
    }[pool]  # fmt: skip
    found: list[float] = (pooled / pooled.norm()).tolist()
    return found


def vectors(folder: Path, texts: Sequence[str]) -> list[list[float]]:
    async def work() -> list[list[float]]:
        backend = Torch()
        try:
            model = Model(f"local/{folder}")
            backend.check(model)
            assert "embed" in backend.abilities(model)
            return await backend.embed(model, texts)
        finally:
            await backend.close()

    return asyncio.run(work())


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def scores(folder: Path, *answers: str) -> list[float]:
    async def work() -> list[float]:
        backend = Torch()
        try:
            return await backend.score(Model(f"local/{folder}"), "question", answers)
        finally:
            await backend.close()

    return asyncio.run(work())


@pytest.mark.parametrize("pool", SWITCHES)
def test_vectors_are_pooled_as_the_files_say(pool: str, tmp_path: Path) -> None:
    make(tmp_path, pool)
    assert kind_of(tmp_path) == "embedding"
    for text, vector in zip(TEXTS, vectors(tmp_path, TEXTS), strict=True):
        assert vector == pytest.approx(by_hand(tmp_path, text, pool), abs=1e-5)
        assert math.hypot(*vector) == pytest.approx(1)


def test_texts_are_read_in_lower_case_where_the_files_say_so(folder: Path) -> None:
    low, high, other = vectors(folder, ["the cat", "The CAT", "the mat"])
    assert low == high != other


def test_a_long_text_is_read_in_parts(folder: Path) -> None:
    """Eight words fit between the two marks: nine are read as eight and one."""
    words = [*WORDS[:8], "cat"]
    [whole] = vectors(folder, [" ".join(words)])
    first, rest = (by_hand(folder, " ".join(part), "mean") for part in (words[:8], words[8:]))
    mean = [10 * x + 3 * y for x, y in zip(first, rest, strict=True)]
    assert whole == pytest.approx([x / math.hypot(*mean) for x in mean], abs=1e-5)


def test_a_score_is_the_mean_similarity_to_the_others(folder: Path) -> None:
    v = {text: by_hand(folder, text, "mean") for text in TEXTS}
    expected = []
    for text in TEXTS:
        near = [cosine(v[text], v[other]) for other in TEXTS if other != text]
        expected.append((1 + sum(near) / 3) / 2)
    assert scores(folder, *TEXTS) == pytest.approx(expected, abs=1e-5)
    assert max(expected) - min(expected) > 0.01, "the weights tell the texts apart"
    assert scores(folder, "alone") == [1.0]
    a, b, empty = scores(folder, TEXTS[0], TEXTS[1], "")
    assert a == pytest.approx(b)
    assert empty == 0.0


def test_how_often_an_answer_was_given_counts(folder: Path) -> None:
    """Of one text three times and another once, the first is nearer to all."""
    many, one = "the cat sat", "one two three four five"
    replies = [many, many, one, many]
    arch = Generate(model="fake/m", samples=4) >> Rank(model=f"local/{folder}", method="scorer")
    with archon.Session(pool=None, backends={"fake": Fake(replies)}) as session:
        result = archon.run(arch, "Which?", session=session)
    near = cosine(by_hand(folder, many, "mean"), by_hand(folder, one, "mean"))
    found = {c.text: c.note("score").score for c in result.candidates}  # type: ignore[union-attr]
    assert found == pytest.approx({many: (1 + (2 + near) / 3) / 2, one: (1 + near) / 2}, abs=1e-5)
    assert result.answer == many
    assert result.used.calls == 4


def test_the_gateway_gives_vectors_and_refuses_what_makes_none(folder: Path) -> None:
    async def work() -> None:
        session = archon.Session(pool=None)
        try:
            gateway = session.gateway()
            [vector] = await gateway.embed(Model(f"local/{folder}"), ["cat"])
            assert vector == pytest.approx(by_hand(folder, "cat", "mean"), abs=1e-5)
            with pytest.raises(ConfigError, match="'local/nano' has no 'embed'"):
                await gateway.embed(Model("local/nano"), ["cat"])
        finally:
            await session.aclose()

    asyncio.run(work())


def test_modules_that_do_more_are_refused(tmp_path: Path) -> None:
    make(tmp_path, **{"3_Dense": "Dense"})
    with pytest.raises(ConfigError, match=r"modules\.json: its module 'Dense' is not supported"):
        Torch().check(Model(f"local/{tmp_path}"))
    embedder = Embedder(tmp_path)
    with pytest.raises(ModelError, match=r"cannot load .* 'Dense'"):
        asyncio.run(embedder.vectors(["cat"]))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({SWITCHES["mean"]: True, SWITCHES["cls"]: True}, "its pooling is mean, cls"),
        ({"pooling_mode_weightedmean_tokens": True}, "its pooling is pooling_mode_weighted"),
        ({"pooling_mode": "attention"}, "its pooling is attention"),
    ],
)
def test_other_poolings_are_refused(tmp_path: Path, settings: Any, said: str) -> None:
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(settings))
    with pytest.raises(ConfigError, match=said):
        pooling_of(tmp_path)


def test_a_newer_file_names_its_pooling(tmp_path: Path) -> None:
    (tmp_path / "1_Pooling").mkdir()
    for word, pool in {"lasttoken": "last", "mean": "mean", "cls": "cls"}.items():
        (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": word}))
        assert pooling_of(tmp_path).pool == pool
