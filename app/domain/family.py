"""How a step is related to others, in the words of Celery's messages: parent, root and group; and the ids that follow.

A stored signature has the key `family` where there is anything to say, with those of these keys that say something:

- `parent`: the step that releases this one; of several, the last. A first step has none.
- `root`: the first step of its line, unless that is the step itself.
- `group`, `index`: the group or chord header whose branch it ends, and its place there; behind a group, `group` alone.
- `chord`: true for a step directly behind a group that has error callbacks: a chord's body.
- `id`: the step whose id it has taken over, because it was put in that step's place.
- `seed`: where the operation was started, if that was elsewhere: the ids of its steps do not change on the way. It is
  in the table alone; a document names its origin.

A step is named by its slug, and a group by the slug of its first member; `{"id": …}` is an id that an author gave.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha1
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Mapping

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
