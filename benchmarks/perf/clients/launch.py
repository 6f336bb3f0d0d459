"""Runs a command and measures all of it: `launch.py COMMAND …`, with `python -I -S`.

A process inherits the largest resident memory of the one that starts it, so this one is small.
"""

from __future__ import annotations

import json
import os
import sys
import time

if __name__ == "__main__":
    core = 0
    if hasattr(os, "sched_setaffinity") and core in os.sched_getaffinity(0):
        os.sched_setaffinity(0, {core})
    out = os.open(os.devnull, os.O_WRONLY)
    started = time.perf_counter()
    pid = os.posix_spawn(
        sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, out, 1)]
    )
    _, status, used = os.wait4(pid, 0)
    found = {
        "wall": time.perf_counter() - started,
        "cpu": used.ru_utime + used.ru_stime,
        "mb": used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6,
        "code": os.waitstatus_to_exitcode(status),
    }
    sys.stdout.write(json.dumps(found) + "\n")
