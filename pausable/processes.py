"""What the operating system knows about processes, and work done without the garbage collector."""

from __future__ import annotations

import ctypes
import gc
import os
import select
import signal
import socket
import sys
import traceback
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import NoReturn

_PROC: Final = Path("/proc")
_HAS_PROC: Final = (_PROC / "self" / "stat").exists()
_PR_SET_PDEATHSIG: Final = 1
#: Seconds to wait for a killed process to end; the kernel needs longer only if it waits for a disk.
_DYING: Final = 2.0

# Loaded here: between fork and exec nothing may be imported or allocated, since another thread may hold the lock.
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Process:
    """What identifies a process on any machine and across reboots."""

    host: str
    boot_id: str
    pid: int
    start_time: int


def this_process() -> Process:
    """Return this process: host, boot, pid, and start in clock ticks since the boot."""
    return Process(this_host(), this_boot(), os.getpid(), start_of(os.getpid()) or 0)


@cache
def this_host() -> str:
    """Return the name of this machine."""
    return socket.gethostname()


@cache
def this_boot() -> str:
    """Return machine id, boot id and pid namespace, separated by slashes.

    Containers on one machine share a boot and possibly the host name, but not their process ids. The machine id (man 5
    machine-id) is missing in many containers.
    """
    machine, boot = Path("/etc/machine-id"), _PROC / "sys" / "kernel" / "random" / "boot_id"
    namespace = _PROC / "self" / "ns" / "pid"
    if not (boot.exists() and namespace.is_symlink()):
        return ""
    known = machine.read_text().strip() if machine.exists() else ""
    return "/".join([known, boot.read_text().strip(), namespace.readlink().name])


def start_of(pid: int) -> int | None:
    """Return when the process started, in clock ticks since the boot; None if it is gone or a zombie.

    Field 22 of /proc/PID/stat (man 5 proc), counted from the bracket because the name in field 2 may contain spaces.
    Without /proc it is 0: such a process can be found gone, but never identified with certainty.
    """
    if not _HAS_PROC:
        return 0 if _answers(pid) else None
    fields = _stat(pid)
    return None if fields is None or fields[0] in "ZX" else int(fields[19])


def is_stopped(pid: int) -> bool:
    """Return whether a signal has stopped this process (SIGSTOP, Ctrl-Z); a debugger does not count."""
    fields = _stat(pid) if _HAS_PROC else None
    return fields is not None and fields[0] == "T"


def is_gone(pid: int, start: int) -> bool:
    """Return whether the process with this pid and start has ended."""
    return start_of(pid) != start


def kill(pid: int, start: int) -> bool:
    """Kill the process with this pid and start, and no other; return True once it is gone."""
    if is_gone(pid, start):
        return True
    if not start or not hasattr(os, "pidfd_open"):
        return False
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return is_gone(pid, start)
    try:
        # A pidfd refers to one process forever, so it no longer matters whether the pid is reused after the check.
        if not is_gone(pid, start):
            with suppress(OSError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            select.select([handle], [], [], _DYING)
    finally:
        os.close(handle)
    return is_gone(pid, start)


def tied_to(parent: int) -> Callable[[], None]:
    """Return a function for a new child to run first, so that it is killed when `parent` ends.

    Linux ties it to the *thread* that forked it (man 2 prctl, PR_SET_PDEATHSIG); other systems do not support it.
    """

    def tie() -> None:
        if _prctl is not None:
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)

    return tie


def _stat(pid: int) -> list[str] | None:
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def ending_children() -> Iterator[None]:
    """End a child that an author's code forks inside the block when it leaves the block, writing nothing.

    What follows the block is the parent's work, and the child would do it a second time.
    """
    pid = os.getpid()
    try:
        yield
    except BaseException as leaving:
        if os.getpid() != pid:
            _end_child(leaving)
        raise
    if os.getpid() != pid:
        _end_child(None)


def _end_child(leaving: BaseException | None) -> NoReturn:
    """End this process with the status that Python would give for this exception, but without any cleanup."""
    status = 0
    if isinstance(leaving, SystemExit):
        status = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    elif leaving is not None:
        status = 1
        with suppress(Exception):
            os.write(2, "".join(traceback.format_exception(leaving)).encode(errors="backslashreplace"))
    os._exit(status & 0xFF)


Given = ParamSpec("Given")
Made = TypeVar("Made")


def uncollected(make: Callable[Given, Made]) -> Callable[Given, Made]:
    """Run a function without the garbage collector, which would scan a large document repeatedly as it grows."""

    @wraps(make)
    def made(*args: Given.args, **kwargs: Given.kwargs) -> Made:
        was_on = gc.isenabled()
        gc.disable()
        try:
            return make(*args, **kwargs)
        finally:
            if was_on:  # of two concurrent threads the first to leave enables it again, which only costs time
                gc.enable()

    return made
