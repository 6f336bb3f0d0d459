"""Batched sampling of ``local/nano``, for training and measuring."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from archon.nano.data import ASSISTANT, CHECK_PROMPT, USER
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

    def replies(
        self, prompts: list[str], copies: int, temperature: float, limit: int = 112
    ) -> list[list[str]]:
        """Several replies to each user message."""
        texts = [USER + prompt.strip() + ASSISTANT for prompt in prompts]
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
        flat = self.tokenizer.batch_decode(tokens.flatten(0, 1), skip_special_tokens=True)
        return [flat[start : start + copies] for start in range(0, len(flat), copies)]

    @torch.inference_mode()
    def generated(self, prompts: list[str], temperature: float, limit: int = 112) -> list[str]:
        """One reply to each user message through plain ``generate``, in one batch."""
        texts = [USER + prompt.strip() + ASSISTANT for prompt in prompts]
        inputs = self.tokenizer(texts, padding=True, return_tensors="pt")
        how: dict[str, object] = {"do_sample": False}
        if temperature > 0:
            how = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
        out = self.model.generate(
            input_ids=inputs.input_ids,
            attention_mask=inputs.attention_mask,
            max_new_tokens=limit,
            **how,
        )
        fresh = out[:, inputs.input_ids.shape[1] :]
        self.written += int((fresh != self.tokenizer.pad_token_id).sum())
        texts = self.tokenizer.batch_decode(fresh, skip_special_tokens=True)
        return [str(text) for text in texts]

    @torch.inference_mode()
    def choice(self, prompts: list[str], options: tuple[str, str]) -> list[float]:
        """P(first option) against the second, by the first token where the options differ."""
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


def check_prompt(question: str, candidate: str) -> str:
    """The user message that asks for a check."""
    return CHECK_PROMPT.format(question=question, candidate=candidate)
