"""From the components of an original file to the plain data of an architecture.

What the original does with the state decides the settings here: how many candidates there are,
whether critiques are attached to them, and whether tests stand in the question.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from archon.original.choices import Choices
from archon.original.components import Component, Original
from archon.original.models import Translated, short_name, translated
from archon.original.remarks import Remarks
from archon.types import Json

__all__ = ["Translation", "translate"]

PAPER_TESTS = (5, 10)
"""Tests that a unit-test generator without a cap writes, as the paper states (section 3.1)."""

RETIRED_REMARK = "retired models have stand-ins"

GROUP = 26
"""Candidates in one list-wise prompt, where nothing else is set."""
MOST_GROUP = 1000


@dataclass
class Translation:
    """An architecture as plain data, with what is to be said about it.

    Attributes:
        models: settings by short name, as under `models` in YAML.
        stages: as under `stages` in YAML; each entry a layer with its settings.
        ignored: fields without effect, by place.
        remarks: what whoever imports should know.
        comments: by the id of an entry or of a model's settings, what it was in the file.
        places: by the id of a container, `file:line:column` of what it was made from.
        used: what each model of the file became, by its name there.
        retired: retired models and what stands in for each.
        known: every name by which a replacement could have been asked for.
    """

    models: dict[str, dict[str, Json]] = field(default_factory=dict)
    stages: list[Json] = field(default_factory=list)
    ignored: dict[str, Json] = field(default_factory=dict)
    remarks: Remarks = field(default_factory=Remarks)
    comments: dict[int, str] = field(default_factory=dict)
    places: dict[int, str] = field(default_factory=dict)
    used: dict[str, str] = field(default_factory=dict)
    retired: dict[str, str] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)

    def where(self, container: object, key: object = None) -> str:
        """Return the place in the original file of a part of `stages` or `models`."""
        inner: object = None
        if isinstance(container, Mapping):
            inner = container.get(key)
        elif isinstance(container, list) and isinstance(key, int) and key < len(container):
            inner = container[key]
        return self.places.get(id(inner)) or self.places.get(id(container), "")


def translate(original: Original, choices: Choices) -> Translation:
    """Return the architecture of an original file.

    Raises:
        ConfigError: for a provider that is not known here.
    """
    return _Translating(choices).whole(original)


class _Translating:
    """Walks the layers in order and keeps what is known about the state between them."""

    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        self.made = Translation()
        self.fewest = self.most = 0
        self.critiques = self.tests = False

    def whole(self, original: Original) -> Translation:
        for key, value in original.idle.items():
            self.made.ignored[key] = value
        for value, where in original.branches:
            self.made.remarks.add(f"`branches: {value}` has no effect in the original", where)
        for where in original.bare:
            self.made.remarks.add("a component without a list is read as a layer of one", where)
        for layer in original.layers:
            self.layer(layer)
        if self.made.retired:
            pairs = ", ".join(f"{old} -> {new}" for old, new in self.made.retired.items())
            self.made.remarks.add(f"{RETIRED_REMARK}: {pairs}", original.layers[0][0].where)
        if self.most > 1:
            self.made.remarks.add(
                f"up to {self.most} answers come out: the original picks one by chance, here it is"
                " the one with the best score, else the first", original.layers[-1][0].where,
            )  # fmt: skip
        return self.made

    def layer(self, layer: Sequence[Component]) -> None:
        """Append a stage. All components of a layer see the state before it."""
        entries = [self.component(component) for component in layer]
        stage = [entry for entry, _ in entries]
        self.made.stages.append(stage if len(stage) > 1 else stage[0])
        self.made.places[id(self.made.stages[-1])] = layer[0].where
        counts = [count for _, count in entries]
        kinds = {component.kind for component in layer}
        self.fewest, self.most = (sum(ends) for ends in zip(*counts, strict=True))
        if kinds & {"generator", "fuser"}:
            self.critiques = False
        self.critiques |= kinds == {"critic"}
        self.tests |= "unit_test_generator" in kinds

    def component(self, component: Component) -> tuple[Json, tuple[int, int]]:
        """Return the entry of a component, and how many candidates it hands on."""
        for name, value in component.idle.items():
            self.idle(component, name, value)
        kind, settings, count = getattr(self, component.kind)(component)
        if self.tests and kind not in ("unit_tests", "test_eval"):
            settings["with_tests"] = True
        if component.samples > 1 and component.kind not in ("generator", "fuser"):
            self.say(component, f"of {component.samples} `samples` of a {component.kind} the"
                     " original uses one, so one is asked for")  # fmt: skip
        entry = {kind: settings}
        self.made.places[id(entry)] = self.made.places[id(settings)] = component.where
        self.made.comments[id(entry)] = component.path
        return entry, count

    def say(self, component: Component, text: str) -> None:
        self.made.remarks.add(text, component.where)

    def idle(self, component: Component, name: str, value: Json) -> None:
        """Note a field without effect, unless it is honoured as intended."""
        if self.choices.intended and (component.kind, name) in _INTENDED:
            return
        self.made.ignored[f"{component.path}.{name}"] = value
        why = "has no effect in the original"
        if name == "length_contorl":
            why = f"is misspelt, so it {why}"
        elif component.is_pairrm and name == "ranker_batch_size":
            why = "has no meaning here"
        self.say(component, f"`{name}` of a {component.kind} {why}; it is kept as metadata")

    def model(self, component: Component) -> str:
        """Return the short name of a component's model, new or known."""
        made = translated(component, self.choices)
        for remark in made.remarks:
            self.say(component, remark)
        return self.named(made, component)

    def named(self, made: Translated, component: Component) -> str:
        settings = dict(made.settings)
        self.made.used[component.model] = str(settings["model"])
        if made.retired:
            self.made.retired[made.was] = str(settings["model"])
        self.made.known |= {component.model, made.was or str(settings["model"])}
        for name, known in self.made.models.items():
            if known == settings:
                return name
        name = short_name(str(settings["model"]), self.made.models)
        self.made.models[name] = settings
        self.made.places[id(settings)] = component.where
        instead = "in place of " if made.was else ""
        self.made.comments[id(settings)] = f"{instead}{made.source}"
        return name

    # One method for each type: the layer's name, its settings, and how many candidates come out.

    def generator(self, component: Component) -> tuple[str, dict[str, Json], tuple[int, int]]:
        settings = {"model": self.model(component), **_samples(component)}
        return "generate", settings, (component.samples, component.samples)

    def fuser(self, component: Component) -> tuple[str, dict[str, Json], tuple[int, int]]:
        if self.most == 0:
            self.say(component, "a fuser where nothing is there to fuse: it generates")
            return self.generator(component)
        settings = {"model": self.model(component), **_samples(component)}
        intended = self.choices.intended
        wanted = component.fields.get("length_control") or (
            intended and component.idle.get("length_contorl") is True
        )
        if wanted and (self.critiques or intended):
            settings["length_control"] = True
        elif wanted:
            self.made.ignored[f"{component.path}.length_control"] = True
            self.say(component, "`length_control` of a fuser that no critiques reach has no effect"
                     " in the original; it is kept as metadata")  # fmt: skip
        self.hide_critiques(component, settings)
        return "fuse", settings, (component.samples, component.samples)

    def critic(self, component: Component) -> tuple[str, dict[str, Json], tuple[int, int]]:
        settings = {"model": self.model(component), **self.listing(component)}
        return "critique", settings, (self.fewest, self.most)

    def ranker(self, component: Component) -> tuple[str, dict[str, Json], tuple[int, int]]:
        keep = component.fields.get("top_k")
        if keep is None:
            self.say(component, "a ranker without `top_k`, on which the original fails: all go on")
        settings = {"model": self.model(component), **({"keep": keep} if keep else {})}
        if component.is_pairrm and self.scores(component):
            settings |= {"method": "scorer", "duplicates": "each"}
        else:
            settings |= self.listing(component)
            if self.fewest < 2:
                settings["alone"] = "ask"
            self.hide_critiques(component, settings)
        least, most = self.fewest, self.most
        return "rank", settings, (min(keep or least, least), min(keep or most, most))

    def verifier(self, component: Component) -> tuple[str, dict[str, Json], tuple[int, int]]:
        settings = {"model": self.model(component), **_first(component), "duplicates": "each"}
        return "verify", settings, (min(1, self.fewest), self.most)

    def unit_test_generator(
        self, component: Component
    ) -> tuple[str, dict[str, Json], tuple[int, int]]:
        cap = component.fields.get("unit_test_cap")
        least, most = PAPER_TESTS
        count = {"count": cap} if cap else {"count": most, "least": least}
        return "unit_tests", {"model": self.model(component), **count}, (self.fewest, self.most)

    def unit_test_evaluator(
        self, component: Component
    ) -> tuple[str, dict[str, Json], tuple[int, int]]:
        keep, first = component.fields.get("top_k"), component.first
        if first and not keep:
            keep = max(self.most, 1)  # all of them, if too few pass
        settings = {"model": self.model(component), **({"keep": keep} if keep else {})}
        settings |= {**_first(component), "duplicates": "each"}
        if self.tests and not component.fields.get("remove_unit_tests_from_prompt"):
            settings["with_tests"] = True
        least, most = self.fewest, self.most
        if keep:
            least, most = min(keep, first or keep, least), min(max(keep, first or 0), most)
        return "test_eval", settings, (least, most)

    def scores(self, component: Component) -> bool:
        """Return whether the model in place of PairRM can score; else it is asked for a list."""
        if translated(component, self.choices).scores:
            return True
        self.say(component, "the model in place of PairRM is asked for a ranking: one call more")
        return False

    def listing(self, component: Component) -> dict[str, Json]:
        """Return the settings of a layer that shows all candidates in one prompt."""
        settings: dict[str, Json] = {"duplicates": "each"}
        if self.most > GROUP:
            settings["group_size"] = min(self.most, MOST_GROUP)
        if self.most > MOST_GROUP:
            self.say(component, f"{self.most} candidates are taken in groups of {MOST_GROUP}, where"
                     " the original shows all at once")  # fmt: skip
        return settings

    def hide_critiques(self, component: Component, settings: dict[str, Json]) -> None:
        """Honour `use_critiques: false` where that is wanted."""
        unwanted = component.idle.get("use_critiques") is False
        if unwanted and self.critiques and self.choices.intended:
            settings["with_critiques"] = False


_INTENDED = {
    ("fuser", "length_contorl"), ("fuser", "use_critiques"), ("ranker", "use_critiques"),
}  # fmt: skip
"""Fields that have no effect, but a plain meaning."""


def _samples(component: Component) -> dict[str, Json]:
    return {"samples": component.samples} if component.samples > 1 else {}


def _first(component: Component) -> dict[str, Json]:
    return {} if component.first is None else {"first": component.first}
