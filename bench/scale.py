"""How much is measured: the numbers of a full run, and of a quick one that only shows that everything works."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Scale:
    """Counts of rounds, operations, requests and rows; `seconds` is how long an idle system is watched."""

    rounds: int = 3
    chain_operations: int = 1000
    latencies: int = 60
    fan_operations: int = 100
    message_operations: int = 50
    long_chain: int = 10_000
    wide: int = 10_000
    pauses: int = 30
    resting: int = 10_000
    seconds: float = 10.0
    posts: int = 1_500
    polls: int = 5_000
    connections: int = 8
    many_rows: int = 1_000_000
    few_rows: int = 1_000
    pages: int = 200
    repeats: int = 100
    width: int = 1000
    megabytes: int = 100
    notifications: int = 10_000


FULL: Final = Scale()
QUICK: Final = Scale(
    rounds=1,
    chain_operations=40,
    latencies=10,
    fan_operations=10,
    message_operations=10,
    long_chain=400,
    wide=400,
    pauses=3,
    resting=30,
    seconds=0.5,
    posts=100,
    polls=200,
    many_rows=5_000,
    pages=20,
    repeats=2,
    width=40,
    megabytes=1,
    notifications=300,
)
