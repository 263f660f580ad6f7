"""Several follow one operation, and read together: whatever the race, each is told each event once and in order."""

from __future__ import annotations

import random
import threading
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pausable.db.history import Event, append_event
from pausable.db.users import digest_of, user_of_token
from pausable.service.feed import Feed, follow
from tests.databases import on_both
from tests.web.serving import DEADLINE, token_of, wait_for

if TYPE_CHECKING:
    from pausable.db.users import User
    from tests.web.calling import Caller
    from tests.web.serving import Served

_LAST, _READERS = 80, 12


@dataclass
class Reader:
    """Somebody who follows until they have heard of the last change."""

    served: Served
    feed: Feed
    user: User
    operation_id: int
    heard: list[Event] = field(default_factory=list)

    def read(self) -> None:
        with closing(follow(self.served.commands, self.feed, self.user, self.operation_id, 0, beat=0.3)) as told:
            for one in told:
                if isinstance(one, Event):
                    self.heard.append(one)
                    if one.new == str(_LAST):
                        return


@on_both
def test_each_is_told_each_event_once_and_in_order(bob: Caller, served: Served) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201
    chance, database = random.Random(seed), served.commands.engine.database
    feed, user, number = Feed(database), bob_of(served), int(bob.start("three").rpartition("/")[2])
    readers = [Reader(served, feed, user, number) for _ in range(_READERS)]
    threads = [threading.Thread(target=reader.read) for reader in readers]
    starts = {chance.randrange(_LAST): thread for thread in threads}

    for count in range(1, _LAST + 1):
        if count - 1 in starts:
            starts[count - 1].start()
        with database.write() as tx:
            append_event(tx, number, at=1.0, who="ada", new=str(count))
        threading.Event().wait(chance.random() * 0.03)

    for thread in starts.values():
        thread.join(DEADLINE)
    whole = list(served.commands.events(user, number))
    assert all(reader.heard == whole for reader in readers if reader.heard), f"seed {seed}"
    assert sum(bool(reader.heard) for reader in readers) == len(starts), f"seed {seed}"
    wait_for(lambda: all(thread.name != "feed" for thread in threading.enumerate()))


def bob_of(served: Served) -> User:
    with served.commands.engine.database.glance() as tx:
        user = user_of_token(tx, digest_of(token_of("bob")))
    assert user
    return user
