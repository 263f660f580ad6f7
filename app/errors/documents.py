"""Errors about documents that come from elsewhere, and about operations that went there."""

from __future__ import annotations


class DocumentUntrusted(Exception):
    """A document is not signed, or not by a key of this service; `why` goes on from "it"."""

    def __init__(self, why: str, remedy: str) -> None:
        self.why = why
        super().__init__(f"The workflow.json {why}: nothing of it was run. {remedy}")


class TrustNeedsAdmin(Exception):
    """Somebody who is no admin asked for what only an admin may answer for: `what`."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"Only an admin may {what}.")


class DocumentOlder(Exception):
    """A document is of an older slice than what is known here of the same operation."""

    def __init__(self, given: int, known: int, operation_id: int, completion: str) -> None:
        self.operation_id = operation_id
        self.completion = completion
        super().__init__(
            f"The workflow.json is of slice {given}, and operation {operation_id}, which is {completion}, has come to "
            f"slice {known} of the same operation: steps that have run since would run again. Import a newer one."
        )


class OperationAtWork(Exception):
    """A document cannot be imported while the operation that it is of goes on here."""

    def __init__(self, operation_id: int, completion: str) -> None:
        self.operation_id = operation_id
        self.completion = completion
        super().__init__(
            f"Operation {operation_id}, of which this is a workflow.json, is {completion} here: pause or cancel it."
        )


class OperationMoved(Exception):
    """An operation was moved elsewhere, and may go on only there."""

    def __init__(self, operation_id: int, completion: str, moved: str) -> None:
        self.operation_id = operation_id
        self.completion = completion
        verb = "retry" if completion == "FAILED" else "resume"
        super().__init__(
            f"Operation {operation_id} stays {completion}: {moved}, and goes on there. An admin who knows that it does "
            f"not takes it back with `accept=moved` (`flask operations {verb} {operation_id} --accept-moved`)."
        )


class ResultsUnreachable(Exception):
    """Results that the rest of a document needs lie where this service cannot read them; `results` names them."""

    def __init__(self, results: list[str]) -> None:
        self.results = results
        named = "; ".join(one[:300] for one in results[:5])
        super().__init__(
            f"Results that the rest needs cannot be read here: {named}{'; and others' * (len(results) > 5)}. Make "
            "their stores reachable, or export with a larger `inline`."
        )


class SlugsUnfit(Exception):
    """A document tells of steps by slugs that the workflow does not have, or that could be several of its steps."""

    def __init__(self, workflow: str, unknown: list[str], ambiguous: list[str]) -> None:
        self.unknown = unknown
        self.ambiguous = ambiguous
        said = [f"{_listed(unknown)}: no step is called so"] * bool(unknown)
        said += [f"{_listed(ambiguous)}: several steps may be meant"] * bool(ambiguous)
        super().__init__(f"{workflow:.80} has other steps ({'; '.join(said)}). Leave them out, or be lenient.")


def _listed(names: list[str]) -> str:
    return ", ".join(name[:80] for name in names[:5]) + " and others" * (len(names) > 5)


class SliceFailed(Exception):
    """The process that was to run a slice has ended without; it said `why`."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"A slice could not be run. {why}")


class PublisherUnusable(Exception):
    """There is nowhere to publish the rest of an operation to: `why`."""

    def __init__(self, why: str) -> None:
        super().__init__(f"PUBLISH_TO {why}.")
