"""The tokenizer of the nano family: byte-level, a token for every digit and for common words.

It is trained on generated examples of all tasks and roles (`learned`) and committed as a file, so
that all models of the family share it; `family_tokenizer` reads that file.
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from archon.nano.data import ASSISTANT, END, PAD, THINK, USER
from archon.nano.examples.mixing import GENERAL, groups
from archon.writing import whole_file

__all__ = ["CHAT_TEMPLATE", "FILE", "MOST_TOKENS", "family_tokenizer", "learned"]

FILE = Path(__file__).parent / "vocabulary.json"
SIZE = 1024
MOST_TOKENS = 1024
SEED = 0
_GROUPS = 6000
# One digit; a line break with an indent; a word, or marks, with the space before it; anything else.
_PIECES = r"\d|\n {4}|\n| ?[\p{L}_']+| ?[^\s\p{L}\d_']+ ?|\s"

CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'user' -%}"
    "{{- '<|user|>' + (message['content'] | trim) -}}"
    "{%- elif message['role'] == 'assistant' -%}"
    "{{- '<|assistant|>' + (message['content'] | trim) + '<|end|>' -}}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}"
    "{{- '<|think|>' if reasoning_effort | default('low') in ['medium', 'high']"
    " else '<|assistant|>' -}}"
    "{%- endif -%}"
)
"""With an effort of medium or high a reply begins behind `<|think|>`; its thinking text ends, and
the answer begins, at `<|assistant|>`."""


def learned(seed: int = SEED, count: int = _GROUPS) -> Tokenizer:
    """Train the tokenizer on the first groups of the general mix; the same for the same seed."""
    core = Tokenizer(models.BPE(byte_fallback=False))
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE,
        special_tokens=[PAD, END, USER, ASSISTANT, THINK],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (
        group.prefix + "".join(group.branches[0]) for group in islice(groups(GENERAL, seed), count)
    )
    core.train_from_iterator(texts, trainer)
    return core


def family_tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer that all models of the family share, with its chat template."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_file(str(FILE)),
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[USER, ASSISTANT, THINK],
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=MOST_TOKENS,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def main() -> None:
    """Train the tokenizer and write its file."""
    argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None).parse_args()
    with whole_file(FILE) as file:
        file.write(learned().to_str(pretty=False).encode())


if __name__ == "__main__":
    main()
