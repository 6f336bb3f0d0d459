"""The byte-level tokenizer of ``local/nano``: about a thousand entries, one for every digit."""

from __future__ import annotations

from itertools import islice

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from archon.nano.data import ASSISTANT, CHAT_TEMPLATE, EASY_GROUPS, END, PAD, USER, groups

VOCABULARY = 576
# One digit; an operator with its spaces; the answer mark; a word with the space before it;
# a mark with the space after it; anything else on its own.
_PIECES = r"\d| [-+*=] | ?#+ ?|\n| ?[\p{L}']+|[^\s\p{L}\d] ?|\s"


def train_tokenizer(seed: int, samples: int = 4000) -> PreTrainedTokenizerFast:
    """A byte-pair tokenizer trained on the first training texts; any text encodes and decodes."""
    core = Tokenizer(models.BPE(byte_fallback=False))
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    specials = [PAD, END, USER, ASSISTANT]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (
        group.prefix + "".join(prompt + reply for prompt, reply in group.branches[:1])
        for group in islice(groups(seed), EASY_GROUPS, EASY_GROUPS + samples)
    )
    core.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[USER, ASSISTANT],
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=1024,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer
