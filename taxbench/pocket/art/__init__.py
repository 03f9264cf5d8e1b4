"""Draw the pocket pictures: a pure function of (concept, index, seed, size), fast enough to need no files.

Visual similarity is built in: the members of one category share a body plan (one family file each) and a surface
(surface.py), while pose, colour variation, background, clutter and light are drawn alike for all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from taxbench.pocket.art import scene
from taxbench.pocket.art.pen import Pen, Pose
from taxbench.pocket.art.scene import SUPERSAMPLE
from taxbench.pocket.art.surface import coat, surface
from taxbench.pocket.concepts import BY_NAME, CONCEPT_NAMES
from taxbench.util.errors import DataError, did_you_mean

__all__ = ["PICTURES", "backdrop", "frame_share", "render"]

PICTURES = "e1fce19b86d89d29a3f7f7f7a08fb7cc"
"""Changed by hand whenever a pixel of any picture changes: the data set's fingerprint and the keys of its features go
by it, and a golden test holds the pixels. The first value is the digest of the sources that stood here before."""

# One stream each, so that drawing one more shape in a bird does not move its background.
_BACKGROUND, _CLUTTER, _POSE, _SHAPE, _LIGHT, _SURFACE = range(6)


def _stable_id(name: str) -> int:
    """Turn a name into 64 bits that are the same in every process (unlike `hash`)."""
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8"), digest_size=8).digest(), "little")


def _stream(concept: str, index: int, seed: int, part: int) -> np.random.Generator:
    """Return the random stream of one part of one picture."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([_stable_id(concept), index, seed, part])))


@cache
def _drawer(concept: str) -> Callable[[Pen], None]:
    """Find the function that draws a concept."""
    if concept not in BY_NAME:
        hint = did_you_mean(concept, CONCEPT_NAMES)
        raise DataError(f"Unknown pocket concept '{concept}'.{hint} See taxbench.pocket.concepts.CONCEPT_NAMES.")
    family = import_module(f"taxbench.pocket.art.{BY_NAME[concept].family}")
    drawers: Mapping[str, Callable[[Pen], None]] = family.DRAWERS
    return drawers[concept]


def _average_down(canvas: Image.Image) -> NDArray[np.uint8]:
    """Average SUPERSAMPLE x SUPERSAMPLE pixels into one.  -> (size, size, 3)"""
    return np.asarray(canvas.reduce(SUPERSAMPLE))


def backdrop(concept: str, index: int, seed: int = 0, size: int = 96) -> NDArray[np.uint8]:
    """Paint the background and the clutter behind the object only, to check that they tell nothing.  (size, size, 3)"""
    canvas = scene.background(_stream(concept, index, seed, _BACKGROUND), size * SUPERSAMPLE)
    scene.clutter(ImageDraw.Draw(canvas), _stream(concept, index, seed, _CLUTTER), canvas.width, most=2)
    return _average_down(canvas)


def render(concept: str, index: int, seed: int = 0, size: int = 96) -> NDArray[np.uint8]:
    """Draw picture number `index` of a concept.  (size, size, 3) RGB

    Raises DataError for an unknown concept. `index` and `seed` are non-negative.
    """
    canvas, share, pose = _drawn(concept, index, seed, size)
    relief = surface(BY_NAME[concept].category, pose, canvas.width, size, _stream(concept, index, seed, _SURFACE))
    picture = coat(_average_down(canvas), share * relief)
    return scene.light(picture, _stream(concept, index, seed, _LIGHT))


def frame_share(concept: str, index: int, seed: int = 0, size: int = 48) -> float:
    """Return which share of a picture the object takes, to a hundredth at half its size; errors as for `render`."""
    return float(_drawn(concept, index, seed, size)[1].mean())


def _drawn(concept: str, index: int, seed: int, size: int) -> tuple[Image.Image, NDArray[np.float32], Pose]:
    """Draw a picture without its surface and light.

    Returns:
        The canvas, which share of each pixel the object takes, (size, size), and its pose.
    """
    drawer = _drawer(concept)
    behind = _stream(concept, index, seed, _CLUTTER)
    canvas = scene.background(_stream(concept, index, seed, _BACKGROUND), size * SUPERSAMPLE)
    draw = ImageDraw.Draw(canvas)
    scene.clutter(draw, behind, canvas.width, most=2)
    pose = scene.pose(_stream(concept, index, seed, _POSE), canvas.width)
    empty = np.array(canvas)
    drawer(Pen(draw, pose, _stream(concept, index, seed, _SHAPE)))
    bare = np.array(canvas)
    scene.clutter(draw, behind, canvas.width, most=1)
    return canvas, _object_share(empty, bare, np.asarray(canvas)), pose


def _object_share(empty: NDArray[np.uint8], bare: NDArray[np.uint8], done: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return how much of each pixel shows the object: changed by drawing it, not covered since.  (size, size)"""
    # By channels and rows first: NumPy is slow to reduce axes of three, which took half of the time of a picture.
    drawn, covered = (each[..., 0] | each[..., 1] | each[..., 2] for each in (bare != empty, done != bare))
    size = len(bare) // SUPERSAMPLE
    rows = (drawn & ~covered).reshape(size, SUPERSAMPLE, -1).sum(axis=1, dtype=np.uint8)
    count = rows.reshape(size, size, SUPERSAMPLE).sum(axis=2, dtype=np.uint8)
    return np.asarray(count.astype(np.float32) / np.float32(SUPERSAMPLE**2))
