"""Every test has its own ARCHON_HOME, no key, no network, and a session of its own."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "archon",
    deadline=None,  # the machine may be busy
    derandomize=True,  # a failure is a failure for everybody
    max_examples=int(os.environ.get("ARCHON_EXAMPLES", "8")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors],
    database=None,
)
settings.register_profile("archon-few", settings.get_profile("archon"), max_examples=1)
settings.load_profile("archon")

_connect = socket.socket.connect
_connect_ex = socket.socket.connect_ex


def _refuse_far(address: Any) -> None:
    host = address[0] if isinstance(address, tuple) else "localhost"  # else: a unix socket
    if host not in ("localhost", "::1") and not str(host).startswith("127."):
        raise AssertionError(f"a test tried to reach {address!r}; use the fake backend")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(self: socket.socket, address: Any) -> None:
        _refuse_far(address)
        _connect(self, address)

    def connect_ex(self: socket.socket, address: Any) -> int:
        _refuse_far(address)
        return _connect_ex(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket.socket, "connect_ex", connect_ex)


@pytest.fixture(autouse=True)
def archon_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that this test's pool lives in."""
    home = tmp_path / "archon-home"
    monkeypatch.setenv("ARCHON_HOME", str(home))
    for name in list(os.environ):
        if name.endswith(("_API_KEY", "_TOKEN", "_API_BASE")):
            monkeypatch.delenv(name)
    return home


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public data sets, which are never committed; without it the test is skipped.

    `ARCHON_TEST_DATA` names it; by default it is `shared/data` beside the checkout.
    """
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("ARCHON_TEST_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no public data sets in {folder.name!r}: set ARCHON_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def executes() -> None:
    """Skips the test where nothing may execute untrusted code: no Linux, or a kernel without."""
    from archon.sandbox import SandboxUnavailable, choose

    try:
        choose()
    except SandboxUnavailable as error:
        pytest.skip(str(error).splitlines()[0])


@pytest.fixture(autouse=True)
def _own_session(archon_home: Path) -> Iterator[None]:
    from archon import session

    yield
    if session._default is not None:
        session._default.close()
        session._default = None
