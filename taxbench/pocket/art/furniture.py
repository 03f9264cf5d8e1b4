"""Furniture seen a little from above: flat wooden boards and cushions with grain, on straight legs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from taxbench.pocket.art.colour import BRASS, PAINTS, RGB, WHITE, WOODS, blend, shade
from taxbench.pocket.art.pen import Pen, Point

Box = tuple[float, float, float, float]


def _wood(pen: Pen) -> RGB:
    """Choose a wood, now and then painted."""
    if pen.chance(0.12):
        return blend(pen.tint(pen.pick(PAINTS)), WHITE, 0.3)
    return pen.tint(pen.pick(WOODS), 1.2)


def _cloth(pen: Pen) -> RGB:
    return blend(pen.tint(pen.pick(PAINTS), 2.0), (150, 140, 130), 0.25)


def _board(pen: Pen, corners: Box, wood: RGB) -> None:
    """Draw an upright board with level grain lines."""
    left, top, right, bottom = corners
    pen.box(corners, wood)
    wide, tall = right - left, bottom - top
    for k in range(max(1, min(4, round(5 * tall)))):
        y = top + tall * (k + pen.between(0.3, 0.7)) / max(1, min(4, round(5 * tall)))
        a = left + wide * pen.between(0.05, 0.4)
        pen.bend(((a, y), (a + 0.25 * wide, y + 0.012), (a + 0.5 * wide, y)), 0.02, shade(wood, 0.78))


def _slab(pen: Pen, near: tuple[Point, Point], far: tuple[Point, Point], thick: float, wood: RGB) -> None:
    """Draw a level top seen from above: its face, then its front edge."""
    pen.poly((*near, far[1], far[0]), shade(wood, 1.12))
    for k in (0.3, 0.65):
        left = (near[0][0] + k * (far[0][0] - near[0][0]), near[0][1] + k * (far[0][1] - near[0][1]))
        right = (near[1][0] + k * (far[1][0] - near[1][0]), left[1])
        pen.stroke(((left[0] + 0.15, left[1]), (right[0] - pen.between(0.15, 0.5), right[1])), 0.02, shade(wood, 0.88))
    (x0, y0), (x1, y1) = near
    pen.poly(((x0, y0), (x1, y1), (x1, y1 + thick), (x0, y0 + thick)), wood)


def _legs(pen: Pen, spots: tuple[Point, ...], bottom: float, width: float, wood: RGB) -> None:
    """Draw straight legs from their tops down to the floor; the first of them are farther away."""
    for k, (x, top) in enumerate(spots):
        depth = bottom - (0.16 if k < len(spots) // 2 else 0.0)
        pen.poly(
            ((x - 0.5 * width, top), (x + 0.5 * width, top), (x + 0.38 * width, depth), (x - 0.38 * width, depth)),
            shade(wood, 0.72 if k < len(spots) // 2 else 0.95),
        )


def _knob(pen: Pen, at: Point) -> None:
    pen.oval(at, (0.04, 0.04), BRASS)


def _cushion(pen: Pen, corners: Box, cloth: RGB) -> None:
    """Draw a stuffed cushion with a soft light."""
    left, top, right, bottom = corners
    pen.soft_box(corners, 0.35 * min(right - left, bottom - top), cloth)
    pen.stroke(((left + 0.08, top + 0.07), (right - 0.1, top + 0.07)), 0.04, shade(cloth, 1.25))


def chair(pen: Pen) -> None:
    """Draw a chair: seat, four legs, high slatted back."""
    wood = _wood(pen)
    top = pen.around(-0.9, 0.05)
    _legs(pen, ((-0.36, 0.1), (0.36, 0.1), (-0.46, 0.24), (0.46, 0.24)), 0.98, 0.12, wood)
    for x in (-0.38, 0.38):
        _board(pen, (x - 0.06, top, x + 0.06, 0.12), wood)
    if pen.chance(0.5):
        for y in (top + 0.04, top + 0.34, top + 0.62):
            _board(pen, (-0.32, y, 0.32, y + 0.15), wood)
    else:
        _board(pen, (-0.4, top, 0.4, top + 0.16), wood)
        for x in (-0.2, 0.0, 0.2):
            _board(pen, (x - 0.04, top + 0.16, x + 0.04, 0.1), wood)
    _slab(pen, ((-0.54, 0.24), (0.54, 0.24)), ((-0.44, 0.02), (0.44, 0.02)), 0.1, wood)


def table(pen: Pen) -> None:
    """Draw a table: wide bare top on four long legs, nothing under it."""
    wood = _wood(pen)
    reach = pen.around(0.92, 0.06)
    _legs(pen, ((-0.66, -0.2), (0.66, -0.2), (-0.82, 0.0), (0.82, 0.0)), 0.78, pen.around(0.13, 0.2), wood)
    _board(pen, (-0.8, -0.02, 0.8, 0.12), shade(wood, 0.85))
    _slab(pen, ((-reach, -0.06), (reach, -0.06)), ((-0.74, -0.44), (0.74, -0.44)), 0.09, wood)


def bed(pen: Pen) -> None:
    """Draw a bed: headboard, white pillow, mattress under a coloured blanket, low legs."""
    wood, cloth = _wood(pen), _cloth(pen)
    _legs(pen, ((-0.7, 0.3), (0.6, 0.3), (-0.9, 0.4), (0.9, 0.4)), 0.68, 0.13, wood)
    head = pen.around(-0.62, 0.1)
    _board(pen, (-0.98, head, -0.82, 0.5), wood)
    pen.poly(((-0.82, head), (-0.62, head - 0.14), (-0.62, -0.1), (-0.82, 0.1)), shade(wood, 0.8))
    pen.poly(((-0.82, 0.06), (-0.6, -0.2), (0.78, -0.2), (0.92, 0.06)), WHITE)
    pen.poly(((-0.34, 0.06), (-0.2, -0.2), (0.78, -0.2), (0.92, 0.06)), shade(cloth, 1.15))
    pen.box((-0.82, 0.06, 0.92, 0.28), WHITE)
    pen.box((-0.34, 0.06, 0.92, 0.28), cloth)
    for x in (0.0, 0.34, 0.66):
        pen.stroke(((x, 0.06), (x + 0.02, 0.26)), 0.025, shade(cloth, 0.75))
    pen.blob(((-0.72, 0.0), (-0.66, -0.2), (-0.4, -0.24), (-0.34, -0.1), (-0.42, 0.02)), (250, 250, 250))
    _board(pen, (-0.84, 0.28, 0.96, 0.42), wood)
    _board(pen, (0.88, -0.12, 0.99, 0.46), wood)


def sofa(pen: Pen) -> None:
    """Draw a sofa: stuffed back, two seat cushions, round arms, stub legs."""
    cloth = _cloth(pen)
    _legs(pen, ((-0.6, 0.4), (0.6, 0.4), (-0.84, 0.44), (0.84, 0.44)), 0.7, 0.1, _wood(pen))
    top = pen.around(-0.44, 0.12)
    _cushion(pen, (-0.84, top, 0.02, 0.2), shade(cloth, 0.9))
    _cushion(pen, (-0.02, top, 0.84, 0.2), shade(cloth, 0.9))
    pen.box((-0.8, 0.26, 0.8, 0.5), shade(cloth, 0.75))
    for left, right in ((-0.76, 0.0), (0.0, 0.76)):
        _cushion(pen, (left, 0.06, right, 0.3), cloth)
    for x in (-0.98, 0.72):
        _cushion(pen, (x, -0.12, x + 0.26, 0.52), shade(cloth, 1.06))
    if pen.chance(0.6):
        pen.poly(((-0.6, 0.06), (-0.54, -0.24), (-0.24, -0.2), (-0.3, 0.08)), _cloth(pen))


def desk(pen: Pen) -> None:
    """Draw a desk: top with drawers down one side, a lamp and paper on it."""
    wood = _wood(pen)
    _legs(pen, ((0.6, -0.1), (0.84, 0.0)), 0.82, 0.12, wood)
    _board(pen, (-0.9, 0.0, 0.9, 0.18), shade(wood, 0.8))
    _board(pen, (-0.9, 0.04, -0.24, 0.8), shade(wood, 0.92))
    for k in range(3):
        y = 0.1 + 0.23 * k
        _board(pen, (-0.84, y, -0.3, y + 0.19), wood)
        _knob(pen, (-0.57, y + 0.1))
    _slab(pen, ((-0.98, -0.06), (0.98, -0.06)), ((-0.8, -0.32), (0.8, -0.32)), 0.09, wood)
    pen.poly(((-0.05, -0.1), (0.05, -0.26), (0.4, -0.26), (0.36, -0.1)), (250, 250, 246))
    lamp = _cloth(pen)
    pen.oval((-0.52, -0.18), (0.15, 0.05), lamp)
    pen.stroke(((-0.52, -0.18), (-0.64, -0.48), (-0.42, -0.72)), 0.05, shade(lamp, 0.6))
    pen.poly(((-0.5, -0.82), (-0.32, -0.74), (-0.2, -0.5), (-0.5, -0.6)), lamp)


def bookcase(pen: Pen) -> None:
    """Draw a bookcase: open frame, three or four shelves of coloured books."""
    wood = _wood(pen)
    wide = pen.around(0.62, 0.08)
    _legs(pen, ((-wide + 0.2, 0.8), (wide - 0.2, 0.8), (-wide + 0.08, 0.85), (wide - 0.08, 0.85)), 1.0, 0.12, wood)
    pen.box((-wide, -0.98, wide, 0.9), wood)
    rows = int(pen.between(3, 5))
    step = 1.76 / rows
    for row in range(rows):
        top = -0.9 + step * row
        floor = top + step - 0.1
        pen.box((-wide + 0.09, top, wide - 0.09, floor), shade(wood, 0.45))
        x = -wide + 0.11
        while x < wide - 0.24:
            thick = pen.between(0.08, 0.16)
            tall = (step - 0.1) * pen.between(0.62, 0.92)
            if pen.chance(0.9):
                pen.box((x, floor - tall, x + thick, floor), pen.tint(pen.pick(PAINTS), 2.0))
            x += thick


def stool(pen: Pen) -> None:
    """Draw a stool: small round seat on three or four splayed legs with a rung, no back."""
    wood = _wood(pen)
    seat = wood if pen.chance(0.6) else _cloth(pen)
    tops = ((-0.2, -0.3), (0.2, -0.3), (-0.36, -0.22), (0.36, -0.22))
    for k, (x, y) in enumerate(tops):
        foot = (x * pen.around(1.55, 0.05), 0.78 if k < 2 else 0.95)
        pen.taper(((x, y), foot), (0.13, 0.1), shade(wood, 0.72 if k < 2 else 0.95))
    for y, half in ((0.4, 0.44), (0.2, 0.3)):
        pen.cord(((-half, y), (half, y)), 0.06, shade(wood, 0.85))
    pen.oval((0.0, -0.28), (0.6, 0.2), shade(wood, 0.75))
    pen.oval((0.0, -0.38), (0.6, 0.2), shade(seat, 1.1))
    pen.bend(((-0.3, -0.42), (0.0, -0.46), (0.3, -0.42)), 0.025, shade(seat, 0.85))


def wardrobe(pen: Pen) -> None:
    """Draw a wardrobe: tall cupboard, two panelled doors with knobs, a cornice, a drawer below."""
    wood = _wood(pen)
    wide = pen.around(0.62, 0.08)
    _legs(pen, ((-wide + 0.2, 0.7), (wide - 0.2, 0.7), (-wide + 0.08, 0.8), (wide - 0.08, 0.8)), 1.0, 0.14, wood)
    _board(pen, (-wide, -0.84, wide, 0.88), shade(wood, 0.85))
    pen.poly(((-wide - 0.1, -0.98), (wide + 0.1, -0.98), (wide, -0.82), (-wide, -0.82)), wood)
    for left, right in ((-wide + 0.05, -0.02), (0.02, wide - 0.05)):
        _board(pen, (left, -0.76, right, 0.54), wood)
        for top, bottom in ((-0.66, -0.16), (-0.06, 0.44)):
            pen.box((left + 0.1, top, right - 0.1, bottom), shade(wood, 1.12))
    for x in (-0.07, 0.07):
        _knob(pen, (x, -0.1))
    _board(pen, (-wide + 0.05, 0.6, wide - 0.05, 0.82), wood)
    _knob(pen, (0.0, 0.71))


DRAWERS: Final[dict[str, Callable[[Pen], None]]] = {
    "chair": chair,
    "table": table,
    "bed": bed,
    "sofa": sofa,
    "desk": desk,
    "bookcase": bookcase,
    "stool": stool,
    "wardrobe": wardrobe,
}
