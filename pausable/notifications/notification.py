"""Notifications: when one is sent, to which address and with which text; and their delivery."""

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
    """Return the address without surrounding whitespace. Raise AddressMalformed if it can never be delivered to."""
    address = address.strip()
    scheme = scheme_of(address)
    if scheme not in WEBHOOKS:
        try:
            from pausable.notifications.apprise import check  # imported lazily: 300 modules
        except ModuleNotFoundError as missing:
            why = f"{scheme}:// needs a package that is not installed: pip install 'pausable[notify]'"
            raise AddressMalformed(why) from missing
        check(address)
    return address


#: The changes that can be notified of: each is a predicate of State without `is_`.
WORDS: Final = (
    "pending", "scheduled", "running", "retrying", "paused", "finished", "successful", "cached", "skipped", "failed",
    "cancelled",
)  # fmt: skip


#: Fields of templates, with examples; `step` and `task` are empty for an operation, `start_time` unless it is retried.
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


#: Maximum digits of a width or a precision in a template.
_WIDEST: Final = 3


@dataclass(frozen=True)
class Notification:
    """A notification about a step or an operation, sent when it reaches a given state.

    Args:
        when: One or more words of `WORDS`.
        to: A URL, or the Secret that contains one.
        text: A `str.format` template over the names of `EXAMPLE`; by default a line with subject, state and reason.

    Raises:
        ChangeUnknown: `when` is not a word of `WORDS`.
        AddressMalformed: `to` is not an address.
        TemplateMalformed: `text` is not a valid template.
        NotificationMalformed: An argument has the wrong type.
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
        """Return `when` as a tuple."""
        return (self.when,) if isinstance(self.when, str) else tuple(self.when)

    def text_of(self, facts: Facts) -> str:
        """Return the text for a change."""
        return _default_text(facts) if self.text is None else self.text.format_map(facts)


def _check_template(text: object) -> None:
    if not isinstance(text, str):
        raise NotificationMalformed("`text` must be a str")
    try:
        for name, spec in _fields(text):
            _check_field(name, spec)
        text.format_map(EXAMPLE)
    except TemplateMalformed:
        raise
    except (ValueError, LookupError, TypeError) as why:  # str.format may raise any of these
        raise TemplateMalformed(f"`text` is not a valid template ({why})", EXAMPLE) from None


def _fields(text: str) -> Iterator[tuple[str, str]]:
    """Yield the fields of a template with their format specs, including fields nested in specs."""
    for _, name, spec, _ in Formatter().parse(text):
        if name is not None:
            yield name, spec or ""
            yield from _fields(spec or "")


def _check_field(name: str, spec: str) -> None:
    if name not in EXAMPLE:  # an index or an attribute also makes another name
        raise TemplateMalformed(f"`text` contains the unknown field {{{name}}}", EXAMPLE)
    if "{" in spec or re.search(rf"\d{{{_WIDEST + 1},}}", spec):
        raise TemplateMalformed(f"`text` formats {{{name}}} with the unusable spec {spec!r}", EXAMPLE)


def _default_text(facts: Facts) -> str:
    whole = f"{facts['workflow']} {facts['operation_id']}"
    what = f"{facts['step']} of {whole}" if facts["step"] else whole
    why = f" ({facts['message']})" if facts["message"] else ""
    again = f", again at {facts['start_time']}" if facts["start_time"] else ""
    return f"{what}: {facts['state']}{why}{again}"


#: The secret that signs plain webhooks.
KEY: Final = Secret("WEBHOOK_KEY")
#: Seconds for one attempt.
DEADLINE: Final = 10.0


class Post:
    """Delivers messages; plain webhooks only to `webhook_hosts`."""

    def __init__(self, webhook_hosts: Collection[str]) -> None:
        self._webhook = Webhook(webhook_hosts, KEY)

    def deliver(self, to: Secret | str, message: Message) -> None:
        """Deliver a message. Raise NotDelivered, with a text that contains no secret and nothing behind the host."""
        try:
            address = checked_address(to.get() if isinstance(to, Secret) else to)
            self._channel(address).deliver(address, message, DEADLINE)
        except (AddressMalformed, SecretMissing) as why:
            raise NotDelivered(str(why)) from None

    def name_of(self, to: Secret | str) -> str:
        """Return what may be shown of the address."""
        try:
            address = checked_address(to.get() if isinstance(to, Secret) else to)
            return self._channel(address).name_of(address)
        except (AddressMalformed, SecretMissing):
            return repr(to) if isinstance(to, Secret) else "its address"

    def _channel(self, address: str) -> Channel:
        if scheme_of(address) in WEBHOOKS:
            return self._webhook
        from pausable.notifications.apprise import Apprise  # imported on first use

        return Apprise()
