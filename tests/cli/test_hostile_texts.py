"""Texts that no database or encoding holds, typed at a terminal: kept or refused with a sentence, never a traceback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.terminal import Terminal

#: How Python reads bytes of an argument that are no UTF-8, and what no terminal shows as it is.
TEXTS = ("\udcff\udcfe", "\x1b[31mred\x07", "\u202e\u2028", "://a:" * 2000)


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[:12]))
def test_any_text_may_be_typed_as_a_reason(terminal: Terminal, text: str) -> None:
    started = terminal.start("three")

    terminal.says("operations", "pause", started, "--reason", text[:900])

    assert terminal.says("operations", "show", started).encode()
    assert terminal.says("operations", "events", started).encode()
    terminal.says("operations", "resume", started)


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[:12]))
def test_any_other_text_is_refused_with_a_sentence(terminal: Terminal, text: str) -> None:
    started = terminal.start("three")

    for command in (
        ("operations", "start", text),
        ("operations", "start", "three", f"{text}=1"),
        ("operations", "log", started, text),
    ):
        refusal = terminal.refuses(*command)
        assert refusal.startswith(("Error", "Usage")), command
        assert "Traceback" not in refusal
        assert refusal.encode()
