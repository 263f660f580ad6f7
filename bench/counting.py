"""`count-by` over a large file, beside a loop over Python's csv reader in one process."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.figure import Figure, Spread, at_most, compared, interleaved
from bench.service import clean_environ

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.bed import Bed
    from bench.service import Service

#: A file of some thousand people; BENCH_PEOPLE names another. One is made up where there is none.
PEOPLE = Path(os.environ.get("BENCH_PEOPLE") or Path(__file__).parents[2] / "shared" / "data" / "people-10k.csv")

_BY = ["company", "gender"]
_LOOP = """
import csv, json, sys, time
from collections import Counter
begun = time.perf_counter()
with open(sys.argv[1], newline="", encoding="utf-8-sig") as file:
    rows = csv.reader(file)
    header = next(rows)
    places = [header.index(name) for name in ("company", "gender")]
    counts = Counter(tuple(row[place] for place in places) for row in rows)
taken = time.perf_counter() - begun
json.dump([taken, [[*key, number] for key, number in counts.items()]], sys.stdout)
"""


def count(bed: Bed) -> Iterator[Figure]:
    """The time and the memory of one operation that counts all rows of a file, in a hundred steps."""
    with bed.service(input_dir=bed.folder) as service:
        file = bed.folder / "people.csv"
        rows = grow(PEOPLE, file, bed.scale.repeats)
        worker = service.start_worker()
        results: list[Any] = []
        ours, theirs = interleaved(bed.scale.rounds, lambda: _count(service, results), lambda: _loop(file, results))
        peak = worker.peak_memory() / 1e6
    assert all(result == results[0] for result in results), "the counts differ"
    what = f"count-by over {rows:,} rows ({file.stat().st_size / 1e6:.0f} MB)"
    note = f"{len(results[0]):,} counts, equal in all runs"
    yield compared(f"{what}, call to result", "s", (ours, theirs), "a single-process csv loop", at_most(2))
    yield Figure(f"{what}: peak memory of a worker's process", "MB", Spread.of([peak]), at_most(150), note=note)


def grow(small: Path, large: Path, times: int) -> int:
    """Write a file with the rows of a small one so many times below one header; returns how many rows it has."""
    header, _, rows = _people(small).partition(b"\n")
    with large.open("wb") as file:
        file.write(header + b"\n")
        for _ in range(times):
            file.write(rows)
    with large.open(newline="", encoding="utf-8") as content:
        return sum(1 for _ in csv.reader(content)) - 1


def _people(file: Path) -> bytes:
    if file.exists():
        return file.read_bytes().rstrip(b"\n") + b"\n"
    rows = (f"Name{n},Last{n % 913},{('Female', 'Male')[n % 2]},Company {n % 389}" for n in range(10_512))
    return "\n".join(["first_name,last_name,gender,company", *rows, ""]).encode()


def _count(service: Service, results: list[Any]) -> float:
    begun = time.perf_counter()
    ids = service.start_many(1, "count-by", path="people.csv", by=_BY, chunks=100)
    service.await_all(ids, pause=0.001)
    taken = time.perf_counter() - begun
    counts = json.loads(service.commands.show(service.user, ids[0]).operation.result or "{}")["counts"]
    results.append({(*(entry[name] for name in _BY), entry["count"]) for entry in counts})
    return taken


def _loop(file: Path, results: list[Any]) -> float:
    command = [sys.executable, "-c", _LOOP, str(file)]
    answer = subprocess.run(command, capture_output=True, check=True, env=clean_environ())
    taken, counts = json.loads(answer.stdout)
    results.append({tuple(entry) for entry in counts})
    return float(taken)
