"""Search configurations of the original, as search files.

The shape of what the original builds is fixed in its code: the best so many models, up to three
times a critic, a ranker that keeps five and fusers, and one last fuser; critics, rankers and the
last fuser are the best model. Which models are best is measured first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from archon.errors import ConfigError, did_you_mean
from archon.original.choices import Choices
from archon.original.components import Component, read_original
from archon.original.importing import read_document
from archon.original.json_text import Document
from archon.original.models import PROVIDERS, short_name, translated
from archon.original.remarks import Remarks
from archon.original.retired import RETIRED
from archon.original.yaml_text import commented, flow
from archon.types import Json

__all__ = ["ImportedSearch", "import_search", "is_search"]

BENCHMARKS = {"mt_bench": "mt_bench", "arena_hard_auto": "arena_hard"}
"""The original's names of benchmarks that its search knows, and ours."""
SEARCHERS = {"random_search": "random", "grid_search": "grid", "bayesian_optimization": "paper"}
FUSIONS = ("fuser_layer_1_choices", "fuser_layer_2_choices", "fuser_layer_3_choices")
KEPT = 5
"""Candidates that the rankers of the original's search keep."""

_FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "models_available": list, "model_top_k_choices": list, "sample_top_k_choices": list,
    **dict.fromkeys(FUSIONS, list),
    "maximum_inference_calls": int, "benchmark": str, "judge_model": str, "baseline_model": str,
    "base_output_directory": str, "search_algorithm_choice": str,
    "dataset_sample_for_power_ranking": (int, float), "dataset_sample_for_search": (int, float),
    "dataset_sample_for_final_ranking": (int, float),
    "number_of_archon_configs_for_final_ranking": int, "random_search_iterations": int,
    "init_points": int, "n_iter": int,
}  # fmt: skip
_WORDS: Mapping[object, str] = {list: "a list", int: "a whole number", str: "text"}
_IDLE = ("base_output_directory", "number_of_archon_configs_for_final_ranking")
"""Fields for which a search file has no place; they become comments."""


@dataclass(frozen=True)
class ImportedSearch:
    """A search configuration of the original and the search file that it is here.

    Attributes:
        file: what was read.
        yaml: the search file.
        remarks: what whoever imports should know.
    """

    file: str
    yaml: str
    remarks: tuple[str, ...] = ()

    def to_json(self) -> Json:
        """Return everything but the text as plain data."""
        return {"file": self.file, "search": True, "remarks": list(self.remarks)}


def is_search(data: Json) -> bool:
    """Return whether data looks like a search configuration of the original."""
    return isinstance(data, Mapping) and "models_available" in data and "layers" not in data


def import_search(document: Document, choices: Choices | None = None) -> ImportedSearch:
    """Import a search configuration; the models' own files are looked for around it.

    Raises:
        ConfigError: with file, line and column, what is wrong and what would be right.
    """
    return _Search(document, choices or Choices()).whole()


