"""Targets: where a step keeps its result, as a template of the step's facts and its arguments."""

from __future__ import annotations

from dataclasses import dataclass
from string import Formatter
from typing import TYPE_CHECKING, Any, Final

from app.errors import StepOptionInvalid, TargetMalformed, TargetOutside
from app.results.base import inside
from app.results.references import OWN

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

#: The fields that every target may have, whatever its step is called with; `date` is the operation's start, UTC.
FACTS: Final = ("date", "workflow", "operation_id", "step", "task_name")


@dataclass(frozen=True, slots=True)
class Target:
    """A template such as `{date:%Y-%m-%d}/{task_name}.txt`, its syntax checked."""

    template: str

    def check(self, parameters: Collection[str], *, is_open: bool) -> None:
        """See that each field is a fact or a parameter; where the function takes others too, any may be one.

        Raises StepOptionInvalid.
        """
        fields = fields_of(self.template)
        if both := sorted(fields & set(FACTS) & set(parameters)):
            raise StepOptionInvalid("target", f"has the field {{{both[0]}}}, which is a parameter too: rename that")
        unknown = sorted(fields - set(FACTS) - set(parameters))
        if unknown and not is_open:
            known = ", ".join((*FACTS, *parameters))
            raise StepOptionInvalid("target", f"has the field {{{unknown[0]}}}, and may have {known}")

    def path(self, facts: Mapping[str, Any]) -> str:
        """The path that these facts give. Raises TargetMalformed, and TargetOutside where it leaves its store."""
        try:
            path = self.template.format_map(facts)
        except KeyError as missing:
            raise TargetMalformed(self.template, f"there is no field {{{missing.args[0]}}}") from None
        except Exception as why:  # a value may bring code of its own that tells how it is written
            raise TargetMalformed(self.template, str(why) or type(why).__name__) from None
        if path.partition("/")[0] == OWN:
            raise TargetOutside(path, "is where the service keeps results of its own")
        return inside(path)


def target_of(template: object) -> Target | None:
    """The target that an option asks for. Raises StepOptionInvalid when that is no template."""
    if template is None:
        return None
    if not isinstance(template, str) or not template:
        raise StepOptionInvalid("target", f"is {template!r}: give a text such as '{{date:%Y-%m-%d}}/{{task_name}}.txt'")
    fields_of(template)
    return Target(template)


def fields_of(template: str) -> set[str]:
    """The names of a template's fields. Raises StepOptionInvalid for one that is no plain name."""
    try:
        parts = list(Formatter().parse(template))
    except ValueError as why:
        raise StepOptionInvalid("target", f"is {template!r}, which is no template ({why})") from None
    named = [(name, spec or "") for _, name, spec, _ in parts if name is not None]
    for name, spec in named:
        if not name.isidentifier() or "{" in spec:
            raise StepOptionInvalid(
                "target", f"has the field {{{name}}}: name a fact or a parameter, and no part of one"
            )
    return {name for name, _ in named}
