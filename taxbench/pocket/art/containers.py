"""Containers: hollow upright vessels, symmetric about their axis, with a rim around a dark oval opening at the top."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from taxbench.pocket.art.colour import PAINTS, RGB, STEEL, WHITE, WOODS, shade
from taxbench.pocket.art.pen import Pen, Point

CLAYS: Final[tuple[RGB, ...]] = (
    (190, 104, 66),
    (226, 222, 212),
    (70, 110, 170),
    (90, 140, 120),
    (210, 170, 110),
    (150, 60, 60),
)
WICKER: Final[RGB] = (192, 142, 80)


def _glaze(pen: Pen) -> RGB:
    return pen.tint(pen.pick((*CLAYS, *PAINTS[:5])), 1.5)


def _wall(pen: Pen, right: tuple[Point, ...], colour: RGB) -> None:
    """Draw the outer wall from its right half, lit on the left and dark on the right."""
    outline = [*right, *((-x, y) for x, y in reversed(right))]
    pen.blob(outline, shade(colour, 0.8))
    pen.blob([(0.8 * x - 0.12 * abs(x), 0.97 * y) for x, y in outline], colour, line=False)


def _mouth(pen: Pen, y: float, radii: Point, colour: RGB, inside: float = 0.36) -> None:
    """Draw the rim and the dark opening."""
    pen.oval((0.0, y), radii, shade(colour, 1.2))
    pen.oval((0.0, y + 0.1 * radii[1]), (0.84 * radii[0], 0.72 * radii[1]), shade(colour, inside), line=False)


def _gleam(pen: Pen, points: tuple[Point, ...], colour: RGB) -> None:
    pen.bend(points, 0.06, shade(colour, 1.5))


def _handle(pen: Pen, points: tuple[Point, ...], width: float, colour: RGB) -> None:
    pen.cord(points, width, colour)


def _band(pen: Pen, y: float, half: float, sag: float, colour: RGB) -> None:
    """Draw a hoop around the vessel."""
    pen.cord(
        ((-half, y), (-0.6 * half, y + 0.75 * sag), (0.0, y + sag), (0.6 * half, y + 0.75 * sag), (half, y)),
        0.07,
        colour,
    )


def bottle(pen: Pen) -> None:
    """Draw a bottle: narrow neck, shoulders, label, small opening or cork."""
    glass = pen.tint(pen.pick(((50, 120, 70), (130, 76, 36), (150, 196, 206), (60, 90, 150), (214, 220, 220))), 1.2)
    wide, neck = pen.around(0.36, 0.12), pen.around(0.13, 0.12)
    shoulder = pen.between(-0.3, -0.05)
    _wall(
        pen,
        ((neck, -0.86), (neck, shoulder - 0.2), (wide, shoulder + 0.14), (wide, 0.5), (wide, 0.9), (0.6 * wide, 0.98)),
        glass,
    )
    label = pen.tint(pen.pick((WHITE, (238, 220, 170), (200, 60, 50))))
    pen.box((-wide + 0.02, 0.2, wide - 0.02, 0.66), label)
    for y in (0.34, 0.48):
        pen.stroke(((-0.6 * wide, y), (0.6 * wide, y)), 0.05, shade(label, 0.6))
    _gleam(pen, ((-0.65 * wide, shoulder + 0.2), (-0.7 * wide, 0.12)), glass)
    pen.box((-neck - 0.03, -0.88, neck + 0.03, -0.78), shade(glass, 0.8))
    if pen.chance(0.45):
        pen.poly(((-0.09, -0.88), (-0.11, -1.0), (0.11, -1.0), (0.09, -0.88)), (196, 150, 96))
    else:
        _mouth(pen, -0.88, (neck + 0.03, 0.05), glass)


def bucket(pen: Pen) -> None:
    """Draw a bucket: tapering wall, two hoops, a thin wire handle over the top."""
    colour = pen.tint(pen.pick((STEEL, STEEL, *PAINTS[:4])), 1.2)
    rise = pen.around(-0.95, 0.06)
    pen.bend(
        ((-0.66, -0.36), (-0.5, rise + 0.12), (0.0, rise), (0.5, rise + 0.12), (0.66, -0.36)), 0.05, shade(STEEL, 0.6)
    )
    pen.cord(((-0.12, rise + 0.01), (0.12, rise + 0.01)), 0.07, pen.tint(WOODS[1]))
    low = pen.around(0.44, 0.08)
    pen.oval((0.0, 0.84), (low, 0.13), shade(colour, 0.7))
    pen.poly(((-0.7, -0.36), (0.7, -0.36), (low, 0.85), (-low, 0.85)), colour)
    pen.poly(((0.34, -0.3), (0.68, -0.3), (low - 0.02, 0.84), (0.5 * low, 0.92)), shade(colour, 0.8), False)
    _gleam(pen, ((-0.48, -0.05), (-0.34, 0.7)), colour)
    for y, half in ((0.0, 0.62), (0.55, 0.5)):
        _band(pen, y, half, 0.1, shade(colour, 0.85))
    _mouth(pen, -0.38, (0.72, 0.2), colour)
    for side in (-1, 1):
        pen.dot((side * 0.68, -0.34), 0.06, shade(STEEL, 0.5))


def cup(pen: Pen) -> None:
    """Draw a cup: short rounded wall, one ear-shaped handle, saucer or steam now and then."""
    glaze = _glaze(pen)
    if pen.chance(0.5):
        pen.oval((-0.1, 0.74), (0.84, 0.17), shade(glaze, 1.1))
    _handle(pen, ((0.44, -0.16), (0.86, -0.2), (0.86, 0.26), (0.4, 0.4)), 0.12, glaze)
    low = pen.between(0.3, 0.48)
    right = ((0.56, -0.42), (0.55, 0.0), (low + 0.08, 0.48), (low - 0.06, 0.74))
    pen.blob([*((x - 0.1, y) for x, y in right), *((-x - 0.1, y) for x, y in reversed(right))], glaze)
    pen.bend(((-0.5, -0.1), (-0.44, 0.3)), 0.08, shade(glaze, 1.45))
    if pen.chance(0.5):
        pen.stroke(((-0.6, 0.02), (0.4, 0.02)), 0.07, shade(glaze, pen.pick((0.6, 1.5))))
    pen.oval((-0.1, -0.44), (0.58, 0.17), shade(glaze, 1.2))
    pen.oval((-0.1, -0.42), (0.49, 0.12), pen.pick(((86, 54, 34), (150, 90, 40), shade(glaze, 0.4))), line=False)
    if pen.chance(0.5):
        for x in (-0.3, 0.04):
            pen.bend(((x, -0.6), (x + 0.07, -0.72), (x - 0.05, -0.84), (x + 0.04, -0.96)), 0.045, (238, 238, 240))


def vase(pen: Pen) -> None:
    """Draw a vase: swelling body, narrow throat, flared lip, painted bands, two flowers now and then."""
    glaze = _glaze(pen)
    if pen.chance(0.5):
        for x in (-0.3, 0.0, 0.28):
            top = pen.between(-0.98, -0.8)
            pen.bend(((0.2 * x, -0.4), (x, top)), 0.045, (84, 140, 70))
            petal = pen.tint(pen.pick(((230, 80, 90), (240, 200, 70), (200, 120, 200), WHITE)))
            for dx, dy in ((-0.09, 0), (0.09, 0), (0, -0.09), (0, 0.09)):
                pen.dot((x + dx, top + dy), 0.08, petal)
            pen.dot((x, top), 0.06, (230, 180, 60))
    belly, throat = pen.around(0.56, 0.12), pen.around(0.2, 0.15)
    lip = throat + 0.13
    level = pen.between(-0.06, 0.3)
    _wall(pen, ((lip, -0.5), (throat, -0.32), (belly, level), (0.62 * belly, 0.7), (0.3, 0.92), (0.3, 0.97)), glaze)
    second = shade(glaze, pen.pick((0.55, 1.6)))
    pen.bend(((-belly * 0.93, level), (0.0, level + 0.1), (belly * 0.93, level)), 0.08, second)
    for k in range(5):
        pen.dot((0.3 * belly * (k - 2), level + 0.2), 0.05, second)
    _gleam(pen, ((-0.6 * belly, level - 0.16), (-0.68 * belly, level + 0.02)), glaze)
    _mouth(pen, -0.52, (lip, 0.08), glaze)


def box(pen: Pen) -> None:
    """Draw an open cardboard box seen from above, flaps spread."""
    card = pen.tint(pen.pick(((196, 152, 100), (196, 152, 100), (176, 130, 84), (220, 190, 150))), 1.2)
    flap = pen.around(0.3, 0.25)
    dark = shade(card, 0.4)
    pen.poly(((-0.62, -0.4), (0.02, -0.56), (-0.1, -0.56 - flap), (-0.74, -0.4 - flap)), shade(card, 0.85))
    pen.poly(((0.02, -0.56), (0.66, -0.36), (0.8, -0.36 - flap), (0.14, -0.56 - flap)), shade(card, 0.95))
    pen.poly(((-0.62, -0.4), (0.02, -0.56), (0.66, -0.36), (0.04, -0.14)), dark)
    low = pen.around(0.74, 0.1)
    pen.poly(((-0.62, -0.4), (0.04, -0.14), (0.04, low + 0.2), (-0.62, low - 0.06)), card)
    pen.poly(((0.66, -0.36), (0.04, -0.14), (0.04, low + 0.2), (0.66, low - 0.06)), shade(card, 0.78))
    pen.poly(((-0.62, -0.4), (0.04, -0.14), (-0.14, -0.14 + flap), (-0.84, -0.4 + flap)), shade(card, 1.15))
    pen.poly(((0.66, -0.36), (0.04, -0.14), (0.26, -0.14 + flap), (0.9, -0.36 + flap)), shade(card, 1.05))
    tape = pen.tint((226, 206, 160))
    pen.poly(((-0.34, 0.32), (-0.2, 0.37), (-0.2, low + 0.1), (-0.34, low + 0.05)), tape, False)
    pen.poly(((0.3, 0.4), (0.52, 0.32), (0.52, 0.56), (0.3, 0.64)), WHITE, False)


def basket(pen: Pen) -> None:
    """Draw a basket: woven wicker wall and a high arched handle."""
    wicker = pen.tint(pen.pick((WICKER, WICKER, (160, 110, 60), (216, 180, 120))), 1.2)
    rise = pen.around(-0.92, 0.06)
    _handle(pen, ((-0.66, -0.04), (-0.52, 0.7 * rise), (0.0, rise), (0.52, 0.7 * rise), (0.66, -0.04)), 0.1, wicker)
    pen.oval((0.0, -0.04), (0.78, 0.18), shade(wicker, 0.4))
    low = pen.around(0.5, 0.1)
    pen.poly(((-0.78, 0.0), (0.78, 0.0), (low, 0.82), (-low, 0.82)), wicker)
    for row in range(5):
        y = 0.1 + 0.145 * row
        half = 0.76 + (low - 0.76) * row / 5
        for k in range(8):
            x = half * (-0.9 + 0.257 * k + (0.1 if row % 2 else 0.0))
            if x < 0.85 * half:
                pen.stroke(((x, y), (x + 0.1, y + 0.02)), 0.07, shade(wicker, 0.68 if row % 2 else 1.25))
    for y, half in ((0.0, 0.8), (0.84, low)):
        pen.cord(((-half, y), (-0.5 * half, y + 0.1), (0.5 * half, y + 0.1), (half, y)), 0.09, shade(wicker, 0.9))


def barrel(pen: Pen) -> None:
    """Draw a barrel: bulging upright staves, iron hoops, open top."""
    wood = pen.tint(pen.pick(WOODS[:4]), 1.2)
    belly = pen.around(0.66, 0.06)
    right = ((0.5, -0.78), (belly, -0.3), (belly, 0.3), (0.5, 0.82))
    pen.oval((0.0, 0.8), (0.5, 0.14), shade(wood, 0.7))
    _wall(pen, right, wood)
    for k in (-0.75, -0.42, -0.1, 0.24, 0.56, 0.82):
        pen.bend(((0.5 * k, -0.74), (belly * k, -0.25), (belly * k, 0.3), (0.5 * k, 0.86)), 0.025, shade(wood, 0.6))
    iron = pen.tint((96, 98, 104))
    for y, half in ((-0.6, 0.56), (-0.26, 0.66), (0.24, 0.66), (0.6, 0.57)):
        _band(pen, y, half * belly / 0.66, 0.14, iron)
    _mouth(pen, -0.78, (0.52, 0.15), wood, 0.5)
    if pen.chance(0.4):
        pen.dot((0.0, 0.12), 0.06, (50, 36, 28))


def bowl(pen: Pen) -> None:
    """Draw a bowl: wide half round on a low foot, great oval opening."""
    glaze = _glaze(pen) if pen.chance(0.8) else pen.tint(pen.pick(WOODS))
    wide, depth = pen.around(0.94, 0.04), pen.around(0.62, 0.1)
    pen.poly(
        ((-0.3, depth - 0.06), (0.3, depth - 0.06), (0.36, depth + 0.12), (-0.36, depth + 0.12)), shade(glaze, 0.75)
    )
    _wall(pen, ((wide, -0.2), (0.9 * wide, 0.16), (0.6 * wide, 0.85 * depth), (0.26, depth)), glaze)
    second = shade(glaze, pen.pick((0.6, 1.5)))
    if pen.chance(0.6):
        pen.bend(((-0.86 * wide, 0.1), (0.0, 0.24), (0.86 * wide, 0.1)), 0.07, second)
    _gleam(pen, ((-0.66 * wide, 0.22), (-0.46 * wide, 0.4)), glaze)
    _mouth(pen, -0.2, (wide, 0.24), glaze, 0.6)
    if pen.chance(0.35):
        pen.oval(
            (0.0, -0.16),
            (0.72 * wide, 0.14),
            pen.tint(pen.pick(((206, 90, 50), (230, 200, 120), (120, 150, 70)))),
            line=False,
        )


DRAWERS: Final[dict[str, Callable[[Pen], None]]] = {
    "bottle": bottle,
    "bucket": bucket,
    "cup": cup,
    "vase": vase,
    "box": box,
    "basket": basket,
    "barrel": barrel,
    "bowl": bowl,
}
