"""Muon for the matrices of the layers, AdamW for embeddings and norms."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonal(matrices: torch.Tensor, rounds: int = 5) -> torch.Tensor:
    """Nearly orthogonal versions of a stack of matrices (Newton-Schulz iterations)."""
    a, b, c = _COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    x: torch.Tensor = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(rounds):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon:
    """Momentum made orthogonal; matrices of one shape are handled as one stack."""

    def __init__(self, weights: list[nn.Parameter], momentum: float, decay: float) -> None:
        self._stacks: dict[torch.Size, list[nn.Parameter]] = {}
        for weight in weights:
            self._stacks.setdefault(weight.shape, []).append(weight)
        self._speed = {
            shape: torch.zeros(len(stack), *shape) for shape, stack in self._stacks.items()
        }
        self._momentum = momentum
        self._decay = decay

    @property
    def speeds(self) -> list[torch.Tensor]:
        """The momentum of each stack."""
        return list(self._speed.values())

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Update all matrices from their gradients."""
        for shape, stack in self._stacks.items():
            slope = torch.stack([w.grad for w in stack if w.grad is not None])
            speed = self._speed[shape].lerp_(slope, 1 - self._momentum)
            change = orthogonal(slope.lerp(speed, self._momentum))
            scale = rate * max(1.0, shape[0] / shape[1]) ** 0.5
            for weight, one in zip(stack, change, strict=True):
                weight.mul_(1 - rate * self._decay).sub_(one, alpha=scale)


class Optimizer:
    """Both optimizers behind one ``step(share)``: ``share`` scales the peak learning rates."""

    def __init__(self, model: nn.Module, muon_rate: float = 0.02, adam_rate: float = 3e-3) -> None:
        matrices = [w for name, w in model.named_parameters() if ".layers." in name and w.ndim == 2]
        taken = {id(w) for w in matrices}
        others = [w for w in model.parameters() if id(w) not in taken]
        self._rates = (muon_rate, adam_rate)
        self._muon = Muon(matrices, momentum=0.95, decay=0.02)
        self._adam = torch.optim.AdamW(others, lr=adam_rate, betas=(0.9, 0.95), weight_decay=0.01)
        self._weights = matrices + others

    def state(self) -> dict[str, Any]:
        """What `restore` takes."""
        return {"muon": self._muon.speeds, "adam": self._adam.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a kept state."""
        for mine, kept in zip(self._muon.speeds, state["muon"], strict=True):
            mine.copy_(kept)
        self._adam.load_state_dict(state["adam"])

    def step(self, share: float) -> None:
        """Clip, update and clear the gradients."""
        nn.utils.clip_grad_norm_(self._weights, 1.0)
        self._muon.step(self._rates[0] * share)
        for part in self._adam.param_groups:
            part["lr"] = self._rates[1] * share
        self._adam.step()
        for weight in self._weights:
            weight.grad = None
