"""Lists that meet rules: an answer is the list."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from archon.benchmarks.constraint_rules import VOCABULARY, Entries, Rule, read
from archon.benchmarks.constraints import LEVELS, Brief, problems
from archon.benchmarks.procedural import Split
from archon.nano.examples.family import Check, Draft, Family, Statement
from archon.nano.examples.knobs import Knobs

__all__ = ["ConstraintsFamily"]

_MEASURES: dict[str, Callable[[Entries], object]] = {
    "count": len,
    "words": len,
    "sum": lambda xs: sum(int(x) for x in xs),
    "evens": lambda xs: sum(int(x) % 2 == 0 for x in xs),
    "first": lambda xs: xs[0],
    "last": lambda xs: xs[-1],
    "ends": lambda xs: int(xs[0]) + int(xs[-1]),
    "largest": lambda xs: max(xs),
    "smallest": lambda xs: min(xs),
    "letters": lambda ws: sum(len(str(w)) for w in ws),
    "longest": lambda ws: max(len(str(w)) for w in ws),
    "begins": lambda ws: str(ws[0])[0],
    "closes": lambda ws: str(ws[-1])[-1],
}
"""What a list has where a rule asks for one value of it."""


class ConstraintsFamily(Family[Brief, Entries]):
    """The value of a draft is its list."""

    name = "constraints"
    levels = LEVELS

    def stream(self, level: int, split: Split, seed: int) -> Iterator[Brief]:
        """Problems of a level."""
        return problems(level, split, seed)

    def right(self, problem: Brief, rng: random.Random) -> Draft[Entries]:
        """The known list, or one near to it that meets all rules too."""
        for _ in range(3):
            near = _changed(problem.witness, rng)
            if _share(problem.rules, near) == 1:
                return _draft(near)
        return _draft(problem.witness)

    def wrong(self, problem: Brief, rng: random.Random) -> Draft[Entries]:
        """A list near to the known one that breaks a rule or two."""
        near = problem.witness
        while True:
            near = _changed(near, rng)
            if _share(problem.rules, near) < 1:
                return _draft(near)
            if rng.random() < 0.1:  # few rules, which most changes keep
                near = (*problem.witness, problem.witness[0])

    def belief(self, problem: Brief, knobs: Knobs, rng: random.Random) -> Draft[Entries]:
        """A list that meets all rules, or one without its last entry but one."""
        draft = self.right(problem, rng)
        trapped = len(draft.value) > 2 and "exactly" not in problem.told[0]
        if trapped and knobs.strikes("count", rng):
            return _draft((*draft.value[:-2], draft.value[-1]))
        return draft

    def read(self, problem: Brief, text: str) -> Draft[Entries] | None:
        """A list of the right form."""
        found = read(text.rpartition("####")[2], problem.form)
        return Draft(text.strip(), found) if found else None

    def same(self, problem: Brief, first: Draft[Entries], second: Draft[Entries]) -> bool:
        """Whether both meet the same rules."""
        rules = _believed(problem, second)
        return [rule.met(first.value) for rule in rules] == [
            rule.met(second.value) for rule in rules
        ]

    def merit(self, problem: Brief, draft: Draft[Entries], belief: Draft[Entries]) -> float:
        """The share of rules met."""
        return _share(_believed(problem, belief), draft.value)

    def thought(self, problem: Brief, draft: Draft[Entries], rng: random.Random) -> str:
        """A list that fails and why, then the one taken."""
        lines = []
        near = _changed(draft.value, rng)
        for rule, told in zip(problem.rules, problem.told, strict=True):
            if not rule.met(near):
                lines.append(f"{_listed(near)}: not {told}")
                break
        return "\n".join([*lines, f"{_listed(draft.value)}: yes"])

    def review(
        self, problem: Brief, draft: Draft[Entries], belief: Draft[Entries], rng: random.Random
    ) -> str:
        """The rules that are not met."""
        rules = zip(_believed(problem, belief), problem.told, strict=True)
        missed = [
            told + _found(rule, draft.value) for rule, told in rules if not rule.met(draft.value)
        ]
        return f"Not met: {'; '.join(missed)}." if missed else "All rules are met."

    def check(
        self, problem: Brief, draft: Draft[Entries], belief: Draft[Entries], rng: random.Random
    ) -> Check:
        """Every rule in turn."""
        rules = _believed(problem, belief)
        lines = []
        for number, rule in enumerate(rules, 1):
            met = "yes" if rule.met(draft.value) else "no"
            lines.append(f"{number}. {met}{_found(rule, draft.value)}")
        return Check("\n".join(lines), _share(rules, draft.value) == 1)

    def marks(self, problem: Brief, draft: Draft[Entries]) -> list[bool]:
        """Wrong until the line with the list, if that is."""
        right = _share(problem.rules, draft.value) == 1
        return [True] * draft.text.count("\n") + [right]

    def basis(
        self,
        problem: Brief,
        drafts: Sequence[tuple[str, Draft[Entries]]],
        belief: Draft[Entries],
        rng: random.Random,
    ) -> str:
        """How many rules each meets."""
        rules = _believed(problem, belief)
        return "\n".join(
            f"{label}: {sum(rule.met(draft.value) for rule in rules)} of {len(rules)}"
            for label, draft in drafts
        )

    def statements(
        self, problem: Brief, belief: Draft[Entries], count: int, rng: random.Random
    ) -> list[Statement[Entries]]:
        """A statement for each rule."""
        rules = zip(_believed(problem, belief), problem.told, strict=True)
        found = [Statement(f"The answer: {told}.", _judge(rule)) for rule, told in rules]
        size = len(belief.value)
        bounds = [(f"more than {n}", _longer(n)) for n in range(max(0, size - 2), size)]
        bounds += [(f"less than {n}", _shorter(n)) for n in range(size + 1, size + 4)]
        weak = [Statement(f"The answer: {told} entries.", judge) for told, judge in bounds]
        return (found + rng.sample(weak, len(weak)))[:count]


def _judge(rule: Rule) -> Callable[[Entries], tuple[str, bool]]:
    return lambda entries: (_found(rule, entries).strip(" ()") or "seen", rule.met(entries))


def _longer(size: int) -> Callable[[Entries], tuple[str, bool]]:
    return lambda entries: (str(len(entries)), len(entries) > size)


def _shorter(size: int) -> Callable[[Entries], tuple[str, bool]]:
    return lambda entries: (str(len(entries)), len(entries) < size)


def _listed(entries: Entries) -> str:
    return ", ".join(map(str, entries))


def _draft(entries: Entries) -> Draft[Entries]:
    return Draft(f"#### {_listed(entries)}", entries)


def _found(rule: Rule, entries: Entries) -> str:
    measure = _MEASURES.get(rule.name)
    return f" ({measure(entries)})" if measure else ""


def _share(rules: Sequence[Rule], entries: Entries) -> float:
    return sum(rule.met(entries) for rule in rules) / len(rules)


def _believed(problem: Brief, belief: Draft[Entries]) -> tuple[Rule, ...]:
    """The rules as somebody takes them who takes that list for right."""
    first = problem.rules[0]
    if _share(problem.rules, belief.value) == 1:
        return problem.rules
    return (Rule(first.name, len(belief.value)), *problem.rules[1:])


def _changed(entries: Entries, rng: random.Random) -> Entries:
    """The list with one change: entries swapped, one dropped, repeated or replaced."""
    changed: list[Any] = list(entries)
    place, other = rng.randrange(len(changed)), rng.randrange(len(changed))
    kind = rng.random()
    if kind < 0.25:
        changed[place], changed[other] = changed[other], changed[place]
    elif kind < 0.4 and len(changed) > 2:
        del changed[place]
    elif kind < 0.5:
        changed.insert(place, changed[other])
    elif isinstance(changed[place], str):
        changed[place] = rng.choice(VOCABULARY)
    elif kind < 0.8:
        changed[place] = max(0, changed[place] + rng.choice((-3, -2, -1, 1, 2, 3)))
    else:
        step = rng.randint(1, 3)
        changed[place], changed[other] = changed[place] + step, changed[other] - step
    return tuple(changed)
