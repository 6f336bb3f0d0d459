"""Frames: a length, a kind, an id and a body; how the inside of a sandbox reads and writes them."""

from __future__ import annotations

import os
import struct

from archon.sandbox.inside.codec import SIZE

__all__ = ["HEAD", "MOST", "Channel", "pack"]

HEAD = struct.Struct(">Ic16s")
"""Length of the body, kind, id."""
MOST = SIZE
"""Bytes of one body."""


def pack(kind: bytes, name: bytes, body: bytes = b"") -> bytes:
    """Return a frame."""
    return HEAD.pack(len(body), kind, name) + body


class Channel:
    """Blocking frames over a descriptor."""

    def __init__(self, file: int) -> None:
        self._file = file

    def send(self, kind: bytes, name: bytes, body: bytes = b"") -> None:
        """Write a frame, whole."""
        data = memoryview(pack(kind, name, body))
        while data:
            data = data[os.write(self._file, data) :]

    def receive(self) -> tuple[bytes, bytes, bytes]:
        """Return kind, id and body of the next frame.

        Raises:
            EOFError: when the other side is gone.
        """
        length, kind, name = HEAD.unpack(self._take(HEAD.size))
        return kind, name, self._take(length)

    def _take(self, count: int) -> bytes:
        parts = []
        while count:
            part = os.read(self._file, min(count, 1 << 16))
            if not part:
                raise EOFError("the supervisor is gone")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)
