"""The seccomp program, interpreted here: it decides as it should on both architectures."""

from __future__ import annotations

import errno
import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archon.sandbox.inside.seccomp import Filter
from archon.sandbox.inside.syscalls import ARCHITECTURES, DENIED, LAST, Architecture

PID = 4321
ALLOW, KILL = "allow", "kill"


def interpret(program: bytes, audit: int, number: int, args: Sequence[int] = ()) -> str:
    """Run classic BPF on `struct seccomp_data`; an independent reading of its manual page."""
    words = [*args, *[0] * (6 - len(args))]
    data = struct.pack("=iIQ6Q", number if number < 1 << 31 else number - (1 << 32), audit, 0,
                       *[word & (1 << 64) - 1 for word in words])  # fmt: skip
    steps = list(struct.iter_unpack("=HBBI", program))
    at = accumulator = 0
    for _ in range(5000):
        code, yes, no, value = steps[at]
        at += 1
        if code == 0x20:  # BPF_LD | BPF_W | BPF_ABS
            (accumulator,) = struct.unpack_from("=I", data, value)
        elif code == 0x15:  # BPF_JMP | BPF_JEQ | BPF_K
            at += yes if accumulator == value else no
        elif code == 0x35:  # BPF_JMP | BPF_JGE | BPF_K
            at += yes if accumulator >= value else no
        elif code == 0x54:  # BPF_ALU | BPF_AND | BPF_K
            accumulator &= value
        elif code == 0x06:  # BPF_RET | BPF_K
            return {0x7FFF0000: ALLOW, 0x80000000: KILL}.get(value) or errno.errorcode[
                value & 0xFFFF
            ]
        else:
            raise AssertionError(f"unknown instruction {code:#x}")
    raise AssertionError("it does not end")


@pytest.fixture(params=sorted(ARCHITECTURES))
def machine(request: pytest.FixtureRequest) -> Architecture:
    return ARCHITECTURES[request.param]


def decide(machine: Architecture, name: str | int, *args: int) -> str:
    number = (machine.denied | machine.ruled)[name] if isinstance(name, str) else name
    return interpret(Filter(machine).for_process(PID), machine.audit, number, args)


def test_whatever_is_denied_is_denied(machine: Architecture) -> None:
    for name in machine.denied:
        assert decide(machine, name, 1, 2, 3) == "EPERM", name


def test_the_tables_name_the_same_calls() -> None:
    """What aarch64 lacks are the old forms, whose newer ones it has."""
    old = {
        "fork", "vfork", "chmod", "chown", "lchown", "utime", "utimes", "futimesat", "mkdir",
        "rmdir", "unlink", "rename", "link", "symlink", "mknod", "creat", "inotify_init",
        "modify_ldt", "uselib", "sysfs", "_sysctl", "ustat", "iopl", "ioperm",
    }  # fmt: skip
    assert set(DENIED) - set(ARCHITECTURES["aarch64"].denied) == old
    assert ARCHITECTURES["x86_64"].ruled.keys() == ARCHITECTURES["aarch64"].ruled.keys()
    for machine in ARCHITECTURES.values():
        numbers = [*machine.denied.values(), *machine.ruled.values()]
        assert len(set(numbers)) == len(numbers)


# Numbers from the kernel's tables: read, write, openat, close, mmap, brk, futex, exit_group,
# getrandom, clock_gettime, statx, pipe2, epoll_create1.
HARMLESS = {
    "x86_64": (0, 1, 257, 3, 9, 12, 202, 231, 318, 228, 332, 293, 291),
    "aarch64": (63, 64, 56, 57, 222, 214, 98, 94, 278, 113, 291, 59, 20),
}


def test_what_an_interpreter_needs_is_allowed(machine: Architecture) -> None:
    for number in HARMLESS[machine.name]:
        assert decide(machine, number, 1, 2, 3) == ALLOW, number


def test_another_table_ends_the_process(machine: Architecture) -> None:
    program = Filter(machine).for_process(PID)
    assert interpret(program, 0x40000003, 20) == KILL  # i386
    if machine.name == "x86_64":
        assert interpret(program, machine.audit, 0x40000000 | 39) == KILL


def test_signals_reach_only_the_process_itself_and_never_kill(machine: Architecture) -> None:
    assert decide(machine, "kill", PID, 15) == ALLOW
    assert decide(machine, "kill", PID, 9) == "EPERM"
    assert decide(machine, "tgkill", PID, PID, 6) == ALLOW
    assert decide(machine, "tgkill", PID, PID, 9) == "EPERM"
    for pid in (1, PID + 1, 0, -1, -PID):
        assert decide(machine, "kill", pid, 0) == "EPERM"
        assert decide(machine, "tgkill", pid, PID, 0) == "EPERM"


