"""An upper bound: a system's image vector is compared with its text vectors of the term's leaves, the nearest counts.

CHiLS (Novack et al. 2023, https://arxiv.org/abs/2302.02551). Which leaves a hypernym has, the taxonomy says: what the
benchmark asks is not asked of the system.
"""

from typing import Literal

from taxbench.specs.spec import Spec

READS = "labels"
NOTE = "reference and upper bound: told which leaves a hypernym has"
SYSTEM = True


class Settings(Spec, strict=True):
    """Options of the reading by the vectors of leaves."""

    hubness: Literal["none", "csls", "standardise"] = "csls"
    """What is done about terms that are near to every image; as for `match`."""
