"""B5: what the pool costs and what it saves."""

from __future__ import annotations

from archon.benchmarks.perf.figures import Benchmark, Target
from archon.benchmarks.perf.rig import Client, Options, measure

__all__ = ["hits"]


def hits(options: Options) -> Benchmark:
    """B5: milliseconds for each hit, and that nothing is paid twice."""
    found = Benchmark("B5", "Pool: hits and what they save")
    n = options.count(2000)
    shown = (
        "memory_ms", "disk_ms", "asked_again", "same_first", "same_second", "distinct",
        "same_answers", "from_8_to_64", "kept_8",
    )  # fmt: skip
    group = measure(
        f"{n:,} distinct prompts, then 64 identical ones",
        [Client("archon", "ours_pool")],
        {"whole": True, "n": n},
        options,
        shown=shown,
        latency=0,
        unique=True,
    )
    found.groups.append(group)
    figures = group.lines[0].figures()
    found.targets += [
        Target("ms for each hit from memory", figures["memory_ms"].median, 0.1),
        Target("ms for each hit from disk", figures["disk_ms"].median, 0.3),
        Target("requests for what was in the pool", figures["asked_again"].high, 0),
        Target("requests for 64 identical prompts", figures["same_first"].high, 64),
        Target("requests for the same 64 again", figures["same_second"].high, 0),
        Target("distinct answers to them", figures["distinct"].low, 64, at_most=False),
        Target("same answers the second time", figures["same_answers"].low, 1, at_most=False),
        Target("requests from 8 to 64 samples", figures["from_8_to_64"].high, 56),
        Target("the first 8 samples stay", figures["kept_8"].low, 1, at_most=False),
    ]
    return found
