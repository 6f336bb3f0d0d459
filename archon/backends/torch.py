"""Models whose weights run here: names like `local/nano`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from archon.backends.torch_checks import check_folder, check_params
from archon.backends.torch_config import kind_of, takes_effort
from archon.backends.torch_device import Local, Memory
from archon.backends.torch_engine import Engine
from archon.backends.torch_files import digest, folder_of, local_price
from archon.backends.torch_scoring import Scoring
from archon.errors import ConfigError, ModelError, ModelNotFound
from archon.model import Ability, Draw, Model, Outcome, Price, Request

__all__ = ["Torch"]

_PACKAGES = ("torch", "transformers", "safetensors")
_UNUSED = ("base_url", "api_key_env", "headers")


class Torch:
    """Weights in a folder, sampled in batches with torch.

    The text of a draw depends on the request and the draw alone, never on what else is in the
    batch or was read before. It can differ only where a floating-point tie decides: the last digits
    of a sum depend on its order, which the batch may change, so that two tokens whose logits agree
    to about six digits (in single precision), or a chance that falls on the border between two
    tokens to that precision, may go either way. Names and folders: `torch_files.folder_of`.

    `temperature` is 1 and `max_tokens` the rest of the context, at most 1024, unless given.
    `params: {dtype: bfloat16}` sets the precision; without it a CPU computes in single precision,
    and other devices in that of the weights.

    A prefix goes on from its text: its last token is taken back, and any token whose text begins
    with it may come first; `prefix_tokens` are gone on from exactly where they end. What was read
    before is not read again (`Local.reuse`): `usage` counts the whole prompt, `paid` what the model
    did.

    Verdict probabilities are those at temperature 1 of the verdict and the end of the reply
    after it; under a prefix, a verdict that begins with it is scored by what follows.

    `effort` goes to chat templates that take a `reasoning_effort`. Where the template then opens a
    reply with thinking, what is written before the answer is the reply's reasoning.

    Args:
        local: how models run here; the environment's wish if not given.

    Raises:
        ConfigError: when the environment names no device or no size.
    """

    def __init__(self, local: Local | None = None) -> None:
        self._local = local or Local.from_environment()
        self._local.check()
        self._memory = Memory()
        self._engines: dict[tuple[Path, str], Engine] = {}
        self._known: dict[str, tuple[Path, str]] = {}
        self._scoring = Scoring(self._engine, self._local, self._memory)

    def abilities(self, model: Model) -> frozenset[Ability]:
        """Return what can be done with a model's weights; with unknown ones, what with most."""
        try:
            kind = kind_of(folder_of(model.model))
        except ModelNotFound:
            kind = "text"  # the check before the first call says so
        if kind == "embedding":
            return frozenset({"seeded", "score", "embed"})
        if kind != "text":
            return frozenset({"seeded", "score"})
        able: set[Ability] = {"seeded", "verdicts", "continue_from_prefix", "score"}
        return frozenset(able | {"logprobs", "echo", "tokens", "continue_from_tokens", "hooks"})

    def batch_size(self, model: Model) -> int:
        """Return a number that no request reaches: the engine makes batches itself."""
        return 1_000_000

    def check(self, model: Model) -> None:
        """Raise ConfigError if packages or weights are missing, or a setting has no meaning here.

        Raises:
            ModelNotFound: when a package or the folder of weights is missing.
            ConfigError: for a setting that only a remote provider could honour, or a folder that
                is no whole model.
        """
        missing = [name for name in _PACKAGES if find_spec(name) is None]
        if missing:
            raise ModelNotFound(
                f'{model.model!r} needs {" and ".join(missing)}: pip install "archon-itas[local]"'
            )
        for name in _UNUSED:
            if getattr(model, name):
                raise ConfigError(f"{model.model!r} runs here: it has no use for {name!r}")
        if model.protocol == "completion":
            raise ConfigError(
                f"{model.model!r} runs here: it is spoken to by its chat template, never by"
                " 'protocol: completion'"
            )
        folder = folder_of(model.model)
        if model.effort and not takes_effort(folder):
            raise ConfigError(
                f"{model.model!r} has no use for 'effort': its chat template takes none"
            )
        check_folder(folder)
        check_params(model, folder)

    def fingerprint(self, model: Model) -> str:
        """Return the digest of weights, configuration, tokenizer and chat template."""
        return self._find(model.model)[1]

    def price(self, model: Model) -> Price | None:
        """Return the price given with the model, or its nominal one, else nothing: it runs here."""
        return local_price(model)

    async def complete(self, request: Request, draws: tuple[Draw, ...]) -> list[Outcome]:
        """Answer each draw; what other requests are waiting shares the batch."""
        try:
            folder, print_ = self._find(request.model.model)
        except (ConfigError, OSError) as error:
            return [ModelError(str(error), billed=False) for _ in draws]
        if not draws:
            return []
        return await self._engine(folder, request.model).submit(request, draws, print_)

    async def score(self, model: Model, question: str, answers: Sequence[str]) -> list[float]:
        """Return how good each answer is, in [0, 1]; an empty one is the worst.

        A model that compares pairs (PairRM) plays each against each, in both orders: the score is
        the mean probability of being the better one. A reward head (for token or for sequence
        classification) gives the probability that the answer is right; that of a step scorer is
        the score of the last line, or with `params: {steps: min}` or `mean` that of all lines.
        Embeddings give the mean similarity to the other answers. A model that was trained to judge
        gives the probability of the first of `params: {verdicts: [good, bad]}`; any other the mean
        probability of a token of the answer, as its reply to the question.

        Raises:
            ModelError: when the question does not fit, or the weights cannot be loaded.
        """
        folder, print_ = self._located(model)
        return await self._scoring.scores(model, folder, print_, question, answers)

    async def embed(self, model: Model, texts: Sequence[str]) -> list[list[float]]:
        """Return a vector of length 1 for each text.

        Raises:
            ModelError: when the weights make no vectors, or cannot be loaded.
        """
        return await self._scoring.vectors(model, self._located(model)[0], texts)

    def _located(self, model: Model) -> tuple[Path, str]:
        try:
            return self._find(model.model)
        except (ConfigError, OSError) as error:
            raise ModelError(str(error), billed=False) from None

    def _engine(self, folder: Path, model: Model) -> Engine:
        dtype = str(model.params.get("dtype", ""))
        if (folder, dtype) not in self._engines:
            engine = Engine(folder, self._local, self._memory, dtype)
            self._engines[folder, dtype] = engine
        return self._engines[folder, dtype]

    def _find(self, name: str) -> tuple[Path, str]:
        """Look at the files once: what is loaded stays as it was."""
        if name not in self._known:
            folder = folder_of(name)
            self._known[name] = folder, digest(folder)
        return self._known[name]

    async def close(self) -> None:
        """End the threads; a later call starts new ones."""
        engines = list(self._engines.values())
        self._engines.clear()
        self._known.clear()
        self._scoring.close()
        for engine in engines:
            # At the interpreter's end no further thread can be had to wait in; a step is short.
            engine.close()
