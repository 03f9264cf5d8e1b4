"""Vegetables: upright matt body with growth lines and a green top of leaves, florets or stalk."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from taxbench.pocket.art.colour import RGB, shade
from taxbench.pocket.art.pen import Pen, Point, Points

GREEN: Final[RGB] = (74, 140, 60)


def _fronds(pen: Pen, root: Point, length: float, angles: tuple[float, ...], width: float = 0.09) -> None:
    """Draw a tuft of narrow leaves that grow up from the root; angles in degrees from the vertical."""
    for angle in angles:
        lean = math.radians(angle + pen.between(-8, 8))
        reach = pen.around(length, 0.15)
        tip = (root[0] + reach * math.sin(lean), root[1] - reach * math.cos(lean))
        mid = (root[0] + 0.4 * reach * math.sin(0.6 * lean), root[1] - 0.5 * reach)
        pen.taper((root, mid, tip), (0.6 * width, width, 0.3 * width), pen.tint(GREEN))


def _body(pen: Pen, half: Points, colour: RGB) -> None:
    """Draw a symmetric body from its right half (top to bottom), darker on its right side."""
    right = [(float(x), float(y)) for x, y in half]
    outline = [*right, *((-x, y) for x, y in reversed(right) if x > 0.02)]
    pen.blob(outline, shade(colour, 0.84))
    pen.blob([(0.84 * x - 0.05, y * 0.95) for x, y in outline], colour, line=False)


def _rings(pen: Pen, levels: Points, colour: RGB) -> None:
    """Draw short level growth lines; each row is (half width, y)."""
    for half, y in levels:
        a, b = pen.between(-1.0, 0.2), pen.between(0.3, 1.0)
        if pen.chance(0.5):
            a, b = -b, -a
        pen.bend(((half * a, y), (half * 0.5 * (a + b), y + 0.03), (half * b, y)), 0.025, shade(colour, 0.7))


def carrot(pen: Pen) -> None:
    """Draw a carrot: long orange cone, rings, feathery top."""
    colour = pen.tint((240, 124, 34))
    _fronds(pen, (0.0, -0.42), 0.6, (-42, -22, 0, 20, 42), 0.1)
    wide = pen.around(0.32, 0.12)
    _body(
        pen, ((0.1, -0.5), (wide, -0.38), (0.8 * wide, 0.1), (0.4 * wide, 0.62), (0.0, pen.around(0.98, 0.04))), colour
    )
    _rings(
        pen,
        ((0.8 * wide, -0.25), (0.75 * wide, -0.08), (0.6 * wide, 0.12), (0.5 * wide, 0.3), (0.35 * wide, 0.5)),
        colour,
    )


def broccoli(pen: Pen) -> None:
    """Draw broccoli: branched pale green stalk under a dark knobbly crown."""
    stalk = pen.tint((160, 190, 100))
    crown = pen.tint((52, 118, 52))
    _body(pen, ((0.18, 0.1), (0.2, 0.5), (0.24, 0.9), (0.0, 0.95)), stalk)
    for side in (-1, 1):
        pen.taper(((0.0, 0.5), (side * 0.25, 0.2), (side * 0.45, -0.1)), (0.2, 0.17, 0.2), stalk)
    pen.stroke(((0.0, 0.4), (-0.02, 0.85)), 0.03, shade(stalk, 0.75))
    knobs = (
        (-0.62, 0.0),
        (0.62, 0.02),
        (-0.3, 0.08),
        (0.32, 0.1),
        (-0.5, -0.34),
        (0.5, -0.34),
        (-0.18, -0.55),
        (0.2, -0.58),
        (0.0, -0.2),
    )
    for x, y in knobs:
        r = pen.around(0.3, 0.12)
        pen.oval((x, y), (r, r * 0.92), shade(crown, pen.between(0.85, 1.05)))
    for _ in range(36):
        pen.dot((pen.between(-0.7, 0.7), pen.between(-0.7, 0.2)), 0.035, shade(crown, pen.pick((0.75, 1.25))))


def onion(pen: Pen) -> None:
    """Draw an onion: squat bulb with lines from pole to pole, dry tip, hairy root."""
    colour = pen.tint(pen.pick(((208, 146, 72), (216, 160, 92), (146, 52, 94), (236, 228, 206))))
    for k in range(6):
        pen.bend(((0.0, 0.66), (0.05 * (k - 2.5), 0.8), (0.1 * (k - 2.5), 0.95)), 0.025, (190, 170, 130))
    _fronds(pen, (0.0, -0.5), 0.45, (-14, 4, 18), 0.12)
    wide = pen.around(0.78, 0.06)
    _body(pen, ((0.07, -0.76), (0.14, -0.52), (0.55, -0.26), (wide, 0.14), (0.5, 0.58), (0.0, 0.72)), colour)
    for line in (-0.75, -0.4, 0.0, 0.4, 0.75):
        upper = ((0.06 * line, -0.66), (0.7 * wide * line, -0.16), (wide * line * 0.95, 0.14))
        pen.bend((*upper, (0.55 * line, 0.5), (0.05 * line, 0.7)), 0.03, shade(colour, 0.66))


def cucumber(pen: Pen) -> None:
    """Draw a cucumber: long dark green cylinder, pale stripes and warts, a flower end."""
    colour = pen.tint((62, 122, 52))
    bow = pen.between(-0.2, 0.2)
    path = ((0.0, -0.78), (bow, -0.3), (bow, 0.3), (0.0, 0.88))
    pen.taper(((0.0, -0.74), (0.0, -0.86), (0.06, -1.0)), (0.1, 0.09, 0.12), pen.tint(GREEN))
    pen.taper(path, (0.2, pen.around(0.46, 0.08), 0.48, 0.44, 0.16), colour)
    pale = shade(colour, 1.3)
    for offset in (-0.13, 0.0, 0.13):
        pen.bend([(x + offset * (1 if abs(y) < 0.5 else 0.6), y * 0.85) for x, y in path], 0.04, pale)
    for _ in range(16):
        pen.dot((bow + pen.between(-0.17, 0.17), pen.between(-0.5, 0.6)), 0.03, shade(colour, 0.7))
    pen.dot((0.0, 0.9), 0.06, (220, 200, 80))


def eggplant(pen: Pen) -> None:
    """Draw an eggplant: dark purple drop with a green star-shaped cap."""
    colour = pen.tint((74, 36, 88))
    wide = pen.around(0.52, 0.08)
    _body(pen, ((0.16, -0.52), (0.26, -0.3), (wide, 0.25), (0.46, 0.75), (0.0, 0.97)), colour)
    pen.taper(((-0.2, -0.1), (-0.3, 0.25), (-0.24, 0.55)), (0.03, 0.1, 0.03), shade(colour, 1.4), line=False)
    green = pen.tint((94, 140, 62))
    drop = pen.around(-0.12, 0.5)
    cap = (
        (0.1, -0.68),
        (0.34, -0.46),
        (0.36, drop - 0.1),
        (0.16, -0.3),
        (0.02, drop),
        (-0.14, -0.3),
        (-0.36, drop - 0.1),
        (-0.34, -0.46),
    )
    pen.poly((*cap, (-0.1, -0.68)), green)
    pen.taper(((0.0, -0.62), (0.02, -0.8), (pen.between(-0.15, 0.15), -0.98)), (0.2, 0.13, 0.15), shade(green, 0.85))


def pumpkin(pen: Pen) -> None:
    """Draw a pumpkin: wide orange ribs and a thick crooked stalk."""
    colour = pen.tint((232, 124, 28))
    pen.taper(
        ((0.0, -0.4), (0.02, -0.66), (pen.between(-0.2, 0.25), -0.86)), (0.3, 0.18, 0.2), pen.tint((112, 128, 56))
    )
    wide = pen.around(0.92, 0.05)
    for rib, dark in ((0.62, 0.8), (-0.62, 0.86), (0.34, 0.9), (-0.34, 0.96), (0.0, 1.0)):
        pen.oval((rib * wide * 0.9, 0.18), (0.4 * wide, 0.64 - 0.16 * abs(rib)), shade(colour, dark))
    for k in (-0.42, -0.14, 0.14, 0.42):
        pen.bend(((0.5 * k, -0.38), (1.05 * k, 0.15), (0.6 * k, 0.68)), 0.028, shade(colour, 0.72))
    _fronds(pen, (0.02, -0.44), 0.4, (-75, 75), 0.2)


def asparagus(pen: Pen) -> None:
    """Draw a bundle of asparagus: slim spears with scaly tips, tied with a band."""
    colour = pen.tint(pen.pick(((120, 164, 78), (120, 164, 78), (196, 200, 150))))
    count = int(pen.between(3, 6))
    for k in range(count):
        x = (k - 0.5 * (count - 1)) * 0.27
        top = pen.between(-0.92, -0.74)
        green = shade(colour, pen.between(0.85, 1.05))
        pen.taper(((1.05 * x, 0.95), (x, 0.2), (x, -0.4), (1.2 * x, top)), (0.2, 0.2, 0.2, 0.24, 0.04), green)
        for j in range(3):
            y = top + 0.14 + 0.15 * j
            pen.blob(
                ((1.15 * x - 0.08, y + 0.08), (1.15 * x, y - 0.08), (1.15 * x + 0.08, y + 0.08)), shade(green, 0.7)
            )
        for y in (0.0, 0.66):
            pen.poly(((x - 0.05, y), (x, y - 0.12), (x + 0.05, y)), shade(green, 0.72), False)
    half = 0.135 * count + 0.02
    pen.box((-half, 0.28, half, 0.44), pen.tint(pen.pick(((200, 60, 60), (90, 110, 180), (226, 200, 140)))))


def radish(pen: Pen) -> None:
    """Draw a radish: crimson ball with a white rat-tail root and broad leaves."""
    colour = pen.tint((212, 36, 86))
    for angle in (-38, 36, 0):
        lean = math.radians(angle + pen.between(-8, 8))
        tip = (0.85 * math.sin(lean), -0.1 - 0.88 * math.cos(lean))
        green = pen.tint(GREEN)
        pen.taper(((0.0, -0.05), (0.5 * tip[0], 0.55 * tip[1]), tip), (0.06, 0.1, 0.32, 0.34, 0.1), green)
        pen.stroke(((0.0, -0.05), (0.9 * tip[0], 0.9 * tip[1])), 0.03, shade(green, 1.35))
    pen.taper(((0.0, 0.6), (0.04, 0.8), (pen.between(-0.15, 0.15), 1.0)), (0.2, 0.07, 0.02), (240, 226, 226))
    r = pen.around(0.48, 0.1)
    _body(pen, ((0.14, -0.14), (0.8 * r, 0.0), (r, 0.3), (0.6 * r, 0.62), (0.0, 0.76)), colour)
    pen.blob(((0.5 * r, 0.62), (0.0, 0.56), (-0.5 * r, 0.62), (0.0, 0.76)), (244, 220, 226), line=False)
    pen.oval((-0.2, 0.14), (0.09, 0.07), shade(colour, 1.45), -30, line=False)


DRAWERS: Final[dict[str, Callable[[Pen], None]]] = {
    "carrot": carrot,
    "broccoli": broccoli,
    "onion": onion,
    "cucumber": cucumber,
    "eggplant": eggplant,
    "pumpkin": pumpkin,
    "asparagus": asparagus,
    "radish": radish,
}
