"""Training examples of ``local/nano``, all from the ``train`` split of the arithmetic problems.

Examples come in groups that share the beginning of their prompt (the question), so that training
reads a question once for several replies.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from archon.benchmarks.arithmetic import (
    Problem,
    Term,
    key_of,
    parse_key,
    problems,
    total_of,
)
from archon.benchmarks.procedural import split_of
from archon.nano.working import answer_of, recheck, right_working, slipped, wrong_working

CHECK_PROMPT = "Check this answer.\n{question}\n\nAnswer:\n{candidate}"
VERDICT_PROMPT = "Is this answer right?\n{question}\n\nAnswer:\n{candidate}\n\nCheck:\n{reasoning}"
CORRECT = "[Correct]"
INCORRECT = "[Incorrect]"

USER = "<|user|>"
ASSISTANT = "<|assistant|>"
THINK = "<|think|>"
END = "<|end|>"
PAD = "<|pad|>"
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'user' -%}"
    "{{- '<|user|>' + (message['content'] | trim) -}}"
    "{%- elif message['role'] == 'assistant' -%}"
    "{{- '<|assistant|>' + (message['content'] | trim) + '<|end|>' -}}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)

LEVEL_WEIGHTS = {1: 0.17, 2: 0.2, 3: 0.5, 4: 0.08, 5: 0.05}
EASY_WEIGHTS = {1: 0.4, 2: 0.3, 3: 0.3}
EASY_GROUPS = 8_000
DRILLS = {True: 0.5, False: 0.06}
DRILLS_IN_GROUP = 14
VERDICT_DRILLS = 0.5
GENERATE, CHECK, VERDICT = "generate", "check", "verdict"
_KINDS = {GENERATE: 0.55, CHECK: 0.27, VERDICT: 0.18}
_BRANCHES = {GENERATE: 5, CHECK: 4, VERDICT: 7}
_FEWER_BRANCHES = {1: 2, 2: 0, 3: 0, 4: 1, 5: 2}


@dataclass(frozen=True, slots=True)
class Group:
    """Training texts with a common start: the loss is on the ``reply`` of each branch only."""

    keys: tuple[str, ...]
    prefix: str
    branches: tuple[tuple[str, str], ...]


def _generate(problem: Problem, rng: random.Random, count: int) -> Group:
    """Several workings of one question."""
    terms = parse_key(problem.key)
    replies = {"\n".join(right_working(terms, rng)): None for _ in range(count)}
    branches = tuple((ASSISTANT, reply + END) for reply in replies)
    return Group((problem.key,), USER + problem.question, branches)


def _candidates(problem: Problem, rng: random.Random, count: int) -> list[str]:
    """Workings to check, about half of them right."""
    terms = parse_key(problem.key)
    makers = [rng.choice((right_working, wrong_working)) for _ in range(count)]
    return ["\n".join(maker(terms, rng)) for maker in makers]


def check_group(problem: Problem, candidates: list[str]) -> Group:
    """The checks of several candidates of one question."""
    terms = parse_key(problem.key)
    rng = random.Random(f"check/{problem.key}")
    prefix = USER + CHECK_PROMPT.format(question=problem.question, candidate="")
    branches = tuple((one + ASSISTANT, recheck(terms, one, rng) + END) for one in candidates)
    return Group((problem.key,), prefix, branches)


def verdict_group(problem: Problem, checked: list[tuple[str, str]]) -> Group:
    """The verdicts on several (candidate, check) of one question: do their answers agree?"""
    prompt = VERDICT_PROMPT.replace("{candidate}", "\0")
    start, rest = prompt.split("\0")
    branches = tuple(
        (
            candidate + rest.format(reasoning=reasoning) + ASSISTANT,
            (CORRECT if _agree(candidate, reasoning) else INCORRECT) + END,
        )
        for candidate, reasoning in checked
    )
    return Group((problem.key,), USER + start.format(question=problem.question), branches)


def _agree(candidate: str, reasoning: str) -> bool:
    answer = answer_of(candidate)
    return answer is not None and answer == answer_of(reasoning)


def _drill(rng: random.Random) -> tuple[str, tuple[str, str]]:
    """One bare operation whose key is in the train split, as key and (prompt, reply)."""
    while True:
        sign = rng.choice("++--*")
        left = rng.randrange(1, 10 ** rng.choice((1, 2, 2, 3)))
        right = rng.randrange(1, 10 ** rng.choice((1, 2, 2)))
        if sign == "*":
            left, right = rng.randrange(2, 10), rng.randrange(2, 13)
            terms: tuple[Term, ...] = (Term(1, left, right),)
        else:
            left, right = max(left, right), min(left, right)
            if sign == "+" and rng.random() < 0.5:
                left, right = right, left
            terms = (Term(1, 1, left), Term(1 if sign == "+" else -1, 1, right))
        if split_of(key_of(terms)) == "train":
            asked = f"{left} {sign} {right}"
            result = total_of(terms)
            return key_of(terms), (asked + ASSISTANT, f"{asked} = {result}\n#### {result}{END}")


def drill_group(rng: random.Random) -> Group:
    """Bare operations, to learn copying and arithmetic fast."""
    drills = [_drill(rng) for _ in range(DRILLS_IN_GROUP)]
    return Group(tuple(key for key, _ in drills), USER, tuple(branch for _, branch in drills))


def verdict_drill_group(rng: random.Random) -> Group:
    """Short verdicts on a bare operation, to learn comparing two numbers fast."""
    key, (asked, _) = _drill(rng)
    prompt = VERDICT_PROMPT.replace("{candidate}", "\0").format(
        question=asked.removesuffix(ASSISTANT), reasoning="\1"
    )
    start, rest = prompt.split("\0")
    truth = total_of(parse_key(key))
    branches = []
    for _ in range(DRILLS_IN_GROUP):
        said = truth if rng.random() < 0.3 else rng.randrange(10 ** rng.choice((1, 2, 2, 3, 3)))
        kind = rng.random()
        again = said if kind < 0.5 else slipped(said, rng) if kind < 0.85 else truth
        ends = (f"#### {said}", f"#### {again}")
        verdict = CORRECT if said == again else INCORRECT
        branches.append((ends[0] + rest.replace("\1", ends[1]) + ASSISTANT, verdict + END))
    return Group((key,), USER + start, tuple(branches))


def _group(problem: Problem, rng: random.Random, easy: bool) -> Group:
    """One group of a random kind; in the easy beginning only answers."""
    kind = GENERATE if easy else rng.choices(list(_KINDS), list(_KINDS.values()))[0]
    count = max(1, _BRANCHES[kind] - _FEWER_BRANCHES[problem.level])
    if kind == GENERATE:
        return _generate(problem, rng, count)
    candidates = _candidates(problem, rng, count)
    if kind == CHECK:
        return check_group(problem, candidates)
    terms = parse_key(problem.key)
    checks = [_reasoning(terms, candidate, rng) for candidate in candidates]
    pairs = zip(candidates, checks, strict=True)
    return verdict_group(problem, [(_end(one, rng), _end(said, rng)) for one, said in pairs])


def _end(working: str, rng: random.Random) -> str:
    """A working, or half of the time only its last lines: what a verdict compares is the end."""
    lines = working.split("\n")
    return "\n".join(lines[-rng.randint(1, len(lines)) :]) if rng.random() < 0.5 else working


def _reasoning(terms: Sequence[Term], candidate: str, rng: random.Random) -> str:
    """A check to give a verdict on: right ones, wrong ones, and wrong ones that agree."""
    kind = rng.random()
    if kind < 0.7:
        return recheck(terms, candidate, rng)
    if kind < 0.9:
        return "\n".join(wrong_working(terms, rng))
    return candidate


def groups(seed: int, easy_groups: int = EASY_GROUPS) -> Iterator[Group]:
    """Endless training groups, the same ones for the same seed in every process.

    The first ``easy_groups`` are drills and answers to easy problems, for a fast start.
    """
    rng = random.Random(f"archon-nano/{seed}")
    streams = {level: problems(level, "train", seed) for level in LEVEL_WEIGHTS}
    again = made = 0
    while True:
        easy = made < easy_groups
        made += 1
        if rng.random() < DRILLS[easy]:
            yield verdict_drill_group(rng) if rng.random() < VERDICT_DRILLS else drill_group(rng)
            continue
        weights = EASY_WEIGHTS if easy else LEVEL_WEIGHTS
        level = rng.choices(list(weights), list(weights.values()))[0]
        try:
            problem = next(streams[level])
        except (RuntimeError, StopIteration):
            again += 1
            streams[level] = problems(level, "train", seed + 1_000_003 * again)
            continue
        assert split_of(problem.key) == "train"
        yield _group(problem, rng, easy)
