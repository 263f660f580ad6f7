"""Texts are made storable, masked and cut in time that grows with their length alone."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import pytest

from app.web.console import forms
from pausable import secrets
from pausable.config import masked
from pausable.db import users
from pausable.documents import signing
from pausable.logs import json_formatter
from pausable.notifications import base
from pausable.results import remote
from pausable.secrets import redacted
from pausable.texts import LINE, cut, storable, storable_parts
from pausable.workflows import registry

if TYPE_CHECKING:
    from collections.abc import Callable

LONG = 200_000
#: What made an expression try the same characters again and again, and what might.
PIECES = (
    "://a:",
    "://",
    "a",
    " ",
    "@",
    ":",
    "password=",
    "&",
    "pa_",
    "bearer ",
    "1",
    "1.",
    "e",
    "-",
    ".",
    "\\",
    "\n",
    "'",
    "a://",
)
#: Seconds of the processor: what is linear takes a hundredth of that, what is quadratic a hundred times as much.
DEADLINE = 3.0


def formatted(text: str) -> None:
    json_formatter().format(logging.LogRecord("x", 20, "", 0, text, None, None))


DOERS: dict[str, Callable[[str], object]] = {
    "masked": masked,
    "storable": storable,
    "redacted": redacted,
    "log": formatted,
    "number": forms._NUMBER.fullmatch,
    "whole number": forms._WHOLE.fullmatch,
    "date": forms._DATE.fullmatch,
    "moment": forms._LOCAL.fullmatch,
    "break": forms._BREAK.split,
    "scheme": remote._SCHEME.match,
    "name of a workflow": registry._NAME.fullmatch,
    "sentence": registry._SENTENCE.match,
    "address": base._URL.fullmatch,
    "token": users._GIVEN.fullmatch,
    "seal": lambda text: signing._SEAL.search(text.encode()),
    "secret": secrets._NAME.fullmatch,
}


@pytest.mark.parametrize("name", DOERS)
def test_no_text_makes_an_expression_try_it_again_and_again(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_known", secrets._Known())
    secrets._known.remember("KEY", "aaaaaaaaaaaaaaaaaaab")

    for piece in PIECES:
        for end in ("!", "@h"):
            begun = time.process_time()
            DOERS[name](piece * (LONG // len(piece)) + end)
            assert time.process_time() - begun < DEADLINE, (piece, end)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("://a:" * 3 + "@", "://a:***@"),
        ("a redis://:x@h/0, b amqp://me:y@h// c", "a redis://:***@h/0, b amqp://me:***@h// c"),
        ("://a:://b:", "://a:://b:"),
        ("@://a:b", "@://a:b"),
        ("http://h/x?password=a@b&c=d", "http://h/x?password=***&c=d"),
        ("x://u:p@h?password=q", "x://u:***@h?password=***"),
        ("\n  x://u:p@h\t", "\n  x://u:***@h\t"),
    ],
)
def test_masking_ends_a_password_at_the_last_at_sign_of_its_word(text: str, shown: str) -> None:
    assert masked(text) == shown


def test_a_line_that_is_logged_is_cut() -> None:
    record = logging.LogRecord("x", 20, "", 0, "y" * 10 * LINE, None, None)

    line = json_formatter().format(record)

    assert len(line) < LINE + 1000
    assert "characters in all" in line


@pytest.mark.parametrize(
    ("text", "kept"),
    [("a\0b", "a\\x00b"), ("\ud83d", "\\ud83d"), ("é\U0001f600\x1b\n", "é\U0001f600\x1b\n"), ("", "")],
)
def test_what_no_database_holds_is_written_as_python_writes_it(text: str, kept: str) -> None:
    assert storable(text) == kept
    assert storable_parts({"a": [text], "b": (text, 1, None, b"x")}) == {"a": [kept], "b": (kept, 1, None, b"x")}


def test_what_is_cut_says_how_long_it_was() -> None:
    assert cut("x" * 10, 10) == "x" * 10
    assert cut("x" * 20_000_000, 3) == "xxx… cut: 20,000,000 characters in all"
