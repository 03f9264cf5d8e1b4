"""A reference: a system's odds of the term against "something else", on its own scale, without a fitted threshold."""

from taxbench.specs.spec import Spec

READS = "labels"
SYSTEM = True


class Settings(Spec, strict=True):
    """The odds that a system was trained to give have no options."""
