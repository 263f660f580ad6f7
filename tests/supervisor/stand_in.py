"""A supervisor of stand-in programs: `python -m tests.supervisor.stand_in TABLE`, the table being JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from app.supervisor.supervision import Program, supervise


def main(table: str) -> int:
    programs = [program_of(row) for row in json.loads(Path(table).read_text())]
    return supervise(programs, lambda: print("all are ready", flush=True))  # noqa: T201


def program_of(row: dict[str, Any]) -> Program:
    ready = Path(row["ready"]) if "ready" in row else None
    return Program(
        row["name"],
        ("sh", "-c", row["script"]),
        is_ready=lambda: ready is None or ready.exists(),
        patience=row.get("patience", 30),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
