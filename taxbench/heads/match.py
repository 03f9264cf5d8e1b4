"""A reference: a system's image vector is compared with its own text vector of the term, as it was trained to do."""

from typing import Literal

from taxbench.specs.spec import Spec

READS = "labels"
SYSTEM = True


class Settings(Spec, strict=True):
    """Options of the reading by a system's own vectors."""

    hubness: Literal["none", "csls", "standardise"] = "csls"
    """What is done about terms that are near to every image: it takes training images, and none of their names. CSLS
    looks at those nearest to a term; a spread over all images grows with how many show it, and `standardise` then puts
    the threshold of leaves, which few images show, too high for hypernyms."""
