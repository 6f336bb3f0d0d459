"""Power ranking: the models of a group in order, best first, before the search begins.

Section 3.3 of the Archon paper: a space that takes "the first n" of its models needs to know which
are good. Each model is measured alone, or as the fuser of the same answers: those of the best model
of the first group whose models are measured alone, or else its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

from archon.base import Architecture, parse
from archon.budget import Ledger
from archon.errors import ConfigError
from archon.model import Model
from archon.search.crew import Crew
from archon.search.files import Ranking, SearchFile
from archon.search.parts import Parts
from archon.search.space import Space, TemplateSpace
from archon.types import Json

__all__ = ["cheapest_first", "ranked", "to_rank"]


async def ranked(search: SearchFile, crew: Crew, parts: Parts, ledgers: Sequence[Ledger]) -> Space:
    """Return the search's space with its groups in the order of their power.

    Raises:
        ConfigError: when the budget ends before all are measured.
    """
    space = search.space
    if not search.power_ranking or not isinstance(space, TemplateSpace):
        return space
    order: dict[str, list[Json]] = {}
    writer = ""
    # Those who write come first, wherever they stand: what is fused is the best one's.
    for name, how in sorted(search.power_ranking.items(), key=lambda item: item[1].role == "fuse"):
        stop = _items(how, len(parts.dev))
        scores: dict[str, float] = {}
        for member in map(str, space.template.groups[name]):
            architecture = _architecture(space, member, how, writer)
            measured = await crew.measured(architecture, parts.dev, 0, stop, ledgers)
            await crew.keep(parts.dev, architecture.digest(), measured.outcomes)
            if measured.stopped:
                raise ConfigError(
                    f"power_ranking: the budget of {measured.stopped} ended before every model of"
                    f" {name!r} was ranked"
                )
            scores[member] = _score(crew, parts, architecture, stop)
        best_first = sorted(scores, key=lambda member: -scores[member])
        order[name] = list(best_first)
        if how.role == "generate":
            writer = writer or best_first[0]
    return space.ranked(order)


def _score(crew: Crew, parts: Parts, architecture: Architecture, stop: int) -> float:
    """Return the mean over the first items that could be scored; below all others without any."""
    known = crew.outcomes(parts.dev, architecture.digest())
    found = [o.score for id_ in parts.dev.ids[:stop] if (o := known.get(id_)) is not None]
    good = [score for score in found if score is not None]
    return sum(good) / len(good) if good else -1.0


def cheapest_first(search: SearchFile) -> Space:
    """Return the search's space as a ranking would leave it that puts the cheapest models first.

    Where neither these nor those in the listed order keep to a limit, no ranking helps.
    """
    space, limits = search.space, search.limits.max
    if limits is None or not search.power_ranking or not isinstance(space, TemplateSpace):
        return space
    named = limits.limits()

    def costs(member: Json) -> list[float]:
        bound = _alone(space, str(member)).bound()
        return [inf if (cost := getattr(bound, name)) is None else cost for name in named]

    groups = space.template.groups
    return space.ranked({name: sorted(groups[name], key=costs) for name in search.power_ranking})


def to_rank(search: SearchFile) -> list[Model]:
    """Return the models that will be ranked.

    Raises:
        ConfigError: for a group in which something else stands.
    """
    space = search.space
    if not search.power_ranking or not isinstance(space, TemplateSpace):
        return []
    found: dict[Model, None] = {}
    for name in search.power_ranking:
        for member in map(str, space.template.groups[name]):
            try:
                found.update(dict.fromkeys(_alone(space, member).models()))
            except ConfigError as error:
                raise ConfigError(
                    f"power_ranking: {member!r} of {name!r} is no model: {error}"
                ) from None
    return list(found)


def _items(how: Ranking, items: int) -> int:
    if how.items is None:
        return items
    return min(items, int(how.items * items) if isinstance(how.items, float) else how.items)


def _architecture(space: TemplateSpace, member: str, how: Ranking, writer: str) -> Architecture:
    """Return a model alone, or as fuser of the answers of the best one that was measured alone."""
    if how.role == "generate":
        return _alone(space, member)
    writer = writer or member
    stages = [{"generate": {"model": writer, "samples": how.of}}, {"fuse": {"model": member}}]
    return _parsed(space, {writer, member}, stages)


def _alone(space: TemplateSpace, member: str) -> Architecture:
    return _parsed(space, {member}, [{"generate": {"model": member}}])


def _parsed(space: TemplateSpace, names: Iterable[str], stages: Json) -> Architecture:
    """Parse stages; a name that is not among the space's models is that of a model itself."""
    known = space.template.models
    return parse({"models": {m: known[m] for m in names if m in known}, "stages": stages})
