"""B1, what a call costs beside the call; and B2, how many can be in flight."""

from __future__ import annotations

from typing import Any

from archon.benchmarks.perf import rivals
from archon.benchmarks.perf.figures import Benchmark, Group, Target
from archon.benchmarks.perf.rig import Client, Options, Scripted, measure

__all__ = ["BARE", "OURS", "overhead", "throughput"]

BARE = Client("aiohttp (floor)", "bare")
OURS = Client("archon", "ours_http")
GRAPH = Client("archon graph", "ours_graph")
BARE_GRAPH = Client("aiohttp (floor)", "bare_graph")
LITELLM = Client("litellm (floor)", "bare_litellm")
OURS_LITELLM = Client("archon over litellm", "ours_litellm")

_COSTS = ("cpu_ms", "extra_ms", "per_second", "mb")


def overhead(options: Options) -> Benchmark:
    """B1: latency 0, so that all that is left is what the client does."""
    found = Benchmark("B1", "Framework overhead per call (latency 0)")
    others = rivals.clients([r for r in options.rivals if r != "litellm"], options.tell)
    for flight in (1, 64):
        clients = [BARE, OURS, *others]
        found.groups.append(_costs(f"calls, {flight} in flight", clients, flight, 1000, options))
        found.targets.append(_extra_target(found.groups[-1], flight))
    for flight in (64,) if options.quick else (1, 64):
        name = f"graphs of 3 calls, {flight} in flight"
        pair, graph_options = [BARE_GRAPH, GRAPH], {"server": Scripted}
        found.groups.append(_costs(name, pair, flight, 300, options, **graph_options))
    if not options.quick:  # importing LiteLLM alone takes seconds
        found.groups.append(_through_litellm(options))
        found.targets.append(_litellm_target(found.groups[-1]))
    return found


def _through_litellm(options: Options) -> Group:
    pair = [LITELLM, OURS_LITELLM]
    return _costs("calls through LiteLLM, 64 in flight", pair, 64, 1000, options)


def _extra_target(group: Group, flight: int) -> Target:
    extra = group.line(OURS.name).figures()["extra_ms"].median
    what = f"CPU ms per call above bare aiohttp, {flight} in flight"
    return Target(what, extra, {1: 0.6, 64: 0.2}[flight])


def _litellm_target(group: Group) -> Target:
    ratio = group.lines[1].ratio(group.floor, "cpu_ms")
    assert ratio is not None
    what = "CPU per call over LiteLLM, as a share of bare litellm.acompletion"
    return Target(what, ratio.median, 1.1)


def _costs(
    name: str, clients: list[Client], flight: int, n: int, options: Options, **settings: Any
) -> Group:
    job = {"n": options.count(n), "warm": options.count(50), "concurrency": flight}
    group = measure(
        name, clients, job, options, shown=_COSTS, compared=("cpu_ms",), latency=0, **settings
    )
    _add_extra(group)
    return group


def _add_extra(group: Group) -> None:
    """Add to each repetition the CPU above the floor's in the same repetition."""
    floors = [run["cpu_ms"] for run in group.floor.runs]
    for line in group.lines:
        runs = zip(line.runs, floors, strict=True)
        line.runs = [{**run, "extra_ms": run["cpu_ms"] - floor} for run, floor in runs]


def throughput(options: Options) -> Benchmark:
    """B2: latency 200 ms, which only many calls at once can hide."""
    found = Benchmark("B2", "Throughput at 200 ms")
    others = rivals.clients(options.rivals, options.tell)
    clients = [BARE, OURS, *others]
    for flight, n in ((256, 2048), (1000, 4096)):
        found.groups.append(_flights("", clients, flight, n, options))
    found.targets += _targets(found.groups[-1])
    if options.quick:
        return found
    refused = ", 2 % refused with a 429 (Retry-After: 1)"
    found.groups.append(
        _flights(refused, [BARE, OURS], 256, 1024, options, faults={"rate_limit": 0.02})
    )
    return found


def _flights(
    name: str, clients: list[Client], flight: int, n: int, options: Options, **settings: Any
) -> Group:
    n = max(options.count(n), 2 * flight)
    # Warm-up calls open the connections, which the calls measured then find.
    job = {"n": n, "warm": flight, "concurrency": flight}
    name = f"{n:,} calls, {flight:,} in flight{name}"
    shown = ("per_second", "peak", "cpu_ms", "mb", "requests")
    return measure(
        name, clients, job, options,
        shown=shown, compared=("per_second", "cpu_ms"), latency=0.2, **settings,
    )  # fmt: skip


def _targets(group: Group) -> list[Target]:
    ours = group.line(OURS.name)
    figures, ratio = ours.figures(), ours.ratio(group.floor, "per_second")
    assert ratio is not None
    calls = group.settings["n"]
    share = "calls/s at 1,000 in flight, as a share of bare aiohttp"
    return [
        Target(share, ratio.median, 0.7, at_most=False),
        Target("peak in flight that the server saw", figures["peak"].median, 950, at_most=False),
        Target(f"resident MB for {calls:,} calls", figures["mb"].median, 150),
    ]
