"""Measure two architectures on the same problems and compare them pair by pair.

python examples/compare.py [NUMBER OF PROBLEMS]
"""

from __future__ import annotations

import sys

import archon


def main(limit: int = 200) -> None:
    """Print the accuracy of each with its 95 % interval, and the paired difference."""
    bench = archon.benchmarks.get("arithmetic", level=3)
    found = {}
    for name in ("local/single", "local/self-consistency"):
        found[name] = archon.evaluate(name, bench, split="dev", limit=limit)
        span = found[name].interval
        assert span is not None
        print(
            f"{name:<24} {found[name].accuracy:.3f} [{span.low:.3f}, {span.high:.3f}] "
            f"{found[name].per_item(found[name].used.calls):.0f} calls each"
        )
    gain = found["local/self-consistency"].compare(found["local/single"])
    print(f"difference {gain.difference:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
