"""The databases of PostgreSQL that tests get: each as if it were new, though another test had it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgresql import PostgreSQL

TEMPLATE = "migrated"


@pytest.fixture
def server(postgresql: PostgreSQL) -> Iterator[PostgreSQL]:
    """The server, of which every spare database is out of reach."""
    spare, postgresql._spare = postgresql._spare, []
    yield postgresql
    for name in postgresql._spare:
        postgresql.drop(name)
    postgresql._spare = spare


def test_a_database_that_was_given_back_has_no_row_and_counts_from_one(server: PostgreSQL) -> None:
    name, url = server.lend(TEMPLATE)
    with psycopg.connect(url) as left_open:
        assert left_open.execute("SELECT nextval('operations_id_seq'), nextval('operations_id_seq')").fetchone()
        left_open.execute("""INSERT INTO "user" (name, role, created_at) VALUES ('ada', 'admin', 1)""")
        left_open.commit()
        left_open.execute('LOCK TABLE "user"')

        server.take_back(name, TEMPLATE)
        again, url = server.lend(TEMPLATE)
        with pytest.raises(psycopg.OperationalError):
            left_open.execute("SELECT 1")

    assert again == name
    with psycopg.connect(url) as connection:
        assert connection.execute('SELECT count(*) FROM "user"').fetchone() == (0,)
        assert connection.execute("SELECT nextval('operations_id_seq')").fetchone() == (1,)
    server.take_back(again, TEMPLATE)


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE witness (x integer)",
        "ALTER TABLE operations ADD COLUMN x integer",
        "ALTER TABLE operations RENAME TO gone",
        "CREATE INDEX more ON operations (id)",
        "CREATE FUNCTION more() RETURNS integer AS 'SELECT 1' LANGUAGE sql",
        "UPDATE installation SET name = 'another'",
        "UPDATE alembic_version SET version_num = '0001'",
        "ALTER TABLE operations ALTER COLUMN completion DROP NOT NULL",
    ],
)
def test_a_database_that_was_changed_otherwise_is_lent_no_more(server: PostgreSQL, change: str) -> None:
    name, url = server.lend(TEMPLATE)
    with psycopg.connect(url) as connection:
        connection.execute(change.encode())

    server.take_back(name, TEMPLATE)

    assert server._spare == []
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
