"""The provider at work: in a thread of this process, or as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from archon.testing.provider.server import Server
from archon.testing.provider.settings import Settings

__all__ = ["Provider", "ProviderProcess", "serve"]

_T = TypeVar("_T")
_BACKLOG = 4096


async def serve(
    server: Server, host: str, port: int, stop: asyncio.Event, ready: Callable[[str], None]
) -> None:
    """Serve until `stop` is set; `ready` is told the URL."""
    _more_files()
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(server.connect, host, port, backlog=_BACKLOG)
    try:
        address = listening.sockets[0].getsockname()
        ready(f"http://{address[0]}:{address[1]}")
        await stop.wait()
    finally:
        listening.close()
        await server.close()


def _more_files() -> None:
    """Allow as many open files as this user may have: each connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError):  # some systems allow less than they say
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Provider:
    """A provider in a thread of this process, with an event loop of its own.

    Args:
        host: address to listen on.
        port: 0 for any that is free.
        one_shot: names of the faults of the first requests, in order of arrival; "" is none.
        settings: see `Settings`.

    Raises:
        ValueError: for a setting or a fault that does not exist.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        one_shot: Iterable[str] = (),
        **settings: Any,
    ) -> None:
        self._server = Server(Settings().changed(settings), one_shot)
        self._address = host, port
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failure: OSError | None = None
        self.url = ""
        """Where it listens, such as `http://127.0.0.1:1234`; clients want `url + "/v1"`."""

    def __enter__(self) -> Provider:
        self._thread = threading.Thread(target=self._run, name="provider", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure:
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        assert self._thread is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop = None

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except OSError as error:
            self._failure = error
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        await serve(self._server, *self._address, self._stop, self._listening)

    def _listening(self, url: str) -> None:
        self.url = url
        self._ready.set()

    def stats(self) -> dict[str, Any]:
        """Return the counters of `GET /stats`."""
        return self._call(self._server.stats)

    def log(self) -> list[dict[str, Any]]:
        """Return the entries of `GET /log`."""
        return self._call(self._server.log)

    def reset(self) -> None:
        """Start counting again."""
        self._call(self._server.reset)

    def set(self, **changes: Any) -> None:
        """Change settings while it runs; `one_shot=[...]` adds to the queue of faults.

        Raises:
            ValueError: for what cannot be set; nothing is changed then.
        """
        self._call(lambda: self._server.set(changes))

    def _call(self, do: Callable[[], _T]) -> _T:
        """Do something in the server's loop, or here when that does not run."""
        if self._loop is None:
            return do()

        async def work() -> _T:
            return do()

        return asyncio.run_coroutine_threadsafe(work(), self._loop).result()


class ProviderProcess:
    """A provider as a process of its own, which survives the client that it is asked by.

    It ends with the context, or with the process that started it.

    Args:
        port: 0 for any that is free.
        one_shot: names of the faults of the first requests; "" is none.
        settings: see `Settings`; all but `script`.
    """

    def __init__(self, *, port: int = 0, one_shot: Iterable[str] = (), **settings: Any) -> None:
        Settings().changed(settings)
        values = json.dumps({**settings, "one_shot": list(one_shot)})
        self._command = [sys.executable, "-m", "archon.testing.provider", "--port", str(port)]
        self._command += ["--settings", values, "--until-stdin-closes"]
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""
        """Where it listens."""
        self.pid = 0
        """Its process id."""

    def __enter__(self) -> ProviderProcess:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(self._command, stdin=pipe, stdout=pipe)  # noqa: S603 (ours)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            self._close()
            raise RuntimeError(f"the provider ended with code {code} before it listened")
        said = json.loads(line)
        self.url, self.pid = said["url"], said["pid"]
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait()
        self._close()

    def _close(self) -> None:
        assert self._process is not None
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def stats(self) -> dict[str, Any]:
        """Return the counters of `GET /stats`."""
        found: dict[str, Any] = self._fetch("GET", "/stats")
        return found

    def log(self) -> list[dict[str, Any]]:
        """Return the entries of `GET /log`."""
        found: list[dict[str, Any]] = self._fetch("GET", "/log")
        return found

    def reset(self) -> None:
        """Start counting again."""
        self._fetch("POST", "/reset")

    def set(self, **changes: Any) -> None:
        """Change settings while it runs; `one_shot=[...]` adds to the queue of faults.

        Raises:
            ValueError: for what cannot be set; nothing is changed then.
        """
        self._fetch("POST", "/settings", changes)

    def _fetch(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"))
        try:
            connection.request(method, path, json.dumps(body or {}))
            answer = connection.getresponse()
            value = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != 200:
            raise ValueError(value["error"]["message"])
        return value
