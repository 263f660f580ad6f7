"""The checks before startup: each yields a sentence for each fault that it finds."""

from __future__ import annotations

import errno
import os
import re
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import kombu

from pausable import load_workflows
from pausable.config import broker_address, broker_options, masked
from pausable.db.database import Database, is_database_error, sqlite_file
from pausable.errors import (
    BrokerProgramMissing,
    DriverMissing,
    ModuleUnusable,
    StorePackageMissing,
    StoreUnknown,
    WorkflowTwice,
)
from pausable.results.remote import RemoteResult, store_at

from .broker import find_server

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from pausable.config import Settings

_PATIENCE = 3  # seconds for a database or a broker to answer


def faults_of(settings: Settings, wrong: Collection[str] = ()) -> list[str]:
    """Return a sentence for everything that keeps the service from running with these settings.

    Variables in `wrong` have been reported already and are not checked.
    """
    return [sentence for variable, check in _CHECKS.items() if variable not in wrong for sentence in check(settings)]


def _data_dir(settings: Settings) -> Iterator[str]:
    yield from _folder("DATA_DIR", settings.data_dir)


def _input_dir(settings: Settings) -> Iterator[str]:
    try:
        settings.input_dir.mkdir(parents=True, exist_ok=True)
        os.listdir(settings.input_dir)
    except OSError as fault:
        yield f"INPUT_DIR {settings.input_dir} cannot be read ({_reason(fault)}): name a folder that can."


def _workflow_store(settings: Settings) -> Iterator[str]:
    if not settings.workflow_store.is_relative_to(settings.data_dir):
        yield from _folder("WORKFLOW_STORE", settings.workflow_store)


def _results(settings: Settings) -> Iterator[str]:
    store = store_at(settings.results)
    if isinstance(store, RemoteResult):
        try:
            store.check()
        except (StoreUnknown, StorePackageMissing) as fault:
            yield f"RESULTS cannot be used: {fault}"
    elif not Path(store.location).is_relative_to(settings.data_dir.absolute()):
        yield from _folder("RESULTS", Path(store.location))


def _folder(variable: str, folder: Path) -> Iterator[str]:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as fault:
        yield f"{variable} {folder} cannot be written to ({_reason(fault)}): correct its rights, or name another."


def _port(settings: Settings) -> Iterator[str]:
    host, port = settings.host, settings.port
    try:
        family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as fault:
        yield _address_fault(host, port, fault)


def _address_fault(host: str, port: int, fault: OSError) -> str:
    match fault.errno:
        case errno.EADDRINUSE:
            return f"PORT {port} on {host} is taken: set PORT to another, or stop the program that listens there."
        case errno.EACCES:
            return f"PORT {port} on {host} may not be used by this account: set PORT to one from 1024 up."
        case _:
            return f"HOST {host} is no address of this machine ({_reason(fault)}): set HOST to one, such as 127.0.0.1."


def _workflows(settings: Settings) -> Iterator[str]:
    alone = [fault for module in settings.workflows for fault in _loading((module,))]
    yield from alone or _loading(settings.workflows)


def _loading(modules: tuple[str, ...]) -> Iterator[str]:
    try:
        load_workflows(modules)
    except (ModuleUnusable, WorkflowTwice) as fault:
        yield str(fault)


def _database_url(settings: Settings) -> Iterator[str]:
    url = settings.database_url
    if file := sqlite_file(url):
        yield from _sqlite_file(file, settings.data_dir)
        return
    database = Database(url)
    try:
        with database.read():
            pass
        with database.write():  # a pooler may accept connections and refuse transactions
            pass
    except DriverMissing as fault:
        yield str(fault)
    except Exception as fault:
        if not is_database_error(fault):
            raise
        why = getattr(fault, "orig", None) or fault
        yield f"DATABASE_URL {masked(url)} cannot be reached ({_reason(why)}): start it, or correct the URL."
    finally:
        database.close()


def _sqlite_file(file: Path, data_dir: Path) -> Iterator[str]:
    if not file.exists():
        if not file.is_relative_to(data_dir):
            yield from _folder("DATABASE_URL's folder", file.parent)
    elif not (file.is_file() and os.access(file, os.R_OK | os.W_OK)):
        yield f"DATABASE_URL's file {file} cannot be written to: correct its rights, or name another file."
    elif not _is_sqlite(file):
        yield f"DATABASE_URL's file {file} is no SQLite database: name another file."
    elif _is_alone(file):
        yield (
            f"DATABASE_URL's file {file} is mounted without its folder, or has a second name: what lies beside it "
            "(-wal, -shm, .lock) would not be found by others, and operations be lost. Mount the folder."
        )


def _is_alone(file: Path) -> bool:
    """Return whether the file lacks its sibling files: it is a mount of its own (man 5 proc), or hard-linked."""
    mounts = Path("/proc/self/mountinfo")
    lines = mounts.read_text(errors="surrogateescape").splitlines() if mounts.exists() else []
    places = {re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), line.split()[4]) for line in lines}
    return str(file.resolve()) in places or file.stat().st_nlink > 1


def _is_sqlite(file: Path) -> bool:
    with file.open("rb") as content:
        return content.read(16) in {b"", b"SQLite format 3\0"}


def _broker_url(settings: Settings) -> Iterator[str]:
    if settings.broker_url is not None:
        yield from _given_broker(settings)
        return
    try:
        find_server()
    except BrokerProgramMissing as fault:
        yield str(fault)


def _given_broker(settings: Settings) -> Iterator[str]:
    address, options = broker_address(settings) or "", broker_options(settings)
    try:
        with (
            kombu.Connection(address, connect_timeout=_PATIENCE, transport_options=options) as connection,
            connection.channel(),
        ):
            pass
    except Exception as fault:  # each transport raises exceptions of its own
        told = masked(settings.broker_url or "")
        yield f"BROKER_URL {told} cannot be reached ({_reason(fault)}): start that broker, or correct the URL."


def _reason(fault: BaseException) -> str:
    """Return the first line of an error, without technical details."""
    told = fault.strerror if isinstance(fault, OSError) and fault.strerror else str(fault)
    return masked(told.strip().splitlines()[0].rstrip(".")) if told.strip() else type(fault).__name__


_CHECKS: dict[str, Callable[[Settings], Iterable[str]]] = {
    "DATA_DIR": _data_dir,
    "INPUT_DIR": _input_dir,
    "WORKFLOW_STORE": _workflow_store,
    "RESULTS": _results,
    "PORT": _port,
    "WORKFLOWS": _workflows,
    "DATABASE_URL": _database_url,
    "BROKER_URL": _broker_url,
}
