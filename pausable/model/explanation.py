"""Why an operation does not move: facts and causes, and the findings of a preflight."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pausable.model.states import ENDED, REQUESTING, Completion, StepState
from pausable.model.times import in_utc, spoken

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

#: Prefix of the reason of an operation that cannot pause yet.
NOT_YET: Final = "it cannot pause yet: "


@dataclass(frozen=True, slots=True)
class Asked:
    """Who brought an operation into its state, when, and why; times are epoch seconds."""

    who: str
    at: float
    why: str | None


@dataclass(frozen=True, slots=True)
class Listening:
    """A worker; `queues` is None if it did not report any, `is_gone` is set if its process was found gone.

    `heard` says whether it has neither stopped nor been found lost.
    """

    id: int
    host: str
    boot_id: str
    pid: int
    start_time: int
    seen_at: float
    stopped_at: float | None
    lost_at: float | None
    queues: tuple[str, ...] | None
    running: int
    is_gone: bool = False

    @property
    def heard(self) -> bool:
        """Return whether it is not known to have ended."""
        return self.stopped_at is None and self.lost_at is None and not self.is_gone

    def lives(self, now: float, lease: float) -> bool:
        """Return whether it was seen within the lease (seconds) and is not known to have ended."""
        return self.heard and now - self.seen_at <= lease

    def takes(self, queue: str | None) -> bool:
        """Return whether it consumes that queue, as far as is known."""
        return queue is None or self.queues is None or queue in self.queues


@dataclass(frozen=True, slots=True)
class Held:
    """A running step; if it is not confirmed, its claim was taken away at that moment.

    `worker_id` is None in rows of earlier versions for a program that was not a worker; `is_gone` says that its process
    was checked and has ended.
    """

    step: str
    since: float
    is_confirmed: bool
    worker_id: int | None
    host: str | None
    boot_id: str | None
    process: int | None
    process_start: int | None
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class Ready:
    """Steps waiting for a worker in one queue: the first, their number, and when the earliest may start.

    `queue` is None if they are routed by exchange; `starts_at` is None if they may start now.
    """

    step: str
    steps: int
    queue: str | None
    starts_at: float | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """A step that runs again at `due_at`, and the reason it gave."""

    step: str
    due_at: float
    why: str | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A step that waits for others: how many have not ended, and which of them are under way."""

    step: str
    waits: int
    ahead: tuple[tuple[str, StepState], ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything known about an operation at one moment; `lease` and `period` (heartbeat interval) are in seconds."""

    completion: Completion
    asked: Asked | None = None
    reason: str | None = None
    failed_step: str | None = None
    fault: str | None = None
    finished_at: float | None = None
    #: When the service itself starts or resumes it.
    due_at: float | None = None
    #: Since when and where it was moved, in the words of whoever moved it.
    moved_at: float | None = None
    moved_to: str | None = None
    counts: Mapping[StepState, int] = field(default_factory=dict)
    held: tuple[Held, ...] = ()
    ready: tuple[Ready, ...] = ()
    retries: tuple[Retry, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    workers: tuple[Listening, ...] = ()
    lease: float = 0.0
    period: float = 0.0
    broker_answers: bool = True


_C = Completion
#: Missed heartbeats after which a worker is called silent.
_BEATS: Final = 3
#: Steps of a kind that are listed individually.
_TOLD: Final = 20


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason why an operation is in its state; fields that do not apply are None. Times are epoch seconds.

    `step` is the slug of the first step concerned, `steps` their number.
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
    """Whether a live worker runs something of the operation, a summary sentence, and all causes."""

    completion: Completion
    is_moving: bool
    summary: str
    causes: tuple[Cause, ...]


def causes_of(standing: Standing, now: float) -> Explanation:
    """Return why the operation does not move, the most actionable cause first."""
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
    """Return what is known about the holder of a step: running, silent, gone or unreachable."""
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
    """Yield the cause that no worker is alive: nothing runs, recovers or publishes then."""
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


#: What a resume may accept: changed code, and things that workers have but this process lacks.
CODE: Final = "code"
ENVIRONMENT: Final = "environment"
ACCEPTABLE: Final = (CODE, ENVIRONMENT)


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding; `accept` is the word that lets the operation continue in spite of it.

    A blocking one without such a word cannot be accepted; one that does not block is a warning. `step` is the first of
    the `steps` concerned, `about` the task, secret, store or queue.
    """

    kind: str
    sentence: str
    blocks: bool = True
    accept: str | None = None
    about: str | None = None
    step: str | None = None
    steps: int | None = None


def in_the_way(findings: Iterable[Finding], accepted: Collection[str] = ()) -> list[Finding]:
    """Return the findings that block, except those accepted."""
    return [one for one in findings if one.blocks and one.accept not in accepted]


def document_unusable(why: str) -> Finding:
    """Return the finding that the document is missing or was altered."""
    return Finding("document_unusable", why)


def task_gone(task: str, step: str | None, steps: int) -> Finding:
    """Return the finding that no code is registered for a task that remains."""
    which = f", which {_these(step, steps)} call{'s' * (steps == 1)}" if step else ", which a pause point calls"
    sentence = f"No code is registered here for {task[:80]}{which}."
    return Finding("task_gone", sentence, about=task, step=step, steps=steps or None)


def call_misfits(task: str, step: str, steps: int, why: str) -> Finding:
    """Return the finding that a call does not fit the parameters that its task has now."""
    sentence = f"The call of {task} in {_these(step, steps)} does not fit its parameters any more: {why}."
    return Finding("call_misfits", sentence, about=task, step=step, steps=steps)


def step_changed(task: str, step: str, steps: int) -> Finding:
    """Return the finding that the code of a step has changed since the pause."""
    sentence = f"The code of {task}, which {_these(step, steps)} call{'s' * (steps == 1)}, has changed since the pause."
    return Finding("step_changed", sentence, accept=CODE, about=task, step=step, steps=steps)


def workflow_changed(workflow: str, *, is_gone: bool) -> Finding:
    """Return the finding that the function of a workflow is missing or has changed since the pause."""
    how = "is registered here no more" if is_gone else "has changed since the pause"
    return Finding("workflow_changed", f"The workflow {workflow} {how}.", accept=CODE, about=workflow)


def code_unknown(why: str) -> Finding:
    """Return the finding that it is unknown whether the code has changed."""
    return Finding("code_unknown", f"Whether the code has changed cannot be told: {why}.", blocks=False)


def code_outdated(file: str) -> Finding:
    """Return the finding that a source file changed after it was loaded: the others describe the old code."""
    sentence = f"{file} has changed since this process loaded it: restart the service and its workers, and look again."
    return Finding("code_outdated", sentence, blocks=False, about=file)


def secret_missing(name: str, why: str, *, is_of_code: bool) -> Finding:
    """Return the finding that a secret of a step, or (only a warning) of a notification, is missing."""
    return Finding("secret_missing", why, blocks=is_of_code, accept=ENVIRONMENT if is_of_code else None, about=name)


def store_missing(location: str, why: str) -> Finding:
    """Return the finding that a store of targets or results cannot be used."""
    return Finding("store_missing", why, accept=ENVIRONMENT, about=location)


def result_missing(place: str, step: str, why: str) -> Finding:
    """Return the finding that a result needed by the remaining steps is missing."""
    sentence = f"The result of {step}, which the rest needs, cannot be reached at {place}: {why}."
    return Finding("result_missing", sentence, accept=ENVIRONMENT, about=place, step=step, steps=1)


def no_worker(queue: str, step: str, steps: int) -> Finding:
    """Return the finding that no live worker consumes a queue."""
    sentence = f"No worker listens to the queue {queue!r}: {_these(step, steps)} will wait there for one."
    return Finding("no_worker", sentence, blocks=False, about=queue, step=step, steps=steps)


def _these(step: str | None, many: int) -> str:
    return f"step {step}" if many == 1 else f"{many} steps ({step} first)"
