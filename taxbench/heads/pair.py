"""A reference: a system's own matching head says whether an image and a text go together, both seen at once."""

from taxbench.specs.spec import Spec

SYSTEM = True


class Settings(Spec, strict=True):
    """The reading of a system's matching head has no options: its log odds are what it was trained to give."""
