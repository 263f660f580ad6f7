"""Why does an operation not move? Rules that turn the facts of how it stands into causes, each in a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from app.domain.durations import in_utc, spoken
from app.domain.standing import NOT_YET
from app.domain.states import ENDED, REQUESTING, Completion, StepState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.domain.standing import Held, Listening, Ready, Standing

_C = Completion
#: Beats of a heart that may be missing before its worker is called silent.
_BEATS: Final = 3
#: Steps of a kind that are told of one by one.
_TOLD: Final = 20


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason why an operation stands where it does; what does not apply is None. Times are since the epoch.

    `step` is the slug of the first step that it concerns, `steps` how many it concerns.
    """

    kind: str
    sentence: str
    step: str | None = None
    steps: int | None = None
    who: str | None = None
    why: str | None = None
    since: float | None = None
    until: float | None = None
    queue: str | None = None
    host: str | None = None
    process: int | None = None
    waits_for: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """Whether something of the operation runs in a worker that lives, in one sentence how it stands, and all causes."""

    completion: Completion
    is_moving: bool
    summary: str
    causes: tuple[Cause, ...]


def explain(standing: Standing, now: float) -> Explanation:
    """Why the operation does not move, the cause that a person can do most about first."""
    causes = tuple(_causes(standing, now))
    is_moving = any(cause.kind == "running" for cause in causes)
    summary = causes[0].sentence if causes else "Nothing keeps it: it is between two steps."
    return Explanation(standing.completion, is_moving, summary, causes)


def _causes(standing: Standing, now: float) -> Iterator[Cause]:
    if standing.completion in ENDED:
        yield _finished(standing)
    elif standing.completion is _C.PAUSED:
        yield from _moved(standing)
        yield _paused(standing, now)
    elif standing.completion in REQUESTING:
        yield _requested(standing, now)
        yield from _holders(standing, now)
        yield from _unwritable(standing)
        yield from _alone(standing, now)
    else:
        yield from _under_way(standing, now)


def _under_way(standing: Standing, now: float) -> Iterator[Cause]:
    ready = [one for one in standing.ready if one.starts_at is None]
    if ready and not standing.broker_answers:
        many = sum(one.steps for one in ready)
        yield Cause(
            "broker_unreachable",
            f"The broker does not answer: {_steps(many)} ready, and published again once it does.",
            step=ready[0].step,
            steps=many,
        )
    yield from _alone(standing, now)
    if _takers(standing, None, now):
        yield from (_unheard(standing, one, now) for one in ready if not _takers(standing, one.queue, now))
    yield from sorted(_holders(standing, now), key=lambda cause: cause.kind == "running")
    yield from (_queued(standing, one, now) for one in ready if _takers(standing, one.queue, now))
    yield from _timed(standing, now)
    yield from _waiting(standing)


def _finished(standing: Standing) -> Cause:
    who = f" by {standing.asked.who}" if standing.asked and standing.completion is _C.CANCELLED else ""
    when = f" since {in_utc(standing.finished_at)}" if standing.finished_at else ""
    failed = f"{standing.failed_step} failed" if standing.failed_step else "a state handler of the operation failed it"
    fault = f": {failed} with {standing.fault}" if standing.completion is _C.FAILED and standing.fault else ""
    what = {_C.COMPLETED: "has ended well", _C.FAILED: "has failed", _C.CANCELLED: "was cancelled"}[standing.completion]
    return Cause(
        "finished",
        f"It {what}{who}{when}{_ended(fault)}",
        step=standing.failed_step,
        who=standing.asked.who if standing.asked else None,
        why=standing.fault or (standing.asked.why if standing.asked else None),
        since=standing.finished_at,
    )


def _paused(standing: Standing, now: float) -> Cause:
    held = standing.counts.get(StepState.PAUSED, 0)
    asked = standing.asked
    by = f" by {asked.who} at {in_utc(asked.at)}, {spoken(now - asked.at)} ago" if asked else ""
    why = standing.reason or (asked.why if asked else None)
    until = f" The service resumes it at {in_utc(standing.due_at)}." if standing.due_at else ""
    return Cause(
        "paused",
        f"It was paused{by}{_because(why)} Resumed, it goes on with {_steps(held, '')}.{until}",
        steps=held,
        until=standing.due_at,
        who=asked.who if asked else None,
        why=why,
        since=asked.at if asked else None,
    )


def _moved(standing: Standing) -> Iterator[Cause]:
    if standing.moved_at is not None:
        where = f"to {standing.moved_to}" if standing.moved_to else "elsewhere"
        sentence = f"It was moved {where} at {in_utc(standing.moved_at)}, and goes on there alone."
        yield Cause("moved", sentence, since=standing.moved_at)


def _requested(standing: Standing, now: float) -> Cause:
    what = "pause" if standing.completion is _C.REQUESTING_PAUSE else "cancel"
    asked = standing.asked
    by = f" by {asked.who} at {in_utc(asked.at)}, {spoken(now - asked.at)} ago" if asked else ""
    running = len(standing.held)
    waits = f"it waits for {_steps(running)} in a worker's hands" if running else "no step of it runs any more"
    return Cause(
        f"requesting_{what}",
        f"A {what} was asked for{by}{_because(asked.why if asked else None)} Until it takes effect {waits}.",
        steps=running,
        who=asked.who if asked else None,
        why=asked.why if asked else None,
        since=asked.at if asked else None,
        waits_for=tuple(one.step for one in standing.held[:_TOLD]),
    )


