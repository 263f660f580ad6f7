"""Errors of the house: settings, programs, the database's schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class SettingsInvalid(Exception):
    """One or more settings cannot be used; `faults` holds a sentence, free of secrets, under each variable's name."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        self.faults = dict(faults)
        super().__init__("\n".join(self.faults.values()))


class BrokerProgramMissing(Exception):
    """No broker is given and none can be started: neither the pinned wheel nor the machine has a server program."""

    def __init__(self) -> None:
        super().__init__(
            "BROKER_URL is not set and no valkey-server or redis-server was found: "
            "install one of them, or set BROKER_URL to a broker that runs elsewhere."
        )


class ProgramKeepsDying(Exception):
    """A supervised program ended too often within a minute to be started again."""

    def __init__(self, program: str, times: int, ending: str) -> None:
        self.program = program
        self.times = times
        self.ending = ending
        super().__init__(f"{program} ended {times} times within a minute, at last {ending}: giving up.")


class DatabaseTooNew(Exception):
    """The database stands at a migration, `revision`, that this version of the service does not know."""

    def __init__(self, revision: str) -> None:
        self.revision = revision
        super().__init__(
            f"The database stands at migration {revision}, which this version of the service does not know."
        )


class DatabaseBehind(Exception):
    """The database does not stand at the newest migration."""

    def __init__(self) -> None:
        super().__init__("The database does not have the present schema: `flask db upgrade` brings it there.")


class DatabaseUnavailable(Exception):
    """The database is locked for longer than one waits, full, read-only or gone; `retry_after` is in seconds."""

    def __init__(self, retry_after: int = 5, why: str | None = None) -> None:
        self.retry_after = retry_after
        what = f"takes no writes just now ({why})" if why else "cannot be reached just now"
        super().__init__(f"The database {what}: try again in {retry_after} seconds.")


class ReferencesBroken(Exception):
    """A migration would have left rows of `tables` that refer to rows no longer there; it was rolled back."""

    def __init__(self, tables: list[str]) -> None:
        self.tables = tables
        super().__init__(f"After the migration, rows of {', '.join(self.tables)} would refer to rows that are gone.")


class NotReady(Exception):
    """Something that the service needs does not answer; `checks` tells of each part how it stands."""

    def __init__(self, checks: Mapping[str, Mapping[str, object]]) -> None:
        self.checks = dict(checks)
        failing = ", ".join(name for name, check in checks.items() if not check["ok"])
        super().__init__(f"Not ready: {failing}.")
