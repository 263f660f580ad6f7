"""A flow of eight tasks, four of which keep what they return in a target.

    .venv/bin/python -m examples.eight_tasks    runs it here, tells how each task ended, and draws it
    .venv/bin/python -m examples.eight_tasks    once more: what was kept is not run again

`t4` returns nothing, so there is nothing to keep, and it runs each time. As a workflow of the service:
write `WORKFLOWS=examples.eight_tasks` into `.env`, `make run`, then `.venv/bin/flask operations start eight-tasks`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from pausable import Flow, step, workflow

if TYPE_CHECKING:
    from pausable import State

TARGET: Final = "{date:%Y-%m-%d}/{task_name}.txt"
#: Where the picture is written.
PICTURE: Final = "eight_tasks.svg"


@step(target=TARGET, serializer="text")
def t1() -> str:
    """Something."""
    return "one"


@step(target=TARGET, serializer="text")
def t2() -> str:
    """Something else."""
    return "two"


@step(target=TARGET, serializer="text")
def t3(first: str, second: str) -> str:
    """Both."""
    return f"{first} and {second}"


@step(target=TARGET, serializer="text")
def t4(third: str) -> None:
    """Nothing: it is told what it was given."""
    print(f"t4 was given: {third}")


@step
def t5() -> int:
    """A number."""
    return 5


@step
def t6() -> int:
    """Another."""
    return 6


@step
def t7(second: str, sixth: int) -> str:
    """What the second and the sixth gave."""
    return f"{second} and {sixth}"


@step
def t8(second: str, third: str) -> str:
    """What the second and the third gave."""
    return f"{second}, {third}"


def build() -> Flow:
    """Put the eight tasks together."""
    flow = Flow("eight-tasks")
    first, second = flow.add(t1.s()), flow.add(t2.s())
    third = flow.add(t3.s(first, second))
    fourth = flow.add(t4.s(third))
    flow.add(t5.s(), upstream=[fourth])
    sixth = flow.add(t6.s(), upstream=[fourth])
    flow.add(t7.s(second, sixth))
    flow.add(t8.s(second, third))
    return flow


@workflow("eight-tasks")
def eight_tasks() -> Flow:
    """Eight tasks, four of which keep what they return in a target."""
    return build()


def told(state: State) -> str:
    """How the flow ended, and each of its tasks, a line each."""
    lines = [f"{node.label}: {ended}" for node, ended in state.result.items()]
    return "\n".join([f"eight-tasks: {state}", *lines])


def main() -> None:
    """Run the flow here, tell how it ended, and draw it."""
    flow = build()
    state = flow.run()
    flow.visualize(state, file=PICTURE)
    sys.stdout.write(f"{told(state)}\n{PICTURE} written\n")


if __name__ == "__main__":
    main()
