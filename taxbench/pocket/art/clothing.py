"""Clothing laid flat: symmetric pieces of cloth with a print, folds, stitched seams and hems."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from taxbench.pocket.art.colour import PAINTS, RGB, WHITE, shade
from taxbench.pocket.art.pen import Pen, Point, Points

Box = tuple[float, float, float, float]
DYES: Final[tuple[RGB, ...]] = (*PAINTS, (236, 150, 180), (60, 70, 110), (150, 110, 80), (120, 160, 200))


def _dye(pen: Pen) -> RGB:
    return pen.tint(pen.pick(DYES), 1.8)


def _mirror(right: tuple[Point, ...]) -> list[Point]:
    """Close a symmetric outline from its right half."""
    return [*right, *((-x, y) for x, y in reversed(right) if abs(x) > 0.01)]


def _print(pen: Pen, area: Box, dye: RGB) -> None:
    """Print stripes, dots or nothing inside an area that the outline covers."""
    left, top, right, bottom = area
    second = shade(dye, pen.pick((0.6, 1.5)))
    kind = pen.rng.random()
    if kind < 0.3:
        rows = int(pen.between(3, 6))
        for k in range(rows):
            y = top + (bottom - top) * (k + 0.5) / rows
            pen.stroke(((left, y), (right, y)), 0.06, second)
    elif kind < 0.5:
        for row in range(4):
            for k in range(3):
                x = left + (right - left) * (k + 0.5 + 0.25 * (row % 2)) / 3.5
                pen.dot((x, top + (bottom - top) * (row + 0.5) / 4), 0.045, second)


def _folds(pen: Pen, lines: tuple[Points, ...], dye: RGB) -> None:
    for line in lines:
        pen.bend(line, 0.03, shade(dye, 0.72))


def _stitch(pen: Pen, start: Point, end: Point, dye: RGB) -> None:
    """Draw a dashed seam."""
    thread = shade(dye, 1.55) if sum(dye) < 480 else shade(dye, 0.6)
    (x0, y0), (x1, y1) = start, end
    count = max(3, round(((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5 / 0.13))
    for k in range(count):
        a, b = k / count, (k + 0.55) / count
        pen.stroke(((x0 + (x1 - x0) * a, y0 + (y1 - y0) * a), (x0 + (x1 - x0) * b, y0 + (y1 - y0) * b)), 0.02, thread)


def _buttons(pen: Pen, x: float, span: Point, count: int) -> None:
    for k in range(count):
        pen.oval((x, span[0] + (span[1] - span[0]) * k / max(1, count - 1)), (0.035, 0.035), WHITE)


def shirt(pen: Pen) -> None:
    """Draw a shirt: short or long sleeves, collar or round neck."""
    dye = _dye(pen)
    reach = pen.pick((0.0, 0.0, 0.42))
    cuff_out, cuff_in = (0.92 + 0.04 * reach, -0.1 + reach), (0.7 + 0.06 * reach, 0.04 + reach)
    right = ((0.22, -0.76), (0.5, -0.64), cuff_out, cuff_in, (0.48, -0.18), (0.47, 0.78), (0.0, 0.8))
    pen.poly(_mirror(right), dye)
    _print(pen, (-0.44, -0.3, 0.44, 0.7), dye)
    _folds(
        pen,
        (
            ((0.48, -0.2), (0.4, -0.02)),
            ((-0.48, -0.2), (-0.4, -0.02)),
            ((0.3, 0.4), (0.34, 0.7)),
            ((-0.24, 0.3), (-0.3, 0.66)),
        ),
        dye,
    )
    for side in (-1, 1):
        _stitch(
            pen, (side * (cuff_out[0] - 0.05), cuff_out[1] - 0.05), (side * (cuff_in[0] - 0.03), cuff_in[1] - 0.05), dye
        )
    _stitch(pen, (-0.45, 0.72), (0.45, 0.72), dye)
    if pen.chance(0.5):
        for side in (-1, 1):
            pen.poly(((0.0, -0.58), (side * 0.24, -0.8), (side * 0.26, -0.52)), shade(dye, 1.2))
        pen.stroke(((0.0, -0.55), (0.0, 0.76)), 0.025, shade(dye, 0.6))
        _buttons(pen, 0.0, (-0.4, 0.6), 4)
    else:
        pen.oval((0.0, -0.75), (0.22, 0.12), shade(dye, 0.55))


def skirt(pen: Pen) -> None:
    """Draw a skirt: waistband and a flaring pleated fall."""
    dye = _dye(pen)
    flare = pen.around(0.8, 0.1)
    low = pen.around(0.62, 0.15)
    hem = [(flare * (1 - k / 4), low + 0.08 * (k % 2) + 0.03 * (1 - abs(k / 4 - 1))) for k in range(9)]
    pen.poly(((-0.36, -0.6), (0.36, -0.6), *hem), dye)
    _print(pen, (-0.4, 0.0, 0.4, 0.5), dye)
    _folds(pen, tuple(((0.42 * k, -0.5), (0.8 * k * flare, low)) for k in (-0.75, -0.4, 0.0, 0.4, 0.75)), dye)
    _stitch(pen, (-0.93 * flare, low - 0.05), (0.93 * flare, low - 0.05), dye)
    pen.box((-0.38, -0.74, 0.38, -0.56), shade(dye, 0.75))
    _stitch(pen, (-0.34, -0.61), (0.34, -0.61), dye)
    pen.oval((0.28, -0.65), (0.035, 0.035), WHITE)


def trousers(pen: Pen) -> None:
    """Draw trousers: waistband with loops, two long legs, pockets, fly."""
    dye = _dye(pen) if pen.chance(0.6) else pen.tint((62, 84, 132))
    cuff = pen.around(0.24, 0.15)
    pen.poly(
        _mirror(((0.4, -0.94), (0.5, 0.0), (0.5, 0.96), (0.5 - cuff - 0.06, 0.96), (0.03, -0.2), (0.0, -0.22))), dye
    )
    _folds(
        pen,
        (
            ((0.06, -0.22), (0.24, -0.12)),
            ((-0.06, -0.22), (-0.24, -0.12)),
            ((0.36, 0.1), (0.36, 0.85)),
            ((-0.36, 0.1), (-0.36, 0.85)),
        ),
        dye,
    )
    for side in (-1, 1):
        _stitch(pen, (side * 0.46, 0.88), (side * (0.5 - cuff), 0.88), dye)
        _stitch(pen, (side * 0.42, -0.6), (side * 0.2, -0.8), dye)
    pen.bend(((0.0, -0.8), (0.08, -0.5), (0.0, -0.26)), 0.025, shade(dye, 0.6))
    pen.box((-0.41, -0.98, 0.41, -0.82), shade(dye, 0.75))
    for x in (-0.26, 0.26):
        pen.stroke(((x, -0.97), (x, -0.83)), 0.05, shade(dye, 1.2))
    pen.oval((0.0, -0.9), (0.04, 0.04), (222, 190, 90))


def dress(pen: Pen) -> None:
    """Draw a dress: straps, fitted top, sash at the waist, wide flowing fall."""
    dye = _dye(pen)
    flare = pen.around(0.66, 0.1)
    hem = [(flare * (1 - k / 4), 0.9 + 0.07 * (k % 2)) for k in range(9)]
    right = ((0.12, -0.62), (0.2, -0.96), (0.3, -0.96), (0.36, -0.5), (0.24, -0.1))
    pen.poly(((0.0, -0.54), *right, *hem, *((-x, y) for x, y in reversed(right))), dye)
    _print(pen, (-0.26, 0.14, 0.26, 0.84), dye)
    _folds(pen, tuple(((0.26 * k, 0.0), (0.85 * k * flare, 0.9)) for k in (-0.8, -0.4, 0.0, 0.4, 0.8)), dye)
    if pen.chance(0.4):
        for side in (-1, 1):
            pen.poly(
                ((side * 0.28, -0.94), (side * 0.6, -0.6), (side * 0.44, -0.46), (side * 0.33, -0.6)), shade(dye, 0.92)
            )
    _stitch(pen, (-0.9 * flare, 0.85), (0.9 * flare, 0.85), dye)
    sash = _dye(pen)
    pen.box((-0.27, -0.16, 0.27, -0.02), sash)
    pen.poly(((0.1, -0.04), (0.2, 0.24), (0.08, 0.28), (0.04, -0.04)), sash)


def coat(pen: Pen) -> None:
    """Draw a coat: long sleeves, wide lapels, two rows of buttons, flapped pockets."""
    dye = pen.tint(
        pen.pick(((150, 110, 70), (60, 64, 84), (90, 90, 96), (130, 40, 50), (70, 90, 66), (196, 160, 110))), 1.4
    )
    hem = pen.around(0.56, 0.08)
    pen.poly(
        _mirror(((0.2, -0.86), (0.5, -0.72), (0.88, 0.42), (0.66, 0.5), (0.48, -0.1), (hem, 0.96), (0.0, 0.96))), dye
    )
    _folds(
        pen,
        (
            ((0.48, -0.1), (0.42, 0.1)),
            ((-0.48, -0.1), (-0.42, 0.1)),
            ((0.34, 0.6), (0.4, 0.92)),
            ((-0.34, 0.6), (-0.4, 0.92)),
        ),
        dye,
    )
    pen.stroke(((0.1, -0.1), (0.1, 0.95)), 0.03, shade(dye, 0.55))
    for side in (-1, 1):
        pen.poly(
            ((0.0, -0.2), (side * 0.1, -0.88), (side * 0.3, -0.8), (side * 0.36, -0.5), (side * 0.14, -0.3)),
            shade(dye, 0.78),
        )
        pen.poly(((side * 0.24, 0.34), (side * 0.46, 0.32), (side * 0.47, 0.44), (side * 0.25, 0.46)), shade(dye, 0.85))
        _stitch(pen, (side * 0.85, 0.32), (side * 0.64, 0.4), dye)
        _buttons(pen, side * 0.14, (0.0, 0.6), 3)
    pen.poly(((-0.1, -0.86), (0.1, -0.86), (0.0, -0.4)), WHITE)
    pen.box((-0.48, 0.08, 0.48, 0.18), shade(dye, 0.65))
    _stitch(pen, (-0.9 * hem, 0.9), (0.9 * hem, 0.9), dye)


def sock(pen: Pen) -> None:
    """Draw a sock: ribbed top, heel and toe in a second colour."""
    dye, second = _dye(pen), _dye(pen)
    top = pen.around(-0.9, 0.08)
    leg = (
        (-0.5, top),
        (0.08, top),
        (0.12, 0.1),
        (0.62, 0.4),
        (0.84, 0.68),
        (0.72, 0.92),
        (0.3, 0.94),
        (-0.3, 0.72),
        (-0.5, 0.4),
    )
    pen.poly(leg, dye)
    kind = pen.rng.random()
    if kind < 0.6:
        for k in range(4):
            y = top + 0.36 + 0.2 * k
            pen.stroke(((-0.47, y), (0.08, y)), 0.07 if kind < 0.4 else 0.03, second)
    pen.blob(((-0.5, 0.4), (-0.26, 0.38), (-0.06, 0.6), (-0.16, 0.8), (-0.42, 0.66)), second)
    pen.blob(((0.56, 0.4), (0.82, 0.6), (0.86, 0.8), (0.7, 0.93), (0.48, 0.92), (0.44, 0.64)), second)
    pen.box((-0.53, top - 0.06, 0.11, top + 0.2), second)
    for k in range(7):
        x = -0.46 + 0.085 * k
        pen.stroke(((x, top - 0.03), (x, top + 0.17)), 0.025, shade(second, 0.7))
    _folds(pen, (((0.1, 0.1), (-0.04, 0.2)), ((0.12, 0.16), (0.0, 0.3))), dye)
    _stitch(pen, (-0.14, 0.84), (0.44, 0.98), dye)


def hat(pen: Pen) -> None:
    """Draw a hat: wide brim, crown with a dent, ribbon."""
    dye = _dye(pen) if pen.chance(0.5) else pen.tint(pen.pick(((196, 160, 100), (110, 84, 60), (60, 60, 66))))
    high, brim = pen.around(-0.6, 0.15), pen.around(0.96, 0.05)
    pen.oval((0.0, 0.32), (brim, 0.28), shade(dye, 0.9))
    pen.oval((0.0, 0.28), (0.9 * brim, 0.22), dye, line=False)
    dent = pen.between(0.0, 0.14)
    crown = (
        (-0.56, 0.34),
        (-0.5, -0.2),
        (-0.36, high),
        (0.0, high + dent),
        (0.36, high),
        (0.5, -0.2),
        (0.56, 0.34),
        (0.0, 0.46),
    )
    pen.blob(crown, dye)
    ribbon = _dye(pen)
    pen.blob(((-0.56, 0.1), (0.0, 0.2), (0.56, 0.1), (0.58, 0.34), (0.0, 0.46), (-0.58, 0.34)), ribbon)
    _folds(pen, (((-0.14, high + 0.2), (-0.05, high + 0.42)), ((0.18, high + 0.18), (0.08, high + 0.42))), dye)
    _stitch(pen, (-0.7, 0.46), (-0.1, 0.56), dye)
    _stitch(pen, (0.1, 0.56), (0.7, 0.46), dye)
    if pen.chance(0.35):
        pen.taper(((0.44, 0.2), (0.56, -0.2), (0.7, -0.5)), (0.05, 0.16, 0.03), _dye(pen))


def necktie(pen: Pen) -> None:
    """Draw a necktie: knot over a long blade that widens to a point, slanting stripes."""
    dye, second = _dye(pen), _dye(pen)
    wide = pen.around(0.27, 0.12)
    for side in (-1, 1):
        pen.poly(((0.0, -0.8), (side * 0.1, -0.66), (side * 0.44, -0.94), (side * 0.34, -1.0)), shade(dye, 0.75))
    pen.poly(((-0.08, -0.52), (0.1, -0.5), (0.16, 0.7), (0.03, 0.84), (-0.1, 0.7)), shade(dye, 0.7))
    pen.poly(((-0.12, -0.56), (0.12, -0.56), (wide, 0.64), (0.0, 0.98), (-wide, 0.64)), dye)
    kind = pen.rng.random()
    for k in range(6):
        y = -0.36 + 0.2 * k
        half = 0.14 + (wide - 0.14) * (y + 0.5) / 1.2 - 0.03
        if kind < 0.55:
            pen.stroke(((-half, y + 0.5 * half), (half, y - 0.5 * half)), 0.07, second)
        elif kind < 0.8:
            pen.dot(((k % 2 - 0.5) * half, y), 0.045, second)
    _stitch(pen, (-wide + 0.04, 0.62), (0.0, 0.9), dye)
    _stitch(pen, (0.0, 0.9), (wide - 0.04, 0.62), dye)
    pen.poly(((-0.2, -0.9), (0.2, -0.9), (0.12, -0.54), (-0.12, -0.54)), shade(dye, 0.9))
    _folds(pen, (((0.04, -0.86), (0.02, -0.62)),), dye)


DRAWERS: Final[dict[str, Callable[[Pen], None]]] = {
    "shirt": shirt,
    "skirt": skirt,
    "trousers": trousers,
    "dress": dress,
    "coat": coat,
    "sock": sock,
    "hat": hat,
    "necktie": necktie,
}
