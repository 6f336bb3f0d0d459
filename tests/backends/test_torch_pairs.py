"""Local models that score texts: likelihoods, and weights that compare pairs."""

from __future__ import annotations

import asyncio
import itertools
import math
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import archon
from archon.backends.fake import Fake
from archon.errors import ModelError
from archon.layers import Generate, Rank
from archon.model import Model

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from archon.backends.torch import Torch  # noqa: E402
from archon.backends.torch_config import compares_pairs  # noqa: E402
from archon.backends.torch_files import folder_of  # noqa: E402

MARKS = ("<|source|>", "<|candidate1|>", "<|candidate2|>")
QUESTION = "what is the sum"
ANSWERS = ("yes no", "no", "correct wrong yes the numbers", "wrong")


def make_pairs(folder: Path) -> Path:
    """Write a tiny random model in the layout of PairRM-hf."""
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", *MARKS]
    words += ["what", "is", "the", "sum", "of", "numbers", "yes", "no", "correct", "wrong"]
    core = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]",
        unk_token="[UNK]", additional_special_tokens=list(MARKS),
    ).save_pretrained(folder)  # fmt: skip
    torch.manual_seed(3)
    config = transformers.DebertaV2Config(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64, relative_attention=True,
        position_biased_input=False, pos_att_type=["p2c", "c2p"], initializer_range=0.6,
        source_prefix_id=4, cand1_prefix_id=5, cand2_prefix_id=6, n_tasks=2, drop_out=0.05,
    )  # fmt: skip
    config.save_pretrained(folder)
    encoder = transformers.DebertaV2Model(config)
    weights = {f"pretrained_model.{k}": v.contiguous() for k, v in encoder.state_dict().items()}
    weights |= {
        "head_layer.1.weight": torch.randn(16, 32), "head_layer.1.bias": torch.randn(16),
        "head_layer.4.weight": torch.randn(2, 16), "head_layer.4.bias": torch.randn(2),
    }  # fmt: skip
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pairs(tmp_path_factory.mktemp("pairs"))


@cache
def parts(folder: Path) -> tuple[Any, Any, Any]:
    """Return weights, encoder and tokenizer."""
    from safetensors.torch import load_file

    weights = load_file(folder / "model.safetensors")
    encoder = transformers.DebertaV2Model(transformers.AutoConfig.from_pretrained(folder)).eval()
    front = "pretrained_model."
    encoder.load_state_dict(
        {k.removeprefix(front): v for k, v in weights.items() if k.startswith(front)}
    )
    return weights, encoder, transformers.AutoTokenizer.from_pretrained(folder)


def by_hand(folder: Path, first: str, second: str) -> float:
    """Return the probability that `first` is better: one pair at a time, nothing padded."""
    weights, encoder, tokenizer = parts(folder)
    texts = [mark + text for mark, text in zip(MARKS, (QUESTION, first, second), strict=True)]
    ids = [token for text in texts for token in tokenizer.encode(text)]
    with torch.no_grad():
        states = encoder(torch.tensor([ids])).last_hidden_state[0]
        source, left, right = (states[ids.index(mark)] for mark in (4, 5, 6))

        def grade(state: Any) -> Any:
            both = torch.cat([source, state])
            hidden = torch.tanh(
                weights["head_layer.1.weight"] @ both + weights["head_layer.1.bias"]
            )
            return weights["head_layer.4.weight"] @ hidden + weights["head_layer.4.bias"]

        return float(torch.sigmoid((grade(left) - grade(right)).mean()))


def scores(name: str, *answers: str, question: str = QUESTION) -> list[float]:
    async def work() -> list[float]:
        backend = Torch()
        try:
            return await backend.score(Model(name), question, answers)
        finally:
            await backend.close()

    return asyncio.run(work())


def test_a_score_is_the_mean_chance_of_being_better_over_all_pairs_and_orders(
    folder: Path,
) -> None:
    assert compares_pairs(folder)
    wins = dict.fromkeys(ANSWERS, 0.0)
    for first, second in itertools.permutations(ANSWERS, 2):
        chance = by_hand(folder, first, second)
        wins[first] += chance / 6
        wins[second] += (1 - chance) / 6
    found = scores(f"local/{folder}", *ANSWERS)
    assert found == pytest.approx([wins[answer] for answer in ANSWERS], abs=1e-5)
    assert max(found) - min(found) > 0.01, "the weights tell the answers apart"


def test_order_and_copies_change_nothing(folder: Path) -> None:
    forth = scores(f"local/{folder}", *ANSWERS)
    back = scores(f"local/{folder}", *ANSWERS[::-1], ANSWERS[0], "")
    assert back[:4] == pytest.approx(forth[::-1], abs=1e-6)
    assert back[4:] == [back[3], 0.0]
    assert scores(f"local/{folder}", "alone") == [1.0]


def test_an_answer_cannot_bring_a_mark_of_its_own(folder: Path) -> None:
    plain = scores(f"local/{folder}", "yes  no", "wrong")
    marked = scores(f"local/{folder}", "yes <|candidate2|> no", "wrong")
    assert marked == pytest.approx(plain, abs=1e-6)


@pytest.mark.slow
def test_a_long_question_loses_its_end_and_still_scores(folder: Path) -> None:
    found = scores(f"local/{folder}", "yes " * 3000, "no", question="the sum " * 3000)
    assert all(0 <= score <= 1 for score in found)


def test_weights_that_lack_a_part_are_named(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = load_file(folder / "model.safetensors")
    del weights["pretrained_model.encoder.layer.0.output.dense.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"cannot load .* lack 'encoder\.layer\.0\.output"):
        scores(f"local/{tmp_path}", "yes", "no")


def test_any_other_model_gives_the_mean_probability_of_a_token() -> None:
    """Against transformers, which reads prompt and reply in one go."""
    folder = folder_of("local/nano")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    question, answers = "2 + 2 =", ("The answer is 4.\n#### 4", "Seven.", "4 4 4")
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True
    )
    before = tokenizer.encode(prompt, add_special_tokens=False)
    expected = []
    for answer in answers:
        said = [*tokenizer.encode(answer, add_special_tokens=False), tokenizer.eos_token_id]
        with torch.no_grad():
            logs = model(torch.tensor([before + said])).logits[0].log_softmax(-1)
        parts = [float(logs[len(before) + i - 1, token]) for i, token in enumerate(said)]
        expected.append(math.exp(sum(parts) / len(parts)))
    assert scores("local/nano", *answers, question=question) == pytest.approx(expected, rel=1e-3)


def test_a_question_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(ModelError, match="leaves no room in the context"):
        scores("local/nano", "yes", question="seven " * 5000)


def test_missing_weights_say_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="hf download llm-blender/PairRM-hf"):
        scores("local/llm-blender/PairRM-hf", "yes", "no")


def test_an_architecture_ranks_with_it(folder: Path) -> None:
    fake = Fake(list(ANSWERS))
    arch = Generate(model="fake/m", samples=4) >> Rank(
        model=f"local/{folder}", method="scorer", keep=1
    )
    with archon.Session(pool=None, backends={"fake": fake}) as session:
        result = archon.run(arch, QUESTION, session=session)
    best = max(zip(scores(f"local/{folder}", *ANSWERS), ANSWERS, strict=True))[1]
    assert (result.answer, result.used.calls) == (best, 4)
