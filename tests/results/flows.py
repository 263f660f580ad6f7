"""Workflows whose steps keep their results in targets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from celery import chain, group

from pausable import Canvas, State, Subject, states, step, workflow
from pausable.db.claims import held_claims
from pausable.engine.celery_app import this_engine
from pausable.engine.release import lose
from pausable.results.local import LocalResult
from pausable.results.references import LARGE
from tests.execution.flows import lines_of, wait_at, write_line

#: Letters that are too many for the table.
MANY = 3 * LARGE


def note(obj: Subject, old: State, new: State) -> None:
    """Leave a line in the ledger that the step is called with."""
    write_line(obj.arguments["ledger"], f"{old.name} > {new.name}")


@step(target="{date:%Y-%m-%d}/{operation_id}/{workflow}-{step}-{task_name}-{key}.json", state_handlers=[note])
def by_all_facts(ledger: str, key: str = "k") -> dict[str, str]:
    write_line(ledger, "ran")
    return {"key": key}


@step(target="{key}.json")
def keep(value: Any, ledger: str, key: str) -> Any:
    write_line(ledger, "ran")
    return value


@step(target="{key}.txt", serializer="text")
def keep_text(value: Any, ledger: str, key: str) -> Any:
    write_line(ledger, "ran")
    return value


@step(target="{key}.bin", serializer="bytes")
def keep_bytes(text: str, ledger: str, key: str) -> bytes:
    write_line(ledger, "ran")
    return text.encode("utf-16")


@step(target="{key}.txt", result="nowhere://at/all")
def keep_nowhere(key: str) -> int:
    return 1


@step(target="here.json", result="of-the-step")
def keep_here() -> int:
    return 1


@step(target="there.json")
def keep_there() -> int:
    return 2


@step(target="{key:%Y}.txt")
def keep_wrongly(key: str) -> int:
    return 1


@step
def length(value: Any) -> int:
    return len(value)


@step
def tell(value: Any, ledger: str) -> Any:
    write_line(ledger, repr(value))
    return value


@step
def hold_a_set(where: str) -> dict[str, Any]:
    return {"rows": [1, 2, 3, {"deep": {where}}]}


def failing(obj: Subject, old: State, new: State) -> State | None:
    if new.is_failed():
        write_line(obj.arguments["ledger"], new.message or "")
    return states.Cached("found elsewhere", 7) if new.is_successful() and obj.arguments["key"] == "elsewhere" else None


@step(target="{key}.json", state_handlers=[failing])
def keep_and_tell(value: Any, ledger: str, key: str) -> Any:
    return value


@workflow("facts")
def facts(ledger: str, key: str = "k") -> Canvas:
    """One step with every fact in its target."""
    return chain(by_all_facts.s(ledger, key=key))


@workflow("keep")
def kept(value: Any, ledger: str, key: str) -> Canvas:
    """A step with a target, and one behind it."""
    return chain(keep.s(value, ledger, key), tell.s(ledger))


@workflow("keep-text")
def kept_text(value: Any, ledger: str, key: str) -> Canvas:
    """A text in a target."""
    return chain(keep_text.s(value, ledger, key), tell.s(ledger))


@workflow("keep-bytes")
def kept_bytes(text: str, ledger: str, key: str) -> Canvas:
    """Bytes in a target."""
    return chain(keep_bytes.s(text, ledger, key), length.s())


@workflow("keep-nowhere")
def kept_nowhere() -> Canvas:
    """A store that nobody knows."""
    return chain(keep_nowhere.s("k"))


@workflow("keep-wrongly")
def kept_wrongly() -> Canvas:
    """A field written as nothing of its kind can be."""
    return chain(keep_wrongly.s("k"))


@workflow("keep-and-tell")
def kept_and_told(value: Any, ledger: str, key: str) -> Canvas:
    """A step whose handler writes down what failed."""
    return chain(keep_and_tell.s(value, ledger, key))


@workflow("stores", result=LocalResult("of-the-workflow"))
def stores() -> Canvas:
    """One store for the workflow, and another for one of its steps."""
    return chain(keep_here.si(), keep_there.si())


@workflow("hold-a-set")
def held_set() -> Canvas:
    """A value that JSON has no word for."""
    return chain(hold_a_set.s("here"))


@workflow("keep-paused")
def kept_paused(ledger: str, gate: str) -> Canvas:
    """A target before a gate and one behind it, by the date."""
    return chain(by_all_facts.si(ledger), wait_at.si(None, gate), by_all_facts.si(ledger))


@step(target="taken.json")
def keep_when_taken(ledger: str, operation_id: int) -> str:
    """Return once its claim was taken away, the first time."""
    if lines_of(ledger):
        return "second"
    write_line(ledger, "taken")
    with this_engine().database.write() as tx:
        held = [one for one in held_claims(tx) if one.operation_id == operation_id]
    for one in held:
        lose(this_engine(), one, is_gone=True, why="a test took it away")
    return "first"


@workflow("keep-when-taken")
def kept_when_taken(ledger: str, operation_id: int) -> Canvas:
    """A step whose claim is taken away while it runs."""
    return chain(keep_when_taken.s(ledger, operation_id))


@step
def letters(count: int, letter: str = "x") -> str:
    return letter * count


@step(target="large/{count}.json")
def kept_letters(count: int) -> str:
    return "y" * count


@step
def lengths(texts: list[str]) -> list[int]:
    return [len(text) for text in texts]


@step
def tell_all(value: list[str]) -> list[str]:
    return value


@step
def pretend(path: str) -> dict[str, Any]:
    """A value that looks as a reference does."""
    return {"__result__": {"store": str(Path(path).parent), "path": Path(path).name, "serializer": "text"}}


@workflow("large")
def large(count: int) -> Canvas:
    """A result too large for the table, handed to a step, and itself the last of a group."""
    return chain(letters.s(count), length.s())


@workflow("large-last")
def large_last(count: int) -> Canvas:
    """A group of results, one of which is too large for the table."""
    return group(letters.si(count), letters.si(1, "a"))


@workflow("large-group")
def large_group(count: int) -> Canvas:
    """A step that takes large results."""
    return chain(group(letters.si(count), letters.si(2, "a")), lengths.s())


def measure(obj: Subject, old: State, new: State) -> State | None:
    """Leave a line with the lengths of what the state carries, and double it where that is asked for."""
    if not new.is_successful():
        return None
    write_line(obj.arguments["ledger"], str([len(part) for part in new.result]))
    return states.Success("doubled", new.result * 2) if obj.arguments["double"] else None


@step(state_handlers=[measure])
def told_letters(count: int, ledger: str, double: bool) -> list[str]:
    return ["z" * count]


@workflow("large-told", state_handlers=[measure])
def large_told(count: int, ledger: str, double: bool) -> Canvas:
    """Large results that handlers are told of."""
    return chain(told_letters.s(count, ledger, double), tell_all.s())


@workflow("large-group-told", state_handlers=[measure])
def large_group_told(count: int, ledger: str, double: bool) -> Canvas:
    """A group of large results that a handler is told of."""
    return group(letters.si(count), letters.si(3, "b"))


@workflow("large-list")
def large_list(count: int, many: int) -> Canvas:
    """Results that are large only together, and one that is large by itself."""
    return group(letters.si(MANY if number == 0 else count) for number in range(many))


@workflow("large-target")
def large_target(count: int) -> Canvas:
    """A large result in a target."""
    return chain(kept_letters.s(count), length.s())


@workflow("large-held")
def large_held(count: int, gate: str) -> Canvas:
    """A large result before a pause."""
    return chain(letters.s(count), wait_at.s(gate), length.s())


@workflow("pretend")
def pretended(path: str, ledger: str) -> Canvas:
    """A result that looks as a reference does."""
    return chain(pretend.s(path), tell.s(ledger))
