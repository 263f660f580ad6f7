"""What people are told of changes: kept in the outbox with the change, and looked up in the code when it is sent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NotRequired, Protocol, TypedDict, Unpack

from pausable.db.outbox import Written, insert_notifications
from pausable.model.times import utc
from pausable.notifications.base import Message, fits
from pausable.notifications.notification import Post
from pausable.secrets import redacted
from pausable.texts import cut

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from pausable.db.database import Connection
    from pausable.db.operations import Operation
    from pausable.db.outbox import Kind, Outgoing
    from pausable.model.states import State
    from pausable.notifications.base import Facts
    from pausable.notifications.notification import Notification

#: Characters of a state's message that a notification shows.
_LONGEST: Final = 2000


class Wanted(Protocol):
    """A notification, as far as it says of which changes it is to be sent."""

    @property
    def words(self) -> Sequence[str]:
        """The changes, as words of `notifications.base.WORDS`."""


#: Where notifications stand in the code (`step:…`, `workflow:…`, `flow:…` or `all`), and those that stand there.
Source = tuple[str, Sequence[Wanted]]


class Notified(Protocol):
    """What a step or a workflow asks for in the code."""

    @property
    def notify(self) -> Sequence[Notification]:
        """The notifications it asks for, in order."""


class Policies(Protocol):
    """Knows by their names what steps and workflows ask for in the code; one that is unknown asks for nothing."""

    def of_task(self, name: str) -> Notified:
        """What a task asks for."""

    def of_workflow(self, name: str) -> Notified:
        """What a workflow asks for."""

    def of_operation(self, operation: Operation) -> Notified:
        """What a workflow asks for, with the flow that it returned for this operation."""

    @property
    def everywhere(self) -> Sequence[Notification]:
        """The notifications of every operation."""


class _Of(TypedDict):
    """Of what: `step` is its slug, empty for the operation itself; no other change of it has the text `change`."""

    step: str
    change: str
    now: float


class Change(_Of):
    """A change that people may have asked to be told of: from which state to which, by which run of which task."""

    sources: Iterable[Source]
    old: str
    new: State
    task: NotRequired[str]
    attempt: NotRequired[int]


class Telling(_Of):
    """A change that the handlers of `source` are told of."""

    source: str
    old: Mapping[str, Any]
    new: Mapping[str, Any]


class Notices:
    """Writes into the outbox; `post` delivers what stands in it, and `tell` tells handlers."""

    def __init__(
        self, webhook_hosts: Collection[str], policies: Policies, tell: Callable[[Any, Outgoing], None]
    ) -> None:
        self.post = Post(webhook_hosts)
        self.policies = policies
        self.tell = tell

    def changed(self, tx: Connection, operation: Operation, **change: Unpack[Change]) -> bool:
        """Write what a change has to be told by, in its transaction; True when there is any."""
        wanted = [
            (source, number)
            for source, listed in change["sources"]
            for number, notification in enumerate(listed)
            if fits(notification.words, change["new"])
        ]
        if wanted:
            facts = json.dumps(_facts(operation, change))
            rows = [_row(operation, change, "notification", source, number, facts) for source, number in wanted]
            insert_notifications(tx, rows)
        return bool(wanted)

    def told(self, tx: Connection, operation: Operation, **telling: Unpack[Telling]) -> None:
        """Write that handlers are to be told of a change that they cannot alter, with both states as JSON has them."""
        facts = redacted(json.dumps({"old": telling["old"], "new": telling["new"]}))
        insert_notifications(tx, [_row(operation, telling, "telling", telling["source"], 0, facts)])

    def find(self, source: str, number: int, operation: Operation | None) -> Notification | None:
        """Return the notification that stands at that place of the code, if one does still.

        Args:
            source: Where, as the row of the outbox has it: `step:<task>`, `workflow:<name>`, `flow:<name>` or `all`.
            number: Which of those that stand there.
            operation: What it tells of: its flow, built again, is where a notification of `flow:<name>` stands.
        """
        kind, _, name = source.partition(":")
        if kind == "all":
            listed = self.policies.everywhere
        elif kind == "flow":
            listed = self.policies.of_operation(operation).notify if operation else ()
        else:
            listed = (self.policies.of_task(name) if kind == "step" else self.policies.of_workflow(name)).notify
        return listed[number] if number < len(listed) else None


def message_of(row: Outgoing, notification: Notification) -> Message:
    """The message that a row of the outbox becomes: its id is the same whenever it is made."""
    facts: Facts = json.loads(row.facts)
    named = (row.operation_id, row.step, row.change, row.source, row.number, row.created_at)
    digest = hashlib.sha256(json.dumps(named).encode()).hexdigest()
    return Message(f"msg_{digest[:32]}", row.created_at, cut(redacted(notification.text_of(facts))), facts)


def _row(operation: Operation, of: Change | Telling, kind: Kind, source: str, number: int, facts: str) -> Written:
    return Written(operation.id, of["step"], kind, of["change"], source, number, facts, of["now"])


def _facts(operation: Operation, change: Change) -> Facts:
    new, again = change["new"], getattr(change["new"], "start_time", None)
    return {
        "workflow": operation.workflow,
        "operation_id": operation.id,
        "step": change["step"],
        "task": change.get("task", ""),
        "old_state": change["old"],
        "state": new.name,
        "message": cut(redacted(new.message or ""), _LONGEST),
        "attempt": change.get("attempt", 0),
        "at": _moment(utc(change["now"])),
        "start_time": _moment(again) if isinstance(again, datetime) else "",
    }


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
