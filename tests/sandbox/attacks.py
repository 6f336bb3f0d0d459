"""The hostile corpus: what code might try, and whether anything of it reached the host.

Every attack is harmless: it goes for things that were planted for it. Run as a program it tries
them all in one backend and prints, as JSON, what came through; it is started with the secret in
its environment, since that is where API keys are.

An attack is the body of a program that has `place` (what was planted), `call(name, …)` (a raw
system call) and `effect(what)`, by which it says that it got somewhere. What it prints is searched
for the secret, and the host looks for itself.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import platform
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from archon.sandbox import BACKENDS, Limits, Sandbox
from archon.sandbox.containers import configured
from archon.sandbox.inside.syscalls import ARCHITECTURES

SECRET = "ARCHON_PLANTED_API_KEY"

HEAD = """\
import json, os, sys, ctypes, errno
place = json.loads(sys.stdin.readline())
libc = ctypes.CDLL(None, use_errno=True)
def effect(what="done"):
    print("EFFECT", what, flush=True)
def call(name, *args):
    number = place["calls"][name] if isinstance(name, str) else name
    result = libc.syscall(ctypes.c_long(number), *args)
    return result, ctypes.get_errno()
def tried(name, *args):
    result, error = call(name, *args)
    if result >= 0:
        effect(f"{name} returned {result}")
    elif error not in (errno.EPERM, errno.EACCES, errno.ENOSYS):
        effect(f"{name} was let through to the kernel: {errno.errorcode.get(error)}")
