"""Statements that are compiled once and run many times, and counts with a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select

from pausable.texts import storable_parts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Select
    from sqlalchemy.sql.expression import Executable

if TYPE_CHECKING:
    Parameters = Mapping[str, Any]


class Prepared:
    """A SQLAlchemy statement, compiled once per dialect."""

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def first(self, tx: Connection, parameters: Parameters) -> Any:
        """Return the first row as a tuple, or None."""
        compiled = self._for(tx)
        return _driver(tx).execute(compiled.text, compiled.bind(parameters)).fetchone()

    def all(self, tx: Connection, parameters: Parameters) -> Sequence[Any]:
        """Return every row as a tuple."""
        compiled = self._for(tx)
        rows: Sequence[Any] = _driver(tx).execute(compiled.text, compiled.bind(parameters)).fetchall()
        return rows

    def change(self, tx: Connection, parameters: Parameters) -> int:
        """Run a statement that changes rows; return how many."""
        compiled = self._for(tx)
        changed: int = _driver(tx).execute(compiled.text, compiled.bind(parameters)).rowcount
        return changed

    def change_many(self, tx: Connection, parameters: Sequence[Parameters]) -> int:
        """Run it once per set of parameters; return the total of changed rows."""
        compiled = self._for(tx)
        cursor = _driver(tx).cursor()
        cursor.executemany(compiled.text, [compiled.bind(each) for each in parameters])
        changed: int = cursor.rowcount
        cursor.close()
        return changed

    def _for(self, tx: Connection) -> _Compiled:
        name = tx.dialect.name
        if name not in self._compiled:
            self._compiled[name] = _Compiled(self._statement, tx)
        return self._compiled[name]


class _Compiled:
    def __init__(self, statement: Executable, tx: Connection) -> None:
        compiled: Any = statement.compile(  # type: ignore[attr-defined]
            dialect=tx.dialect, compile_kwargs={"render_postcompile": True}
        )
        self.text: str = compiled.string
        self._order: tuple[str, ...] | None = tuple(compiled.positiontup) if compiled.positional else None
        given = {name for name, bind in compiled.binds.items() if bind.required}
        self._fixed: dict[str, Any] = {name: value for name, value in compiled.params.items() if name not in given}

    def bind(self, parameters: Parameters) -> Any:
        """Return the parameters as the driver takes them, with the statement's own constants."""
        fixed, given = self._fixed, storable_parts(parameters)
        if self._order is None:
            return {**fixed, **given}
        return [given[name] if name in given else fixed[name] for name in self._order]


def _driver(tx: Connection) -> Any:
    return tx.connection.driver_connection


#: Maximum of a count; beyond it, callers say "more than".
COUNTED: Final = 10_000


def count_some(tx: Connection, rows: Select[Any], **values: Any) -> int:
    """Return the number of rows of a query, up to one above `COUNTED`."""
    number: int = tx.execute(select(func.count()).select_from(rows.limit(COUNTED + 1).subquery()), values).scalar_one()
    return number
