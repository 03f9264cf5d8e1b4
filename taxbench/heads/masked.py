"""A reference: a system fills in the word that is left out of a caption of the image; how likely is the asked term?"""

from typing import Literal

from taxbench.specs.spec import Spec

READS = "labels"
SYSTEM = True


class Settings(Spec, strict=True):
    """Options of the reading of a masked word."""

    hubness: Literal["none", "standardise"] = "standardise"
    """What is done about words that are likely of every image: it takes training images, and none of their names."""
