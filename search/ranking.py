"""Power ranking: the models of a group in order, best first, before the search begins.

Section 3.3 of the Archon paper: a space that takes "the first n" of its models needs to know which
are good. Each model is measured alone, or as the fuser of the same answers.
"""

from __future__ import annotations

from collections.abc import Sequence

from archon.base import Architecture, parse
from archon.budget import Ledger
from archon.errors import ConfigError
from archon.search.crew import Crew
from archon.search.files import Ranking, SearchFile
from archon.search.parts import Parts
from archon.search.space import Space, TemplateSpace
from archon.types import Json

__all__ = ["ranked"]


async def ranked(search: SearchFile, crew: Crew, parts: Parts, ledgers: Sequence[Ledger]) -> Space:
    """Return the search's space with its groups in the order of their power.

    Raises:
        ConfigError: for a group whose members are no models, or when the budget ends before all
            are measured.
    """
    space = search.space
    if not search.power_ranking or not isinstance(space, TemplateSpace):
        return space
    order: dict[str, list[Json]] = {}
    for name, how in search.power_ranking.items():
        stop = _items(how, len(parts.dev))
        scores: dict[str, float] = {}
        for member in space.template.groups[name]:
            architecture = _architecture(space, str(member), how, order.get("generators"))
            measured = await crew.measured(architecture, parts.dev, 0, stop, ledgers)
            await crew.keep(parts.dev, architecture.digest(), measured.outcomes)
            if measured.stopped:
                raise ConfigError(
                    f"power_ranking: the budget of {measured.stopped} ended before every model of"
                    f" {name!r} was ranked"
                )
            known = crew.outcomes(parts.dev, architecture.digest())
            found = [o.score for id_ in parts.dev.ids[:stop] if (o := known.get(id_)) is not None]
            good = [score for score in found if score is not None]
            scores[str(member)] = sum(good) / len(good) if good else -1.0
        members = [str(member) for member in space.template.groups[name]]
        order[name] = sorted(members, key=lambda m: (-scores[m], members.index(m)))
    return space.ranked(order)


def _items(how: Ranking, items: int) -> int:
    if how.items is None:
        return items
    return min(items, int(how.items * items) if isinstance(how.items, float) else how.items)


def _architecture(
    space: TemplateSpace, member: str, how: Ranking, best: Sequence[Json] | None
) -> Architecture:
    """Return a model alone, or as fuser of the answers of the best generator."""
    models = space.template.models
    if member not in models:
        raise ConfigError(f"power_ranking: {member!r} is no model of the space")
    if how.role == "generate":
        return parse(
            {"models": {member: models[member]}, "stages": [{"generate": {"model": member}}]}
        )
    writer = str(best[0]) if best else member
    stages = [{"generate": {"model": writer, "samples": how.of}}, {"fuse": {"model": member}}]
    return parse({"models": {m: models[m] for m in {writer, member}}, "stages": stages})
