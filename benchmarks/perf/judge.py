"""A provider process whose replies layers can read: rankings, points, verdicts and critiques.

`python -m archon.benchmarks.perf.judge '{"latency": 0.2}'` serves until stdin is closed.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import sys
from typing import Any

from archon.testing.provider import Provider

__all__ = ["main", "say"]

_FORM = re.compile(r"^Ranking: .+$", re.MULTILINE)
_SERIAL = itertools.count()
_LABEL = re.compile(r"^\[\w{1,8}\]$", re.MULTILINE)


def say(messages: list[dict[str, Any]], choice: int) -> str:
    """Answer as a judge where the prompt asks for judgement, else with a text of its own.

    >>> say([{"role": "user", "content": "You give points to an answer."}], 0)[-8:-1]
    'Score: '
    """
    prompt = str(messages[-1]["content"])
    digest = hashlib.sha256(prompt.encode()).hexdigest()
    if prompt.startswith("You order answers"):
        forms = _FORM.findall(prompt)
        return f"They differ.\n{forms[-1]}"
    if prompt.startswith("You give points"):
        return f"It holds.\nScore: {int(digest[:8], 16) % 10}"
    if prompt.startswith("You decide whether"):
        return "[Correct]"
    if prompt.startswith("You review answers"):
        return "\n".join(f"{label}\nClear, but short." for label in _LABEL.findall(prompt))
    if prompt.startswith("Score the following conversation"):  # its_hub's judge
        return json.dumps({"score": int(digest[:8], 16) % 10, "reasoning": "It holds."})
    # Equal answers would be judged once, so no two are.
    return f"answer {digest[:8]} {choice} {next(_SERIAL)}"


def main() -> None:
    """Serve until stdin closes."""
    settings = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
    with Provider(script=say, **settings) as provider:
        sys.stdout.write(json.dumps({"url": provider.url, "pid": os.getpid()}) + "\n")
        sys.stdout.flush()
        while os.read(0, 4096):
            pass


if __name__ == "__main__":
    main()
