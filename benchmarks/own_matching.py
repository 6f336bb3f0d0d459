"""Scorers of the user's own data that look at the whole reply: contains, regex, code."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from archon import coding
from archon.base import Item, ScoreContext, Scored
from archon.benchmarks.own_regex import Pattern
from archon.benchmarks.own_scoring import Scorer, options, several, text_of
from archon.benchmarks.programs import run_tests, sandbox_settings
from archon.code_tasks import CodeTask
from archon.errors import ConfigError, did_you_mean
from archon.types import AnswerKind, Json

__all__ = ["Code", "Contains", "Regex"]


class Contains(Scorer):
    """The expected text, or texts, stand somewhere in the reply.

    Options: `match`, `all` (the default) or `any` of several texts; `case`, whether upper and
    lower case differ; `words`, whether a text must stand as whole words.
    """

    name = "contains"

    def __init__(self, kind: AnswerKind | None, given: Json) -> None:
        super().__init__(kind)
        given = {"match": given} if isinstance(given, str) else given
        found = options(given, {"match": str, "case": bool, "words": bool}, "the scorer 'contains'")
        self.match = found.get("match", "all")
        self.case, self.words = found.get("case", False), found.get("words", False)
        if self.match not in ("all", "any"):
            near = did_you_mean(self.match, ("all", "any"))
            raise ConfigError(f"the scorer 'contains' matches {self.match!r}{near}")

    def gold(self, value: Json, choices: Sequence[str]) -> Json:
        """Return the list of texts."""
        return several(value)

    def extract(self, text: str) -> str | None:
        """Return the whole reply."""
        return text if text.strip() else None

    def check(self, text: str, gold: Json) -> bool:
        """Return whether the reply holds all, or any, of the texts."""
        reply = text if self.case else text.casefold()
        found = (self._holds(reply, one if self.case else one.casefold()) for one in gold)
        return all(found) if self.match == "all" else any(found)

    def _holds(self, reply: str, wanted: str) -> bool:
        if not self.words:
            return wanted in reply
        start = reply.find(wanted)
        while start >= 0:
            before, behind = reply[:start][-1:], reply[start + len(wanted) :][:1]
            if not before.isalnum() and not behind.isalnum():
                return True
            start = reply.find(wanted, start + 1)
        return False

    def settings(self) -> Json:
        """Return the options."""
        return [self.match, self.case, self.words]


class Regex(Scorer):
    """A regular expression matches the reply.

    The expected answer of each row is a pattern, unless the option `pattern` gives one for all.
    Options: `match`, `search` (the default: anywhere) or `full`; `pattern`. A pattern that may
    take long is matched in a process of its own, which is stopped after a second.
    """

    name = "regex"

    def __init__(self, kind: AnswerKind | None, given: Json) -> None:
        super().__init__(kind)
        given = {"match": given} if isinstance(given, str) else given
        found = options(given, {"match": str, "pattern": str}, "the scorer 'regex'")
        match = found.get("match", "search")
        if match not in ("search", "full"):
            near = did_you_mean(match, ("search", "full"))
            raise ConfigError(f"the scorer 'regex' matches {match!r}{near}")
        self.full = match == "full"
        self.pattern: str | None = found.get("pattern")
        self.gold_needed = self.pattern is None
        if self.pattern is not None:
            try:
                Pattern(self.pattern, full=self.full)
            except ValueError as error:
                raise ConfigError(f"the scorer 'regex': {error}") from None

    def gold(self, value: Json, choices: Sequence[str]) -> Json:
        """Return the pattern."""
        if self.pattern is not None:
            return self.pattern
        pattern = text_of(value)
        Pattern(pattern, full=self.full)
        return pattern

    def extract(self, text: str) -> str | None:
        """Return the whole reply."""
        return text if text.strip() else None

    def check(self, text: str, gold: Json) -> bool:
        """Return whether the pattern matches; one that takes too long does not."""
        try:
            return Pattern(str(gold), full=self.full).matches(text)
        except TimeoutError:
            return False

    async def score(self, item: Item, text: str | None, ctx: ScoreContext) -> Scored:
        """Score a reply; None where the pattern took too long."""
        if text is None:
            return Scored(0.0)
        pattern = Pattern(str(item.target), full=self.full)
        try:
            if pattern.quick(text):
                return Scored(float(pattern.matches(text)))
            return Scored(float(await asyncio.to_thread(pattern.matches, text)))
        except TimeoutError as error:
            return Scored(None, str(error))

    def settings(self) -> Json:
        """Return the options."""
        return [self.full, self.pattern]


class Code(Scorer):
    """Programs that have to pass the tests which the row gives as its answer.

    The answer is source that raises where the program is wrong, such as assertions, or a list of
    such sources. Options: `seconds` for each test, and `min_level`, `packages` and
    `allow_unsafe_execution` of the sandbox.
    """

    name = "code"
    metric = "pass@1"
    needs = ("sandbox",)
    hint = "Give the whole program in one block that begins with ```python."

    def __init__(self, kind: AnswerKind | None, given: Json) -> None:
        super().__init__(kind)
        known: dict[str, type | tuple[type, ...]] = {
            "seconds": (int, float),
            "min_level": int,
            "packages": list,
            "allow_unsafe_execution": str,
        }
        found = options(given, known, "the scorer 'code'")
        self.task = CodeTask(seconds=found.pop("seconds", None))
        self.sandbox = sandbox_settings("the scorer 'code'", **found)
        try:
            _ = self.task.limits
        except ConfigError as error:
            raise ConfigError(f"the scorer 'code': {error}") from None

    def gold(self, value: Json, choices: Sequence[str]) -> Json:
        """Return the tests, each as source."""
        return several(value)

    def extract(self, text: str) -> str | None:
        """Return the program that a reply gives."""
        return coding.program(text)

    def check(self, text: str, gold: Json) -> bool:
        """Refuse: whether a program is right shows only when it runs.

        Raises:
            ConfigError: always.
        """
        raise ConfigError("the scorer 'code': only `score` can tell whether a program is right")

    async def score(self, item: Item, text: str | None, ctx: ScoreContext) -> Scored:
        """Run the tests; the program is right if it passes all of them.

        Raises:
            SandboxUnavailable: where nothing may execute it.
        """
        tests = [{"code": source} for source in item.target]
        return await run_tests(self.sandbox, self.task, text, tests)

    def settings(self) -> Json:
        """Return what changes scores: the time limit, and what programs may import."""
        return [self.task.seconds, list(self.sandbox.packages)]

    def ready(self) -> None:
        """Refuse where nothing may execute a model's code."""
        self.sandbox.choose()
