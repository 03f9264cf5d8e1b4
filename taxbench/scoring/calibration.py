"""Take a bias of the language model off its margins. AUROC per term changes with none of these but by ties."""

import numpy as np


def calibrate(kind: str, margins: np.ndarray, terms: np.ndarray, blank: np.ndarray | None) -> np.ndarray:
    """Return margins less what a calibration holds for bias; see `ScoringSpec` for the kinds and their sources.

    Args:
        margins: log p(Yes) − log p(No) of a split's questions.  # (q,)
        terms: The term that each of them asks.  # (q,)
        blank: The margins of the same terms, sorted and each once, about an empty image, for contextual and pmi; where
            there is no such thing, margins stay as they are.  # (unique terms,)
    """
    if kind == "none" or (kind != "batch" and blank is None):
        return margins
    if kind == "batch":
        return np.asarray(margins - margins.mean())
    assert blank is not None
    places = np.searchsorted(np.unique(terms), terms)
    return np.asarray(margins - (blank.mean() if kind == "contextual" else blank[places]))
