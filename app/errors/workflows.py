"""Errors about workflows and their arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class WorkflowMalformed(Exception):
    """A function under `@workflow` cannot be a workflow."""

    def __init__(self, workflow: str, why: str) -> None:
        self.workflow = workflow
        super().__init__(f"The workflow {workflow!r} cannot be used: {why}.")


class WorkflowUnknown(Exception):
    """No workflow of that name is registered; `near` holds the names that look like it."""

    def __init__(self, name: str, near: Sequence[str]) -> None:
        self.name = name
        self.near = list(near)
        hint = f" Is {' or '.join(near)} meant?" if near else " GET /workflows lists those there are."
        super().__init__(f"There is no workflow {name!r}.{hint}")


class WorkflowTwice(Exception):
    """Two modules define workflows of the same name."""

    def __init__(self, name: str, modules: Sequence[str]) -> None:
        self.name = name
        self.modules = list(modules)
        super().__init__(f"The workflow {name!r} is defined twice, in {' and in '.join(modules)}: rename one of them.")


class ModuleUnusable(Exception):
    """A module that WORKFLOWS names does not import, or defines no workflow."""

    def __init__(self, module: str, why: str) -> None:
        self.module = module
        super().__init__(f"WORKFLOWS names {module}, but {why}.")


class ArgumentsInvalid(Exception):
    """The arguments do not fit a workflow's parameters; `faults` names bad `field`s with a `message` each."""

    def __init__(self, workflow: str, faults: Sequence[Mapping[str, str]]) -> None:
        self.workflow = workflow
        self.faults = [dict(fault) for fault in faults]
        fields = "; ".join(f"{fault['field']}: {fault['message']}" for fault in faults)
        super().__init__(f"The arguments do not fit the workflow {workflow!r}: {fields}.")
