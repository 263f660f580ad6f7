"""Errors about notifications; none of them shows an address, for an address may be a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class NotificationMalformed(ValueError):
    """A notification was made of something that cannot be sent; `why` says what is wrong with it."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"This is no notification: {why}.")


class ChangeUnknown(NotificationMalformed):
    """A notification is to be sent when something happens that no state tells of."""

    def __init__(self, word: object, known: Iterable[str]) -> None:
        self.word = word
        super().__init__(f"`when` says {word!r}, which is none of {', '.join(known)}")


class TemplateMalformed(NotificationMalformed):
    """The text of a notification asks for something that no change has, or for it in a way that is not allowed."""

    def __init__(self, why: str, known: Iterable[str]) -> None:
        super().__init__(f"{why}; a text may hold {', '.join(f'{{{name}}}' for name in known)}")


class AddressMalformed(NotificationMalformed):
    """A notification goes to something that is no URL, or to one of which no service is known."""


class NotDelivered(Exception):
    """One try to deliver a notification came to nothing; another may fare better."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)


class WebhookHostRefused(NotDelivered):
    """A webhook goes to a host that the settings do not name."""

    def __init__(self, host: str) -> None:
        self.host = host
        super().__init__(f"webhooks may not go to {host}: add it to WEBHOOK_HOSTS, or set that to {host}")


class WebhookKeyMalformed(NotDelivered):
    """The secret that webhooks are signed with is no key."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"the secret {name} must be whsec_ followed by 24 to 64 bytes in Base64")
