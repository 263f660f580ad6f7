"""What the operating system knows of processes, and work done without the garbage collector."""

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
#: Seconds that a killed process has to be gone; the kernel needs longer only for one that waits for a disk.
_DYING: Final = 2.0

# Loaded here: between fork and exec nothing may be imported or allocated that another thread could hold a lock on.
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Process:
    """What tells one process from every other, on any machine and across restarts."""

    host: str
    boot_id: str
    pid: int
    start_time: int


def this_process() -> Process:
    """This process: its host, the boot it belongs to, its pid, and when it started in clock ticks since that boot."""
    return Process(this_host(), this_boot(), os.getpid(), start_of(os.getpid()) or 0)


@cache
def this_host() -> str:
    """The name of this machine."""
    return socket.gethostname()


@cache
def this_boot() -> str:
    """The machine, its boot, and the namespace in which its process ids mean what they mean here, parted by slashes.

    Containers on one machine share a boot and may share a host name; their process ids are not each other's. The
    machine's own id (man 5 machine-id) is missing in many containers.
    """
    machine, boot = Path("/etc/machine-id"), _PROC / "sys" / "kernel" / "random" / "boot_id"
    namespace = _PROC / "self" / "ns" / "pid"
    if not (boot.exists() and namespace.is_symlink()):
        return ""
    known = machine.read_text().strip() if machine.exists() else ""
    return "/".join([known, boot.read_text().strip(), namespace.readlink().name])


def start_of(pid: int) -> int | None:
    """When the process of this id started, in clock ticks since the boot; None when there is none, or only its remains.

    Field 22 of /proc/PID/stat (man 5 proc); the name in field 2 may hold spaces, so count from its bracket. Where there
    is no /proc the start is 0: such a process can be seen to be gone, but is never taken for a certain one.
    """
    if not _HAS_PROC:
        return 0 if _answers(pid) else None
    fields = _stat(pid)
    return None if fields is None or fields[0] in "ZX" else int(fields[19])


def is_stopped(pid: int) -> bool:
    """Whether a signal has stopped this process (SIGSTOP, Ctrl-Z); one that a debugger holds is not meant."""
    fields = _stat(pid) if _HAS_PROC else None
    return fields is not None and fields[0] == "T"


def is_gone(pid: int, start: int) -> bool:
    """Whether the process of this id that started then runs no more."""
    return start_of(pid) != start


def kill(pid: int, start: int) -> bool:
    """Kill the process of this id that started then, and no other; True once it is gone, also when it was before."""
    if is_gone(pid, start):
        return True
    if not start or not hasattr(os, "pidfd_open"):
        return False
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return is_gone(pid, start)
    try:
        # The handle belongs to one process for ever: what the id names after this check does not matter any more.
        if not is_gone(pid, start):
            with suppress(OSError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            select.select([handle], [], [], _DYING)
    finally:
        os.close(handle)
    return is_gone(pid, start)


def tied_to(parent: int) -> Callable[[], None]:
    """What a new child runs first, so that it dies when `parent` does, even if that is killed.

    Linux ties it to the *thread* that forked it (man 2 prctl, PR_SET_PDEATHSIG); elsewhere it is not tied.
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
    """End a child that an author's code forks in this block where it leaves the block, with nothing written by it.

    What stands behind the block is its parent's to do: the child would do it a second time.
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
    """End this process as Python would end with this exception, but without any cleaning up: that is the parent's."""
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
    """Let a function run without the collector, which would look at a large document several times as it grows."""

    @wraps(make)
    def made(*args: Given.args, **kwargs: Given.kwargs) -> Made:
        was_on = gc.isenabled()
        gc.disable()
        try:
            return make(*args, **kwargs)
        finally:
            if was_on:  # of two threads here at once the first to leave turns it on again: that costs time alone
                gc.enable()

    return made
