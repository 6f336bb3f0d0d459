"""Grades texts with local weights, whatever kind they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from archon.backends.torch_config import Kind, kind_of
from archon.backends.torch_device import Local, Memory
from archon.backends.torch_embed import Embedder
from archon.backends.torch_engine import Engine
from archon.backends.torch_heads import JOINED, Heads, joined_score
from archon.backends.torch_pairs import Pairs
from archon.backends.torch_scorers import Place, Scorer
from archon.errors import ModelError
from archon.model import Draw, Model, Request
from archon.types import Message, Reply

__all__ = ["Scoring"]

_Key = tuple[Path, str, str]
"""A folder, a precision, and how lines are joined."""


class Scoring:
    """Scores answers, each kind of weights in its own way; models are loaded on first use.

    Args:
        engine: gives the engine that writes with the weights of a folder as a model is set.
        local: how models run here.
        memory: which all models share.
    """

    def __init__(
        self, engine: Callable[[Path, Model], Engine], local: Local, memory: Memory
    ) -> None:
        self._engine, self._local, self._memory = engine, local, memory
        self._scorers: dict[_Key, Scorer[Any]] = {}

    async def scores(
        self, model: Model, folder: Path, fingerprint: str, question: str, answers: Sequence[str]
    ) -> list[float]:
        """Return how good each answer is, in [0, 1]; an empty one is the worst.

        Equal answers get equal scores. How many there are of each counts for embeddings alone.

        Raises:
            ModelError: when texts do not fit, or the weights cannot be loaded.
        """
        kind = kind_of(folder)
        said = [answer for answer in answers if answer]
        texts = said if kind == "embedding" else list(dict.fromkeys(said))
        if not texts:
            return [0.0] * len(answers)
        if kind != "text":
            scores = await self._scorer(kind, folder, model).scores(question, texts)
        elif verdicts := model.params.get("verdicts"):
            scores = await self._judged(model, folder, fingerprint, question, texts, verdicts)
        else:
            one = model.model_copy(update={"max_tokens": 1})
            request = Request(one, (Message("user", question),), verdicts=tuple(texts))
            scores = await self._engine(folder, model).score(request, fingerprint)
        found = dict(zip(texts, scores, strict=True))
        return [found.get(answer, 0.0) for answer in answers]

    async def vectors(self, model: Model, folder: Path, texts: Sequence[str]) -> list[list[float]]:
        """Return a vector of length 1 for each text.

        Raises:
            ModelError: when the weights make no vectors, or cannot be loaded.
        """
        if kind_of(folder) != "embedding":
            raise ModelError(f"{model.model!r} makes no vectors of texts", billed=False)
        embedder = self._scorer("embedding", folder, model)
        assert isinstance(embedder, Embedder)
        return await embedder.vectors(texts)

    def _scorer(self, kind: Kind, folder: Path, model: Model) -> Scorer[Any]:
        joined = str(model.params.get("steps", JOINED[0])) if kind == "steps" else ""
        key = folder, str(model.params.get("dtype", "")), joined
        if key not in self._scorers:
            self._scorers[key] = self._made(kind, *key)
        return self._scorers[key]

    def _made(self, kind: Kind, folder: Path, dtype: str, joined: str) -> Scorer[Any]:
        place = Place(self._local, self._memory, dtype)
        if kind == "pairs":
            return Pairs(folder, place)
        if kind == "embedding":
            return Embedder(folder, place)
        return Heads(folder, place, joined or JOINED[0])

    async def _judged(
        self,
        model: Model,
        folder: Path,
        fingerprint: str,
        question: str,
        answers: Sequence[str],
        verdicts: Sequence[str],
    ) -> list[float]:
        """Return the probability of the first verdict against the second.

        Each is read as the model's whole reply: to question and answer, or with `steps` to every
        line as a turn of its own, behind the first verdict on the lines before it (Xiong et al.
        2024, "An Implementation of Generative PRM").
        """
        steps = str(model.params.get("steps", "whole"))
        one = model.model_copy(update={"max_tokens": 1})

        async def chance(turns: tuple[Message, ...]) -> float:
            request = Request(one, turns, verdicts=tuple(verdicts))
            engine = self._engine(folder, model)
            [outcome] = await engine.submit(request, (Draw(0, 0),), fingerprint)
            if isinstance(outcome, Exception):
                raise outcome
            assert isinstance(outcome, Reply)
            return dict(outcome.verdict_probs)[verdicts[0]]

        async def score(answer: str) -> float:
            lines = [answer] if steps == "whole" else _lines(answer)
            talks = [_talk(question, lines[: end + 1], verdicts[0]) for end in range(len(lines))]
            return joined_score(await asyncio.gather(*map(chance, talks)), steps)

        return list(await asyncio.gather(*map(score, answers)))

    def close(self) -> None:
        """Let go of all models but the engine's."""
        scorers = list(self._scorers.values())
        self._scorers.clear()
        for scorer in scorers:
            scorer.close()


def _lines(answer: str) -> list[str]:
    """Return the lines that say something; an answer of blanks is one."""
    return [line for line in answer.split("\n") if line.strip()] or [answer]


def _talk(question: str, lines: Sequence[str], good: str) -> tuple[Message, ...]:
    """Return a conversation in which every line but the last was found good."""
    turns = [Message("user", f"{question} {lines[0]}")]
    for line in lines[1:]:
        turns += [Message("assistant", good), Message("user", line)]
    return tuple(turns)
