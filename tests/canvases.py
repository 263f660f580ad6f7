"""Tiny tasks whose results tell how they were called, and random canvases made of them."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from celery import chain, chord, group, shared_task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from celery.canvas import Signature

LONGEST = 200


@shared_task(name="canvases.tell")
def tell(*args: Any, name: str = "tell", **kwargs: Any) -> str:
    """How it was called, as text; a long text is cut and ends in a digest of the whole."""
    words = [_text(arg) for arg in args] + [f"{key}={_text(kwargs[key])}" for key in sorted(kwargs)]
    text = f"{name}({','.join(words)})"
    return text if len(text) <= LONGEST else f"{name}(#{hashlib.sha256(text.encode()).hexdigest()[:12]})"


@shared_task(name="canvases.pack")
def pack(*args: Any) -> list[Any]:
    """Its arguments as a list: a result that could be taken for a group's."""
    return list(args)


@shared_task(name="canvases.nothing")
def nothing(*_args: Any) -> None:
    """None, whatever it is given."""


TASKS = (tell, pack, nothing)


def random_canvas(rng: Random) -> Signature[Any]:
    """A canvas of chains, groups and chords nested up to four deep, for which plain Celery gives a result."""
    while True:
        canvas = _Growth(rng).canvas(rng.choice([2, 3, 3, 4]))
        if not breaks_celery(canvas):
            return canvas


def breaks_celery(canvas: Signature[Any]) -> bool:
    """Whether plain Celery 5.7 loses values of this canvas, or never ends it: it is no measure there."""
    kind, parts = canvas.get("subtask_type"), _parts(canvas)
    broken = (
        # Three groups in a row (a chord counts as one, and so does its body): the third is sent once for each member
        # of the second, and the first copy to end is taken for all.
        "fff" in _run_of(canvas)
        # What follows a chord that ends in a group is sent once for each member of that group.
        or (kind == "chain" and any(_last_group(part) for part in parts[:-1] if not _is_group(part)))
        # A chain of nothing but a group does not hand its members what it is given itself, and one of nothing at all
        # parts the links around it.
        or (kind == "chain" and len(parts) < 2 and all(map(_is_group, parts)))
        # A chord never ends when its body is an empty group. A group of one as a body gives a list, and as a link of a
        # chain, which it is once a chord is written as a chain, its member's bare value.
        or (kind == "chord" and _is_group(parts[-1]) and len(_parts(parts[-1])) < 2)
        # A chord counts wrong, and starts too soon or never, when a branch of its header ends in a group with a chord.
        or (kind == "chord" and any(_holds_chord(_last_group(branch)) for branch in _flat(parts[:-1])))
        # A chord's body cannot be sent when it is a chain in which a group with a chord stands before another group.
        or (kind == "chain" and any(_is_group(a) and _holds_chord(a) and _is_group(b) for a, b in pairwise(parts)))
    )
    return broken or any(breaks_celery(part) for part in parts)


class _Growth:
    """Grows one canvas; every call in it has a name of its own."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.calls = 0

    def canvas(self, depth: int) -> Signature[Any]:
        if depth == 0:
            return self.call()
        kinds: list[Callable[[int], Any]] = [self.chain, self.piped, self.group, self.chord, lambda _depth: self.call()]
        grow = self.rng.choices(kinds, weights=[3, 3, 4, 3, 3])[0]
        return grow(depth - 1)  # type: ignore[no-any-return]

    def some(self, depth: int, least: int = 0) -> list[Signature[Any]]:
        """Zero canvases seldom, one at times, mostly two or three."""
        size = self.rng.choices([0, 1, 2, 3], weights=[1, 3, 6, 6])[0]
        return [self.canvas(depth) for _ in range(max(least, size))]

    def chain(self, depth: int) -> Any:
        return chain(*self.some(depth, least=1))

    def piped(self, depth: int) -> Any:
        piped, *rest = self.some(depth, least=2)
        for link in rest:
            piped = piped | link
        return piped

    def group(self, depth: int) -> Any:
        if self.rng.random() < 0.1:
            return group(self.call() for _ in range(self.rng.randint(1, 3)))
        return group(self.some(depth))

    def chord(self, depth: int) -> Any:
        return chord(self.some(depth), self.canvas(depth))

    def call(self) -> Signature[Any]:
        self.calls += 1
        name = f"t{self.calls}"
        calls: list[Signature[Any]] = [
            tell.s(name=name),
            tell.s(self.calls, [self.calls], name=name, key=None),
            tell.si(name=name),
            pack.s(self.calls),
            nothing.s(),
            tell.map([self.calls, None]),
            tell.starmap([(self.calls, 2), ()]),
        ]
        return self.rng.choices(calls, weights=[10, 3, 2, 1, 1, 1, 1])[0]


def _text(value: Any) -> str:
    return f"[{','.join(map(_text, value))}]" if isinstance(value, list) else str(value)


def _parts(canvas: Signature[Any]) -> list[Signature[Any]]:
    match canvas.get("subtask_type"):
        case "chain" | "group":
            return list(canvas["kwargs"]["tasks"])
        case "chord":
            return [*canvas["kwargs"]["header"], canvas["kwargs"]["body"]]
    return []


def _is_group(canvas: Signature[Any]) -> bool:
    return canvas.get("subtask_type") == "group"


def _flat(parts: list[Signature[Any]]) -> Iterator[Signature[Any]]:
    for part in parts:
        if _is_group(part):
            yield from _flat(_parts(part))
        else:
            yield part


def _last_group(branch: Signature[Any]) -> Signature[Any] | None:
    parts = _parts(branch)
    return branch if _is_group(branch) else _last_group(parts[-1]) if parts else None


def _holds_chord(canvas: Signature[Any] | None) -> bool:
    return canvas is not None and (
        canvas.get("subtask_type") == "chord" or any(_holds_chord(part) for part in _parts(canvas))
    )


def _run_of(canvas: Signature[Any]) -> str:
    """The canvas as links from left to right: `f` for a group or the header of a chord, `c` for a call."""
    match canvas.get("subtask_type"):
        case "chain":
            return "".join(_run_of(part) for part in _parts(canvas))
        case "chord":
            return "f" + _run_of(_parts(canvas)[-1])
        case "group":
            return "f"
    return "c"
