"""The post office: takes an address, or the secret that holds one, and delivers by the way that it leads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from app.errors import AddressMalformed, NotDelivered, SecretMissing
from app.notifications.addresses import WEBHOOKS, checked_address, scheme_of
from app.notifications.webhook import Webhook
from app.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Collection

    from app.notifications.base import Channel, Message

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
        from app.notifications.apprise import Apprise  # loaded once somebody uses it

        return Apprise()
