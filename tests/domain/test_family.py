"""Ids of steps, and how they follow from their families."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid5

import pytest

from pausable.model.identity import ids_of, put_within, started_elsewhere

SEED = "here/7"


@pytest.mark.parametrize("slug", ["add", "add-1", "a.b.c", "läßt", "x" * 900])
def test_an_id_is_the_uuid_that_python_makes_of_the_name(slug: str) -> None:
    own = ids_of(SEED, slug, {}).own

    assert own == str(uuid5(UUID("5f0e8a52-0c8c-5f0b-9d57-3d0f8a1c6b7e"), f"{SEED}/{slug}"))


def test_an_operation_that_was_started_elsewhere_has_the_ids_that_it_had_there() -> None:
    call: dict[str, Any] = {"task": "add", "family": {"parent": "same", "root": "same"}}

    moved = started_elsewhere(call, SEED)

    assert ids_of("there/1", "add", moved) == ids_of(SEED, "add", call)
    assert started_elsewhere(moved, "there/1") == moved


def test_what_is_put_in_a_place_twice_keeps_the_id_of_the_first() -> None:
    first: dict[str, Any] = {"task": "unpack", "family": {"parent": "same", "root": "same", "group": "a", "index": 2}}

    second = put_within({"task": "unpack"}, "unpack.", "unpack", first, takes_place=True)
    third = put_within({"task": "add"}, "unpack.unpack.", "unpack.unpack", second, takes_place=True)

    ids = [ids_of(SEED, slug, call) for slug, call in [("unpack", first), ("u.u", second), ("u.u.a", third)]]
    assert {one.own for one in ids} == {ids[0].own}
    assert {one.root for one in ids} == {ids[0].root}
    assert {one.group for one in ids} == {ids[0].group}
    assert [one.parent for one in ids[1:]] == [ids[0].own] * 2


def test_an_id_that_an_author_gave_is_what_others_refer_to() -> None:
    replaced: dict[str, Any] = {"task": "unpack", "options": {"task_id": "mine"}}

    inner = put_within({"task": "add"}, "unpack.", "unpack", replaced, takes_place=False)

    assert ids_of(SEED, "unpack.add", inner)[1:3] == ("mine", "mine")
