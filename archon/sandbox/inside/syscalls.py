"""Numbers of the system calls that the filter names, for x86-64 and aarch64.

The numbers are those of Linux's tables (`unistd_64.h` and the generic table that aarch64 uses).
A dash: the architecture has no such call.
"""

from __future__ import annotations

import os

__all__ = ["ARCHITECTURES", "DENIED", "LAST", "Architecture", "architecture"]

_GROUPS = {
    "network": """
        socket 41 198, connect 42 203, bind 49 200, listen 50 201, accept 43 202, accept4 288 242,
        setsockopt 54 208, sendmsg 46 211, sendmmsg 307 269, recvmsg 47 212, recvmmsg 299 243""",
    "processes": """
        execve 59 221, execveat 322 281, fork 57 -, vfork 58 -, ptrace 101 117,
        process_vm_readv 310 270, process_vm_writev 311 271, process_madvise 440 440,
        process_mrelease 448 448, kcmp 312 272, pidfd_open 434 434, pidfd_send_signal 424 424,
        pidfd_getfd 438 438, setpriority 141 140, sched_setscheduler 144 119,
        sched_setparam 142 118, sched_setattr 314 274, ioprio_set 251 30, tkill 200 130,
        rt_sigqueueinfo 129 138, rt_tgsigqueueinfo 297 240, timer_create 222 107,
        setsid 112 157, setpgid 109 154, sched_setaffinity 203 122, unshare 272 97,
        setns 308 268""",
    "identity": """
        setuid 105 146, setgid 106 144, setreuid 113 145, setregid 114 143, setresuid 117 147,
        setresgid 119 149, setfsuid 122 151, setfsgid 123 152, setgroups 116 159, capset 126 91,
        personality 135 92, chroot 161 51""",
    "files": """
        chmod 90 -, fchmod 91 52, fchmodat 268 53, fchmodat2 452 452, chown 92 -, fchown 93 55,
        lchown 94 -, fchownat 260 54, setxattr 188 5, lsetxattr 189 6, fsetxattr 190 7,
        setxattrat 463 463, getxattr 191 8, lgetxattr 192 9, fgetxattr 193 10, getxattrat 464 464,
        listxattr 194 11, llistxattr 195 12, flistxattr 196 13, listxattrat 465 465,
        removexattr 197 14, lremovexattr 198 15, fremovexattr 199 16, removexattrat 466 466,
        file_getattr 468 468, file_setattr 469 469, utime 132 -, utimes 235 -, futimesat 261 -,
        utimensat 280 88, truncate 76 45, ftruncate 77 46, fallocate 285 47, mkdir 83 -,
        mkdirat 258 34, rmdir 84 -, unlink 87 -, unlinkat 263 35, rename 82 -, renameat 264 38,
        renameat2 316 276, link 86 -, linkat 265 37, symlink 88 -, symlinkat 266 36, mknod 133 -,
        mknodat 259 33, creat 85 -, inotify_init 253 -, inotify_init1 294 26,
        inotify_add_watch 254 27, fanotify_init 300 262, fanotify_mark 301 263,
        name_to_handle_at 303 264, open_by_handle_at 304 265, lookup_dcookie 212 18, sync 162 81,
        syncfs 306 267, flock 73 32, quotactl 179 60, quotactl_fd 443 443""",
    "mounts": """
        mount 165 40, umount2 166 39, pivot_root 155 41, move_mount 429 429, open_tree 428 428,
        open_tree_attr 467 467, fsopen 430 430, fsconfig 431 431, fsmount 432 432, fspick 433 433,
        mount_setattr 442 442, statmount 457 457, listmount 458 458, swapon 167 224,
        swapoff 168 225""",
    "shared memory and queues": """
        shmget 29 194, shmat 30 196, shmctl 31 195, semget 64 190, semop 65 193,
        semtimedop 220 192, semctl 66 191, msgget 68 186, msgsnd 69 189, msgrcv 70 188,
        msgctl 71 187, mq_open 240 180, mq_unlink 241 181, mq_timedsend 242 182,
        mq_timedreceive 243 183, mq_notify 244 184, mq_getsetattr 245 185, memfd_create 319 279,
        memfd_secret 447 447, vmsplice 278 75, splice 275 76, tee 276 77""",
    "kernel surface": """
        io_uring_setup 425 425, io_uring_enter 426 426, io_uring_register 427 427,
        io_setup 206 0, io_submit 209 2, keyctl 250 219, add_key 248 217, request_key 249 218,
        bpf 321 280, userfaultfd 323 282, perf_event_open 298 241, remap_file_pages 216 234,
        move_pages 279 239, migrate_pages 256 238, mbind 237 235, set_mempolicy 238 237,
        set_mempolicy_home_node 450 450, modify_ldt 154 -, uselib 134 -, nfsservctl 180 42,
        sysfs 139 -, _sysctl 156 -, ustat 136 -, lsm_set_self_attr 460 460, seccomp 317 277""",
    "machine": """
        reboot 169 142, kexec_load 246 104, kexec_file_load 320 294, init_module 175 105,
        finit_module 313 273, delete_module 176 106, acct 163 89, settimeofday 164 170,
        clock_settime 227 112, adjtimex 159 171, clock_adjtime 305 266, sethostname 170 161,
        setdomainname 171 162, iopl 172 -, ioperm 173 -, syslog 103 116, vhangup 153 58""",
}
"""Denied whatever their arguments."""

_RULED = """
    clone 56 220, clone3 435 435, kill 62 129, tgkill 234 131, prlimit64 302 261,
    setrlimit 160 164, prctl 157 167, fcntl 72 25, ioctl 16 29, sendto 44 206, socketpair 53 199,
    recvfrom 45 207, getsockopt 55 209"""
"""Decided by their arguments."""

LAST = 469
"""The last call that is known here, on both architectures: what a later kernel adds is absent."""


def _parsed(text: str, column: int) -> dict[str, int]:
    rows = (entry.split() for entry in text.replace("\n", " ").split(","))
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}


class Architecture:
    """One machine architecture.

    Attributes:
        name: as `uname -m` says.
        audit: the constant by which the kernel tells a filter which table a call uses.
        denied: numbers by name of what is always denied.
        ruled: numbers by name of what its arguments decide.
        foreign: bit that marks calls of a second table (x32), 0 without one.
    """

    def __init__(
        self, name: str, audit: int, denied: dict[str, int], ruled: dict[str, int], foreign: int
    ) -> None:
        self.name = name
        self.audit = audit
        self.denied = denied
        self.ruled = ruled
        self.foreign = foreign


def _architecture(name: str, audit: int, column: int, foreign: int = 0) -> Architecture:
    denied = {k: v for text in _GROUPS.values() for k, v in _parsed(text, column).items()}
    return Architecture(name, audit, denied, _parsed(_RULED, column), foreign)


ARCHITECTURES = {
    "x86_64": _architecture("x86_64", 0xC000003E, 1, foreign=0x40000000),
    "aarch64": _architecture("aarch64", 0xC00000B7, 2),
}
DENIED = tuple(ARCHITECTURES["x86_64"].denied)
"""Names of what is denied whatever its arguments."""


def architecture() -> Architecture:
    """Return this machine's architecture.

    Raises:
        OSError: for one without a table.
    """
    name = os.uname().machine
    if name not in ARCHITECTURES:
        raise OSError(f"no table of system calls for {name!r}; known: {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]