def test_threads_are_allowed_and_processes_are_not(machine: Architecture) -> None:
    assert decide(machine, "clone", 0x3D0F00) == ALLOW  # what pthread_create passes
    assert decide(machine, "clone", 17) == "EPERM"
    assert decide(machine, "clone", 0x4111) == "EPERM"  # vfork and a namespace
    assert decide(machine, "clone3", 0) == "ENOSYS"


def test_limits_are_read_and_only_the_stack_is_set(machine: Architecture) -> None:
    assert decide(machine, "prlimit64", 0, 7, 0, 99) == ALLOW
    assert decide(machine, "prlimit64", 0, 7, 99, 0) == "EPERM"
    assert decide(machine, "prlimit64", 0, 7, 99 << 32, 0) == "EPERM"
    assert decide(machine, "prlimit64", 0, 3, 99, 0) == ALLOW
    assert decide(machine, "prlimit64", PID + 1, 3, 99, 0) == "EPERM"
    assert decide(machine, "setrlimit", 3, 99) == ALLOW
    assert decide(machine, "setrlimit", 0, 99) == "EPERM"


def test_no_message_goes_to_an_address(machine: Architecture) -> None:
    assert decide(machine, "sendto", 5, 99, 1, 0, 0, 0) == ALLOW
    assert decide(machine, "sendto", 5, 99, 1, 0, 99, 16) == "EPERM"
    assert decide(machine, "sendto", 5, 99, 1, 0, 99 << 32, 16) == "EPERM"
    assert decide(machine, "socketpair", 1, 1, 0) == ALLOW
    assert decide(machine, "socketpair", 2, 1, 0) == "EPERM"


def test_options_that_reach_out_are_denied(machine: Architecture) -> None:
    for option in (1, 4, 22, 62):
        assert decide(machine, "prctl", option, 0) == "EPERM"
    assert decide(machine, "prctl", 15, 99) == ALLOW  # the thread's name
    for command in (8, 10, 15, 6, 7, 37, 38):
        assert decide(machine, "fcntl", 3, command, 1) == "EPERM"
    assert decide(machine, "fcntl", 3, 3) == ALLOW  # F_GETFL
    # TIOCSTI, FIOASYNC, PIDFD_GET_NET_NAMESPACE, FS_IOC_SETFLAGS, one that nobody has
    for request in (0x5412, 0x5452, 0xFF04, 0x40086602, 0xFFFFFFFF):
        assert decide(machine, "ioctl", 0, request) == "EPERM"
    # TCGETS (is it a terminal?), TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX
    for request in (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451):
        assert decide(machine, "ioctl", 0, request) == ALLOW
    assert decide(machine, "getsockopt", 3, 1, 77) == "EPERM"  # SO_PEERPIDFD
    assert decide(machine, "getsockopt", 3, 1, 3) == ALLOW  # SO_TYPE


def test_urgent_bytes_are_denied(machine: Architecture) -> None:
    for flags in (1, 1 | 0x4000):  # MSG_OOB, with MSG_NOSIGNAL
        assert decide(machine, "sendto", 5, 99, 1, flags, 0, 0) == "EPERM"
        assert decide(machine, "recvfrom", 5, 99, 1, flags, 0, 0) == "EPERM"
    assert decide(machine, "sendto", 5, 99, 1, 0x4000, 0, 0) == ALLOW
    assert decide(machine, "recvfrom", 5, 99, 1, 0x40, 0, 0) == ALLOW


def test_calls_of_later_kernels_are_absent(machine: Architecture) -> None:
    for number in (LAST + 1, 500, 4000, 0x3FFFFFFF):
        assert decide(machine, number) == "ENOSYS"
    assert decide(machine, "file_setattr") == "EPERM"


@given(st.sampled_from(sorted(ARCHITECTURES)), st.integers(0, 500), st.integers(0, 2**64 - 1))
def test_every_number_is_decided(name: str, number: int, argument: int) -> None:
    machine = ARCHITECTURES[name]
    found = interpret(Filter(machine).for_process(PID), machine.audit, number, [argument] * 6)
    if number > LAST:
        assert found == "ENOSYS"
    elif number in machine.denied.values():
        assert found == "EPERM"
    elif number not in machine.ruled.values():
        assert found == ALLOW
