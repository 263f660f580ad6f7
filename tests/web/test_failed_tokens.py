"""Who sends many tokens that open nothing is shut out for a while; nobody else is."""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, seed, settings
from hypothesis import strategies as st

from app.web.auth import FailedTokens
from pausable import clock
from pausable.db.users import prefix_of, revoke_token, user_named
from pausable.errors import TooManyFailedTokens
from tests.amounts import usually
from tests.execution.pausing import in_database
from tests.web.calling import problem, slug
from tests.web.serving import serving, token_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.web.serving import Served

if TYPE_CHECKING:
    Ask = Callable[..., Any]

HERE, ELSEWHERE = "192.0.2.7", "198.51.100.9"
LIMIT = 3


@pytest.fixture
def installation(migrated_file: Path, broker_url: str, tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Make an installation that lets three failed tokens a minute pass."""
    shutil.copy(migrated_file, tmp_path)
    made = []

    def make(**given: Any) -> Served:
        made.append(serving(tmp_path, in_database(broker_url, 3), failed_tokens_per_minute=LIMIT, **given))
        return made[-1].__enter__()

    yield make
    for one in made:
        one.__exit__(None, None, None)


@pytest.fixture
def ask(installation: Callable[..., Served]) -> Ask:
    """Ask for the operations with a token, from an address."""
    return asking(installation())


def asking(served: Served) -> Ask:
    client = served.app.test_client()

    def ask(token: str, address: str = HERE, **headers: str) -> Any:
        said = {"Authorization": f"Bearer {token}"} | {name.replace("_", "-"): text for name, text in headers.items()}
        return client.get("/operations", headers=said, environ_base={"REMOTE_ADDR": address})

    return ask


def guess(ask: Ask, times: int, address: str = HERE) -> list[int]:
    return [ask(f"a-guess-at-a-token-{number}", address).status_code for number in range(times)]


def test_beyond_the_limit_guesses_are_answered_with_429_and_when_to_come_again(ask: Ask) -> None:
    assert guess(ask, LIMIT) == [401] * LIMIT

    refused = ask("one-guess-too-many")

    assert (refused.status_code, slug(refused)) == (429, "too-many-failed-tokens")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert "one-guess" not in str(problem(refused))


def test_an_address_that_is_shut_shuts_no_other(ask: Ask) -> None:
    guess(ask, LIMIT + 1)

    assert guess(ask, LIMIT - 1, ELSEWHERE) == [401] * (LIMIT - 1)
    assert ask(token_of("bob"), ELSEWHERE).status_code == 200


def test_who_was_let_in_before_goes_on_beside_one_that_guesses(ask: Ask) -> None:
    assert ask(token_of("bob")).status_code == 200

    guess(ask, LIMIT + 1)

    assert ask(token_of("bob")).status_code == 200


def test_a_shut_address_finds_no_token_by_guessing_on(ask: Ask) -> None:
    guess(ask, LIMIT + 1)

    assert ask(token_of("bob")).status_code == 429


def test_successes_neither_count_nor_clear_what_has_failed(ask: Ask) -> None:
    assert [ask(token_of("bob")).status_code for _ in range(LIMIT * 3)] == [200] * LIMIT * 3

    assert guess(ask, LIMIT - 1) == [401] * (LIMIT - 1)
    assert ask(token_of("bob")).status_code == 200
    assert guess(ask, 2) == [401, 429]


def test_a_request_without_a_token_is_no_guess(ask: Ask) -> None:
    for _ in range(LIMIT * 3):
        assert ask("", HERE).status_code == 401

    assert guess(ask, 1) == [401]


def test_a_revoked_token_is_not_let_in_for_having_been_good(installation: Callable[..., Served]) -> None:
    served = installation()
    ask = asking(served)
    assert ask(token_of("bob")).status_code == 200
    with served.commands.engine.database.write() as tx:
        user = user_named(tx, "bob")
        assert user
        revoke_token(tx, user.id, prefix_of(token_of("bob")), clock.now())

    assert [ask(token_of("bob")).status_code for _ in range(LIMIT + 1)] == [401] * LIMIT + [429]


def test_the_address_that_a_stranger_writes_himself_is_not_believed(ask: Ask) -> None:
    answers = [ask("a-guess-at-a-token", X_Forwarded_For=f"203.0.113.{number}") for number in range(LIMIT + 1)]

    assert [answer.status_code for answer in answers] == [401] * LIMIT + [429]


def test_behind_a_proxy_of_ours_the_address_that_it_adds_counts_and_no_other(
    installation: Callable[..., Served],
) -> None:
    ask = asking(installation(trusted_proxies=1))

    forged = [ask("a-guess-at-a-token", X_Forwarded_For=f"203.0.113.{number}, {HERE}") for number in range(LIMIT + 1)]
    another = ask("a-guess-at-a-token", X_Forwarded_For=ELSEWHERE)

    assert [answer.status_code for answer in forged] == [401] * LIMIT + [429]
    assert another.status_code == 401


def test_a_network_of_ipv6_counts_as_one_address() -> None:
    limit = FailedTokens(1)

    limit.note_failed("2001:db8:0:1::1", "digest")

    with pytest.raises(TooManyFailedTokens):
        limit.demand_place("2001:db8:0:1:ffff::2", "digest")
    limit.demand_place("2001:db8:0:2::1", "digest")


def test_an_ipv4_address_in_ipv6_clothes_is_itself() -> None:
    limit = FailedTokens(1)

    limit.note_failed("192.0.2.7", "digest")

    limit.demand_place("::ffff:192.0.2.8", "digest")
    with pytest.raises(TooManyFailedTokens):
        limit.demand_place("::ffff:192.0.2.7", "digest")


SEED = random.SystemRandom().getrandbits(32)

HEADERS = st.one_of(
    st.text(st.characters(max_codepoint=255)),
    st.text(st.characters(max_codepoint=255)).map(lambda text: f"Bearer {text}"),
    st.builds(
        lambda scheme, gap, token: f"{scheme}{gap}{token}",
        st.sampled_from(["Bearer", "bearer", "BEARER", "Basic", "Token", ""]),
        st.sampled_from([" ", "  ", "\t", "", " \x0b", "\xa0"]),
        st.sampled_from([*map(token_of, ("ada", "bob", "eve"))]).flatmap(
            lambda token: st.sampled_from(
                [token[:-1], token + "x", token.upper(), token[1:], f"{token},{token}", "\0" + token]
            )
        ),
    ),
)


def test_no_authorization_header_fails_the_service_or_lets_a_stranger_in(installation: Callable[..., Served]) -> None:
    """The seed of a run that failed is in its output; put it in the place of SEED."""
    print(f"seed {SEED}")  # noqa: T201
    client = installation().app.test_client()
    number = iter(range(10**6))

    @settings(max_examples=usually(60, long=300), deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(header=HEADERS)
    @example(header="Bearer " + "x" * 100_000)
    @example(header="Bearer \ud800".encode("utf-8", "surrogatepass").decode("latin-1"))
    def refused(header: str) -> None:
        address = f"10.{next(number) >> 8 & 255}.{next(number) & 255}.1"
        environ = {"HTTP_AUTHORIZATION": header, "REMOTE_ADDR": address}
        assert client.get("/operations", environ_overrides=environ).status_code in (401, 429)

    seed(SEED)(refused)()
