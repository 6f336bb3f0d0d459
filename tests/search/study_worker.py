"""Children that work on one study and are killed: a line of JSON in, a line out.

Importing takes far longer than a kill, so this process imports everything once, opens nothing and
forks: each child is a process of its own with its own pool, connections and threads.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import ground  # type: ignore[import-not-found]  # beside this file
import numpy as np  # noqa: F401 (imported before the fork, not in each child)
import optuna  # noqa: F401
import scipy.stats  # noqa: F401
import sqlite_utils  # noqa: F401
import statsmodels.stats.multitest  # noqa: F401

import archon.executor  # noqa: F401
from archon import crashing, limits, outcomes, runs  # noqa: F401
from archon.search import conducting, crew, optimize  # noqa: F401

STUCK = 120.0


def work(job: dict[str, Any], crash: str) -> None:
    """Do the whole study, or die on the way."""
    limits.BACKOFF = (0.005, 0.05)
    os.environ["ARCHON_CRASH"] = crash
    importlib.reload(crashing)
    crew.crash_point = crashing.crash_point  # type: ignore[attr-defined]
    search = ground.search_file(**job["file"])
    with ground.session(Path(job["path"]), latency=job.get("latency", 0.0)) as session:
        found = optimize(search, ground.Toy(), name="kills", session=session)
        Path(job["out"] + f".{os.getpid()}").write_text(json.dumps(found.to_json(times=False)))


def child(job: dict[str, Any], crash: str = "") -> int:
    """Fork a worker and return its process id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work(job, crash)
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
        raise
    finally:
        sys.stderr.flush()
        os._exit(code)


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Keep workers alive, kill as often as the job says, then let them finish."""
    chance = random.Random(job["seed"])
    kills, ended, failed = 0, 0, 0
    living: dict[int, bool] = {}

    def start(armed: bool) -> None:
        crash = ""
        if armed and chance.random() < 0.5:
            point = chance.choice(crashing.STUDY_POINTS)
            crash = f"{point}:{chance.randint(1, 3)}"
        living[child(job, crash)] = bool(crash)

    for _ in range(job["workers"]):
        start(armed=kills < job["kills"])
    deadline = time.monotonic() + STUCK
    while living and time.monotonic() < deadline:
        if kills < job["kills"]:
            time.sleep(chance.uniform(0.0, job["pause"]))
            aimed = [pid for pid, armed in living.items() if not armed]
            if aimed:
                os.kill(chance.choice(aimed), signal.SIGKILL)
        pid, status = os.waitpid(-1, 0 if kills >= job["kills"] else os.WNOHANG)
        if pid:
            living.pop(pid)
            if os.WIFSIGNALED(status):
                kills += 1
                start(armed=kills < job["kills"])
            else:
                ended += 1
                failed += os.WEXITSTATUS(status) != 0
                if kills < job["kills"]:  # it got through before its time had come
                    return {"kills": kills, "ended": ended, "failed": failed} | _rest(living)
    return {"kills": kills, "ended": ended, "failed": failed} | _rest(living)


def _rest(living: dict[int, bool]) -> dict[str, Any]:
    """Wait for the workers that are left."""
    bad = 0
    for pid, armed in living.items():
        status = os.waitpid(pid, 0)[1]
        bad += not armed and status != 0
    return {"bad": bad}


def main() -> None:
    """Serve until stdin closes."""
    for line in sys.stdin:
        sys.stdout.write(json.dumps(run(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
