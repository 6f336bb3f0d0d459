"""The process that holds a whole program, which reads stdin and writes stdout."""

from __future__ import annotations

import os
import sys
import types

from archon.sandbox.inside import codec, errors
from archon.sandbox.inside.candidate import FILE
from archon.sandbox.inside.frames import Channel

__all__ = ["serve"]


def serve(channel: Channel) -> None:
    """Run one program to its end and say how it ended."""
    _, name, body = channel.receive()
    source = codec.decode(body)
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    said = None
    try:
        exec(compile(source, FILE, "exec", dont_inherit=True), module.__dict__)  # noqa: S102
    except SystemExit as error:
        if error.code not in (None, 0, False):
            said = errors.described(error, FILE)
    except BaseException as error:  # an outcome, whatever it is
        said = errors.described(error, FILE)
    try:
        sys.stdout.flush()
    except Exception:  # closed, or nobody reads any more
        said = said or ("OSError", "OSError", "stdout is closed", 0)
    channel.send(b"D" if said is None else b"E", name, b"" if said is None else codec.encode(said))
    os._exit(0)
