"""Watercraft in profile, bow to the right: pointed hull, superstructure above, wave lines along the waterline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from taxbench.pocket.art.colour import BLACK, GLASS, PAINTS, RGB, STEEL, WHITE, WOODS, shade
from taxbench.pocket.art.pen import Pen, Point

Box = tuple[float, float, float, float]


def _paint(pen: Pen) -> RGB:
    return pen.tint(pen.pick(PAINTS), 1.6)


def _hull(pen: Pen, deck: float, keel: float, paint: RGB, rake: float = 0.22) -> None:
    """Draw a hull from stern to bow with a stripe; `rake` is how far the bow leans out."""
    bow, stern = 0.96, -0.92
    side = ((stern, deck), (bow, deck - 0.1), (bow - rake, keel), (stern + 0.1, keel))
    pen.poly(side, paint)
    low = keel - 0.3 * (keel - deck)
    pen.poly(
        ((stern + 0.07, low), (bow - 0.72 * rake, low), (bow - rake, keel), (stern + 0.1, keel)),
        shade(paint, 0.62),
        False,
    )
    pen.stroke(((stern, deck + 0.05), (bow - 0.05, deck - 0.04)), 0.04, shade(paint, 1.5))


def _waves(pen: Pen, level: float, colour: RGB = (70, 140, 190)) -> None:
    """Draw two rows of wavelets over the bottom of the hull; they belong to the body plan, not to the background."""
    for row, dark in ((0, 1.25), (1, 1.0)):
        y = level + 0.1 * row
        path: list[Point] = []
        phase = pen.between(0, 0.2)
        for k in range(12):
            path.append((-1.05 + 0.19 * k + phase * 0.5, y + (0.035 if k % 2 else -0.035)))
        pen.bend(path, 0.07, shade(pen.tint(colour), dark))


def _cabin(pen: Pen, corners: Box, paint: RGB, windows: int) -> None:
    """Draw a deckhouse with a row of windows."""
    left, top, right, bottom = corners
    pen.box(corners, paint)
    step = (right - left) / windows
    for k in range(windows):
        x = left + step * (k + 0.2)
        pen.box((x, top + 0.25 * (bottom - top), x + 0.6 * step, top + 0.7 * (bottom - top)), GLASS)


def _funnel(pen: Pen, x: float, top: float, bottom: float, paint: RGB) -> None:
    """Draw a funnel with a dark cap."""
    pen.poly(((x - 0.09, bottom), (x - 0.11, top), (x + 0.07, top), (x + 0.09, bottom)), paint)
    pen.poly(((x - 0.11, top), (x + 0.07, top), (x + 0.07, top + 0.1), (x - 0.11, top + 0.1)), BLACK)


def sailboat(pen: Pen) -> None:
    """Draw a sailboat: two triangular sails on a mast."""
    paint = _paint(pen)
    sail = pen.tint(pen.pick((WHITE, WHITE, (222, 80, 60), (240, 200, 90), (90, 150, 210))))
    foot = pen.between(0.18, 0.3)
    pen.stroke(((0.02, 0.5), (0.02, -0.98)), 0.05, pen.tint(WOODS[1]))
    pen.blob(((-0.03, -0.92), (-0.3, -0.35), (-0.72, foot), (-0.4, foot + 0.03), (-0.03, foot)), sail)
    pen.poly(((0.08, -0.85), (0.78, foot + 0.1), (0.08, foot + 0.04)), shade(sail, 0.88))
    for k in (0.3, 0.6):
        pen.stroke(((-0.03, -0.92 + k * 1.1), (-0.68 * k, -0.75 + k * 1.0)), 0.02, shade(sail, 0.7))
    pen.poly(((0.02, -0.98), (-0.2, -0.93), (0.02, -0.88)), (210, 50, 44))
    _hull(pen, 0.46, 0.8, paint, 0.3)
    _waves(pen, 0.82)


def canoe(pen: Pen) -> None:
    """Draw a canoe: slim wooden boat, both ends curled up, with a paddle."""
    wood = pen.tint(pen.pick((*WOODS[:3], (190, 50, 40), (60, 120, 70))))
    pen.oval((0.0, 0.06), (0.78, 0.08), shade(wood, 0.4))
    lift = pen.around(-0.16, 0.3)
    rim = ((-1.0, lift), (-0.75, 0.04), (0.0, 0.1), (0.75, 0.04), (1.0, lift))
    pen.blob((*rim, (0.86, 0.26), (0.5, 0.42), (-0.5, 0.42), (-0.86, 0.26)), wood)
    pen.bend(((-0.9, 0.14), (0.0, 0.24), (0.9, 0.14)), 0.03, shade(wood, 0.65))
    pen.bend(rim, 0.05, shade(wood, 1.35))
    for x in (-0.45, 0.4):
        pen.stroke(((x - 0.07, 0.03), (x + 0.07, 0.03)), 0.06, shade(wood, 1.3))
    lean = pen.between(-0.1, 0.2)
    pen.cord(((-0.3 - lean, -0.62), (0.14, 0.3)), 0.045, pen.tint(WOODS[4]))
    pen.oval((0.2, 0.46), (0.1, 0.22), pen.tint(WOODS[2]), -26)
    _waves(pen, 0.44)


def submarine(pen: Pen) -> None:
    """Draw a submarine: closed cigar hull, conning tower, periscope, portholes, propeller."""
    paint = pen.tint(pen.pick(((96, 104, 112), (60, 74, 84), (236, 190, 50), (120, 128, 120))))
    pen.bend(((0.08, -0.4), (0.08, -0.72), (0.26, -0.74)), 0.06, shade(paint, 0.7))
    tower = pen.around(-0.42, 0.1)
    pen.poly(((-0.24, 0.0), (-0.2, tower), (0.2, tower), (0.32, 0.0)), shade(paint, 0.9))
    pen.poly(((-0.76, 0.12), (-0.98, -0.16), (-0.82, -0.18), (-0.6, 0.08)), shade(paint, 0.8))
    pen.oval((-0.99, 0.2), (0.04, 0.2), pen.tint((206, 160, 70)))
    pen.blob(
        ((-0.98, 0.2), (-0.6, 0.02), (0.0, -0.06), (0.6, -0.04), (0.96, 0.2), (0.6, 0.46), (0.0, 0.48), (-0.6, 0.4)),
        paint,
    )
    for x in (-0.25, 0.1, 0.45):
        pen.oval((x, 0.14), (0.09, 0.09), GLASS)
    pen.bend(((-0.8, 0.27), (0.0, 0.32), (0.84, 0.28)), 0.03, shade(paint, 0.65))
    _waves(pen, 0.48)


def ferry(pen: Pen) -> None:
    """Draw a ferry: long white hull with two full decks of windows and a funnel."""
    paint = _paint(pen)
    house = pen.tint(WHITE, 0.4)
    _funnel(pen, -0.36, -0.78, -0.4, paint)
    _cabin(pen, (0.28, -0.6, 0.62, -0.36), house, 2)
    top = pen.around(-0.38, 0.06)
    _cabin(pen, (-0.72, top, 0.66, -0.08), house, 7)
    _cabin(pen, (-0.86, -0.1, 0.8, 0.22), house, 8)
    pen.stroke(((-0.9, -0.09), (0.82, -0.09)), 0.04, paint)
    _hull(pen, 0.22, 0.62, paint, 0.14)
    for k in range(6):
        pen.dot((-0.66 + 0.26 * k, 0.34), 0.035, (230, 236, 240))
    _waves(pen, 0.64)


def speedboat(pen: Pen) -> None:
    """Draw a speedboat: low sharp bow lifted from the water, windscreen, motor and spray."""
    paint = _paint(pen)
    for k in range(9):
        pen.dot((-0.95 + 0.08 * k, 0.4 + pen.between(-0.15, 0.06)), pen.around(0.09, 0.4), (236, 244, 250))
    pen.box((-0.96, -0.08, -0.78, 0.34), (60, 62, 68))
    lift = pen.around(-0.26, 0.2)
    pen.poly(((-0.82, 0.0), (0.1, -0.06), (0.98, lift), (0.5, 0.34), (-0.8, 0.4)), WHITE)
    pen.poly(((-0.82, 0.02), (0.1, -0.04), (0.96, lift + 0.03), (0.62, 0.14), (-0.82, 0.2)), paint)
    pen.poly(((-0.05, -0.06), (0.1, -0.38), (0.18, -0.38), (0.42, -0.12)), GLASS)
    pen.soft_box((-0.5, -0.24, -0.3, 0.0), 0.06, shade(paint, 0.6))
    pen.soft_box((-0.28, -0.2, -0.1, 0.0), 0.06, BLACK)
    _waves(pen, 0.44)


def gondola(pen: Pen) -> None:
    """Draw a gondola: thin black crescent with a comb-shaped steel prow, red seat and a long oar."""
    black = pen.tint((38, 36, 42))
    high = pen.around(-0.62, 0.12)
    pen.cord(((-0.75, -0.75), (-0.2, 0.55)), 0.045, pen.tint(WOODS[0]))
    pen.soft_box((-0.2, -0.06, 0.2, 0.24), 0.1, pen.tint((190, 40, 44)))
    pen.stroke(((-0.2, -0.02), (0.2, -0.02)), 0.05, (226, 184, 70))
    low = ((0.6, 0.3), (0.0, 0.42), (-0.6, 0.32))
    pen.blob(
        ((-0.98, -0.3), (-0.6, 0.06), (0.0, 0.18), (0.6, 0.06), (0.9, high), (0.99, high + 0.04), (0.84, 0.02), *low),
        black,
    )
    pen.bend(((-0.9, -0.18), (-0.55, 0.13), (0.0, 0.25), (0.6, 0.13), (0.84, -0.2)), 0.035, (222, 180, 70))
    for k in range(4):
        pen.stroke(((0.92 - 0.015 * k, high + 0.14 + 0.1 * k), (1.06 - 0.015 * k, high + 0.14 + 0.1 * k)), 0.05, STEEL)
    pen.stroke(((0.92, high - 0.06), (1.08, high + 0.02)), 0.08, STEEL)
    _waves(pen, 0.44)


def battleship(pen: Pen) -> None:
    """Draw a battleship: long grey hull, gun turrets, stepped tower with masts."""
    grey = pen.tint(pen.pick(((128, 136, 144), (110, 122, 128), (142, 150, 160))))
    pen.stroke(((0.02, -0.5), (0.02, -0.95)), 0.04, shade(grey, 0.5))
    pen.stroke(((-0.14, -0.74), (0.18, -0.74)), 0.035, shade(grey, 0.5))
    pen.box((-0.1, -0.6, 0.14, -0.3), shade(grey, 1.1))
    _funnel(pen, -0.26, pen.around(-0.5, 0.1), 0.0, shade(grey, 0.9))
    pen.box((-0.4, -0.22, 0.26, 0.2), shade(grey, 0.92))
    pen.box((-0.16, -0.36, 0.22, -0.12), grey)
    for k in range(4):
        pen.dot((-0.08 + 0.08 * k, -0.24), 0.025, BLACK)
    lift = pen.between(0.02, 0.16)
    for x, side in ((0.42, 1), (0.64, 1), (-0.6, -1)):
        y = 0.06 if x == 0.42 else 0.16
        pen.stroke(((x, y), (x + side * 0.34, y - lift)), 0.055, shade(grey, 0.55))
        pen.poly(
            ((x - 0.12, y + 0.08), (x - 0.09, y - 0.08), (x + 0.09, y - 0.08), (x + 0.12, y + 0.08)), shade(grey, 0.8)
        )
    _hull(pen, 0.24, 0.56, grey, 0.2)
    _waves(pen, 0.58)


def tugboat(pen: Pen) -> None:
    """Draw a tugboat: short deep hull hung with tyres, tall wheelhouse, one fat funnel with smoke."""
    paint, house = _paint(pen), _paint(pen)
    for k in range(3):
        pen.dot((-0.42 - 0.14 * k, -0.78 - 0.08 * k), 0.09 + 0.03 * k, (176, 176, 180))
    pen.poly(((-0.5, 0.2), (-0.48, -0.6), (-0.2, -0.6), (-0.18, 0.2)), house)
    pen.poly(((-0.49, -0.6), (-0.19, -0.6), (-0.19, -0.44), (-0.49, -0.44)), BLACK)
    top = pen.around(-0.55, 0.08)
    _cabin(pen, (-0.02, top, 0.5, -0.12), WHITE, 2)
    pen.box((-0.08, top - 0.08, 0.58, top), paint)
    _cabin(pen, (-0.2, -0.14, 0.6, 0.28), WHITE, 3)
    pen.poly(((-0.9, 0.2), (0.7, 0.2), (0.98, -0.06), (0.86, 0.72), (-0.8, 0.72)), paint)
    pen.stroke(((-0.88, 0.26), (0.7, 0.26), (0.94, 0.04)), 0.07, shade(paint, 0.5))
    for x in (-0.56, -0.14, 0.28):
        pen.ring((x, 0.44), 0.1, 0.07, BLACK)
    _waves(pen, 0.72)


DRAWERS: Final[dict[str, Callable[[Pen], None]]] = {
    "sailboat": sailboat,
    "canoe": canoe,
    "submarine": submarine,
    "ferry": ferry,
    "speedboat": speedboat,
    "gondola": gondola,
    "battleship": battleship,
    "tugboat": tugboat,
}
