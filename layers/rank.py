"""Rank: order the candidates by quality, and keep the best."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, TypeAlias

from pydantic import Field

from archon import parsing
from archon.base import Bound, Context, ModelLayer, Ports, Shape, plus, ports, register
from archon.errors import NodeError
from archon.layers import judging, tested
from archon.layers.judging import ANSWERS, DATA, NANO_ANSWERS, Duplicates, Panel, Unit
from archon.model import Ability, Model, ModelRef
from archon.types import Candidate, Note, State, Task

__all__ = ["Rank"]

CRITERIA = """\
Judge by this alone: is the answer right, does it do all that was asked and nothing else, in the
form asked for, system message included, and is it clear. Check facts and calculations yourself.
Length, confidence, order and labels count for nothing, nor does how many answers agree."""

LIST = f"""\
You order answers to the last turn of a conversation from the best to the worst.

{DATA}{ANSWERS}
{CRITERIA}

First compare the answers in a few sentences. Then write all {{{{ labels | length }}}} labels in \
order on one last line, the best first, in this form:
Ranking: {{{{ labels | reverse | join(" > ") }}}}
(This shows the form, not the order.)
"""

PAIRS = f"""\
You decide which of two answers to the last turn of a conversation is better.

{DATA}{ANSWERS}
{CRITERIA}

First compare the answers in a few sentences. Then write one last line with the label of the better
answer: "Better: [A]" or "Better: [B]".
"""

POINTS = f"""\
You give points to an answer to the last turn of a conversation.

{DATA}
<<< {{{{ fence }}}} answer
{{{{ candidate }}}}
>>> {{{{ fence }}}}
{{% if critique %}}

<<< {{{{ fence }}}} review of the answer
{{{{ critique }}}}
>>> {{{{ fence }}}}
{{% endif %}}

{CRITERIA}

