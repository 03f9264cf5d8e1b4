"""A reference: a system fills in the word that is left out of a caption of the image; how likely is the asked term?"""

from typing import Literal

from taxbench.specs.spec import Spec

READS = "labels"
SYSTEM = True


class Settings(Spec, strict=True):
    """Options of the reading of a masked word."""

    hubness: Literal["none", "csls", "standardise"] = "csls"
    """What is done about terms that are near to every image; as for `match`: log p of a word is the product of its
    vector and the state at the mask, less what all words of an image have in common."""
