"""Colours as plain (r, g, b) triples of 0..255, and the two things done to them: vary and shade."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import Final

import numpy as np

RGB = tuple[int, int, int]

WHITE: Final[RGB] = (244, 243, 238)
BLACK: Final[RGB] = (34, 33, 36)
GREY: Final[RGB] = (140, 142, 146)
STEEL: Final[RGB] = (176, 182, 190)
BRASS: Final[RGB] = (222, 176, 66)
RUBBER: Final[RGB] = (44, 44, 48)
GLASS: Final[RGB] = (178, 214, 232)
LEAF: Final[RGB] = (84, 152, 62)
STALK: Final[RGB] = (110, 78, 44)
WOODS: Final[tuple[RGB, ...]] = ((168, 112, 62), (134, 84, 46), (196, 146, 92), (110, 64, 38), (214, 176, 126))
PAINTS: Final[tuple[RGB, ...]] = (
    (204, 44, 40),
    (44, 92, 180),
    (238, 188, 44),
    (52, 140, 84),
    (232, 232, 228),
    (226, 116, 40),
    (92, 100, 112),
    (60, 166, 176),
    (128, 66, 150),
)


def clamp(value: float) -> int:
    """Round to a byte."""
    return 0 if value < 0 else 255 if value > 255 else int(value + 0.5)


def shade(colour: RGB, factor: float) -> RGB:
    """Darken by a factor below 1, or lighten towards white by a factor between 1 and 2."""
    r, g, b = colour
    if factor <= 1.0:
        return clamp(r * factor), clamp(g * factor), clamp(b * factor)
    lift = factor - 1.0
    return clamp(r + (255 - r) * lift), clamp(g + (255 - g) * lift), clamp(b + (255 - b) * lift)


def blend(first: RGB, second: RGB, share: float) -> RGB:
    """Mix two colours; `share` belongs to the second."""
    (r, g, b), (u, v, w) = first, second
    return clamp(r + (u - r) * share), clamp(g + (v - g) * share), clamp(b + (w - b) * share)


def jitter(base: RGB, rng: np.random.Generator, spread: float = 1.0) -> RGB:
    """Vary hue by 8 degrees, saturation by 12 % and value by 10 % (each times `spread`)."""
    a, b, c = rng.random(3).tolist()
    hue, saturation, value = colorsys.rgb_to_hsv(base[0] / 255, base[1] / 255, base[2] / 255)
    hue = (hue + spread * 0.022 * (2 * a - 1)) % 1.0
    saturation = min(1.0, saturation * (1 + spread * 0.12 * (2 * b - 1)))
    value = min(1.0, value * (1 + spread * 0.10 * (2 * c - 1)))
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return clamp(255 * red), clamp(255 * green), clamp(255 * blue)


def any_colour(rng: np.random.Generator, saturation: Sequence[float], value: Sequence[float]) -> RGB:
    """Draw a colour of any hue, with saturation and value inside the given ranges."""
    h, s, v = rng.random(3).tolist()
    s = saturation[0] + (saturation[1] - saturation[0]) * s
    v = value[0] + (value[1] - value[0]) * v
    red, green, blue = colorsys.hsv_to_rgb(h, s, v)
    return clamp(255 * red), clamp(255 * green), clamp(255 * blue)
