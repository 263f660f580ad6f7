"""A small disk of a run's own, so that it can be filled: a file system in memory that goes with the run's processes."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NEW_NAMESPACE: Final = 0x00020000  # CLONE_NEWNS: see unshare(2)
_SIZE: Final = "1g"
_FILLER: Final = "filler"


@contextmanager
def own_disk(folder: Path, *, keep: bool) -> Iterator[Path | None]:
    """Mount a small disk at a new folder `data` in `folder`; yield None, the folder made, where nobody may mount.

    Args:
        folder: An existing folder.
        keep: Whether what lies on the disk is left there in its place when the block is left.
    """
    data = folder / "data"
    data.mkdir()
    if not _mount(data):
        yield None
        return
    try:
        yield data
    finally:
        (data / _FILLER).unlink(missing_ok=True)
        if keep:
            shutil.copytree(data, folder / "kept")
        _run("umount", "--lazy", str(data))
        if keep:
            shutil.copytree(folder / "kept", data, dirs_exist_ok=True)
            shutil.rmtree(folder / "kept")


def fill(disk: Path) -> None:
    """Leave no room on a disk that `own_disk` made."""
    free = shutil.disk_usage(disk).free
    with (disk / _FILLER).open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free)


def empty(disk: Path) -> None:
    """Take away what `fill` put there."""
    (disk / _FILLER).unlink(missing_ok=True)


def _mount(folder: Path) -> bool:
    """Mount in a namespace of this process and those it starts: when the last has ended, however, it is gone."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    if ctypes.CDLL(None, use_errno=True).unshare(_NEW_NAMESPACE) != 0:
        return False
    is_private = _run("mount", "--make-rprivate", "/")
    return is_private and _run("mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(folder))


def _run(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
