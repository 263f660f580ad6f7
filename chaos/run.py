"""One run: lay the service, let the plan come to pass, bring everything to an end, and gather the evidence."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.supervisor.broker import free_port, prepare_broker
from bench.http import answers
from bench.programs import until
from chaos import ledger
from chaos.audit import Audit
from chaos.client import TOKEN, Client, NoAnswer
from chaos.database import SQLite
from chaos.evidence import Asked, Evidence
from chaos.faults import Faults
from chaos.lives import Lives
from chaos.stack import Stack
from pausable.config import Settings
from pausable.model.states import Completion

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from app.supervisor.broker import EmbeddedBroker
    from chaos.database import Server
    from chaos.plan import Plan

#: Seconds after which the workers under chaos are taken for lost when they are silent.
LEASE = 3
#: Seconds after which a step that nobody has claimed is published again.
REPUBLISH_AFTER = 10
#: Seconds in which no operation comes to its end, once the faults are over, after which those that are left are stuck.
SETTLING = 60.0

_LOOK = 0.05
#: Stuck operations whose rows are printed.
_TOLD = 5
_BETWEEN_RESUMES = 0.5


@dataclass
class Course:
    """What happened, beside the evidence: for whoever reads the figures."""

    evidence: Evidence
    statuses: dict[int, int]
    unanswered: int
    refusals: list[str]
    missed: list[str]
    deaths: dict[str, int]
    settled_after: float
    told: dict[int, list[str]]


class Run:
    """One run in a folder of its own; everything it has started has ended when `go` returns or raises."""

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        *,
        database: Server | None = None,
        broker_url: str | None = None,
        disk: Path | None = None,
    ) -> None:
        """Lay a service.

        Args:
            plan: What comes to pass.
            folder: Where everything lies; the service's data in its folder `data`, which is there.
            database: A PostgreSQL server of the run's own; without it the database is an SQLite file.
            broker_url: A broker that is left alone; without it the run starts one of its own.
            disk: The folder `data`, where that is a disk of the run's own.
        """
        self._plan = plan
        self._folder = folder
        data = folder / "data"
        self._settings, embedded = settings_of(data, folder, broker_url, database.url if database else None)
        self._audit = Audit(self._settings)
        own_broker = None if broker_url else embedded
        self._stack = Stack(self._settings, own_broker, folder, environ_of(self._settings))
        self._client = Client(self._settings.port)
        known = database or SQLite(data / "operations.db")
        self._faults = Faults(self._stack, self._audit, data / "operations.db.lock", LEASE, known, disk)

    def go(self) -> Course:
        """Let everything come to pass."""
        with self._audit, self._stack:
            self._tend_until(lambda: self._stack.has_broker and answers(self._settings.port), "it answers", 60)
            with Lives(self._client, self._plan.lives) as lives:
                self._trouble()
                settled = self._settle(lives)
            self._log_faults()
            return self._course(lives, settled)

    def _trouble(self) -> None:
        begun = time.monotonic()
        coming = deque(self._plan.faults)
        while time.monotonic() - begun < self._plan.seconds:
            if coming and coming[0].at <= time.monotonic() - begun:
                self._faults.let(coming.popleft())
            self._faults.lift_due()
            self._tend()
        self._faults.lift_due(all_of_them=True)

    def _settle(self, lives: Lives) -> float:
        """Resume what is paused until everything has ended; returns how long that took."""
        begun, before = time.monotonic(), (-1, -1)
        self._client.until = begun + SETTLING
        while time.monotonic() < self._client.until:
            left = self._audit.left()
            if not left and not lives.left:
                break
            if (len(left), lives.left) != before:
                before, self._client.until = (len(left), lives.left), time.monotonic() + SETTLING
            if not lives.left:
                self._resume([id_ for id_, completion in left.items() if completion == Completion.PAUSED])
            self._tend_for(_BETWEEN_RESUMES)
        return time.monotonic() - begun

    def _resume(self, paused: list[int]) -> None:
        for operation_id in paused:
            try:
                self._client.ask("POST", f"/operations/{operation_id}/resume")
            except NoAnswer:
                return

    def _course(self, lives: Lives, settled: float) -> Course:
        return Course(
            evidence=self._evidence(lives),
            statuses=dict(self._client.statuses),
            unanswered=self._client.unanswered,
            refusals=lives.refusals,
            missed=self._faults.missed,
            deaths={name: member.deaths for name, member in self._stack.members.items()},
            settled_after=settled,
            told={id_: self._audit.told(id_) for id_ in list(self._audit.left())[:_TOLD]},
        )

    def _evidence(self, lives: Lives) -> Evidence:
        return Evidence(
            asked=[
                Asked(one.life.key, one.life.shape, one.life.arguments, one.operation_id, one.is_cancelled)
                for one in lives.all
            ],
            operations=self._audit.operations(),
            moves=self._audit.moves(),
            taken=self._audit.taken(),
            recordings=self._audit.recordings(),
            executions=ledger.read(self._folder / "ledger"),
            hits=self._faults.hits,
            last_seen=self._stack.watch.last_seen,
        )

    def _log_faults(self) -> None:
        """Beside the logs of the programs, for whoever kept the folder."""
        hits = (f"{hit.at:.3f} {hit.kind} {sorted(one.pid for one in hit.processes)}" for hit in self._faults.hits)
        (self._folder / "faults.log").write_text("\n".join([*hits, *self._faults.missed, ""]))

    def _tend(self) -> None:
        self._stack.tend()
        time.sleep(_LOOK)

    def _tend_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._tend()

    def _tend_until(self, condition: Callable[[], bool], what: str, seconds: float) -> None:
        def holds() -> bool:
            self._tend()
            return condition()

        until(holds, what, seconds=seconds)


def settings_of(
    data: Path, folder: Path, broker_url: str | None = None, database_url: str | None = None
) -> tuple[Settings, EmbeddedBroker]:
    """Return the settings of a service under chaos, and the broker that is started for it where no other is named.

    Args:
        data: The folder of its data.
        folder: The folder of its broker.
        broker_url: A broker that runs already.
        database_url: A database that is there already.
    """
    embedded = prepare_broker(folder)
    others: dict[str, Any] = {"database_url": database_url} if database_url else {}
    settings = Settings(
        data_dir=data,
        broker_url=broker_url or embedded.url,
        port=free_port(),
        workflows=("chaos.flows",),
        operations_token=TOKEN,
        log_level="WARNING",
        lease=LEASE,
        republish_after=REPUBLISH_AFTER,
        **others,
    )
    return settings, embedded


def environ_of(settings: Settings) -> dict[str, str]:
    """Return these settings as the environment of the programs."""
    given = settings.model_dump(mode="json", exclude_unset=True, exclude={"workflows", "operations_token"})
    return {name.upper(): str(value) for name, value in given.items()} | {"WORKFLOWS": ",".join(settings.workflows)}
