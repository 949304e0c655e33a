"""What a student's process may not do: an audit hook that names it, limits of the operating system, and on Linux seccomp and Landlock.

Imports the standard library alone: the student's process loads this file, and knows no course_lib.
"""

import ctypes
import os
import struct
import sys
import sysconfig
import threading
from collections.abc import Iterator
from pathlib import Path

OPENS_TO_WRITE = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
NAMED = {  # audit events by the beginning of their names
    "starts another process": (
        "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "pty.", "os.startfile"
    ),
    "opens a network connection": ("socket.", "urllib.", "http.", "ftplib.", "smtplib."),
    "sends a signal to a process": ("os.kill", "signal.pthread_kill"),
    "changes files": (
        "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod", "os.chown", "os.link", "os.symlink",
        "os.utime", "shutil.", "tempfile.",
    ),
    "changes its own limits": ("resource.", "sys.addaudithook"),
}  # fmt: skip
BY_HAND = {  # only where the student's own line does it: libraries do, too
    "calls into C libraries by ctypes": ("ctypes.",),
    "looks into the frames of its caller": ("sys._getframe", "sys._current_frames"),
    "looks through the memory of its process": ("gc.get_objects", "gc.get_referrers", "gc.get_referents"),
}
TRANSPARENT = (
    "confinement.py", "inspect.py", "traceback.py", "ctypes/__init__.py", "linecache.py", "tokenize.py", "pathlib.py", "glob.py",
    "os>", "codecs>", "os.py", "codecs.py", "serialization.py", "pathlib/__init__.py", "pathlib/_local.py", "_os.py",
)  # fmt: skip
FILES = ("open", "os.listdir", "os.scandir", "os.walk", "glob.")
BEGINNINGS = {
    start[:4] for starts in (*NAMED.values(), *BY_HAND.values(), FILES, ("import",)) for start in starts
}  # most events are none of these


def readable(hidden: list[Path]) -> list[Path]:
    """The files and folders that a program needs to import what is installed, without those that are `hidden`."""
    roots = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    roots += [*sys.path, "/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/dev/null", "/dev/urandom"]
    folders = {Path(root).resolve() for root in roots if root and os.path.exists(root)}
    return [part for folder in sorted(folders) for part in _without(folder, hidden)]


def _without(folder: Path, hidden: list[Path]) -> Iterator[Path]:
    if not any(path.is_relative_to(folder) for path in hidden):
        yield folder
    elif folder not in hidden:
        for child in folder.iterdir():
            yield from _without(child, hidden)


class Watch:
    """An audit hook, which cannot be taken off. What it refuses raises PermissionError; by the student's own line, it is added to `refused`."""

    def __init__(self, allowed: list[Path], own: str):
        self.allowed, self.own, self.refused, self.inside = [str(path) for path in allowed], own, [], threading.local()

    def start(self) -> None:
        """From now on."""
        sys.addaudithook(self)

    def __call__(self, event: str, args: tuple) -> None:
        if event[:4] not in BEGINNINGS or getattr(self.inside, "busy", False):  # looking at frames is an event itself
            return
        self.inside.busy = True
        try:
            text, always = self._reason(event, args)
            own = bool(text) and (always or self._by_hand(sys._getframe(1)))
        finally:
            self.inside.busy = False
        if own:
            self.refused.append(text)
        if text and (own or event.startswith(FILES)):
            raise PermissionError(f"your code {text}, which the grader does not allow")

    def _reason(self, event: str, args: tuple) -> tuple[str | None, bool]:
        """What the event is, if it is refused; and whether it is, too, where a library does it for the student's line."""
        if event == "import":
            return "imports course_lib, where the answer stands" if args[0].split(".")[
                0
            ] == "course_lib" else None, True
        if event == "open":
            return self._opens(*args), False
        if event.startswith(FILES):
            return None if self._may_read(args[0]) else f"lists the folder {args[0]!r}", False
        text = next((text for text, starts in NAMED.items() if event.startswith(starts)), None)
        return text or next((t for t, starts in BY_HAND.items() if event.startswith(starts)), None), bool(text)

    def _opens(self, path, mode, flags) -> str | None:
        if isinstance(path, int):
            return None
        name = os.path.basename(os.fsdecode(path))
        if (mode and set(mode) & set("wax+")) or (flags or 0) & OPENS_TO_WRITE:
            return f"writes the file {name!r}"
        if self._may_read(path):
            return None
        return "opens the sources of course_lib" if "course_lib" in os.fsdecode(path) else f"reads the file {name!r}"

    def _may_read(self, path) -> bool:
        if path is None or isinstance(path, int):
            return path is not None
        real = os.path.realpath(os.fsdecode(path))
        return any(real == root or real.startswith(root + os.sep) for root in self.allowed)

    def _by_hand(self, frame) -> bool:
        while frame and frame.f_code.co_filename.endswith(TRANSPARENT):
            frame = frame.f_back
        return bool(frame) and frame.f_code.co_filename.startswith(self.own)


def limit(memory: int, seconds: int) -> None:
    """At most so many bytes of memory and seconds of the processor beyond what the process has used; no file grows, no core is dumped."""
    try:
        import resource
    except ImportError:  # Windows
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    limits = {"CPU": int(used.ru_utime + used.ru_stime) + seconds, "FSIZE": 0, "CORE": 0, "NOFILE": 64}
    if sys.platform == "linux":  # macOS does not keep to it
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limits["AS"] = pages * resource.getpagesize() + memory
    for name, value in limits.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value + (name == "CPU")))


