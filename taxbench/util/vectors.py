"""Vectors as directions."""

import numpy as np


def unit(vectors: np.ndarray) -> np.ndarray:
    """Return vectors at length 1; one of length 0 stays as it is.  # (..., d)"""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12))
