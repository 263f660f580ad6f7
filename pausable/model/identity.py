"""Names that tables, documents and Celery tasks share, where an operation comes from, and the ids of its steps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha1
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Parts of the name of the Celery tasks that a pause point is made of.
PAUSE_TASK: Final = "operations.pause_or_continue"


CLAUSE_TASK: Final = "operations.should_pause"


CALLBACK_TASK: Final = "operations.save_state"


#: The Celery tasks that call another one, which their argument `task` names, once for each of their parts.
MAPS: Final = frozenset({"celery.map", "celery.starmap"})


#: Marks, in the table's JSON, a reference to a result that lies in a store, or a value that could be taken for one.
MARK: Final = "__result__"


def marked(value: Any) -> Any:
    """A value as the table has it: one that could be taken for a reference is put into an object."""
    return {MARK: {"value": value}} if isinstance(value, dict) and next(iter(value), None) == MARK else value


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an operation was started: in which installation of the service, and its id there."""

    installation: str
    operation_id: int

    def __str__(self) -> str:
        return f"{self.installation}/{self.operation_id}"


Reference = str | dict[str, str]

#: The namespace of the ids of steps.
_STEPS: Final = UUID("5f0e8a52-0c8c-5f0b-9d57-3d0f8a1c6b7e")
_BEGUN: Final = sha1(_STEPS.bytes, usedforsecurity=False)
_NONE: Final[dict[str, Any]] = {}


class Ids(NamedTuple):
    """The ids that Celery's messages carry: of the task, its parent, the first task of its line, its group."""

    own: str
    parent: str | None
    root: str
    group: str | None


def ids_of(seed: str, slug: str, call: Mapping[str, Any]) -> Ids:
    """Return the ids of a step.

    Args:
        seed: Names the operation: no other one has the same.
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
    """Return how others refer to a step: by its slug, or by the id that its author gave it."""
    given = call.get("options", _NONE).get("task_id")
    return {"id": str(given)} if given else slug


def put_within(
    call: Mapping[str, Any], prefix: str, slug: str, within: Mapping[str, Any], *, takes_place: bool
) -> dict[str, Any]:
    """Return the call of a step that another step has put in its own place, its family being that one's.

    Args:
        call: The stored signature of the new step, compiled as of an operation of its own.
        prefix: What the slugs of the new steps begin with.
        slug: The slug of the replaced step.
        within: The stored signature of the replaced step.
        takes_place: Whether the value of the new step is what the replaced one hands on: then it takes over its id.
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
    """Return the call of a step whose operation was started elsewhere: there it got its id."""
    return {**call, "family": {"seed": origin, **call.get("family", _NONE)}}


def as_told(call: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Return a call as a document tells it, which names the origin of the whole operation: the reverse of the above."""
    family = dict(call.get("family", _NONE))
    if family.pop("seed", None) != origin:
        return dict(call)
    rest = {name: value for name, value in call.items() if name != "family"}
    return rest | ({"family": family} if family else {})


def hears_of_header(call: Mapping[str, Any]) -> bool:
    """Whether error callbacks of a step are called when a member of the group before it fails: it is a chord's body."""
    return bool(call.get("family", _NONE).get("chord"))


def _id(seed: str, reference: Reference | None) -> str | None:
    if reference is None:
        return None
    return reference["id"] if isinstance(reference, dict) else _made(seed, reference)


@lru_cache(maxsize=256)
def _made(seed: str, name: str) -> str:
    """What `str(uuid5(…))` gives, at a third of its cost: every step asks for one that nobody has asked for before."""
    sha = _BEGUN.copy()
    sha.update(f"{seed}/{name}".encode(errors="surrogatepass"))
    digits = sha.hexdigest()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"
