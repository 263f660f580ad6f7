"""Errors of backup and restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class BackupNeedsPgDump(Exception):
    """A backup of a PostgreSQL database was asked for, which its own program makes."""

    def __init__(self) -> None:
        super().__init__(
            "The database is PostgreSQL: `pg_dump` backs it up, `flask backup FILE --documents` what lies beside."
        )


class RestoreNeedsPgRestore(Exception):
    """An SQLite database was to be restored where DATABASE_URL names a PostgreSQL one."""

    def __init__(self, file: Path) -> None:
        self.file = file
        super().__init__(
            f"{file} holds an SQLite database, and DATABASE_URL names PostgreSQL: restore it where DATABASE_URL is "
            "SQLite; what `pg_dump` wrote, `pg_restore` reads."
        )


class BackupUnusable(Exception):
    """An archive is no backup, or not as it was written: nothing of it was restored."""

    def __init__(self, file: Path, why: str) -> None:
        self.file = file
        super().__init__(f"{file} cannot be restored: {why}. Nothing was changed.")


class DatabaseInTheWay(Exception):
    """There is a database where one was to be restored."""

    def __init__(self, file: Path) -> None:
        self.file = file
        super().__init__(f"There is a database at {file}: `--force` puts the backup in its place, for good.")


class DatabaseInUse(Exception):
    """The database that was to be replaced, or the folder it belongs to, is used by programs that run."""

    def __init__(self, what: Path) -> None:
        self.what = what
        super().__init__(f"{what} is in use by a service that runs: stop it first. Nothing was changed.")