class _Search:
    def __init__(self, document: Document, choices: Choices) -> None:
        self.document, self.choices = document, choices
        self.data: dict[str, Json] = document.data
        self.remarks = Remarks()

    def fail(self, message: str, container: object, key: object = None) -> NoReturn:
        raise ConfigError(message, where=self.document.where(container, key))

    def whole(self) -> ImportedSearch:
        for key, value in self.data.items():
            kind = _FIELDS.get(key)
            if kind is None:
                hint = did_you_mean(key, _FIELDS)
                self.fail(f"unknown key {key!r} in a search configuration{hint}", self.data, key)
            if not isinstance(value, kind) or isinstance(value, bool):
                word = _WORDS.get(kind, "a number")
                self.fail(f"`{key}` is {word}, got {value!r}", self.data, key)
        models = self.models()
        lines = [
            "# Imported from a search configuration of the original Archon.",
            *(f"# {key}: {flow(self.data[key])}" for key in _IDLE if key in self.data),
            f"name: {flow(Path(self.document.name).stem)}",
            "space:",
            *self.space(models),
            *self.study(),
        ]
        return ImportedSearch(self.document.name, "\n".join(lines) + "\n", self.remarks.lines())

    def models(self) -> dict[str, tuple[dict[str, Json], str]]:
        """Return settings and origin of each available model by its short name."""
        paths = self.data["models_available"]
        if not paths:
            self.fail("`models_available` names at least one file", self.data, "models_available")
        found: dict[str, tuple[dict[str, Json], str]] = {}
        for i, path in enumerate(paths):
            if not isinstance(path, str):
                self.fail(f"a model is the path of a file, got {path!r}", paths, i)
            component = self.single(path, paths, i)
            made = translated(component, self.choices)
            for remark in made.remarks:
                self.remarks.add(remark, self.document.where(paths, i))
            if made.retired:
                text = f"{made.was} is retired: {made.settings['model']} stands in for it"
                self.remarks.add(text, self.document.where(paths, i))
            name = short_name(str(made.settings["model"]), found)
            found[name] = dict(made.settings), f"{made.source}, {path}"
        return found

    def single(self, path: str, container: object, key: object) -> Component:
        """Return the one generator of a model's own file."""
        document, _ = read_document(self.located(path, container, key))
        components = list(read_original(document).components())
        if len(components) != 1 or components[0].kind != "generator":
            self.fail(f"{path} is no file of a single generator", container, key)
        return components[0]

    def located(self, path: str, container: object, key: object) -> Path:
        """Find a path that was relative to a folder which is not here any more.

        The folders above the configuration are tried, and the path without its first parts.
        """
        here = Path(self.document.name).resolve().parent
        parts = Path(path).parts
        tried = (
            folder.joinpath(*parts[start:])
            for start in range(len(parts))
            for folder in (here, *here.parents)
        )
        found = next((file for file in tried if file.is_file()), None)
        if found is None:
            self.fail(f"there is no file {path!r} in or above {here}", container, key)
        return found

    def numbers(self, field: str, least: int, most: int) -> list[int]:
        """Return the choices of a field without copies, in order."""
        given = self.data.get(field, [max(least, 0)])
        for i, number in enumerate(given):
            if not isinstance(number, int) or isinstance(number, bool) or number < least:
                self.fail(f"`{field}` holds whole numbers of at least {least}, got {number!r}",
                          given, i)  # fmt: skip
            if number > most:
                where = self.document.where(given, i)
                self.remarks.add(f"`{field}`: there are {most} models, so {number} is left out",
                                 where)  # fmt: skip
        kept = sorted({number for number in given if number <= most})
        if not kept:
            self.fail(f"`{field}` leaves no choice", self.data, field)
        return kept

    def space(self, models: Mapping[str, tuple[dict[str, Json], str]]) -> list[str]:
        """Return the lines of the space."""
        count = len(models)
        top = self.numbers("model_top_k_choices", 1, count)
        samples = self.numbers("sample_top_k_choices", 1, 100_000)
        asked = ""
        holes = ["    best: !subset {of: models, take: first, sizes: [1]}"]
        if self.choices.intended and samples != [1]:
            holes.append(f"    samples: !choice {flow(samples)}")
            asked = ", samples: !ref samples"
        elif samples != [1]:
            self.remarks.add(
                "`sample_top_k_choices` has no effect in the original, which samples once",
                self.document.where(self.data, "sample_top_k_choices"),
            )
        return [
            "  models:",
            *(commented(f"    {name}: {flow(settings)}", source)
              for name, (settings, source) in models.items()),
            f"  groups: {{models: {flow(list(models))}}}",
            "  holes:",
            *holes,
            "  stages:",
            "    - - !each",
            "        of: !subset"
            f" {{name: generators, of: models, take: first, sizes: {flow(top)}}}",
            f"        do: {{generate: {{model: !ref item{asked}}}}}",
            *(line for i, field in enumerate(FUSIONS, 1) for line in self.fusion(i, field, count)),
            "    - - !each {of: !ref best, do: {fuse: {model: !ref item}}}",
        ]  # fmt: skip

    def fusion(self, number: int, field: str, count: int) -> list[str]:
        """Return the stages of one layer of fusion; none where nothing but 0 is a choice."""
        sizes = self.numbers(field, 0, count)
        wide = [size for size in sizes if size]
        if not wide:
            return []
        stages = [
            "- - !each {of: !ref best, do: {critique: {model: !ref item, duplicates: each}}}",
            "- - !each",
            "    of: !ref best",
            f"    do: {{rank: {{model: !ref item, keep: {KEPT}, duplicates: each, alone: ask}}}}",
            "- - !each",
            f"    of: !subset {{name: fusers_{number}, of: models, take: first,"
            f" sizes: {flow(wide)}}}",
            "    do: {fuse: {model: !ref item}}",
        ]
        if wide == sizes:
            return [f"    {line}" for line in stages]
        return [
            "    - !choice",
            f"      name: fusion_{number}",
            "      of:",
            "        none: []",
            "        fused:",
            *(f"          {line}" for line in stages),
        ]

    def study(self) -> list[str]:
        """Return the lines behind the space."""
        lines = [f"benchmark: {self.benchmark()}", f"items: {flow(self.items())}"]
        power = self.share("dataset_sample_for_power_ranking")
        lines.append(f"power_ranking: {{models: {{role: generate, items: {flow(power)}}}}}")
        if calls := self.data.get("maximum_inference_calls"):
            lines.append(f"limits: {{max: {{calls: {calls}}}}}")
        return [*lines, *self.searcher(), "seeds: []"]

    def benchmark(self) -> str:
        name = self.data.get("benchmark")
        if name not in BENCHMARKS:
            hint = did_you_mean(name or "", BENCHMARKS)
            self.fail(f"`benchmark` of a search is {' or '.join(BENCHMARKS)}, got {name!r}{hint}",
                      self.data, "benchmark")  # fmt: skip
        options: dict[str, Json] = {"name": BENCHMARKS[name]}
        if judge := self.data.get("judge_model"):
            options["judge"] = self.judge(judge)
        if baseline := self.data.get("baseline_model"):
            self.remarks.add(
                f"the baseline {baseline} is a model in the original and a file of answers here:"
                " write its answers and name them as the benchmark's `baseline`",
                self.document.where(self.data, "baseline_model"),
            )
        return flow(options)

    def judge(self, name: str) -> str:
        if name.endswith(".json"):
            component = self.single(name, self.data, "judge_model")
            return str(translated(component, self.choices).settings["model"])
        full = name if "/" in name else PROVIDERS["OpenAI_API"] + name
        return full if self.choices.keep_models else RETIRED.get(full, full)

    def items(self) -> dict[str, Json]:
        return {
            "dev": self.share("dataset_sample_for_search"),
            "confirm": self.share("dataset_sample_for_final_ranking"),
        }

    def share(self, field: str) -> float | None:
        """Return a share of the items below 1; None for all of them."""
        given = self.data.get(field, 1)
        if not 0 < given <= 1:
            self.fail(f"`{field}` is a share above 0 and up to 1, got {given}", self.data, field)
        return None if given == 1 else float(given)

    def searcher(self) -> list[str]:
        chosen = self.data.get("search_algorithm_choice", "bayesian_optimization")
        if chosen not in SEARCHERS:
            hint = did_you_mean(chosen, SEARCHERS)
            self.fail(f"unknown `search_algorithm_choice` {chosen!r}{hint}",
                      self.data, "search_algorithm_choice")  # fmt: skip
        name = SEARCHERS[chosen]
        starts, steps = self.data.get("init_points"), self.data.get("n_iter")
        if name == "random" and (trials := self.data.get("random_search_iterations")):
            return [f"trials: {trials}", f"searcher: {name}"]
        if name == "paper" and starts is not None and steps is not None:
            return [
                f"trials: {max(starts + steps, 1)}",
                f"searcher: {{name: paper, starts: {starts}}}",
            ]
        return [f"searcher: {name}"]
