"""`python -m archon.testing.provider`: the provider as a process."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any, get_args

from archon.testing.provider.faults import FAULTS
from archon.testing.provider.running import serve
from archon.testing.provider.server import Server
from archon.testing.provider.settings import Many, Settings


def _shares(text: str) -> dict[str, float]:
    """Read `hang=0.1,closed=0.05`."""
    pairs = (pair.partition("=") for pair in text.split(","))
    return {name: float(share) for name, _, share in pairs}


def _names(text: str) -> list[str]:
    return text.split(",")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m archon.testing.provider",
        description="A provider that speaks the OpenAI protocol and misbehaves on demand.",
        argument_default=argparse.SUPPRESS,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1")
    add("--port", type=int, default=0, help="0: any that is free")
    add("--until-stdin-closes", action="store_true", default=False)
    add("--list-faults", action="store_true", default=False, help="show all faults and end")
    add("--settings", type=json.loads, default={}, help="all settings as a JSON object")
    add("--latency", type=float, help="seconds that each answer takes")
    add("--jitter", type=float, help="up to so many seconds more")
    add("--seed", type=int, help="of the faults and the jitter")
    add("--unique", action="store_true", help="make no two replies the same")
    add("--n", choices=get_args(Many), help="what to do about `n`")
    add("--faults", type=_shares, help="such as hang=0.1,closed=0.05")
    add("--fault-share", type=float, help="share of the requests that gets any fault")
    add("--kinds", type=_names, help="kinds and names of faults; -NAME takes one out")
    add("--max-in-a-row", type=int, help="faults in succession for one prompt")
    add("--one-shot", type=_names, help="faults of the first requests")
    add("--max-in-flight", type=int, help="refuse more than that with a 429")
    add("--rpm", type=float, help="refuse more than that in a minute with a 429")
    add("--burst", type=int, help="how many requests --rpm lets through at once")
    add("--api-key", help="refuse requests without it with a 401")
    add("--large-bytes", type=int, help="size of the text of `large_answer`")
    add("--bomb-bytes", type=int, help="inflated size of `gzip_bomb`")
    add("--drip-seconds", type=float, help="time between the parts of `slow_loris`")
    return parser


def _watch_stdin(stop: asyncio.Event) -> None:
    """Stop when stdin closes."""
    loop = asyncio.get_running_loop()

    def wait() -> None:
        # Not sys.stdin: its lock would be held when the interpreter ends.
        while os.read(0, 4096):
            pass
        loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=wait, daemon=True).start()


def _announce(url: str) -> None:
    sys.stdout.write(json.dumps({"url": url, "pid": os.getpid()}) + "\n")
    sys.stdout.flush()


async def _run(server: Server, options: dict[str, Any]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if options["until_stdin_closes"]:
        _watch_stdin(stop)
    await serve(server, options["host"], options["port"], stop, _announce)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run until a signal or, if asked, the end of stdin."""
    parser = _parser()
    options = vars(parser.parse_args(arguments))
    if options["list_faults"]:
        for fault in FAULTS.values():
            sys.stdout.write(f"{fault.name:18} {fault.kind:10} {fault.help}\n")
        return
    own = ("host", "port", "until_stdin_closes", "list_faults", "settings", "one_shot")
    changes = options["settings"] | {k: v for k, v in options.items() if k not in own}
    one_shot = changes.pop("one_shot", options.get("one_shot", ()))
    try:
        server = Server(Settings().changed(changes), one_shot)
    except ValueError as error:
        parser.error(str(error))
    asyncio.run(_run(server, options))


if __name__ == "__main__":
    main()
