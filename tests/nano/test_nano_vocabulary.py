"""The tokenizer of the nano family: any text, a token for a digit, and short examples."""

from __future__ import annotations

import json
import random
from itertools import islice
from typing import Any

import pytest

from archon.nano.data import ASSISTANT, END, THINK, USER
from archon.nano.examples import prompts
from archon.nano.examples.knobs import TAUGHT
from archon.nano.examples.mixing import FAMILIES, GENERAL, groups
from archon.nano.examples.roles import Case, drafts

pytest.importorskip("torch")
pytest.importorskip("transformers")

from archon.nano import vocabulary

SIZE = 1024


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return vocabulary.family_tokenizer()


def test_any_text_comes_back(tokenizer: Any) -> None:
    texts = ["", "Zürich \u20ac 5\t\u2028 \U0001f600", "def f(xs):\n\treturn  [x**2]", "#### -12.5"]
    texts += [
        "".join([g.prefix, *map("".join, g.branches)]) for g in islice(groups(GENERAL, 9), 40)
    ]
    for text in texts:
        ids = tokenizer(text).input_ids
        assert max(ids, default=0) < SIZE
        assert tokenizer.decode(ids) == text


def test_every_digit_is_a_token_and_common_words_are_one(tokenizer: Any) -> None:
    assert len(tokenizer) == SIZE
    digits = {token for token in tokenizer.get_vocab() if any(sign.isdigit() for sign in token)}
    assert {token for token in digits if token.isascii()} == set("0123456789")
    for word in (" numbers", " each", "return", "def", "Ranking", " list"):
        assert len(tokenizer(word).input_ids) == 1, word
    for special in (USER, ASSISTANT, THINK, END):
        assert len(tokenizer(special).input_ids) == 1


def test_a_group_has_the_tokens_of_its_whole_texts(tokenizer: Any) -> None:
    for group in islice(groups(GENERAL, 12), 120):
        head = tokenizer(group.prefix).input_ids
        for prompt, reply in group.branches:
            parts = head + tokenizer(prompt).input_ids + tokenizer(reply).input_ids
            assert parts == tokenizer(group.prefix + prompt + reply).input_ids


def test_examples_are_short(tokenizer: Any) -> None:
    def size(text: str) -> int:
        return len(tokenizer(text).input_ids)

    family = FAMILIES["listfn"]
    answers, ranks, rng = [], [], random.Random(3)
    for problem in islice(family.stream(3, "train", 1), 60):
        case = Case(family, problem, TAUGHT, rng)
        answers.append(size(f"{USER}{case.question}{ASSISTANT}{case.right().text}{END}"))
        texts = [draft.text for draft in drafts(case, 4)]
        basis = family.basis(problem, [], case.belief(), rng)
        prompt = prompts.ranking(case.question, prompts.labelled(texts))
        ranks.append(size(f"{USER}{prompt}{ASSISTANT}{basis}\nRanking: A > B > C > D{END}"))
    assert sum(answers) / 60 <= 160
    assert max(ranks) <= 500
    long = (
        USER + "".join(g.prefix + "".join(b) for b in g.branches[:1])
        for g in islice(groups(GENERAL, 1), 150)
    )
    assert max(map(size, long)) <= vocabulary.MOST_TOKENS


def test_the_chat_template_ends_as_the_effort_says(tokenizer: Any) -> None:
    chat = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": " 1 + 1 "}]

    def text(**more: Any) -> str:
        return str(tokenizer.apply_chat_template(chat, tokenize=False, **more))

    assert text(add_generation_prompt=True) == f"{USER}1 + 1{ASSISTANT}"
    assert text(add_generation_prompt=True, reasoning_effort="low") == f"{USER}1 + 1{ASSISTANT}"
    assert text(add_generation_prompt=True, reasoning_effort="high") == f"{USER}1 + 1{THINK}"
    chat.append({"role": "assistant", "content": "2"})
    assert text() == f"{USER}1 + 1{ASSISTANT}2{END}"


@pytest.mark.slow
def test_the_committed_file_is_what_training_gives() -> None:
    assert json.loads(vocabulary.learned().to_str()) == json.loads(vocabulary.FILE.read_text())


def test_rows_learn_the_replies_and_nothing_else(tokenizer: Any) -> None:
    from archon.nano.batches import row_of

    for group in islice(groups(GENERAL, 21), 40):
        row = row_of(group, tokenizer)
        learned = [token for token in row.target if token >= 0]
        assert tokenizer.decode(learned) == "".join(reply for _, reply in group.branches)
