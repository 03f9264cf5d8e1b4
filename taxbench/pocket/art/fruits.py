"""Fruit: glossy round flesh in one strong colour, short brown stem, one or two small leaves."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from taxbench.pocket.art.colour import LEAF, RGB, STALK, WHITE, blend, shade
from taxbench.pocket.art.pen import Pen, Point, Points


def _stem(pen: Pen, root: Point, length: float, width: float = 0.08) -> Point:
    """Draw a short bent stem and return its tip."""
    lean = pen.between(-0.12, 0.16)
    tip = (root[0] + lean, root[1] - pen.around(length, 0.2))
    pen.taper(
        (root, (root[0] + 0.2 * lean, root[1] - 0.5 * length), tip), (0.8 * width, width, 1.3 * width), pen.tint(STALK)
    )
    return tip


def _leaf(pen: Pen, root: Point, length: float, angle: float, colour: RGB | None = None) -> None:
    """Draw a pointed leaf with a midrib; `angle` in degrees, 0 to the right, clockwise."""
    green = colour or pen.tint(LEAF)
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    x, y = root
    tip = (x + length * c, y + length * s)
    wide = 0.27 * length
    mid = (x + 0.5 * length * c, y + 0.5 * length * s)
    pen.blob((root, (mid[0] - wide * s, mid[1] + wide * c), tip, (mid[0] + wide * s, mid[1] - wide * c)), green)
    pen.stroke((root, (x + 0.85 * length * c, y + 0.85 * length * s)), 0.025, shade(green, 0.65))


def _flesh(pen: Pen, outline: Points, colour: RGB, gloss: tuple[Point, Point]) -> None:
    """Draw the flesh: outline, a shaded side, a soft light and a bright spot at gloss = (centre, radii)."""
    pen.blob(outline, shade(colour, 0.8))
    (x, y), (wide, tall) = gloss
    pen.blob([(0.88 * a - 0.05, 0.88 * (b - 0.1) + 0.06) for a, b in outline], colour, line=False)
    pen.oval((x, y), (1.9 * wide, 1.9 * tall), shade(colour, 1.16), -25, line=False)
    pen.oval((x - 0.02, y - 0.02), (0.85 * wide, 0.85 * tall), shade(colour, 1.6), -25, line=False)


def apple(pen: Pen) -> None:
    """Draw an apple: red, green or yellow, with a dimple at the stem."""
    colour = pen.tint(pen.pick(((200, 34, 38), (204, 44, 34), (128, 180, 52), (226, 180, 60))))
    wide = pen.around(0.8, 0.06)
    low = ((0.62, 0.62), (0.28, 0.9), (0.0, 0.84), (-0.28, 0.9), (-0.62, 0.62))
    outline = (
        (0.0, -0.42),
        (0.34, -0.58),
        (wide - 0.08, -0.4),
        (wide, 0.1),
        *low,
        (-wide, 0.1),
        (-wide + 0.08, -0.4),
        (-0.34, -0.58),
    )
    _flesh(pen, outline, colour, ((-0.38, -0.16), (0.11, 0.16)))
    pen.oval((0.0, -0.42), (0.2, 0.07), shade(colour, 0.55), line=False)
    tip = _stem(pen, (0.0, -0.38), 0.42)
    _leaf(pen, (0.5 * tip[0], -0.58), pen.around(0.46), pen.between(-40, -10))


def banana(pen: Pen) -> None:
    """Draw a bunch of one to three bananas."""
    ripe = pen.tint(pen.pick(((246, 208, 58), (246, 208, 58), (196, 204, 74))))
    bend = pen.around(0.62, 0.12)
    count = int(pen.between(1, 4))
    for k in range(count):
        drop = 0.2 * (k - 0.5 * (count - 1))
        path = (
            (-0.82, -0.5 + 0.3 * drop),
            (-0.62, 0.0 + drop),
            (-0.1, bend - 0.2 + drop),
            (0.5, 0.3 + drop),
            (0.88, -0.16 + drop),
        )
        pen.taper(path, (0.1, 0.3, 0.42, 0.34, 0.08), shade(ripe, 1.0 - 0.06 * k))
        ridge = [(x + 0.02, y - 0.03) for x, y in path[1:4]]
        pen.bend(ridge, 0.03, shade(ripe, 0.72))
        pen.dot((0.88, -0.16 + drop), 0.06, (74, 56, 34))
    pen.taper(((-0.8, -0.42), (-0.84, -0.72)), (0.18, 0.13), pen.tint((150, 140, 50)))
    for _ in range(int(pen.between(0, 6))):
        pen.dot((pen.between(-0.4, 0.4), pen.between(0.2, 0.45)), 0.03, (130, 90, 40))


def orange(pen: Pen) -> None:
    """Draw an orange: a pitted orange ball with a green calyx and a leaf."""
    colour = pen.tint((244, 140, 28))
    r = pen.around(0.8, 0.05)
    outline = [(r * math.cos(k * math.pi / 5), 0.12 + 0.96 * r * math.sin(k * math.pi / 5)) for k in range(10)]
    _flesh(pen, outline, colour, ((-0.3, -0.22), (0.13, 0.1)))
    for _ in range(16):
        angle, reach = pen.between(0, 2 * math.pi), pen.between(0.2, 0.7)
        pen.dot((reach * math.cos(angle), 0.14 + reach * math.sin(angle)), 0.022, shade(colour, 0.76))
    _leaf(pen, (0.02, -0.62), pen.around(0.55), pen.between(-30, 0))
    for k in range(5):
        pen.stroke(((0, -0.58), (0.12 * math.cos(1.26 * k), -0.58 + 0.08 * math.sin(1.26 * k))), 0.06, (70, 120, 50))
    pen.dot((0, -0.6), 0.05, STALK)


def strawberry(pen: Pen) -> None:
    """Draw a strawberry: red heart shape with yellow seeds and a leafy cap."""
    colour = pen.tint((222, 36, 48))
    tip = pen.around(0.92, 0.05)
    right = ((0.4, -0.58), (0.72, -0.3), (0.6, 0.2), (0.28, 0.68))
    outline = ((0.0, -0.52), *right, (0.0, tip), *((-x, y) for x, y in reversed(right)))
    _flesh(pen, outline, colour, ((-0.34, -0.16), (0.09, 0.12)))
    for row, y in enumerate((-0.3, -0.06, 0.18, 0.42, 0.64)):
        for k in range(5 - row):
            x = (k - 0.5 * (4 - row)) * 0.27
            pen.oval((x, y), (0.026, 0.042), pen.tint((250, 214, 110)), line=False)
    for angle in (-165, -130, -50, -15, 20, 160):
        _leaf(pen, (0.0, -0.56), pen.around(0.42), angle + pen.between(-10, 10))
    _stem(pen, (0.0, -0.58), 0.32)


def pear(pen: Pen) -> None:
    """Draw a pear: narrow neck over a round bottom, green-yellow, freckled."""
    colour = pen.tint(pen.pick(((190, 200, 72), (214, 196, 80), (148, 176, 70))))
    neck = pen.around(0.24, 0.12)
    right = ((neck, -0.62), (neck + 0.08, -0.3), (0.58, 0.16), (0.62, 0.56), (0.3, 0.9))
    outline = ((0.0, -0.72), *right, (0.0, 0.88), *((-x, y) for x, y in reversed(right)))
    _flesh(pen, outline, colour, ((-0.26, 0.26), (0.11, 0.17)))
    for _ in range(12):
        pen.dot((pen.between(-0.4, 0.45), pen.between(0.1, 0.8)), 0.02, shade(colour, 0.7))
    tip = _stem(pen, (0.0, -0.68), 0.3)
    _leaf(pen, (0.6 * tip[0], -0.8), pen.around(0.44), pen.between(-35, 10))


def pineapple(pen: Pen) -> None:
    """Draw a pineapple: golden diamond-patterned barrel under a crown of spiky leaves."""
    colour = pen.tint((222, 164, 52))
    green = pen.tint((70, 130, 66))
    for k, angle in enumerate((-150, -30, -130, -50, -112, -68, -90)):
        _leaf(pen, (0.0, -0.22), pen.around(0.56 + 0.04 * k, 0.08), angle, shade(green, 0.8 + 0.06 * k))
    wide = pen.around(0.5, 0.08)
    right = ((0.3, -0.26), (wide, 0.05), (wide, 0.5), (0.3, 0.92))
    outline = ((0.0, -0.3), *right, (0.0, 0.96), *((-x, y) for x, y in reversed(right)))
    _flesh(pen, outline, colour, ((-0.2, 0.1), (0.07, 0.12)))
    groove = shade(colour, 0.56)
    for k in range(6):
        y = -0.12 + 0.2 * k
        half = wide * (0.84 if 0 < k < 5 else 0.6)
        pen.stroke(((-half, max(y - 0.16, -0.2)), (half, min(y + 0.16, 0.84))), 0.035, groove)
        pen.stroke(((-half, min(y + 0.16, 0.84)), (half, max(y - 0.16, -0.2))), 0.035, groove)


def grape(pen: Pen) -> None:
    """Draw a bunch of grapes: a triangle of small glossy balls, purple or green."""
    colour = pen.tint(pen.pick(((108, 56, 130), (84, 44, 96), (150, 186, 74), (130, 40, 70))))
    _stem(pen, (0.0, -0.55), 0.4)
    _leaf(pen, (0.02, -0.66), pen.around(0.6), pen.between(-25, 5))
    _leaf(pen, (0.0, -0.66), pen.around(0.45), pen.between(185, 210))
    r = pen.around(0.175, 0.06)
    for row in range(5):
        count = 5 - row
        for k in range(count):
            x = (k - 0.5 * (count - 1)) * 0.31 + pen.between(-0.03, 0.03)
            y = -0.42 + 0.29 * row + pen.between(-0.03, 0.03)
            ball = shade(colour, pen.between(0.85, 1.08))
            pen.oval((x, y), (r, r), ball)
            pen.dot((x - 0.06, y - 0.06), 0.045, shade(ball, 1.6))


def cherry(pen: Pen) -> None:
    """Draw two dark red cherries on long green stalks that meet under a leaf."""
    colour = pen.tint((176, 18, 40))
    top = (pen.between(0.0, 0.2), -0.88)
    for x, y in ((-0.42, 0.5), (0.44, pen.around(0.42, 0.25))):
        pen.bend((top, (0.5 * (x + top[0]) + 0.08, -0.25), (x, y - 0.3)), 0.065, pen.tint((112, 140, 52)))
        r = pen.around(0.4, 0.06)
        pen.oval((x, y), (r, r * 0.96), shade(colour, 0.8))
        pen.oval((x - 0.03, y + 0.01), (r * 0.86, r * 0.84), colour, line=False)
        pen.oval((x, y - 0.3), (0.11, 0.04), shade(colour, 0.5), line=False)
        pen.oval((x - 0.15, y - 0.12), (0.1, 0.07), blend(colour, WHITE, 0.75), -35, line=False)
    _leaf(pen, top, pen.around(0.6), pen.between(-5, 25))
    pen.dot(top, 0.06, STALK)


DRAWERS: Final[dict[str, Callable[[Pen], None]]] = {
    "apple": apple,
    "banana": banana,
    "orange": orange,
    "strawberry": strawberry,
    "pear": pear,
    "pineapple": pineapple,
    "grape": grape,
    "cherry": cherry,
}
