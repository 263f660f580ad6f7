"""What every store of results does, whichever it is."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from pausable.errors import TargetOutside
from pausable.results.remote import store_at

if TYPE_CHECKING:
    from pausable.results.base import Result


class Stop(Exception):
    """What a guard raises that does not let a write through."""


def refuse() -> None:
    raise Stop


def test_what_was_written_is_there_and_is_read_back(store: Result) -> None:
    assert not store.exists("2026-11-21/t1.txt")
    store.write("2026-11-21/t1.txt", b"\x00one\xff")
    assert store.exists("2026-11-21/t1.txt")
    assert store.read("2026-11-21/t1.txt") == b"\x00one\xff"


def test_a_second_write_takes_the_place_of_the_first(store: Result) -> None:
    store.write("t.txt", b"a longer one")
    assert store.exists("t.txt")
    store.write("t.txt", b"two")
    assert store.read("t.txt") == b"two"


def test_an_empty_result_is_there_too(store: Result) -> None:
    store.write("empty", b"")
    assert store.exists("empty")
    assert store.read("empty") == b""


def test_what_is_created_takes_the_place_of_nothing(store: Result) -> None:
    assert store.create("once/t.txt", b"first")
    assert not store.create("once/t.txt", b"second")
    assert store.read("once/t.txt") == b"first"


def test_of_several_that_create_at_once_one_wins(store: Result) -> None:
    store.create("warm.txt", b"")
    with ThreadPoolExecutor(8) as people:
        won = list(people.map(lambda number: store.create("won.txt", b"%d" % number), range(8)))

    assert won.count(True) == 1
    assert store.read("won.txt") == b"%d" % won.index(True)


def test_reading_what_is_not_there_is_told_as_such(store: Result) -> None:
    with pytest.raises(FileNotFoundError):
        store.read("nothing/here.txt")


def test_another_process_s_object_is_seen_after_it_was_looked_for_in_vain(store: Result) -> None:
    assert not store.exists("late.txt")
    store_at(store.location).write("late.txt", b"late")
    assert store.exists("late.txt")


def test_a_store_is_found_again_by_its_location(store: Result) -> None:
    store.write("t.txt", b"here")
    again = store_at(store.location)
    assert again == store
    assert again.read("t.txt") == b"here"
    assert store.place("t.txt").endswith("/t.txt")


def test_a_guard_that_raises_keeps_what_was_there(store: Result) -> None:
    store.write("t.txt", b"old")
    with pytest.raises(Stop):
        store.write("t.txt", b"new", guard=refuse)
    with pytest.raises(Stop):
        store.write("other/t.txt", b"new", guard=refuse)
    assert store.read("t.txt") == b"old"
    assert not store.exists("other/t.txt")


def test_a_reader_meets_one_whole_content_or_the_other(store: Result) -> None:
    contents = {bytes([letter]) * 300_000 for letter in b"abc"}
    store.write("t.bin", b"a" * 300_000)
    done = threading.Event()
    seen: list[bytes] = []

    def read() -> None:
        while not done.is_set():
            seen.append(store.read("t.bin"))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(5):
        for content in contents:
            store.write("t.bin", content)
    done.set()
    reader.join()
    assert seen
    assert set(seen) <= contents


def test_all_under_a_folder_goes_and_nothing_beside_it(store: Result) -> None:
    for path in ("operations/7/1.json", "operations/7/deep/2.json", "operations/70/1.json", "operations/8.json"):
        store.write(path, b"1")
    assert store.remove_all("operations/7")
    assert not store.remove_all("operations/7")
    assert not store.exists("operations/7/1.json")
    assert store.exists("operations/70/1.json")
    assert store.exists("operations/8.json")


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../out.txt",
        "a/../../out.txt",
        "a//b",
        "",
        "a/",
        "./a",
        "a\\b",
        "a\0b",
        "a\nb",
        "x" * 1025,
        "a\u2028b",
        "a\ud800",
    ],
)
def test_a_path_that_is_none_inside_the_store_is_refused(store: Result, path: str) -> None:
    for ask in (store.exists, store.read, store.remove_all):
        with pytest.raises(TargetOutside):
            ask(path)
    with pytest.raises(TargetOutside):
        store.write(path, b"1")


def test_paths_of_any_script_are_kept(store: Result) -> None:
    path = "größe/été 100%?#+&/名.txt"
    store.write(path, b"1")
    assert store.exists(path)
    assert store.read(path) == b"1"
