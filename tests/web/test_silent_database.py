"""A PostgreSQL server that falls silent, a disk that is full, and readers that dawdle: what is answered meanwhile."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from app.web.monitoring import Readiness
from pausable.db.database import Database
from pausable.db.history import append_lines
from pausable.db.migrations import upgrade_database
from tests.databases import on_postgresql_alone
from tests.execution.pausing import in_database
from tests.postgresql import running_postgresql
from tests.web.calling import Caller, problem, slug
from tests.web.serving import Served, serving, token_of

if TYPE_CHECKING:
    from pathlib import Path


def test_readiness_is_told_in_time_though_the_server_is_stopped(broker_url: str, tmp_path: Path) -> None:
    with running_postgresql() as server:
        url = server.create("service")
        database = Database(url)
        upgrade_database(database)
        database.close()
        with serving(tmp_path, in_database(broker_url, 3), database_url=url) as served:
            with server.silent():
                checks = Readiness(served.commands.engine, patience=0.5).checks()

            found = {name: check["ok"] for name, check in checks.items()}
            assert found == {"disk": True, "broker": True, "database": False, "migrations": False, "workers": False}


@on_postgresql_alone
def test_those_who_read_the_log_of_a_step_slowly_hold_no_connections(
    served: Served, bob: Caller, database: Database
) -> None:
    address = bob.start("three")
    operation = int(address.rpartition("/")[2])
    for _ in range(40):
        with database.write() as tx:
            append_lines(tx, operation, 0, 1, "a line\n")
    slug_of_first = bob.get(f"{address}/steps").get_json()["steps"][0]["slug"]
    everybody = 80
    are_reading, are_counted = Barrier(everybody + 1), Barrier(everybody + 1)

    def read() -> None:
        client = served.app.test_client()
        headers = {"Authorization": f"Bearer {token_of('bob')}"}
        answer = client.get(f"{address}/steps/{slug_of_first}/log", headers=headers, buffered=False)
        assert next(iter(answer.response))
        are_reading.wait(60)
        are_counted.wait(60)
        answer.close()
        database.close()

    with ThreadPoolExecutor(everybody) as people:
        done = [people.submit(read) for _ in range(everybody)]
        are_reading.wait(60)
        held = connections_to(database)
        are_counted.wait(60)
    for one in done:
        one.result()

    assert held < 8


def connections_to(database: Database) -> int:
    with database.glance() as tx:
        counted = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        return int(tx.execute(counted).scalar_one())


def test_a_full_disk_is_named(broker_url: str, migrated_file: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("no disk can be mounted here")
    try:
        (disk / "operations.db").write_bytes(migrated_file.read_bytes())
        url = f"sqlite:///{disk}/operations.db"
        with serving(tmp_path / "data", in_database(broker_url, 3), database_url=url) as served:
            bob = Caller(served.app.test_client(), token_of("bob"))
            with (disk / "full").open("wb", buffering=0) as full:
                while left := os.statvfs(disk).f_bavail:
                    full.write(b"\0" * 4096 * left)

            refused = bob.post("/operations", {"workflow": "three"})
            unready = bob.get("/readyz")

            assert (refused.status_code, slug(refused)) == (503, "database-unavailable")
            assert "its disk is full" in problem(refused)["detail"]
            assert not problem(unready)["checks"]["disk"]["ok"]
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
