"""A secret is found in three places, in this order, and whatever is written names it instead of showing it."""

from __future__ import annotations

import copy
import io
import json
import logging
import os
import pickle
import traceback
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pausable import secrets
from pausable.errors import SecretMissing, SecretNameInvalid
from pausable.logs import json_formatter
from pausable.secrets import Secret, found_in, redacted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VALUE = 's3cr3t/with "quotes", a \\, ümlauts & a\nsecond line'


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty folder to look in, and a process that knows no secret."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path / "mounted"))
    monkeypatch.delenv("API_KEY", raising=False)
    monkeypatch.setattr(secrets, "_known", type(secrets._known)())
    (tmp_path / "mounted").mkdir()
    yield
    logging.setLogRecordFactory(logging.LogRecord)


def planted(monkeypatch: pytest.MonkeyPatch, value: str = VALUE) -> str:
    monkeypatch.setenv("API_KEY", value)
    return Secret("API_KEY").get()


def test_the_environment_comes_before_the_folder_and_that_before_the_file_env(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("API_KEY=of the file .env\n")
    assert Secret("API_KEY").get() == "of the file .env"

    (tmp_path / "mounted" / "API_KEY").write_text("of the folder\n")
    assert Secret("API_KEY").get() == "of the folder"

    monkeypatch.setenv("API_KEY", "of the environment")
    assert Secret("API_KEY").get() == "of the environment"


def test_the_folder_may_be_named_in_the_file_env_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECRETS_DIR")
    (tmp_path / ".env").write_text(f"SECRETS_DIR={tmp_path / 'mounted'}\n")
    (tmp_path / "mounted" / "API_KEY").write_text("of the folder")

    assert Secret("API_KEY").get() == "of the folder"


def test_a_secret_that_is_nowhere_is_an_error_that_names_all_three_places(tmp_path: Path) -> None:
    (tmp_path / "mounted" / "API_KEY").write_text("")

    with pytest.raises(SecretMissing) as missing:
        Secret("API_KEY").get()

    told = str(missing.value)
    assert "environment variable API_KEY" in told
    assert str(tmp_path / "mounted" / "API_KEY") in told
    assert ".env" in told


def test_a_file_that_is_no_text_is_told_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "mounted" / "API_KEY").write_bytes(b"\xff\xfe")

    with pytest.raises(SecretMissing, match="which is not text"):
        Secret("API_KEY").get()


@pytest.mark.parametrize("name", ["", "../token", "a/b", "/etc/passwd", ".hidden", "1st", "a b", "a\n", "ä", "x" * 129])
def test_a_name_that_could_lead_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(SecretNameInvalid):
        Secret(name)


def test_a_secret_shows_its_name_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch)
    secret = Secret("API_KEY")

    assert f"{secret} {secret!r}" == "Secret('API_KEY') Secret('API_KEY')"
    assert not hasattr(secret, "__dict__")


@pytest.mark.parametrize("away", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_secret_is_not_taken_elsewhere(away: object) -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        away(Secret("API_KEY"))  # type: ignore[operator]


def test_nothing_is_looked_for_until_a_secret_was_asked_for() -> None:
    assert redacted("anything") == "anything"
    assert found_in("anything") is None
    assert logging.getLogRecordFactory() is logging.LogRecord


@pytest.mark.parametrize(
    "written",
    [
        VALUE,
        json.dumps({"key": VALUE}),
        json.dumps({"key": VALUE}, ensure_ascii=False),
        json.dumps(json.dumps({"key": VALUE})),
        repr(VALUE),
        quote(VALUE),
        quote(VALUE, safe=""),
        quote_plus(VALUE),
        quote(VALUE, safe="").lower(),
        urlencode({"key": VALUE}),
    ],
)
def test_a_secret_is_found_however_it_is_written(written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch)

    assert found_in(f"before {written} behind") == "API_KEY"
    assert "<secret API_KEY>" in redacted(written)
    assert "s3cr3t" not in redacted(written)


def test_of_two_secrets_of_which_one_holds_the_other_the_longer_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch, "hunter22")
    monkeypatch.setenv("LONG", "hunter22-and-more")
    Secret("LONG").get()

    assert redacted("hunter22-and-more, hunter22") == "<secret LONG>, <secret API_KEY>"


def test_a_value_of_three_characters_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch, "yes")

    assert redacted("yes") == "yes"


@given(st.text(min_size=4).filter(lambda value: "\0" not in value), st.text(), st.text())
def test_any_value_is_gone_from_any_text(value: str, before: str, behind: str) -> None:
    known = type(secrets._known)()
    known.remember("ANY", value)
    assert known.pattern

    left = known.pattern.sub("\0", before + value + behind)

    assert value not in left


def test_the_log_of_this_process_names_it_whoever_writes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    value = planted(monkeypatch, "hunter2hunter2")
    plain, as_json = io.StringIO(), io.StringIO()
    log = logging.getLogger("tests.secrets")
    for stream, formatter in ((plain, logging.Formatter()), (as_json, json_formatter())):
        handler = logging.StreamHandler(stream)
        handler.setFormatter(formatter)
        log.addHandler(handler)

    try:
        raise ValueError(value)
    except ValueError:
        log.exception("it is %s", value, stack_info=True)
    log.handlers.clear()

    for told in (plain.getvalue(), as_json.getvalue()):
        assert "hunter2" not in told
        assert "it is <secret API_KEY>" in told
        assert "ValueError: <secret API_KEY>" in told


def test_a_child_process_knows_what_its_parent_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch, "hunter2hunter2")
    listening, telling = os.pipe()

    child = os.fork()
    if child == 0:
        try:
            os.write(telling, redacted("hunter2hunter2").encode())
        except BaseException:
            traceback.print_exc()
        os._exit(0)
    os.waitpid(child, 0)

    assert os.read(listening, 100) == b"<secret API_KEY>"
