"""One operation of each kind that a person meets, all of one person: what pages are judged by and pictures made of."""

from __future__ import annotations

import random
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pausable.model.states import Completion

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.console.installation import Installation, Person

_C = Completion
_DAY = 86_400.0


@dataclass(frozen=True)
class Gallery:
    """The operations, by what their pages show."""

    person: Person
    operations: Mapping[str, int]


@contextmanager
def gallery(installation: Installation) -> Iterator[Gallery]:
    """Bring operations to every completion; those that run go on running until the end."""
    person = installation.invite("Ada")
    gates: list[Path] = []
    try:
        yield Gallery(person, _ended(installation, person) | _under_way(installation, person, gates))
    finally:
        for gate in gates:
            gate.touch()


def people(place: Path, rows: int) -> Path:
    """A CSV file of so many people."""
    chosen = random.Random(7)
    companies, genders = ["Mymm", "Yozio", "Zoovu", "Plajo"], ["Female", "Male"]
    lines = (f"{chosen.choice(companies)},{chosen.choice(genders)}\n" for _ in range(rows))
    place.write_text("company,gender\n" + "".join(lines))
    return place


def _ended(installation: Installation, person: Person) -> dict[str, int]:
    path = people(installation.input_dir / "people.csv", 20_000).name
    counted = installation.start(person, "count-by", path=path, by=["company", "gender"], chunks=8)
    failed = installation.start(person, "import-orders", words="orders-2026-10.csv has no column “currency”")
    cancelled, gate = installation.start_at_gate(person)
    installation.commands.cancel(person.user, cancelled, reason="started twice by mistake")
    gate.touch()
    installation.wait_until(person, counted, _C.COMPLETED)
    installation.wait_until(person, failed, _C.FAILED)
    installation.wait_until(person, cancelled, _C.CANCELLED)
    return {"completed": counted, "failed": failed, "cancelled": cancelled}


def _under_way(installation: Installation, person: Person, gates: list[Path]) -> dict[str, int]:
    paused, gate = installation.start_at_gate(person)
    installation.commands.pause(person.user, paused, reason="deploy at noon")
    gate.touch()
    installation.wait_until(person, paused, _C.PAUSED)
    ids = {"paused": paused, "scheduled": _scheduled(installation, person)}
    for name in ("in progress", "requesting pause", "requesting cancel"):
        ids[name], gate = installation.start_at_gate(person)
        gates.append(gate)
    installation.commands.pause(person.user, ids["requesting pause"], reason="the mail server is being moved")
    installation.commands.cancel(person.user, ids["requesting cancel"], reason="last month's prices")
    return ids


def _scheduled(installation: Installation, person: Person) -> int:
    arguments = {"gate": str(installation.file())}
    view, _ = installation.commands.start(person.user, "monthly-report", arguments, start_at=time.time() + _DAY)
    return view.operation.id
