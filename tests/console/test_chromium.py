"""`make browser`: a browser is found, or installed, or its lack is told and fails only where one is required."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root installs packages")


def look(folder: Path, **given: str) -> subprocess.CompletedProcess[str]:
    """Look for a browser on a machine that has no programs but those in the folder."""
    environ = {"PATH": str(folder), "PYTHONPATH": str(ROOT), **given}
    command = [sys.executable, "-m", "tests.console.chromium"]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)


def test_a_browser_that_is_there_is_taken_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("#!/bin/sh\n")
    (tmp_path / "mine").chmod(0o755)

    looked = look(tmp_path, CHROMIUM=str(tmp_path / "mine"))

    assert (looked.returncode, looked.stdout, looked.stderr) == (0, "", "")


@pytest.mark.parametrize(("given", "status"), [({}, 0), ({"BROWSER_TESTS": "required"}, 1)])
def test_a_lack_is_told_in_one_line_and_fails_only_where_a_browser_is_required(
    tmp_path: Path, given: dict[str, str], status: int
) -> None:
    looked = look(tmp_path, CHROMIUM=str(tmp_path / "none"), **given)

    assert looked.returncode == status
    assert looked.stderr.count("\n") == 1
    assert "apt install chromium" in looked.stderr


def apt_get(folder: Path, *does: str) -> None:
    (folder / "apt-get").write_text("\n".join(["#!/bin/sh", *does]))
    (folder / "apt-get").chmod(0o755)


@only_root
def test_root_installs_debian_s_package_where_there_is_none(tmp_path: Path) -> None:
    brings = "printf '#!/bin/sh\\n' >chromium && /bin/chmod +x chromium"
    apt_get(tmp_path, 'echo "$5 $6 $7 $8" >>told', f'case "$*" in *install*) {brings};; esac')

    looked = look(tmp_path, BROWSER_TESTS="required")

    assert (looked.returncode, looked.stderr) == (0, "")
    assert looked.stdout.startswith("Installing the package chromium")
    assert (tmp_path / "told").read_text().split("\n")[1] == "--yes --no-install-recommends chromium "


@only_root
def test_a_package_that_cannot_be_installed_is_told_with_its_reason(tmp_path: Path) -> None:
    apt_get(tmp_path, "echo E: no such package >&2", "exit 100")

    looked = look(tmp_path, BROWSER_TESTS="required")

    assert looked.returncode == 1
    assert "(apt-get: E: no such package)" in looked.stderr
