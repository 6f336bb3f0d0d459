"""A transformers model on its device, called with keys and values of ours."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AutoModelForCausalLM
from transformers.utils import logging

from archon.backends.torch_attention import NAME, Causal, Plan, attend, planned
from archon.backends.torch_cache import Form, Store, form_of
from archon.errors import ModelError

__all__ = ["Net", "loaded"]

_TOLERANCE = {torch.float32: 1e-3}
"""How far our attention may be from the model's own, relative to the logits."""
_COARSE = 0.1
"""The same in half precision."""


def loaded(folder: Path, device: torch.device, dtype: torch.dtype, context: int) -> Net:
    """Return the model of a folder.

    Raises:
        ModelError: when a model of this type cannot be served.
    """
    logging.disable_progress_bar()  # the terminal is the application's
    model: Any = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype=dtype)
    config = model.config.get_text_config(decoder=True)
    longest = int(getattr(config, "max_position_embeddings", 0) or context)
    ends = _ids(model.generation_config.eos_token_id) | _ids(config.eos_token_id)
    return Net(model.to(device).eval(), longest, ends)


class Net:
    """Makes forward passes and counts them.

    Args:
        model: a transformers model for causal language modelling.
        context: the most tokens a text may have.
        ends: tokens that end a reply.

    Attributes:
        form: of the keys and values of a token.
        vocabulary: how many tokens the model knows.
        forwards: how often the model was called.
        tokens: how many tokens it read, padding included.

    Raises:
        ModelError: when it does not keep plain keys and values, or its attention is not ours.
    """

    def __init__(self, model: Any, context: int, ends: set[int]) -> None:
        self._model = model
        self.context = context
        self.ends = ends
        self.forwards = self.tokens = 0
        self._counting = threading.Lock()
        form = form_of(model)
        kind = getattr(model.config, "model_type", type(model).__name__)
        if form is None:
            raise ModelError(f"models of type {kind!r} are not supported: their layers differ")
        self.form: Form = form
        self.vocabulary = int(model.config.get_text_config(decoder=True).vocab_size)
        self._check(kind)

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self.form.device

    def forward(
        self, ids: Tensor, positions: Tensor, store: Store, plan: Plan, keep: int = 1
    ) -> Tensor:
        """Read tokens (rows, n) into a store; return the logits of the last `keep` columns."""
        with self._counting:
            self.forwards += 1
            self.tokens += ids.numel()
        store.reserve(ids.shape[1])
        with planned(plan):
            output = self._model(
                input_ids=ids,
                # Rows that are already at the end go on until they are taken out.
                position_ids=positions.clamp(0, self.context - 1),
                past_key_values=store.cache,
                use_cache=True,
                logits_to_keep=keep,
            )
        # Only now: a pass that ran out of memory half-way can be made again.
        store.used += ids.shape[1]
        logits: Tensor = output.logits.float()
        return logits

    @torch.inference_mode()
    def _check(self, kind: str) -> None:
        """Compare our attention with the model's own: some models do more than is known here."""
        device = self.device
        ids = torch.arange(8, device=device).remainder(self.vocabulary).unsqueeze(0)
        own = self._model(input_ids=ids).logits.float()
        AttentionInterface.register(NAME, attend)
        self._model.set_attn_implementation(NAME)
        store = Store(self.form, 1, 8)
        plan = Causal(torch.zeros(1, dtype=torch.long, device=device), 0, 8)
        if self._model.config._attn_implementation == NAME:
            positions = torch.arange(8, device=device).unsqueeze(0)
            ours = self.forward(ids, positions, store, plan, keep=8)
            error = float((ours - own).norm() / own.norm().clamp(min=1e-9))
        else:
            error = float("inf")
        if not error < _TOLERANCE.get(self.form.dtype, _COARSE):
            raise ModelError(f"models of type {kind!r} are not supported: theirs is no attention")
        self.forwards = self.tokens = 0


def _ids(value: int | Sequence[int] | None) -> set[int]:
    if value is None:
        return set()
    return {value} if isinstance(value, int) else set(value)
