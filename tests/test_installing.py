"""What the Makefile installs: both locks, against an index in which every locked package has a newer release.

The index stands on loopback and holds wheels without code. They carry the requirements of the real packages, so pip
decides on them as it would decide on the real ones.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PIN = re.compile(r"^([a-z0-9-]+)(\[[a-z0-9,-]+\])?==(\S+)(.*?)( \\)?$", re.MULTILINE)
NEWER = "2999.1"
INSTALLS = {"requirements.txt": ".venv/.for-running", "requirements-test.txt": ".venv/.for-testing"}


class Pin(NamedTuple):
    """A line of a lock."""

    name: str
    extras: str
    version: str
    marker: str


def pins(lock: str) -> list[Pin]:
    return [Pin(found[1], found[2] or "", found[3], found[4]) for found in PIN.finditer((ROOT / lock).read_text())]


def requirements_of(name: str) -> list[str]:
    """The requirements of an installed package; none for one that the lock has for other machines."""
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []


def write_wheel(folder: Path, name: str, version: str) -> str:
    """Write a wheel without code into the index; return its SHA-256."""
    stem = f"{name.replace('-', '_')}-{version}"
    asked = requirements_of(name)
    extras = sorted({extra for line in asked for extra in re.findall(r"""extra == ["']([^"']+)["']""", line)})
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Provides-Extra: {extra}" for extra in extras] + [f"Requires-Dist: {line}" for line in asked]
    parts = {
        "METADATA": "\n".join(lines) + "\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{stem}.dist-info/{part},{_record_hash(text)},{len(text.encode())}" for part, text in parts.items()]
    parts["RECORD"] = "\n".join([*record, f"{stem}.dist-info/RECORD,,"]) + "\n"
    (folder / name).mkdir(exist_ok=True)
    wheel = folder / name / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for part, text in parts.items():
            archive.writestr(f"{stem}.dist-info/{part}", text)
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


def _record_hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


class Index(NamedTuple):
    """A package index on loopback, and locks with the names, extras, versions and markers of ours and its hashes."""

    url: str
    locks: dict[str, str]

    def environ(self) -> dict[str, str]:
        """An environment in which pip and make know this index alone."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "MAKE", "COVERAGE_"))}
        return {**kept, "PIP_INDEX_URL": self.url, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1"}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """The index, each package in it once as locked and once newer."""
    folder = tmp_path_factory.mktemp("index")
    locked = {(pin.name, pin.version) for lock in INSTALLS for pin in pins(lock)}
    digests = {(name, version): write_wheel(folder, name, version) for name, version in locked}
    for name in {name for name, _ in locked}:
        write_wheel(folder, name, NEWER)
    locks = {lock: "".join(_line(pin, digests[pin.name, pin.version]) for pin in pins(lock)) for lock in INSTALLS}
    handler = partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield Index(f"http://127.0.0.1:{server.server_port}/", locks)
        server.shutdown()
        thread.join(10)


class _Quiet(SimpleHTTPRequestHandler):
    """Lists folders, which is all that pip asks of an index, and logs nothing."""

    def log_message(self, *_: object) -> None:
        return None


def _line(pin: Pin, digest: str) -> str:
    return f"{pin.name}{pin.extras}=={pin.version}{pin.marker} --hash=sha256:{digest}\n"


def run(*command: str, folder: Path, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(("lock", "target"), INSTALLS.items())
def test_make_installs_a_lock_when_every_package_has_a_newer_release(
    index: Index, tmp_path: Path, lock: str, target: str
) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / lock).write_text(index.locks[lock])

    made = run("make", target, folder=tmp_path, environ=index.environ())

    assert made.returncode == 0, made.stdout + made.stderr
    listed = run(".venv/bin/pip", "list", "--format", "freeze", folder=tmp_path, environ=index.environ()).stdout
    installed = dict(line.split("==") for line in listed.split())
    locked = {pin.name: pin.version for pin in pins(lock) if not pin.marker}
    assert locked.items() <= {name.lower().replace("_", "-"): version for name, version in installed.items()}.items()


def test_the_index_refuses_what_a_lock_without_extras_makes_a_resolver_ask_for(index: Index, tmp_path: Path) -> None:
    stripped = re.sub(r"\[[a-z0-9,-]+\]==", "==", index.locks["requirements.txt"])
    (tmp_path / "requirements.txt").write_text(stripped.replace("celery==", "celery[redis]=="))
    command = ["-m", "pip", "install", "--dry-run", "--ignore-installed", "--require-hashes", "-r", "requirements.txt"]

    resolved = run(sys.executable, *command, folder=tmp_path, environ=index.environ())

    assert resolved.returncode != 0
    assert "In --require-hashes mode, all requirements must have their versions pinned" in resolved.stderr


@pytest.mark.parametrize("lock", INSTALLS)
def test_a_lock_keeps_every_extra_that_a_package_in_it_asks_for(lock: str) -> None:
    kept = {pin.name: set(pin.extras.strip("[]").split(",")) for pin in pins(lock)}
    asked = [line for line in (ROOT / lock.replace(".txt", ".in")).read_text().splitlines() if line[:1].isalpha()]
    asked += [line for name in kept for line in requirements_of(name) if "extra ==" not in line]

    lost = []
    for line in asked:
        found = re.match(r"([A-Za-z0-9._-]+)\[([^\]]+)\]", line)
        if found and found[1].lower() in kept:
            wanted = {extra.strip().lower() for extra in found[2].split(",")}
            lost += [line] if not wanted <= kept[found[1].lower()] else []

    assert lost == []


def test_every_command_that_installs_a_lock_leaves_the_resolver_out() -> None:
    texts = {path: path.read_text() for path in (ROOT / "Makefile", ROOT / "Dockerfile", *ROOT.glob("docs/*.md"))}
    commands = [line for text in texts.values() for line in text.splitlines() if "--require-hashes" in line]

    assert len([line for line in commands if "install" in line]) == 2
    assert all("--no-deps --require-hashes" in line for line in commands if "install" in line)
    assert all(
        "pip check" in texts[ROOT / name] or "$(PIP) check" in texts[ROOT / name] for name in ("Makefile", "Dockerfile")
    )
