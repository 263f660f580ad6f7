"""What a notification is: when it is sent, to which address, with which text; and how an address is delivered to."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from string import Formatter
from typing import TYPE_CHECKING, Final

from pausable.errors import (
    AddressMalformed,
    ChangeUnknown,
    NotDelivered,
    NotificationMalformed,
    SecretMissing,
    TemplateMalformed,
)
from pausable.notifications.base import WEBHOOKS, scheme_of
from pausable.notifications.webhook import Webhook
from pausable.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from pausable.notifications.base import Channel, Facts, Message


def checked_address(address: str) -> str:
    """The address without the space around it. Raises AddressMalformed when nothing could ever be sent to it."""
    address = address.strip()
    scheme = scheme_of(address)
    if scheme not in WEBHOOKS:
        from pausable.notifications.apprise import check  # a service of 300 modules is not loaded for nothing

        check(address)
    return address


#: The changes that may be told of: each is a predicate of State without its `is_`.
WORDS: Final = (
    "pending", "scheduled", "running", "retrying", "paused", "finished", "successful", "cached", "skipped", "failed",
    "cancelled",
)  # fmt: skip


#: What a template may show, with an example of each; `step` and `task` are empty for an operation itself, and
#: `start_time` for all that is not run again.
EXAMPLE: Final[Facts] = {
    "workflow": "monthly-report",
    "operation_id": 17,
    "step": "clean",
    "task": "reports.clean",
    "old_state": "Running",
    "state": "Failed",
    "message": "ZeroDivisionError: division by zero",
    "attempt": 1,
    "at": "2026-01-31 23:59:59 UTC",
    "start_time": "",
}


#: Digits of a width or a precision in a template at the most.
_WIDEST: Final = 3


@dataclass(frozen=True)
class Notification:
    """A message to people about a change of a step or of an operation: sent when it comes to stand so.

    `when` is one word of `WORDS`, or several. `to` is a URL, or the Secret that holds one. `text` is a template as
    `str.format` takes it, over the names of `EXAMPLE`; without one, a line tells what stands how, and why. Raises
    ChangeUnknown, AddressMalformed, TemplateMalformed, NotificationMalformed.
    """

    when: str | tuple[str, ...]
    to: Secret | str = field(repr=False)
    text: str | None = None

    def __post_init__(self) -> None:
        for word in self.words:
            if word not in WORDS:
                raise ChangeUnknown(word, WORDS)
        if not self.words:
            raise ChangeUnknown((), WORDS)
        if isinstance(self.to, str):
            checked_address(self.to)
        elif not isinstance(self.to, Secret):
            raise NotificationMalformed("`to` is neither a Secret nor a URL")
        if self.text is not None:
            _check_template(self.text)

    @property
    def words(self) -> tuple[str, ...]:
        """`when`, as several words."""
        return (self.when,) if isinstance(self.when, str) else tuple(self.when)

    def text_of(self, facts: Facts) -> str:
        """What it says of a change."""
        return _default_text(facts) if self.text is None else self.text.format_map(facts)


def _check_template(text: object) -> None:
    if not isinstance(text, str):
        raise NotificationMalformed("`text` is no text")
    try:
        for name, spec in _fields(text):
            _check_field(name, spec)
        text.format_map(EXAMPLE)
    except TemplateMalformed:
        raise
    except (ValueError, LookupError, TypeError) as why:  # whatever `str.format` thinks of it
        raise TemplateMalformed(f"`text` cannot be filled in ({why})", EXAMPLE) from None


def _fields(text: str) -> Iterator[tuple[str, str]]:
    """The fields of a template and their formats, those of fields within formats too."""
    for _, name, spec, _ in Formatter().parse(text):
        if name is not None:
            yield name, spec or ""
            yield from _fields(spec or "")


def _check_field(name: str, spec: str) -> None:
    if name not in EXAMPLE:  # an index or an attribute makes a name another one, too
        raise TemplateMalformed(f"`text` asks for {{{name}}}", EXAMPLE)
    if "{" in spec or re.search(rf"\d{{{_WIDEST + 1},}}", spec):
        raise TemplateMalformed(f"`text` wants {{{name}}} in the form {spec!r}", EXAMPLE)


def _default_text(facts: Facts) -> str:
    whole = f"{facts['workflow']} {facts['operation_id']}"
    what = f"{facts['step']} of {whole}" if facts["step"] else whole
    why = f" ({facts['message']})" if facts["message"] else ""
    again = f", again at {facts['start_time']}" if facts["start_time"] else ""
    return f"{what}: {facts['state']}{why}{again}"


#: The secret that plain webhooks are signed with.
KEY: Final = Secret("WEBHOOK_KEY")
#: Seconds that one try may take.
DEADLINE: Final = 10.0


class Post:
    """Delivers messages; plain webhooks go to `webhook_hosts` alone."""

    def __init__(self, webhook_hosts: Collection[str]) -> None:
        self._webhook = Webhook(webhook_hosts, KEY)

    def deliver(self, to: Secret | str, message: Message) -> None:
        """Deliver a message. Raises NotDelivered; its words show neither a secret nor an address behind its host."""
        try:
            address = checked_address(to.get() if isinstance(to, Secret) else to)
            self._channel(address).deliver(address, message, DEADLINE)
        except (AddressMalformed, SecretMissing) as why:
            raise NotDelivered(str(why)) from None

    def name_of(self, to: Secret | str) -> str:
        """What people may be told of where it goes."""
        try:
            address = checked_address(to.get() if isinstance(to, Secret) else to)
            return self._channel(address).name_of(address)
        except (AddressMalformed, SecretMissing):
            return repr(to) if isinstance(to, Secret) else "its address"

    def _channel(self, address: str) -> Channel:
        if scheme_of(address) in WEBHOOKS:
            return self._webhook
        from pausable.notifications.apprise import Apprise  # loaded once somebody uses it

        return Apprise()
