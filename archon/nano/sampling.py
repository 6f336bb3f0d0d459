"""Batched sampling of a model of the family, for training and measuring."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from archon.nano.data import ASSISTANT, END, PAD, THINK, USER
from archon.nano.decode import decode


@dataclass(slots=True)
class Speaker:
    """A model with its tokenizer; counts the tokens it has written."""

    model: LlamaForCausalLM
    tokenizer: PreTrainedTokenizerFast
    batch: int = 256
    written: int = 0

    def reply(self, prompts: list[str], temperature: float, limit: int = 112) -> list[str]:
        """One reply to each user message; greedy at temperature 0."""
        return [group[0] for group in self.replies(prompts, 1, temperature, limit)]

    def thought(
        self, prompts: list[str], copies: int, temperature: float, limit: int = 320
    ) -> list[list[tuple[str, str]]]:
        """Several replies to each user message, as thinking text and answer."""
        found = self.replies(prompts, copies, temperature, limit, opening=THINK)
        return [[_parted(text) for text in group] for group in found]

    def replies(
        self,
        prompts: list[str],
        copies: int,
        temperature: float,
        limit: int = 112,
        opening: str = ASSISTANT,
    ) -> list[list[str]]:
        """Several replies to each user message; behind `THINK` with all their marks."""
        if not prompts:
            return []
        texts = [USER + prompt.strip() + opening for prompt in prompts]
        sizes = [len(ids) for ids in self.tokenizer(texts).input_ids]
        order = sorted(range(len(texts)), key=sizes.__getitem__)
        found: list[list[str]] = [[] for _ in texts]
        step = max(1, self.batch // copies)
        for start in range(0, len(order), step):
            places = order[start : start + step]
            said = self._write([texts[place] for place in places], copies, temperature, limit)
            for place, group in zip(places, said, strict=True):
                found[place] = group
        return found

    def _write(
        self, texts: list[str], copies: int, temperature: float, limit: int
    ) -> list[list[str]]:
        """Replies to one batch of prompts."""
        inputs = self.tokenizer(texts, padding=True, return_tensors="pt")
        tokens = decode(
            self.model, inputs.input_ids, inputs.attention_mask, copies, temperature, limit
        )
        self.written += int((tokens != self.tokenizer.pad_token_id).sum())
        plain = not texts[0].endswith(THINK)
        flat = self.tokenizer.batch_decode(tokens.flatten(0, 1), skip_special_tokens=plain)
        return [flat[start : start + copies] for start in range(0, len(flat), copies)]

    @torch.inference_mode()
    def choice(self, prompts: list[str], options: tuple[str, str]) -> list[float]:
        """P(first option) against the second, by the first token where the options differ."""
        if not prompts:
            return []
        ids = [self.tokenizer(option).input_ids for option in options]
        same = next(i for i, (a, b) in enumerate(zip(*ids, strict=False)) if a != b)
        lead = self.tokenizer.decode(ids[0][:same])
        texts = [USER + prompt.strip() + ASSISTANT + lead for prompt in prompts]
        chances: list[float] = []
        for start in range(0, len(texts), self.batch):
            inputs = self.tokenizer(
                texts[start : start + self.batch], padding=True, return_tensors="pt"
            )
            positions = (inputs.attention_mask.cumsum(-1) - 1).clamp(min=0)
            logits = self.model(
                input_ids=inputs.input_ids,
                attention_mask=inputs.attention_mask,
                position_ids=positions,
                logits_to_keep=1,
            ).logits[:, -1]
            pair = logits[:, [ids[0][same], ids[1][same]]].float().softmax(-1)
            chances.extend(pair[:, 0].tolist())
        return chances


def _parted(text: str) -> tuple[str, str]:
    """Thinking text and answer of a reply with its marks; without an answer, all is thinking."""
    thinking, _, answer = text.replace(END, "").replace(PAD, "").partition(ASSISTANT)
    return thinking, answer