First say in a few sentences what is right and what is wrong. Then write one last line "Score: N"
with N from 0 (useless) to 10 (nothing could be better).
"""

NANO_LIST = "Rank the answers.\n" + NANO_ANSWERS

Ticket: TypeAlias = tuple[tuple[Unit, ...], int]
"""Units in the order in which a prompt shows them, and the number of the vote."""


@register("rank")
class Rank(ModelLayer):
    """Order the candidates, write a score in [0, 1] for each, and keep the best.

    Methods: `list` orders all in one prompt (Archon, section 3.1; Sun et al. 2023, "RankGPT");
    `pairs` plays every pair once, the score being the share of wins (Jiang et al. 2023,
    "LLM-Blender", section 3); `points` scores each alone (Zheng et al. 2023, "Judging
    LLM-as-a-judge", section 3.1); `scorer` asks nobody: a local model that scores texts, such as
    a reward model, PairRM (LLM-Blender) or sentence embeddings, grades them without a call. Answers
    stand under neutral labels in an order that depends on their texts and the seed, so that neither
    their position nor their number matters. More than `group_size` are ranked in groups first; the
    better half goes on until the rest fits.

    A ranking that cannot be read, or a call that failed, leaves its candidates without a score.
    What happens to those is `unparsed`: the places that scored ones leave are filled by seeded
    chance (`keep`), all of them go on (`all`), none does (`drop`), or the node fails (`fail`).
    """

    needs = ports("candidates")
    uses = ports("critiques")
    gives = ports("scores")
    templates = {
        "list": {"default": LIST, "nano": NANO_LIST},
        "pairs": {"default": PAIRS},
        "points": {"default": POINTS},
    }

    model: ModelRef
    keep: int | None = Field(None, ge=1, description="how many go on; all if left out")
    method: Literal["list", "pairs", "points", "scorer"] = "list"
    votes: int = Field(
        1, ge=1, le=1000, description="rankings to average, each in another order of presentation"
    )
    group_size: int | None = Field(
        None, ge=2, le=1000, description="candidates ranked at once; 26, and 8 for pairs"
    )
    unparsed: Literal["keep", "all", "drop", "fail"] = Field(
        "keep", description="what happens to candidates whose ranking cannot be read"
    )
    duplicates: Duplicates = Field("once", description="show equal texts once or each")
    alone: Literal["skip", "ask"] = Field(
        "skip", description="one without rivals is first without a call, or the model is asked"
    )
    with_critiques: bool = Field(True, description="show the critiques that the candidates have")
    with_tests: bool = Field(
        False, description="show the unit tests of the state with the question"
    )

    def required(self) -> Ports:
        """Need tests only where they are to be shown."""
        return tested.needed(self.needs, self.with_tests)

    @property
    def _reviewed(self) -> bool:
        """Whether its prompts show critiques."""
        return self.with_critiques and self.shows(self.method, self.model, "critique")

    @property
    def size(self) -> int:
        """How many candidates are ranked at once."""
        return self.group_size or (8 if self.method == "pairs" else 26)

    def bound(self, shape: Shape) -> Bound:
        """Bound the calls of all rounds."""
        n = shape.candidates
        if self.method == "scorer":
            # It is no call and has no price, but it computes.
            return Bound(flops=None).handing_on(self._kept(shape))
        asked = tested.question_shape(shape, self.with_tests)
        calls, shown = n, 1
        if self.method != "points":
            calls = sum(self._round_calls(alive) for alive in _rounds(n, self.size))
            shown = 2 if self.method == "pairs" else min(n, self.size)
        # The labels stand twice in a list-wise prompt, and each critique has its own quote.
        tokens = plus(judging.listing_tokens(asked, shown), 48 * shown)
        cost = self.cost(self.model, calls * self.votes, tokens, step=self.method, parsed=True)
        return cost.handing_on(self._kept(shape))

    def _kept(self, shape: Shape) -> Shape:
        n = shape.candidates
        most = n if self.keep is None or self.unparsed == "all" else min(n, self.keep)
        return shape.replace(candidates=most)

    def abilities(self) -> Iterator[tuple[Model, Ability]]:
        """Need a model that scores, where nobody is asked."""
        if self.method == "scorer":
            yield self.model, "score"

    def _round_calls(self, alive: int) -> int:
        whole, rest = divmod(alive, self.size)
        return whole * self._calls(self.size) + self._calls(rest)

    def _calls(self, size: int) -> int:
        if self.method == "pairs":
            return size * (size - 1) // 2
        return int(size >= self._fewest)

    @property
    def _fewest(self) -> int:
        """How many candidates are worth a call."""
        return 1 if self.alone == "ask" and self.method == "list" else 2

    async def run(self, state: State, ctx: Context) -> State:
        """Return the best candidates, best first, each with its score."""
        task = tested.asked(state, self.with_tests)
        things = judging.presented(judging.units(state.candidates, self.duplicates), ctx, "rank")
        if self.method == "points":
            scores = await self._points(task, things, ctx)
        elif self.method == "scorer":
            scores = await self._scored(task, things, ctx)
        else:
            scores = await self._tournament(task, things, ctx)
        candidates = self._sorted(things, scores, ctx)
        reason = "" if candidates else "no ranking could be read (unparsed: drop)"
        return state.replace(candidates=candidates, reason=reason or state.reason)

    def _sorted(
        self, things: Sequence[Unit], scores: Mapping[int, float], ctx: Context
    ) -> tuple[Candidate, ...]:
        """Return scored candidates best first, then others as `unparsed` says.

        Ties keep the seeded order of presentation, so the order that came in has no say.
        """
        scored: list[Candidate] = []
        others: list[Candidate] = []
        for unit in sorted(things, key=lambda unit: -scores.get(id(unit), -1.0)):
            score = scores.get(id(unit))
            for member in sorted(unit.members, key=lambda c: c.id):
                if score is None:
                    others.append(member)
                else:
                    scored.append(member.with_note(Note("score", score=score)))
        if others:
            message = f"{len(others)} of {len(scored) + len(others)} candidates have no rank"
            if self.unparsed == "fail":
                raise NodeError(f"{message} (unparsed: fail)", path=ctx.path)
            ctx.warn(f"{message} and carry no score (unparsed: {self.unparsed})")
        match self.unparsed:
            case "drop":
                return tuple(scored[: self.keep])
            case "all":
                return (*scored[: self.keep], *others)
        return (*scored, *others)[: self.keep]

    async def _points(
        self, task: Task, things: Sequence[Unit], ctx: Context
    ) -> Mapping[int, float]:
        async def ask(candidate: Candidate) -> float | None:
            fields = judging.one(task, candidate, critiques=self._reviewed)
            text = self.render("points", self.model, **fields)
            said = await ctx.parsed(self.model, text, lambda r: parsing.rating(r, 0, 10))
            return None if said.value is None else said.value / 10

        def note(votes: list[float]) -> Note:
            return Note("score", score=sum(votes) / len(votes))

        panel = Panel(ctx, ask, note, self.votes, "each")
        judged = await panel.judge([unit.first for unit in things])
        notes = [(unit, note) for unit, (_, note) in zip(things, judged, strict=True)]
        return {id(unit): note.score for unit, note in notes if note and note.score is not None}

    async def _scored(
        self, task: Task, things: Sequence[Unit], ctx: Context
    ) -> Mapping[int, float]:
        async def score(texts: tuple[str, ...]) -> list[float]:
            return await ctx.score(self.model, task.conversation, texts)

        # Every candidate, copies too: to be near the others (embeddings), their number counts.
        whose = [unit for unit in things for _ in unit.members]
        texts = tuple(unit.text for unit in whose)
        [scores] = await ctx.try_each(score, [texts]) if texts else [None]
        return {id(unit): score for unit, score in zip(whose, scores or (), strict=False)}

    async def _tournament(
        self, task: Task, things: Sequence[Unit], ctx: Context
    ) -> Mapping[int, float]:
        """Rank in groups; of each round the better half goes on.

        Whoever leaves in round r of R has a score in [r/R, (r+1)/R], by its place in its group.
        """
        rounds = _rounds(len(things), self.size)
        scores: dict[int, float] = {}
        alive = list(things)
        for number, count in enumerate(rounds):
            alive = alive[:count]
            places = await self._round(task, alive, ctx, number)
            for unit in alive:
                if (place := places.get(id(unit))) is not None:
                    scores[id(unit)] = (number + place) / len(rounds)
            alive.sort(key=lambda unit: -scores.get(id(unit), -1.0))
        return scores

    async def _round(
        self, task: Task, alive: Sequence[Unit], ctx: Context, number: int
    ) -> Mapping[int, float]:
        size = self.size
        groups = [alive[i : i + size] for i in range(0, len(alive), size)]
        tickets = [ticket for group in groups for ticket in self._tickets(group, ctx)]

        async def ask(ticket: Ticket) -> dict[int, float] | None:
            return await self._ask(task, ticket[0], ctx)

        votes: dict[int, list[float]] = {}
        try:
            answers = await ctx.try_each(ask, tickets, key=lambda t: tuple(u.text for u in t[0]))
        except NodeError:
            # The rounds before have ranked everybody; only a first round can fail as a whole.
            if number == 0 or self.on_error == "fail":
                raise
            answers = ()
        for answer in answers:
            for unit, score in (answer or {}).items():
                votes.setdefault(unit, []).append(score)
        byes = {id(group[0]): 1.0 for group in groups if len(group) < self._fewest}
        return byes | {unit: sum(given) / len(given) for unit, given in votes.items()}

    def _tickets(self, group: Sequence[Unit], ctx: Context) -> list[Ticket]:
        if len(group) < self._fewest:
            return []
        if self.method == "list":
            orders = [judging.presented(group, ctx, "rank", vote) for vote in range(self.votes)]
            return [(tuple(order), vote) for vote, order in enumerate(orders)]
        pairs = itertools.combinations(group, 2)
        # Every second vote sees the pair the other way round.
        return [
            ((b, a) if vote % 2 else (a, b), vote) for a, b in pairs for vote in range(self.votes)
        ]

    async def _ask(
        self, task: Task, shown: tuple[Unit, ...], ctx: Context
    ) -> dict[int, float] | None:
        names = judging.labels(len(shown))
        by_name = dict(zip(names, shown, strict=True))
        fields = judging.listing(task, shown, critiques=self._reviewed)
        text = self.render(self.method, self.model, **fields)
        if self.method == "pairs":
            better = await ctx.parsed(self.model, text, lambda r: parsing.choice_of(r, names))
            if better.value is None:
                return None
            return {id(unit): float(name == better.value) for name, unit in by_name.items()}
        order = await ctx.parsed(self.model, text, lambda r: parsing.ranking(r, names))
        if order.value is None:
            return None
        last = max(len(names) - 1, 1)
        return {id(by_name[name]): 1 - i / last for i, name in enumerate(order.value)}


def _rounds(n: int, size: int) -> list[int]:
    """Return how many are ranked in each round.

    >>> _rounds(20, 8)
    [20, 10, 5]
    """
    counts = [n]
    while counts[-1] > size:
        counts.append(-(-counts[-1] // 2))
    return counts
