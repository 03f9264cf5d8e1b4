"""A reference: a system's own vectors of an image stand in its language model's row, and the model answers."""

from taxbench.specs.spec import Spec

SYSTEM = True


class Settings(Spec, strict=True):
    """The reading of a system's answers has no options."""