def _unwritable(standing: Standing) -> Iterator[Cause]:
    _, is_kept, why = (standing.reason or "").partition(NOT_YET)
    if is_kept:
        yield Cause("document_unwritable", f"The pause cannot take effect yet: {_ended(why)}", why=why)


def _holders(standing: Standing, now: float) -> Iterator[Cause]:
    workers = {one.id: one for one in standing.workers}
    for held in standing.held[:_TOLD]:
        yield _holder(standing, held, workers.get(held.worker_id or 0), now)


def _holder(standing: Standing, held: Held, worker: Listening | None, now: float) -> Cause:
    """What is known of who holds a step: it runs, is silent until its lease ends, is gone, or is out of reach."""
    where = f"{held.host or 'this machine'}, process {held.process}"
    since = f"since {in_utc(held.since)}"
    kind, until = "running", None
    sentence = f"{held.step} runs on {where}, {since}, for {spoken(now - held.since)}."
    if not held.is_confirmed:
        kind = "holder_unproven"
        sentence = f"{held.step} was taken from {where}, {since}, and that process is not proven gone: its code may "
        sentence += "still run. `accept=unconfirmed` waits for it no longer."
    elif held.is_gone or (worker is not None and not worker.heard):
        kind = "holder_gone"
        sentence = f"{held.step} ran on {where}, which is gone: the next look of a worker queues it again."
    elif worker is not None and now - worker.seen_at > _BEATS * standing.period:
        kind, until = "holder_silent", worker.seen_at + standing.lease
        sentence = f"{held.step} runs on {where}, whose worker was last heard of at {in_utc(worker.seen_at)}: its "
        sentence += f"lease ends in {spoken(until - now)}, and then the step is queued again."
    return Cause(
        kind, sentence, step=held.step, since=held.since, until=until, host=held.host, process=held.process
    )  # fmt: skip


def _alone(standing: Standing, now: float) -> Iterator[Cause]:
    """That no worker lives at all: nobody runs, recovers or publishes anything then."""
    if _takers(standing, None, now):
        return
    seen = _last_seen(standing, None)
    since = f"the last was heard of at {in_utc(seen)}" if seen else "none ever was"
    yield Cause("no_worker", f"No worker is alive ({since}): nothing runs until one is started.", since=seen)


def _unheard(standing: Standing, ready: Ready, now: float) -> Cause:
    seen = _last_seen(standing, ready.queue)
    since = f"since {in_utc(seen)}, for {spoken(now - seen)}" if seen else "so far"
    return Cause(
        "no_worker",
        f"{_named(ready)} queued on {ready.queue!r}, where no worker has listened {since}.",
        step=ready.step,
        steps=ready.steps,
        since=seen,
        queue=ready.queue,
    )


def _queued(standing: Standing, ready: Ready, now: float) -> Cause:
    takers = _takers(standing, ready.queue, now)
    busy = sum(one.running for one in takers)
    workers = "1 worker listens" if len(takers) == 1 else f"{len(takers)} workers listen"
    hands = f"with {_steps(busy, '')} in hand" if busy else "with nothing in hand"
    queue = f"on {ready.queue!r}" if ready.queue else "past the names of queues"
    sentence = f"{_named(ready)} queued {queue}, where {workers}, {hands}."
    return Cause("queued", sentence, step=ready.step, steps=ready.steps, queue=ready.queue)


def _timed(standing: Standing, now: float) -> Iterator[Cause]:
    if standing.due_at is not None:
        when = f"at {in_utc(standing.due_at)}, in {spoken(standing.due_at - now)}"
        yield Cause("scheduled", f"It starts {when}.", until=standing.due_at)
    for retry in sorted(standing.retries, key=lambda one: one.due_at):
        wait = f"in {spoken(retry.due_at - now)}" if retry.due_at > now else "which is now"
        yield Cause(
            "retry",
            f"{retry.step} is run again at {in_utc(retry.due_at)}, {wait}{_because(retry.why)}",
            step=retry.step,
            why=retry.why,
            until=retry.due_at,
        )
    for one in standing.ready:
        if one.starts_at is not None:
            when = f"at {in_utc(one.starts_at)}, in {spoken(one.starts_at - now)}"
            yield Cause(
                "scheduled", f"{one.step} starts {when}.", step=one.step, steps=one.steps, until=one.starts_at
            )  # fmt: skip


def _waiting(standing: Standing) -> Iterator[Cause]:
    for one in standing.waiting:
        ahead = ", ".join(f"{slug} ({state})" for slug, state in one.ahead)
        others = one.waits - len(one.ahead)
        more = f" and {others} more" if others > 0 else ""
        yield Cause(
            "waiting",
            f"{one.step} waits for {ahead}{more}.",
            step=one.step,
            steps=one.waits,
            waits_for=tuple(slug for slug, _ in one.ahead),
        )


def _takers(standing: Standing, queue: str | None, now: float) -> list[Listening]:
    return [one for one in standing.workers if one.lives(now, standing.lease) and one.takes(queue)]


def _last_seen(standing: Standing, queue: str | None) -> float | None:
    return max((one.seen_at for one in standing.workers if one.takes(queue)), default=None)


def _named(ready: Ready) -> str:
    return f"{ready.step} is" if ready.steps == 1 else f"{ready.step} and {ready.steps - 1} more are"


def _steps(many: int, verb: str = "is are") -> str:
    one, _, several = verb.partition(" ")
    return " ".join(filter(None, [f"{many} step{'s' * (many != 1)}", one if many == 1 else several]))


def _because(why: str | None) -> str:
    return f": {_ended(why)}" if why else "."


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