# Linux: what the kernel itself refuses. Numbers of system calls on x86_64 and aarch64; None where there is no such call.

ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
CALLS = {
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, None), "vfork": (58, None), "ptrace": (101, 117),
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200), "creat": (85, None),
    "unlink": (87, None), "unlinkat": (263, 35), "rename": (82, None), "renameat": (264, 38), "renameat2": (316, 276),
    "truncate": (76, 45), "mkdir": (83, None), "mkdirat": (258, 34), "rmdir": (84, None), "link": (86, None),
    "linkat": (265, 37), "symlink": (88, None), "symlinkat": (266, 36), "mknod": (133, None), "mknodat": (259, 33),
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None),
    "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54), "utimensat": (280, 88), "setxattr": (188, 5),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "io_uring_setup": (425, 425),
    "openat2": (437, 437), "open_by_handle_at": (304, 265), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424), "tkill": (200, 130), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "memfd_create": (319, 279), "shmget": (29, 194), "msgget": (68, 186),
    "mq_open": (240, 180), "mount": (165, 40), "unshare": (272, 97), "setns": (308, 268), "chroot": (161, 51),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "setrlimit": (160, 164),
    "keyctl": (250, 219), "add_key": (248, 217), "setuid": (105, 146), "setsid": (112, 157), "setpgid": (109, 154),
}  # fmt: skip
LOAD, EQUAL, AT_LEAST, HAS, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # of BPF: load a word, jump if so, return
ALLOW, KILL, REFUSE, UNKNOWN = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026  # the last two: EPERM, ENOSYS


def seccomp_program(machine: str, pid: int) -> bytes:
    """The kernel's filter of system calls: no program, process, connection or change of a file, no signal to others, no new limits."""
    column, architecture = ARCHITECTURES[machine]
    lines = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, architecture), (RETURN, 0, 0, KILL), (LOAD, 0, 0, 0)]
    lines += [(AT_LEAST, 0, 1, 0x40000000), (RETURN, 0, 0, REFUSE)]  # the same calls by other numbers, on x86_64
    for number in filter(None, (pair[column] for pair in CALLS.values())):
        lines += [(EQUAL, 0, 1, number), (RETURN, 0, 0, REFUSE)]
    lines += [
        (EQUAL, 0, 1, 435),
        (RETURN, 0, 0, UNKNOWN),
    ]  # clone3, whose flags no filter sees: libraries then use clone
    for pair, argument, test in (
        ((56, 220), 0, (HAS, 1, 0, 0x10000)),  # clone: threads only
        ((2, None), 1, (HAS, 0, 1, OPENS_TO_WRITE)),  # open
        ((257, 56), 2, (HAS, 0, 1, OPENS_TO_WRITE)),  # openat
        ((62, 129), 0, (EQUAL, 1, 0, pid)),  # kill
        ((234, 131), 0, (EQUAL, 1, 0, pid)),  # tgkill
        ((302, 261), 2, (EQUAL, 1, 0, 0)),  # prlimit64: to ask only
    ):
        if pair[column] is not None:
            lines += [(EQUAL, 0, 4, pair[column]), (LOAD, 0, 0, 16 + 8 * argument), test]
            lines += [(RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW)]
    return b"".join(struct.pack("=HBBI", *line) for line in [*lines, (RETURN, 0, 0, ALLOW)])


def confine(allowed: list[Path]) -> list[str]:
    """Ask the kernel to refuse the rest, from now on and for good; the names of what it could not do."""
    if sys.platform != "linux" or os.uname().machine not in ARCHITECTURES:
        return ["seccomp", "landlock"]
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(38, 1, 0, 0, 0)  # no new privileges
    missing = [] if _landlock(libc, allowed) else ["landlock"]
    program = ctypes.create_string_buffer(seccomp_program(os.uname().machine, os.getpid()))
    head = struct.pack("HxxxxxxP", (len(program) - 1) // 8, ctypes.addressof(program))
    return missing + ["seccomp"] * (libc.prctl(22, 2, ctypes.c_char_p(head), 0, 0) != 0)


def _landlock(libc, allowed: list[Path]) -> bool:
    """Files: only what is allowed can be read, and nothing can be written. Returns whether the kernel does that."""
    version = libc.syscall(444, None, 0, 1)
    if version < 1:
        return False
    rights = (1 << (13 if version == 1 else 14 if version == 2 else 15 if version < 5 else 16)) - 1
    attributes = struct.pack("QQQ", rights, 3, 3)[: 8 if version < 4 else 16 if version < 6 else 24]
    rules = libc.syscall(444, ctypes.c_char_p(attributes), len(attributes), 0)
    for path in allowed:
        descriptor = os.open(path, os.O_PATH)
        rule = struct.pack("=Qi", 0b1100 if path.is_dir() else 0b0100, descriptor)  # read files, list folders
        libc.syscall(445, rules, 1, ctypes.c_char_p(rule), 0)
        os.close(descriptor)
    done = libc.syscall(446, rules, 0) == 0
    os.close(rules)
    return done
