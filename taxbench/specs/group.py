"""What a group file may say: a named list of tasks."""

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from taxbench.specs.refusals import Number, refused
from taxbench.specs.spec import Spec
from taxbench.specs.task import NAME, WITH_LEVEL


def _equal_or_mapping(value: Any) -> Any:
    """Return the weights of a group; raise where they are of no shape that weights have."""
    if value not in ("equal", None) and not isinstance(value, dict):
        raise refused(f"expected equal, or a mapping such as {{leaf: 1, unseen_hypernym: 2}}, found {value!r}")
    return value


class GroupSpec(Spec):
    """A named list of tasks."""

    group: str = Field(pattern=rf"^{NAME}$")
    """What users type."""
    summary: str
    """One sentence for `taxbench ls`."""
    tags: tuple[str, ...] = ()
    """Free labels for filtering."""
    members: tuple[Annotated[str, Field(pattern=WITH_LEVEL)], ...] = Field(min_length=1)
    """Tasks, in the order of the table."""
    weights: Annotated[Literal["equal"] | dict[str, Number] | None, BeforeValidator(_equal_or_mapping)] = None
    """How the members' headlines are averaged: all alike, or by the weight of each. Left out: they are not. Only tasks
    are averaged, no groups or curves. There is no average where a member is missing."""

    @model_validator(mode="after")
    def _weights_name_the_members(self) -> "GroupSpec":
        """Check that a group's weights name its members and can be averaged by."""
        if isinstance(self.weights, dict):
            wrong = sorted(set(self.weights) ^ set(self.members))
            if wrong:
                message = f"weights and members do not name the same tasks: {', '.join(wrong)}"
                raise refused(message, "weights", "members")
            if any(weight < 0 for weight in self.weights.values()) or not any(self.weights.values()):
                raise refused("weights are not negative, and one is above 0", "weights")
            if not math.isfinite(sum(self.weights.values())):
                raise refused("weights are too large to be added up", "weights")
        if len(set(self.members)) < len(self.members):
            raise refused("a member is listed twice", "members")
        return self