"""

ATTACKS: dict[str, str] = {
    # processes
    "fork many": """
        for _ in range(20):
            if os.fork() == 0: os._exit(0)
            effect()""",
    "posix_spawn": "os.posix_spawn('/bin/true', ['true'], {}); effect()",
    "run a shell": """
        import subprocess
        print(subprocess.run(['/bin/sh', '-c', 'echo EFFECT ran'], capture_output=True).stdout)""",
    "exec": "os.execv('/bin/echo', ['echo', 'EFFECT'])",
    "exec the interpreter": "os.execv(sys.executable, ['python', '-c', 'print(\"EFFECT\")'])",
    "exec a set-user-id binary": "os.execv('/usr/bin/passwd', ['passwd', '--help'])",
    "exec by descriptor": """
        f = os.open('/bin/echo', os.O_RDONLY)
        os.execve(f, ['echo', 'EFFECT'], {})""",
    "multiprocessing": """
        import multiprocessing
        p = multiprocessing.get_context('fork').Process(target=print, args=('EFFECT',))
        p.start(); effect(); p.join(1)""",
    "raw clone": """
        r, e = call('clone', 17, 0, 0, 0, 0)
        if r == 0: os._exit(0)
        if r > 0: effect()""",
    "raw clone3": """
        a = (ctypes.c_uint64 * 11)(*([0] * 11)); a[4] = 17
        r, e = call('clone3', ctypes.byref(a), 88)
        if r == 0: os._exit(0)
        if r > 0: effect()""",
    "daemon that outlives the run": """
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                import time; time.sleep(5)
            os._exit(0)
        effect()""",
    "thread bomb": """
        import threading, time
        threading.stack_size(32768)
        n = 0
        try:
            for n in range(2500):
                threading.Thread(target=time.sleep, args=(9,), daemon=True).start()
        except BaseException: pass
        if n > 2000: effect(n)
        os._exit(0)""",
    # resources
    "memory bomb": "b = bytearray(1500 << 20); effect(len(b))",
    "memory bomb by mmap": "import mmap; m = mmap.mmap(-1, 1500 << 20); effect()",
    "memory bomb by lists": """
        a = []
        for _ in range(1500): a.append(bytearray(1 << 20))
        effect()""",
    "loop that ignores signals": """
        import signal
        for s in range(1, 32):
            try: signal.signal(s, signal.SIG_IGN)
            except OSError: pass
        while True: pass""",
    "sleep for ever": "import time; time.sleep(1e6)",
    "loop in C": "import re; re.match(r'(a|a)*b', 'a' * 60)",
    "flood stdout": "\n        while True: os.write(1, b'x' * 65536)",
    "flood stderr": "\n        for _ in range(1024): os.write(2, b'x' * 65536)",
    "open many files": """
        n = 0
        try:
            for n in range(5000): os.open('/dev/null', os.O_RDONLY)
        except OSError: pass
        if n > 200: effect(n)""",
    "raise the limits": """
        import resource
        for r in (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_NOFILE):
            try: resource.setrlimit(r, (resource.RLIM_INFINITY,) * 2); effect(r)
            except (ValueError, OSError): pass""",
    "lock memory": """
        import mmap
        m = mmap.mmap(-1, 64 << 20)
        a = ctypes.addressof(ctypes.c_char.from_buffer(m))
        if libc.mlock(ctypes.c_void_p(a), 64 << 20) == 0: effect()
        if libc.mlockall(3) == 0: effect()""",
    "many pipes of a megabyte": """
        import fcntl
        n = 0
        try:
            for n in range(200):
                r, w = os.pipe(); fcntl.fcntl(w, 1031, 1 << 20); os.write(w, bytes(1 << 20))
        except OSError: pass
        if n > 64: effect(n)""",
    "lower the limits": """
        import resource
        resource.setrlimit(resource.RLIMIT_CPU, (0, 0)); effect()""",
    "segfault": "ctypes.string_at(0)",
    "core dump": "libc.abort()",
    "raise the priority": "os.setpriority(os.PRIO_PROCESS, 0, -5); effect()",
    # files
    "read a file": "print(open(place['secret']).read())",
    "read a file by mmap": """
        import mmap
        f = os.open(place['secret'], os.O_RDONLY); print(mmap.mmap(f, 0, prot=1)[:])""",
    "read the password file": "print(open('/etc/passwd').read()); effect()",
    "list a folder": "print(os.listdir(place['folder'])); effect()",
    "list the root": "print(os.listdir('/')); effect()",
    "read by a path with dots": "print(open('/usr/lib/..' + '/..' + place['secret']).read())",
    "open a folder, then below": """
        f = os.open(place['folder'], os.O_PATH)
        print(os.read(os.open('secret', os.O_RDONLY, dir_fd=f), 99))""",
    "read the home folder": "print(os.listdir(place['home'])); effect()",
    "write a file": "open(place['free'] + '/new', 'w').write('x'); effect()",
    "write over a file": "open(place['open'], 'w').write('x'); effect()",
    "append to a file": "open(place['open'], 'a').write('x'); effect()",
    "truncate a file": "os.truncate(place['open'], 0); effect()",
    "delete a file": "os.unlink(place['open']); effect()",
    "rename a file": "os.rename(place['open'], place['free'] + '/b'); effect()",
    "change a file's mode": "os.chmod(place['open'], 0); effect()",
    "change a file's owner": "os.chown(place['open'], os.getuid(), os.getgid()); effect()",
    "change a file's times": "os.utime(place['open'], (1, 1)); effect()",
    "set an attribute": "os.setxattr(place['open'], 'user.x', b'x'); effect()",
    "read an attribute": "print(os.getxattr(place['secret'], 'user.key')); effect()",
    "list attributes": "print(os.listxattr(place['secret'])); effect()",
    "open by its own descriptor": """
        f = os.open(json.__file__, os.O_RDONLY)
        os.open(f'/proc/self/fd/{f}', os.O_RDWR); effect()""",
    "up from a folder's descriptor": """
        for n in range(64):
            try: print(os.listdir(os.open('../../..', os.O_RDONLY, dir_fd=n))); effect(n)
            except OSError: pass""",
    "give a device another number": """
        import fcntl
        fcntl.ioctl(os.open(json.__file__, os.O_RDONLY), 0x40086602, bytes(8)); effect()""",
    "hard link": "os.link(place['open'], place['free'] + '/l'); effect()",
    "plant a symbolic link": "os.symlink(place['secret'], place['free'] + '/s'); effect()",
    "make a folder": "os.mkdir(place['free'] + '/d'); effect()",
    "make a pipe": "os.mkfifo(place['free'] + '/p'); effect()",
    "make a device": "os.mknod(place['free'] + '/n', 0o020666, os.makedev(1, 3)); effect()",
    "fill the disk": """
        f = open(place['free'] + '/big', 'wb')
        for _ in range(64): f.write(b'x' * 65536)
        effect()""",
    "write to /tmp": "open('/tmp/archon-attack', 'w').write('x'); effect()",
    "write to shared memory": "open('/dev/shm/archon-attack', 'w').write('x'); effect()",
    "temporary file": "import tempfile; tempfile.TemporaryFile().write(b'x'); effect()",
    "poison the standard library": """
        import json.decoder as m
        open(m.__file__, 'a').write('#'); effect()""",
    "poison a cache of bytecode": """
        import json
        folder = os.path.dirname(json.__file__) + '/__pycache__'
        open(folder + '/evil.pyc', 'wb').write(b'x'); effect()""",
    "write a device": "os.open('/dev/kmsg', os.O_WRONLY); effect()",
    "read memory devices": "os.open('/dev/mem', os.O_RDONLY); effect()",
    "open a GPU": "os.open('/dev/nvidiactl', os.O_RDWR); effect()",
    "open a terminal": "os.open('/dev/tty', os.O_RDWR); effect()",
    "lock a file": """
        import fcntl
        fcntl.flock(open(json.__file__), fcntl.LOCK_EX); effect()""",
    "lock a file by region": """
        import fcntl
        fcntl.lockf(open(json.__file__), fcntl.LOCK_SH); effect()""",
    "watch files": "tried('inotify_init1', 0)",
    "open by handle": """
        b = ctypes.create_string_buffer(256)
        tried('open_by_handle_at', -100, b, 0)""",
    # other processes
    "the supervisor's environment": "print(open(f\"/proc/{place['pid']}/environ\").read())",
    "the parent's environment": "print(open(f'/proc/{os.getppid()}/environ').read())",
    "its own environment": "print(dict(os.environ)); print(open('/proc/self/environ').read())",
    "memory of the supervisor": "open(f\"/proc/{place['pid']}/mem\", 'rb'); effect()",
    "its own memory by a file": "open('/proc/self/mem', 'r+b'); effect()",
    "root of another process": """
        print(open(f"/proc/{place['pid']}/root" + place['secret']).read())""",
    "descriptors of the supervisor": "print(os.listdir(f\"/proc/{place['pid']}/fd\")); effect()",
    "inherited descriptors": """
        for n in range(4, 300):
            try: s = os.fstat(n)
            except OSError: continue
            import stat
            if not stat.S_ISDIR(s.st_mode): effect(n)""",
    "exec a file in memory": """
        r, e = call('memfd_create', b'x', 0)
        if r >= 0: os.write(r, b'#!/bin/sh\\necho EFFECT'); os.execve(r, ['x'], {})
        tried('execveat', 0, b'', None, None, 0x1000)""",
    "attach to each process": """
        for pid in range(1, 400):
            r, e = call('ptrace', 16, pid, 0, 0)
            if r >= 0: effect(pid)""",
    "stop each process": """
        import signal
        for pid in [*range(1, 400), os.getppid(), place['victim'], 0, -1]:
            if pid == os.getpid(): continue
            try: os.kill(pid, signal.SIGSTOP); effect(pid)
            except OSError: pass""",
    "share a core's time": "\n        if libc.prctl(62, 1, 0, 2, 0) == 0: effect()",
    "search its own memory": """
        import gc
        for o in gc.get_objects():
            if isinstance(o, dict):
                for k, v in list(o.items()):
                    if isinstance(v, (str, bytes)) and k != 'HEAD' and len(v) < 4000: print(v)""",
    "signal the supervisor": "os.kill(place['pid'], 0); effect()",
    "kill another process": "os.kill(place['victim'], 9); effect()",
    "signal the parent": "os.kill(os.getppid(), 0); effect()",
    "signal everybody": "os.kill(-1, 0); effect()",
    "signal the group": "os.killpg(os.getpgid(0), 0); effect()",
    "kill itself beyond explanation": "os.kill(os.getpid(), 9)",
    "kill by tgkill": "tried('tgkill', place['victim'], place['victim'], 15)",
    "kill by tkill": "tried('tkill', place['victim'], 15)",
    "kill by queue": """
        b = ctypes.create_string_buffer(128)
        tried('rt_sigqueueinfo', place['victim'], 15, b)""",
    "kill by handle": """
        r, e = call('pidfd_open', place['victim'], 0)
        if r >= 0: effect(); call('pidfd_send_signal', r, 9, None, 0)""",
    "kill by the owner of a socket": """
        import socket, fcntl
        a, b = socket.socketpair()
        fcntl.fcntl(a, 8, place['victim']); effect()
        fcntl.fcntl(a, 10, 15); fcntl.fcntl(a, fcntl.F_SETFL, os.O_ASYNC); b.send(b'x')""",
    "kill by a timer": """
        b = ctypes.create_string_buffer(64); t = ctypes.c_int()
        tried('timer_create', 0, b, ctypes.byref(t))""",
    "outlive its worker": """
        if libc.prctl(1, 0, 0, 0, 0) == 0: effect()""",
    "be dumpable again": "\n        if libc.prctl(4, 1, 0, 0, 0) == 0: effect()",
    "ptrace": "tried('ptrace', 16, place['victim'], 0, 0)",
    "read another process's memory": """
        b = ctypes.create_string_buffer(64)
        tried('process_vm_readv', place['victim'], b, 1, b, 1, 0)""",
    "limits of another process": "tried('prlimit64', place['victim'], 7, None, None)",
    "move descriptors": "tried('pidfd_getfd', 0, 1, 0)",
    "new session": "os.setsid(); effect()",
    "bind another process to a core": "os.sched_setaffinity(place['victim'], {0}); effect()",
    "slow another process down": "os.setpriority(os.PRIO_PROCESS, place['victim'], 9); effect()",
    "leave its group": "os.setpgid(0, 0); effect()",
    # network
    "TCP": """
        import socket
        s = socket.socket(); s.connect(('127.0.0.1', place['tcp'])); effect()""",
    "UDP": """
        import socket
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.sendto(b'x', ('127.0.0.1', place['udp'])); effect()""",
    "listen": """
        import socket
        s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); effect()""",
    "unix socket": """
        import socket
        s = socket.socket(socket.AF_UNIX); s.connect(place['unix']); effect()""",
    "abstract socket": """
        import socket
        s = socket.socket(socket.AF_UNIX); s.connect('\\0' + place['abstract']); effect()""",
    "datagram from a pair": """
        import socket
        a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        a.sendto(b'x', place['datagram']); effect()""",
    "message from a pair": """
        import socket
        a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        a.sendmsg([b'x'], [], 0, place['datagram']); effect()""",
    "raw socket": "import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1); effect()",
    "netlink": "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0); effect()",
    "vsock": "import socket; socket.socket(40, socket.SOCK_STREAM); effect()",
    "host names": "import socket; print(socket.getaddrinfo('example.com', 80)); effect()",
    "pass a descriptor": """
        import socket, array
        socket.socket(fileno=3).sendmsg([b'x'], [(1, 1, array.array('i', [0]))]); effect()""",
    "handle of the supervisor": """
        b = ctypes.c_int(); size = ctypes.c_int(4)
        tried('getsockopt', 3, 1, 77, ctypes.byref(b), ctypes.byref(size))""",
    "options of the channel": """
        import socket
        socket.socket(fileno=3).setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1 << 20)
        effect()""",
    "urgent bytes": """
        import socket
        a, b = socket.socketpair()
        a.send(b'x', socket.MSG_OOB); effect()""",
    "urgent bytes to the supervisor": """
        import socket
        socket.socket(fileno=3).send(b'x', socket.MSG_OOB); effect()""",
    "receive descriptors": """
        import socket
        socket.socket(fileno=3).recvmsg(9, 64, socket.MSG_DONTWAIT); effect()""",
    "hang up the supervisor": """
        import socket
        socket.socket(fileno=3).shutdown(socket.SHUT_RDWR)""",
    "descriptors of the worker": """
        for n in (62, 63, 200, 201, 202, 203):
            try: os.write(n, b'F' * 30); effect(n)
            except OSError: pass""",
    # kernel
    "user namespace": "tried('unshare', 0x10000000)",
    "mount namespace": "tried('unshare', 0x00020000)",
    "enter a namespace": "tried('setns', 0, 0)",
    "mount": "tried('mount', b'none', b'/', b'tmpfs', 0, None)",
    "new mount interface": "tried('fsopen', b'tmpfs', 0)",
    "chroot": "os.chroot('/'); effect()",
    "io_uring": """
        b = ctypes.create_string_buffer(256)
        tried('io_uring_setup', 1, b)""",
    "keyring": "tried('add_key', b'user', b'archon', b'x', 1, -2)",
    "read keys": "tried('keyctl', 0, -3, 0, 0, 0)",
    "bpf": """
        b = ctypes.create_string_buffer(256)
        tried('bpf', 0, b, 128)""",
    "perf events": """
        b = ctypes.create_string_buffer(256)
        tried('perf_event_open', b, 0, -1, -1, 0)""",
    "userfaultfd": "tried('userfaultfd', 1)",
    "file in memory": "tried('memfd_create', b'x', 0)",
    "shared memory of System V": "tried('shmget', 0, 4096, 0o1777)",
    "queue of System V": "tried('msgget', 0, 0o1666)",
    "semaphore of System V": "tried('semget', 0, 1, 0o1666)",
    "POSIX queue": "tried('mq_open', b'archon', 0o102, 0o666, None)",
    "become root": "os.setuid(0); effect()",
    "type into the terminal": """
        import fcntl
        fcntl.ioctl(0, 0x5412, b'x'); effect()""",
    "set the clock": "tried('clock_settime', 0, None)",
    "set the host name": "tried('sethostname', b'x', 1)",
    "reboot": "tried('reboot', 0, 0, 0, 0)",
    "load a module": "tried('finit_module', -1, b'', 0)",
    "kernel log": "tried('syslog', 10, None, 0)",
    "personality": "tried('personality', 0x0040000)",
    "asynchronous input": """
        c = ctypes.c_ulong()
        tried('io_setup', 1, ctypes.byref(c))""",
    "splice": "\n        r, w = os.pipe()\n        tried('tee', r, w, 1, 0)",
    "another filter": "\n        if libc.prctl(22, 1, 0, 0, 0) == 0: effect()",
}
"""Attacks by name."""

if platform.machine() == "x86_64":
    ATTACKS |= {
        "second system call table": "r, e = call(0x40000000 | 39); effect(r)",
        "32-bit system calls": """
            import mmap
            m = mmap.mmap(-1, 4096, prot=7)
            m.write(bytes.fromhex('b814000000cd80c3'))
            f = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))
            effect(f())""",
    }

SLOW = ("loop that ignores signals", "sleep for ever", "loop in C")
"""Those that end at their limit only."""

SUCCEED_WITHOUT = (
    "fork many", "run a shell", "read a file", "list a folder", "write a file",
    "write over a file", "TCP", "UDP", "unix socket", "abstract socket", "datagram from a pair",
    "user namespace", "listen", "plant a symbolic link", "read the password file",
    "outlive its worker", "write to shared memory", "signal the parent",
)  # fmt: skip
"""Harmless ones that do come through where only limits are set: they prove that the host sees."""


class Host:
    """What is planted for the attacks, and what has become of it."""

    def __init__(self, stack: ExitStack) -> None:
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="archon-host-")))
        self.folder.chmod(0o755)
        self.secret = os.environ.get(SECRET) or secrets.token_hex(12)
        self._file = self._planted("secret", self.secret, 0o644)
        with suppress(OSError):  # not every file system has attributes
            os.setxattr(self._file, "user.key", self.secret.encode())
        self._open = self._planted("open", "untouched", 0o666)
        self._free = self.folder / "free"
        self._free.mkdir()
        self._free.chmod(0o777)
        inet, unix = socket.AF_INET, socket.AF_UNIX
        stream, datagram = socket.SOCK_STREAM, socket.SOCK_DGRAM
        name = f"archon-attack-{secrets.token_hex(8)}"
        self._listeners = {
            "TCP": self._listening(stack, inet, stream, ("127.0.0.1", 0)),
            "UDP": self._listening(stack, inet, datagram, ("127.0.0.1", 0)),
            "unix socket": self._listening(stack, unix, stream, str(self.folder / "unix")),
            "unix datagram": self._listening(stack, unix, datagram, str(self.folder / "datagram")),
            "abstract socket": self._listening(stack, unix, stream, "\0" + name),
        }
        for path in ("unix", "datagram"):
            (self.folder / path).chmod(0o777)
        self._victim = subprocess.Popen(
            [sys.executable, "-S", "-c", "import time; time.sleep(999)"]
        )
        stack.callback(self._end_victim)
        machine = ARCHITECTURES[platform.machine()]
        self.place = {
            "secret": str(self._file),
            "open": str(self._open),
            "free": str(self._free),
            "folder": str(self.folder),
            "home": os.path.expanduser("~"),
            "tcp": self._listeners["TCP"].getsockname()[1],
            "udp": self._listeners["UDP"].getsockname()[1],
            "unix": str(self.folder / "unix"),
            "datagram": str(self.folder / "datagram"),
            "abstract": name,
            "pid": os.getpid(),
            "victim": self._victim.pid,
            "calls": machine.denied | machine.ruled,
        }
        self._before = self._look()

    def _planted(self, name: str, text: str, mode: int) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return path

    def _listening(self, stack: ExitStack, family: int, kind: int, address: Any) -> socket.socket:
        made = stack.enter_context(socket.socket(family, kind))
        made.bind(address)
        if kind == socket.SOCK_STREAM:
            made.listen()
        made.setblocking(False)
        return made

    def _end_victim(self) -> None:
        self._victim.kill()
        self._victim.wait()

    def _look(self) -> dict[str, Any]:
        """Everything that an attack could have changed here."""
        found: dict[str, Any] = {}
        for path in sorted(self.folder.rglob("*")):
            about = path.lstat()
            if path.is_dir():
                found[path.name] = (about.st_mode, about.st_uid)
            else:
                found[path.name] = (about.st_mode, about.st_uid, about.st_size, about.st_mtime_ns)
        found["text"] = self._open.read_text(encoding="utf-8") if self._open.exists() else None
        for place in ("/tmp/archon-attack", "/dev/shm/archon-attack"):
            found[place] = Path(place).exists()
        return found

    def changed(self) -> list[str]:
        """What is no longer as it was; it is put in order again where that can be done."""
        now = self._look()
        names = self._before.keys() | now.keys()
        found = [name for name in sorted(names) if self._before.get(name) != now.get(name)]
        for name, listener in self._listeners.items():
            with suppress(BlockingIOError):
                got: Any = (
                    listener.accept() if listener.type == socket.SOCK_STREAM else listener.recv(9)
                )
                found.append(name)
                if isinstance(got, tuple):
                    got[0].close()
        if self._victim.poll() is not None:
            found.append("the victim is dead")
        for place in ("/tmp/archon-attack", "/dev/shm/archon-attack"):
            Path(place).unlink(missing_ok=True)
        return found


def program(name: str) -> str:
    """Return an attack as a whole program, which ends quietly when it is refused."""
    body = ATTACKS[name]
    lines = [line[8:] if line.startswith(" " * 8) else line for line in body.split("\n")]
    if name == "32-bit system calls":
        lines = [line.removeprefix("    ") for line in lines]
    indented = "\n".join(f"    {line}" for line in lines)
    return (
        f"{HEAD}\ntry:\n    pass\n{indented}\nexcept Exception as error:\n    print(repr(error))\n"
    )


async def attempt(sandbox: Sandbox, host: Host, name: str) -> list[str]:
    """Try one attack; return what it reached."""
    seconds = 0.5 if name in SLOW else 5.0
    limits = Limits(seconds=seconds, cpu_seconds=4)
    start = time.perf_counter()
    ran = await sandbox.run_program(program(name), json.dumps(host.place) + "\n", limits=limits)
    took = time.perf_counter() - start
    found = host.changed()
    found += [line for line in ran.stdout.splitlines() if "EFFECT" in line]
    if host.secret in ran.stdout + ran.detail:
        found.append("the secret is out")
    if name in SLOW and (ran.outcome != "timeout" or took > seconds + 1.0):
        found.append(f"ended as {ran.outcome} after {took:.2f} s")
    if name.startswith("flood stdout") and ran.outcome != "error":
        found.append(f"ended as {ran.outcome}")
    return found


def children() -> set[int]:
    """Return the live processes below this one, those included whose own parent is gone."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: orphans come to us
    parents: dict[int, int] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with suppress(OSError):
                stat = Path(f"/proc/{entry}/stat").read_text(encoding="utf-8")
                state, parent = stat.rpartition(")")[2].split()[:2]
                if state not in "ZX":
                    parents[int(entry)] = int(parent)
    found: set[int] = set()
    waiting = {os.getpid()}
    while waiting:
        waiting = {pid for pid, parent in parents.items() if parent in waiting} - found
        found |= waiting
    return found


async def corpus(where: str, names: list[str]) -> dict[str, Any]:
    """Try attacks in the backend of a level, or in the container; return what they reached."""
    backends = {str(backend.level): backend for backend in BACKENDS}
    backend = configured() if where == "container" else backends[where]
    assert backend is not None
    reached: dict[str, list[str]] = {}
    with ExitStack() as stack:
        host = Host(stack)
        before = children()
        sandbox = Sandbox(backend, Limits(), size=1)
        try:
            for name in names:
                reached[name] = await attempt(sandbox, host, name)
        finally:
            sandbox.close()
        for _ in range(50):
            if not (left := children() - before):
                break
            await asyncio.sleep(0.1)
    return {"reached": reached, "survivors": len(left), "user": os.getuid()}


def main() -> None:
    """Run the corpus: LEVEL|container [NAME …]."""
    signal.alarm(240)  # nothing of this may stay
    names = sys.argv[2:] or list(ATTACKS)
    print(json.dumps(asyncio.run(corpus(sys.argv[1], names))))


if __name__ == "__main__":
    main()
