"""B3: whole architectures against the dependent waves of calls that they cannot do without."""

from __future__ import annotations

from archon.benchmarks.perf import rivals
from archon.benchmarks.perf.figures import Benchmark, Group, Target
from archon.benchmarks.perf.rig import Client, Options, Scripted, measure

__all__ = ["architectures"]

LATENCY = 0.2
_SETTINGS = "base_url: URL, max_tokens: 256, temperature: 1, concurrency: 256"

# A provider of one choice for each request, so that 64 samples are 64 calls, as for the floor.
BEST = f"""
models:
  m: {{model: ollama/scripted, {_SETTINGS}}}
stages:
  - generate: {{model: m, samples: 64}}
  - rank: {{model: m, method: points, keep: 1}}
"""

_WRITERS = "\n".join(
    f"    - generate: {{model: {{model: ollama/writer{i}, {_SETTINGS}}}, samples: 8}}"
    for i in range(8)
)
STACK = f"""
models:
  m: {{model: ollama/judge, {_SETTINGS}}}
stages:
  -
{_WRITERS}
  - rank: {{model: m, keep: 8, group_size: 64}}
  - critique: {{model: m}}
  - fuse: {{model: m}}
"""

CASES = (
    ("best of 64 with a judge", BEST, (64, 64), 1.15),
    ("8 models x 8 samples, rank, critique, fuse", STACK, (64, 1, 1, 1), 1.2),
)


def architectures(options: Options) -> Benchmark:
    """B3: wall clock as a share of bare waves; the largest share that is aimed at is the limit."""
    found = Benchmark("B3", "Architectures against bare waves (200 ms a call)")
    for name, yaml, waves, limit in CASES:
        group = _waves(name, yaml, waves, options)
        found.groups.append(group)
        ratio = group.line("archon").ratio(group.floor, "wall")
        if ratio:
            found.targets.append(
                Target(f"wall clock of {name}, as a share of bare waves", ratio.median, limit)
            )
    return found


def _waves(name: str, yaml: str, waves: tuple[int, ...], options: Options) -> Group:
    clients = [
        Client("aiohttp (floor)", "bare_waves"),
        Client("archon", "ours_waves", job={"architecture": yaml}),
    ]
    if yaml is BEST and "its_hub" in options.rivals:
        [other] = rivals.clients(["its_hub"], options.tell)
        for what, limit in (("default", 32), ("tuned", 64)):
            said = f"{other.name}, {what}"
            clients.append(Client(said, other.program, other.python, {"limit": limit}))
    job = {"whole": True, "waves": waves, "rounds": 1 if options.quick else 5}
    return measure(
        name, clients, job, options,
        shown=("wall", "first", "peak", "mb"), compared=("wall",),
        server=Scripted, latency=LATENCY,
    )  # fmt: skip
