"""What a person may ask about operations that move: to export, import and advance them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from app.domain.document_check import LARGEST, parsed
from app.domain.hand_made import checked_any
from app.domain.uncollected import uncollected
from app.errors import DocumentUntrusted, TrustNeedsAdmin
from app.execution import advancing, starting
from app.execution.advancing import Known, told_by
from app.execution.moving import INLINE, bring_in, export
from app.execution.steering import Wish
from app.workflows.registry import flow_policy

if TYPE_CHECKING:
    from app.commands import Commands, View
    from app.domain.document_check import Document
    from app.domain.graph import Graph
    from app.domain.sealing import Keys
    from app.execution.advancing import Budget, Tell
    from app.execution.engine import Engine
    from app.store.users import User
    from app.workflows.registry import Workflows

#: Bytes up to which a document is read to see whether it was signed before somebody spaced it anew: in memory it takes
#: many times as much, and nobody is believed yet.
_RESPACED: Final = 1024 * 1024
_NOT_AS_WRITTEN: Final = (
    "is not signed by this service as it stands, and too large to be read all the same",
    "Import it as it was written, or have an admin who knows where it comes from do it with `trust` (`--trust`).",
)


def export_operation(
    commands: Commands, requester: User, operation_id: int, *, to: str | None = None, inline: int = INLINE
) -> bytes:
    """The signed document of an operation at rest, which is moved with it: it is not resumed here any more.

    Results are inlined up to so many bytes in all. Raises OperationNotFound, DocumentNotWritten, VersionPassed.
    """
    commands.show(requester, operation_id)
    document = export(commands.engine, Wish(operation_id, requester.name), to, inline)
    return commands.engine.keys.sealed(document)


def import_operation(
    commands: Commands, requester: User, content: bytes, *, trust: bool = False, lenient: bool = False
) -> tuple[View, bool]:
    """Make an operation of a document; False with it when that was done before. It is paused, or has ended.

    Only an admin may `trust` one that no key of this service has signed. Raises DocumentMalformed, DocumentUntrusted,
    TrustNeedsAdmin, DocumentOlder, OperationAtWork, and what `told_by` raises.
    """
    if trust and not requester.is_admin:
        raise TrustNeedsAdmin("import a workflow.json that this service has not signed")
    document = believed(content, None if trust else commands.engine.keys)
    known = known_of(commands.workflows)
    head, steps = told_by(commands.engine, document, known, is_ours=not trust, lenient=lenient)
    new_id, is_new = bring_in(commands.engine, head, steps, requester, known.flow_options(head))
    return commands.show(requester, new_id), is_new


def advance(
    content: bytes, budget: Budget, workflows: Workflows, keys: Keys, *, lenient: bool = False, tell: Tell | None = None
) -> Document:
    """Run the next steps that a document tells of in this process; returns the document of the next slice.

    Where there are keys, one of them must have signed it. `tell` is told how far that is. Raises DocumentMalformed,
    DocumentUntrusted, and what `app.execution.advancing.advance` raises.
    """
    document = believed(content, keys or None)
    return advancing.advance(document, budget, known_of(workflows), is_ours=bool(keys), lenient=lenient, tell=tell)


@uncollected
def believed(content: bytes, keys: Keys | None) -> Document:
    """The document that these bytes hold, which one of the keys must have signed: nothing else of it is read before.

    Only what may have been signed here is parsed, and of that no more than takes little memory.
    Raises DocumentMalformed, DocumentUntrusted.
    """
    if keys is None or len(content) > LARGEST:
        return checked_any(parsed(content))
    if keys.has_sealed(content):
        return checked_any(parsed(content, is_ours=True))
    keys.demand_named(content)
    if len(content) > _RESPACED:
        raise DocumentUntrusted(*_NOT_AS_WRITTEN)
    document = parsed(content)
    if isinstance(document, dict):
        keys.demand_signed(document)
    return checked_any(document)


def known_of(workflows: Workflows) -> Known:
    """What an engine needs to know of these workflows."""

    def compile_(
        engine: Engine, name: str, arguments: dict[str, Any], operation_id: int
    ) -> tuple[Graph, tuple[str, ...]]:
        recipe = workflows.get(name)
        canvas = recipe.canvas(operation_id, recipe.validate(arguments))
        own = flow_policy(canvas)
        policy = recipe.policy.joined(name, own) if own else recipe.policy
        return starting.graph_of(engine, canvas, operation_id, recipe.pause_every), policy.reference

    return Known({one.name: one.policy for one in workflows}, compile_)
