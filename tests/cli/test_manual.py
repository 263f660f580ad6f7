"""docs/terminal.md tells of every command and every option."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest

from app.cli import admin, operations
from tests.web.serving import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

MANUAL = (ROOT / "docs" / "terminal.md").read_text()


def words() -> Iterator[str]:
    """All commands, and all options."""
    for single in (admin.backup, admin.restore):
        yield str(single.name)
        yield from (option.opts[0] for option in single.params if isinstance(option, click.Option))
    for group in (operations, admin.notifications, admin.users, admin.workers, admin.database):
        for name, command in group.commands.items():
            yield name if group is operations else f"{group.name} {name}"
            yield from (option.opts[0] for option in command.params if isinstance(option, click.Option))


@pytest.mark.parametrize("word", sorted(set(words())))
def test_the_manual_tells_of_it(word: str) -> None:
    assert f"`{word}" in MANUAL or f" {word}" in MANUAL
