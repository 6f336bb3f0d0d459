"""A fake model that does what every prompt of the built-in layers asks, with verdicts that pass."""

from __future__ import annotations

import json
import re

from archon.backends.fake import Fake
from archon.model import Draw, Request

_ANSWER = re.compile(r"^<<< \w+ answer ([A-Z]|C\d+)$", re.MULTILINE)
_TEST = re.compile(r"^Test #(\d+): \[Passed\] or \[Failed\]$", re.MULTILINE)
_COUNT = re.compile(r"^Write (?:exactly |\d+ to )(\d+) statements", re.MULTILINE)
REMARK = re.compile(r"^line \d+(?: and \d+ more)?: ")


def role(prompt: str) -> str:
    """Return which step a prompt is of; a plain question is the step of `generate`."""
    marks = {
        "Reply with nothing but [Correct] or [Incorrect].": "verdict",
        "Do not give a verdict yet.": "reason",
        "You check which of several statements hold": "test_eval",
        "You write checks that tell good answers": "unit_tests",
        "Begin the review of each answer with its label": "critique",
        "You order answers to the last turn": "rank",
        "Now write the best answer you can": "fuse",
    }
    return next((step for mark, step in marks.items() if mark in prompt), "generate")


def passing(request: Request, draw: Draw) -> str:
    """Return what the prompt asks for; what is judged passes."""
    prompt = request.messages[-1].content
    labels = _ANSWER.findall(prompt)
    match role(prompt):
        case "verdict":
            return "[Correct]"
        case "test_eval":
            return "\n".join(f"Test #{n}: [Passed]" for n in _TEST.findall(prompt))
        case "unit_tests":
            count = _COUNT.search(prompt)
            assert count
            return json.dumps([f"The answer has {n}." for n in range(int(count.group(1)))])
        case "critique":
            return "\n".join(f"[{label}]\nclear, but short" for label in labels)
        case "rank":
            return "Ranking: " + " > ".join(labels)
    return f"answer {draw.member}.{draw.number} of {request.model.model}"


def fake() -> Fake:
    """Return a fresh model that lets everything pass."""
    return Fake(passing)
