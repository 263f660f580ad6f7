"""`python -m pausable.serverless FOLDER MESSAGE OUTPUT`: run one slice in this process, as a cloud function would."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path

from pausable.config import load_settings
from pausable.db.files import write_atomically
from pausable.documents.signing import Keys
from pausable.engine.local import Budget
from pausable.errors import PausableError
from pausable.results.local import LocalResult
from pausable.serverless.folder import FolderPublisher
from pausable.serverless.relay import Relay
from pausable.workflows.registry import load_workflows


def main() -> int:
    """Run the slice and write the resulting document; write nothing if it was run before."""
    asked = _parser().parse_args()
    settings = load_settings()
    keys = Keys(settings.document_keys())
    publisher = FolderPublisher(asked.folder / "messages")
    relay = Relay(load_workflows(settings.workflows), keys, LocalResult(asked.folder / "store"), publisher)
    budget = Budget(asked.steps, asked.seconds)
    document = relay.run(asked.message.read_bytes(), budget, trust=asked.trust, lenient=asked.lenient)
    if document is not None:
        write_atomically(asked.output, keys.sealed(document))
    return 0


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="python -m pausable.serverless", description="Run one slice of an operation.")
    parser.add_argument("folder", type=Path, help="the folder for messages and results")
    parser.add_argument("message", type=Path, help="the file with the document")
    parser.add_argument("output", type=Path, help="the file for the resulting document")
    parser.add_argument("--steps", type=int, help="the maximum number of steps to run")
    parser.add_argument("--seconds", type=float, help="the maximum duration in seconds")
    parser.add_argument("--lenient", action="store_true", help="ignore states of steps that the workflow does not have")
    parser.add_argument(
        "--trust", action="store_true", help="accept a document that is not signed with one of our keys"
    )
    return parser


if __name__ == "__main__":
    try:
        sys.exit(main())
    except PausableError as refused:
        sys.exit(str(refused))
