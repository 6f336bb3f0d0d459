"""The probe: harmless attacks that show whether a backend keeps code in.

The attacks run inside, as any candidate would. What they reach on the host is observed from
outside wherever that can be seen; what they read comes back as text and is searched for the secret
that was planted.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from archon.sandbox.faults import Infrastructure
from archon.sandbox.launching import ENVIRONMENT, Launch
from archon.sandbox.programs import execute
from archon.sandbox.reports import Limits
from archon.sandbox.workers import Worker

__all__ = ["CANARIES", "Canary", "probe"]


@dataclass(frozen=True, slots=True)
class Canary:
    """One harmless attack.

    Attributes:
        name: what it tries.
        code: body of a function with `place`, the planted things; it returns a text that tells
            of success, or raises.
    """

    name: str
    code: str


CANARIES = (
    Canary("read a secret file", "return open(place['secret']).read()"),
    Canary("list a private folder", "return ' '.join(os.listdir(place['folder']))"),
    Canary(
        "read the supervisor's environment",
        "return open(f\"/proc/{place['pid']}/environ\", 'rb').read().decode('latin1') + ' environ'",
    ),
    Canary(
        "find secrets in its own environment",
        "return ' '.join(k for k in os.environ if k not in place['environment'])",
    ),
    Canary(
        "find open descriptors",
        "found = []\n"
        "for n in range(4, 64):\n"
        "    try: os.fstat(n)\n"
        "    except OSError: continue\n"
        "    if not os.path.isdir(n): found.append(n)\n"
        "return ' '.join(map(str, found))",
    ),
    Canary("write a file", "open(place['written'], 'w').write('x')"),
    Canary("change a file's mode", "os.chmod(place['secret'], 0o777); return 'changed'"),
    Canary(
        "connect by TCP",
        "import socket\nsocket.create_connection(('127.0.0.1', place['tcp']), 1).send(b'x')",
    ),
    Canary(
        "send by UDP",
        "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM)"
        ".sendto(b'x', ('127.0.0.1', place['udp']))",
    ),
    Canary(
        "connect to a unix socket",
        "import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect(place['unix'])",
    ),
    Canary(
        "connect to an abstract socket",
        "import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect('\\0' + place['abstract'])",
    ),
    Canary("signal the supervisor", "os.kill(place['pid'], 0); return 'signalled'"),
    Canary(
        "fork",
        "pid = os.fork()\nif pid == 0: os._exit(0)\nos.waitpid(pid, 0); return 'forked'",
    ),
    Canary(
        "run another program",
        "import subprocess\nreturn subprocess.run(['/bin/sh', '-c', 'echo ran'],"
        " capture_output=True, text=True).stdout",
    ),
    Canary(
        "make a user namespace",
        "import ctypes\nreturn '' if ctypes.CDLL(None).unshare(0x10000000) else 'made'",
    ),
    Canary(
        "set up io_uring",
        "import ctypes\nb = ctypes.create_string_buffer(256)\n"
        "return '' if ctypes.CDLL(None).syscall(425, 1, b) < 0 else 'set up'",
    ),
    Canary(
        "use unlimited memory",
        "import resource\n"
        "return '' if 0 < resource.getrlimit(resource.RLIMIT_AS)[1] < 1 << 33 else 'unlimited'",
    ),
)
"""What a backend of level 2 or more has to refuse."""

_PROGRAM = """\
import json, os
place = json.loads(input())
found = {{}}
{functions}
for name, attack in attacks:
    try:
        found[name] = attack() or ""
    except BaseException:  # whatever stops an attack, it has not come through
        found[name] = ""
print(json.dumps(found))
"""


def _program() -> str:
    lines = ["attacks = []"]
    for number, canary in enumerate(CANARIES):
        body = "\n".join(f"    {line}" for line in canary.code.splitlines())
        lines.append(f"def attack_{number}():\n{body}")
        lines.append(f"attacks.append(({canary.name!r}, attack_{number}))")
    return _PROGRAM.format(functions="\n".join(lines))


class _Host:
    """Things planted on this side, and whether something has touched them."""

    def __init__(self, stack: ExitStack) -> None:
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="archon-probe-")))
        self.secret = secrets.token_hex(8)
        self._file = self.folder / "secret"
        self._file.write_text(self.secret, encoding="utf-8")
        self._file.chmod(0o644)
        self.folder.chmod(0o755)
        self._written = self.folder / "written"
        stream, datagram, unix = socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.AF_UNIX
        self._tcp = self._listening(stack, socket.AF_INET, stream, ("127.0.0.1", 0))
        self._udp = self._listening(stack, socket.AF_INET, datagram, ("127.0.0.1", 0))
        self._path = self._listening(stack, unix, stream, str(self.folder / "socket"))
        name = f"archon-{self.secret}"
        self._abstract = self._listening(stack, unix, stream, "\0" + name)
        (self.folder / "socket").chmod(0o777)
        self.place = {
            "secret": str(self._file),
            "folder": str(self.folder),
            "written": str(self._written),
            "tcp": self._tcp.getsockname()[1],
            "udp": self._udp.getsockname()[1],
            "unix": str(self.folder / "socket"),
            "abstract": name,
            "pid": os.getpid(),
        }

    def _listening(
        self, stack: ExitStack, family: int, kind: int, address: object
    ) -> socket.socket:
        made = stack.enter_context(socket.socket(family, kind))
        made.bind(address)  # type: ignore[arg-type]  # of the family's form
        if kind == socket.SOCK_STREAM:
            made.listen()
        made.setblocking(False)
        return made

    def touched(self) -> list[str]:
        """Return the names of canaries whose effect can be seen from here."""
        seen: list[tuple[str, Callable[[], object]]] = [
            ("connect by TCP", self._tcp.accept),
            ("send by UDP", lambda: self._udp.recv(1)),
            ("connect to a unix socket", self._path.accept),
            ("connect to an abstract socket", self._abstract.accept),
        ]
        found = []
        for name, look in seen:
            with suppress(BlockingIOError):
                result = look()
                found.append(name)
                if isinstance(result, tuple):
                    result[0].close()
        if self._written.exists():
            found.append("write a file")
        if self._file.stat().st_mode & 0o777 != 0o644:
            found.append("change a file's mode")
        return found


async def probe(launch: Launch) -> list[str]:
    """Return the names of the canaries that came through; none is what a backend has to show.

    Raises:
        Infrastructure: when nothing could be run in it at all.
    """
    with ExitStack() as stack:
        host = _Host(stack)
        place = {**host.place, "environment": [*ENVIRONMENT, "LC_CTYPE", "PWD"]}
        worker = await Worker.start(launch)
        try:
            found = await execute(_program(), json.dumps(place) + "\n", Limits(), worker)
            again = await execute("print(6 * 7)", "", Limits(), worker)
        finally:
            worker.close()
        if found.outcome != "pass" or again.stdout != "42\n":
            said = found.detail or again.detail or found.outcome
            raise Infrastructure(f"a harmless program did not run in it: {said}")
        told = json.loads(found.stdout)
        names = [canary.name for canary in CANARIES]
        touched = {*host.touched(), *(name for name in names if told.get(name))}
        return [name for name in names if name in touched]
