"""Names shared by tables, documents and Celery tasks, the origin of an operation, and the ids of its steps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha1
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Parts of the names of the Celery tasks of a pause point.
PAUSE_TASK: Final = "operations.pause_or_continue"


CLAUSE_TASK: Final = "operations.should_pause"


CALLBACK_TASK: Final = "operations.save_state"


#: Celery tasks that call the task named in their argument `task` once per item.
MAPS: Final = frozenset({"celery.map", "celery.starmap"})


#: Marks a reference to a result in a store, or a value that would be mistaken for one, in stored JSON.
MARK: Final = "__result__"


def marked(value: Any) -> Any:
    """Return a value as stored: one that would be mistaken for a reference is wrapped in an object."""
    return {MARK: {"value": value}} if isinstance(value, dict) and next(iter(value), None) == MARK else value


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an operation was started: the installation of the service, and its id there."""

    installation: str
    operation_id: int

    def __str__(self) -> str:
        return f"{self.installation}/{self.operation_id}"


Reference = str | dict[str, str]

#: The UUID namespace of the ids of steps.
_STEPS: Final = UUID("5f0e8a52-0c8c-5f0b-9d57-3d0f8a1c6b7e")
_BEGUN: Final = sha1(_STEPS.bytes, usedforsecurity=False)
_NONE: Final[dict[str, Any]] = {}


class Ids(NamedTuple):
    """The ids in Celery's messages: of the task, its parent, the root task and its group."""

    own: str
    parent: str | None
    root: str
    group: str | None


def ids_of(seed: str, slug: str, call: Mapping[str, Any]) -> Ids:
    """Return the ids of a step.

    Args:
        seed: Identifies the operation.
        slug: The slug of the step.
        call: The stored signature of the step.
    """
    family = call.get("family", _NONE)
    seed = family.get("seed", seed)
    own = _id(seed, named(family.get("id", slug), call)) or ""
    group = family.get("group")
    return Ids(
        own,
        _id(seed, family.get("parent")),
        _id(seed, family.get("root")) or own,
        _id(seed, f"group {group}" if isinstance(group, str) else group),
    )


def named(slug: Reference, call: Mapping[str, Any]) -> Reference:
    """Return how others refer to a step: by its slug, or by the id that its author set."""
    given = call.get("options", _NONE).get("task_id")
    return {"id": str(given)} if given else slug


def put_within(
    call: Mapping[str, Any], prefix: str, slug: str, within: Mapping[str, Any], *, takes_place: bool
) -> dict[str, Any]:
    """Return the call of a step that replaces another step, with the family of that step.

    Args:
        call: The stored signature of the new step, compiled as part of an operation of its own.
        prefix: The prefix of the slugs of the new steps.
        slug: The slug of the replaced step.
        within: The stored signature of the replaced step.
        takes_place: Whether the value of the new step replaces that of the old one: then it takes over its id.
    """
    old, new = within.get("family", _NONE), call.get("family", _NONE)
    replaced = named(old.get("id", slug), within)
    moved = {name: prefix + one if isinstance(one, str) else one for name, one in _others(new).items()}
    family = {**new, "parent": replaced, **moved, "root": old.get("root", replaced)}
    if takes_place:
        family |= {"id": replaced, **{name: old[name] for name in ("group", "index") if name in old}}
    if "seed" in old:
        family["seed"] = old["seed"]
    return {**call, "family": family}


def _others(family: Mapping[str, Any]) -> dict[str, Reference]:
    return {name: family[name] for name in ("parent", "group") if name in family}


def started_elsewhere(call: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Return the call of a step with the id that it got where its operation was started."""
    return {**call, "family": {"seed": origin, **call.get("family", _NONE)}}


def as_told(call: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Return a call as a document contains it, which names the origin once: the reverse of `started_elsewhere`."""
    family = dict(call.get("family", _NONE))
    if family.pop("seed", None) != origin:
        return dict(call)
    rest = {name: value for name, value in call.items() if name != "family"}
    return rest | ({"family": family} if family else {})


def hears_of_header(call: Mapping[str, Any]) -> bool:
    """Return whether a failure in the group before a step calls its error callbacks: it is a chord's body."""
    return bool(call.get("family", _NONE).get("chord"))


def _id(seed: str, reference: Reference | None) -> str | None:
    if reference is None:
        return None
    return reference["id"] if isinstance(reference, dict) else _made(seed, reference)


@lru_cache(maxsize=256)
def _made(seed: str, name: str) -> str:
    """Return `str(uuid5(…))` at a third of its cost: every step needs one."""
    sha = _BEGUN.copy()
    sha.update(f"{seed}/{name}".encode(errors="surrogatepass"))
    digits = sha.hexdigest()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"
