"""What is around the object: background, clutter, pose and light. Nothing here may know the concept.

Every part draws from its own random stream, so a change to one part leaves the others as they were.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from taxbench.pocket.art.colour import any_colour, shade
from taxbench.pocket.art.pen import Pose

SUPERSAMPLE: Final = 3  # shapes are drawn this much larger and averaged down, because Pillow polygons have hard edges
_SATURATION = (0.05, 0.6)  # backgrounds are on the whole duller than objects; people need the contrast
_VALUE = (0.35, 0.97)


def background(rng: np.random.Generator, pixels: int) -> Image.Image:
    """Paint a plain, graded, ground-and-sky or textured background in colours independent of the object."""
    kind = int(rng.random() * 4)
    first = np.array(any_colour(rng, _SATURATION, _VALUE), dtype=np.float64)
    second = np.array(any_colour(rng, _SATURATION, _VALUE), dtype=np.float64)
    if kind == 0:
        grid = np.broadcast_to(first, (2, 2, 3))
    elif kind == 1:
        grid = _graded(rng, first, second)
    elif kind == 2:
        grid = _two_tone(rng, first, second)
    else:
        cells = int(rng.integers(4, 20))
        weight = rng.random((cells, cells, 1)) * rng.uniform(0.2, 0.7)
        grid = first + (second - first) * weight
    small = Image.fromarray(np.clip(grid, 0, 255).astype(np.uint8))
    # Smooth at the final size, then repeat pixels: four times faster, and the same once averaged down again.
    final = small.resize((pixels // SUPERSAMPLE, pixels // SUPERSAMPLE), Image.Resampling.BILINEAR)
    return final.resize((pixels, pixels), Image.Resampling.NEAREST)


def _graded(rng: np.random.Generator, first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mix two colours along a random direction.  (12, 12, 3)"""
    angle = 2 * math.pi * rng.random()
    axis = np.linspace(-1, 1, 12)
    ramp = axis[None, :] * math.cos(angle) + axis[:, None] * math.sin(angle)
    return np.asarray(first + (second - first) * np.clip(0.5 + 0.5 * ramp, 0, 1)[:, :, None])


def _two_tone(rng: np.random.Generator, first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Put one colour over the other, with a soft edge and a little unevenness.  (48, 48, 3)"""
    rows = np.linspace(0, 1, 48)[:, None]
    columns = np.linspace(-1, 1, 48)[None, :]
    edge = rng.uniform(0.3, 0.85) + rng.uniform(-0.06, 0.06) * columns
    share = np.clip((rows - edge) * 24 + 0.5, 0, 1)[:, :, None]
    return np.asarray(first + (second - first) * share + rng.normal(0, 3.0, (48, 48, 1)))


def clutter(draw: ImageDraw.ImageDraw, rng: np.random.Generator, pixels: int, most: int) -> None:
    """Draw up to `most` small plain shapes, more often near the edges than in the middle."""
    for _ in range(int(rng.random() * (most + 1))):
        angle, reach = 2 * math.pi * rng.random(), rng.uniform(0.62, 1.1)
        centre = pixels * np.array([0.5 + 0.5 * reach * math.cos(angle), 0.5 + 0.5 * reach * math.sin(angle)])
        corners = int(rng.integers(3, 10))
        turns = np.sort(rng.random(corners)) * 2 * math.pi
        radii = pixels * rng.uniform(0.03, 0.10) * rng.uniform(0.6, 1.3, corners)
        outline = centre + radii[:, None] * np.stack([np.cos(turns), np.sin(turns)], axis=1)
        colour = any_colour(rng, (0.1, 0.8), (0.3, 0.95))
        flat = outline.ravel().tolist()
        draw.polygon(flat, fill=colour)
        draw.line(flat + flat[:4], fill=shade(colour, 0.55), width=max(1, pixels // 120))


def pose(rng: np.random.Generator, pixels: int) -> Pose:
    """Draw a pose: mirror, rotation within 20 degrees, scale 0.55 to 0.9 of the frame, position, shear, warp."""
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    angle = math.radians(rng.uniform(-20, 20))
    scale = rng.uniform(0.55, 0.90)
    unit = 0.5 * pixels * scale
    wide = rng.uniform(0.9, 1.1)
    shear = rng.uniform(-0.10, 0.10)
    c, s = math.cos(angle), math.sin(angle)
    stretch = np.array([[mirror * wide, 0.0], [shear, 1.0 / wide]])
    slack = 0.5 * pixels * (1.0 - scale) * 0.8
    shift = 0.5 * pixels + rng.uniform(-slack, slack, 2)
    warp = (rng.uniform(0.0, 0.045), rng.uniform(1.5, 3.0), *rng.uniform(0, 2 * math.pi, 2).tolist())
    return Pose(unit * stretch @ np.array([[c, s], [-s, c]]), shift, unit, warp)


def light(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Light the finished picture from one side, set its exposure, and add fine sensor noise."""
    size = picture.shape[0]
    slope_x, slope_y = rng.uniform(-0.12, 0.12, 2).astype(np.float32)
    axis = _axis(size)
    lamp = slope_x * axis + slope_y * axis[:, None] + np.float32(rng.uniform(0.88, 1.08))  # (size, size)
    noise = rng.integers(-5, 6, (size, size), dtype=np.int8)
    lit = picture * lamp[:, :, None]
    lit += noise[:, :, None]
    return np.asarray(np.clip(lit, 0, 255, out=lit)).astype(np.uint8)


@cache
def _axis(size: int) -> NDArray[np.float32]:
    """Return pixel positions across the picture, -1 to 1.  (size,)"""
    return np.linspace(-1, 1, size, dtype=np.float32)
