"""What a run prints, and what it leaves in a file for people and for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from bench.figure import number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bench.figure import Figure

_BEGIN: Final = "<!-- measured: begin -->"
_END: Final = "<!-- measured: end -->"
_HEAD: Final = "| figure | ours | beside it | ratio | target | |\n|---|---|---|---|---|---|"


def told(figure: Figure) -> str:
    """A figure as two lines for the terminal."""
    parts = [f"ours {figure.ours} {figure.unit}"]
    if figure.theirs:
        parts += [f"{figure.beside} {figure.theirs}", f"ratio {figure.ratio}"]
    if figure.target:
        parts.append(f"target {_target(figure)}: {figure.verdict}")
    if figure.note:
        parts.append(figure.note)
    return f"{figure.what}\n    {' | '.join(parts)}"


def document(machine: Mapping[str, str], figures: Sequence[Figure], command: str) -> str:
    """The run as Markdown."""
    facts = "\n".join(f"- {name}: {value}" for name, value in machine.items())
    rows = "\n".join(_row(figure) for figure in figures)
    notes = "\n".join(f"- {figure.what}: {figure.note}" for figure in figures if figure.note)
    return f"Measured by `{command}` on this machine:\n\n{facts}\n\n{_HEAD}\n{rows}\n\nNotes:\n\n{notes}\n"


def put_into(file: Path, content: str) -> None:
    """Put `content` between the two marks of a file, leaving what people wrote around them.

    Raises:
        ValueError: The file has no such marks.
    """
    before, begin, rest = file.read_text().partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise ValueError(f"{file} has no lines {_BEGIN} and {_END} to write between")
    file.write_text(f"{before}{_BEGIN}\n{content}{_END}{after}")


def put_json(file: Path, machine: Mapping[str, str], figures: Sequence[Figure]) -> None:
    """Write the run for programs to read."""
    run = {"machine": dict(machine), "figures": [figure.facts() for figure in figures]}
    file.write_text(json.dumps(run, indent=2, ensure_ascii=False) + "\n")


def _row(figure: Figure) -> str:
    theirs = f"{figure.beside}: {figure.theirs}" if figure.theirs else ""
    ratio = str(figure.ratio) if figure.ratio else ""
    cells = (figure.what, f"{figure.ours} {figure.unit}", theirs, ratio, _target(figure), figure.verdict)
    return f"| {' | '.join(cells)} |"


def _target(figure: Figure) -> str:
    if figure.target is None:
        return ""
    unit = " times" if figure.ratio else f" {figure.unit}"
    return f"{figure.target.sign} {number(figure.target.bound)}{unit}"
