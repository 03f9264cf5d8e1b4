"""What the members of a category are made of: feathers, fur, scales, wood grain, cloth. Part of the body plan.

A surface darkens and lightens the finished object by a pattern in object coordinates, so that it turns, shears and
scales with the object. It never touches background or clutter. Patterns take (u, v), u to the right and v downwards,
about -1..1 over the object, and give values in about -1..1. They use only arithmetic that IEEE 754 fixes to the last
bit (no sine, no exponential), so that pictures do not depend on the processor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from taxbench.pocket.art.pen import Pose

Plane = NDArray[np.floating[Any]]  # (size, size)

# Set so that pictures of one category are about as alike for the encoder trained on them (mean cosine .28 of
# standardised features) as photos of one THINGS category are in arXiv 2603.07474 (.27 of raw ones). Without surfaces
# it was .13, and a head learned arbitrary pairings of pictures and words about as easily as true ones.
_STRENGTH = (0.2, 0.36)


def _wave(x: Plane) -> Plane:
    """Swing smoothly from 1 at every whole x to -1 half way between."""
    rise = np.abs(2 * (x - np.floor(x)) - 1)
    return np.asarray(2 * rise * rise * (3 - 2 * rise) - 1)


def _lines(x: Plane) -> Plane:
    """Draw one thin dark line in every unit of x."""
    return np.asarray(1 - 2 * np.square(np.square(0.5 + 0.5 * _wave(x))))


def _feathers(u: Plane, v: Plane) -> Plane:
    """Overlap rounded tips, row by row."""
    row = np.floor(v / 0.2)
    sag = 0.5 + 0.5 * _wave(u / 0.26 + 0.5 * (row % 2))
    return np.asarray(1 - 2 * np.sqrt(np.abs((v / 0.2 - row) - 0.85 * sag)))


def _fur(u: Plane, v: Plane) -> Plane:
    """Comb short slanting strokes."""
    return _wave(u / 0.14 + 0.4 * _wave(v / 0.35) + v / 0.5) * (0.65 + 0.35 * _wave(v / 0.24 + u / 0.5))


def _segments(u: Plane, v: Plane) -> Plane:
    """Stack shiny plates with a bright edge."""
    place = u / 0.3 - np.floor(u / 0.3)
    return np.asarray(2 * place * place - 1 + 0 * v)


def _scales(u: Plane, v: Plane) -> Plane:
    """Lay a lattice of small diamonds."""
    return _wave((u + v) / 0.24) * _wave((u - v) / 0.24)


def _gloss(u: Plane, v: Plane) -> Plane:
    """Round the flesh: bright where the lamp meets it, dark towards the edge."""
    reach = np.square(u + 0.25) + np.square(v + 0.25)
    return np.asarray(1.7 / (1 + 14 * reach) - 0.9 * np.minimum(reach, 1))


def _ribs(u: Plane, v: Plane) -> Plane:
    """Grow in ribs from bottom to top."""
    return 0.9 * _wave(u / 0.17 + 0.12 * _wave(v / 0.9))


def _enamel(u: Plane, v: Plane) -> Plane:
    """Reflect the sky in a slanting band over smooth paint."""
    return np.clip(4 * _wave((v + 0.35 * u) / 0.85), -1, 1)


def _planks(u: Plane, v: Plane) -> Plane:
    """Lay plank on plank."""
    return _lines(v / 0.15 + 0.02 * _wave(u / 0.7))


def _grain(u: Plane, v: Plane) -> Plane:
    """Let wood grain flow along the boards, around knots."""
    return 0.8 * _wave(v / 0.2 + 0.4 * _wave(u / 0.8) * _wave(v / 1.3))


def _knurl(u: Plane, v: Plane) -> Plane:
    """Cut two crossing sets of fine grooves."""
    return 0.5 * (_lines((u + 0.6 * v) / 0.14) + _lines((u - 0.6 * v) / 0.14))


def _flame(u: Plane, v: Plane) -> Plane:
    """Let the slanting stripes of flamed maple shine through the varnish."""
    return 0.7 * _wave((u + 0.8 * v) / 0.25 + 0.15 * _wave(v / 0.6))


def _weave(u: Plane, v: Plane) -> Plane:
    """Cross warp and weft."""
    return np.maximum(_wave(u / 0.15), _wave(v / 0.15))


def _hollow(u: Plane, v: Plane) -> Plane:
    """Turn on a wheel: the shade of a round wall, and faint rings."""
    return np.asarray(0.9 - 2.2 * np.minimum(np.square(u / 0.75), 1) + 0.35 * _wave(v / 0.25))


SURFACES: Final[Mapping[str, Callable[[Plane, Plane], Plane]]] = {
    "bird": _feathers,
    "mammal": _fur,
    "insect": _segments,
    "fish": _scales,
    "fruit": _gloss,
    "vegetable": _ribs,
    "vehicle": _enamel,
    "watercraft": _planks,
    "furniture": _grain,
    "tool": _knurl,
    "musical instrument": _flame,
    "clothing": _weave,
    "container": _hollow,
}


def surface(category: str, pose: Pose, pixels: int, size: int, rng: np.random.Generator) -> Plane:
    """Return the surface of one object, -1..1 times its strength, everywhere on the picture.  (size, size)

    Args:
        pose: The object's pose, in pixels of the supersampled canvas.
        pixels: Side of that canvas.
        size: Side of the picture.
        rng: Draws the coarseness of the pattern, within 15 %, and its strength.
    """
    axis = (np.arange(size, dtype=np.float32) + 0.5) * (pixels / size)
    x, y = np.meshgrid(axis, axis)
    coarse = rng.uniform(0.85, 1.15)
    (a, b), (c, d) = np.linalg.inv(pose.matrix).astype(np.float32) / np.float32(coarse)
    x, y = x - np.float32(pose.shift[0]), y - np.float32(pose.shift[1])
    pattern = SURFACES[category](a * x + c * y, b * x + d * y)
    return np.clip(pattern, -1, 1).astype(np.float32) * np.float32(rng.uniform(*_STRENGTH))


def coat(picture: NDArray[np.uint8], relief: Plane) -> NDArray[np.uint8]:
    """Lighten and darken a picture by a surface; dark things show it too.  (size, size, 3)"""
    lifted = picture * (1 + relief)[:, :, None] + (70 * relief)[:, :, None]
    return np.clip(lifted, 0, 255).astype(np.uint8)
