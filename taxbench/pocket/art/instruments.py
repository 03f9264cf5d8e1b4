"""Musical instruments: varnished wood or polished brass with strings, keys or bars and a sounding body."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from taxbench.pocket.art.colour import BLACK, BRASS, PAINTS, RGB, WHITE, shade
from taxbench.pocket.art.pen import Pen, Point

VARNISH: Final[tuple[RGB, ...]] = ((178, 92, 36), (150, 66, 30), (204, 132, 60), (120, 52, 28))
STRING: Final[RGB] = (238, 230, 206)
IVORY: Final[RGB] = (246, 242, 228)


def _varnish(pen: Pen) -> RGB:
    return pen.tint(pen.pick(VARNISH), 1.3)


def _metal(pen: Pen) -> RGB:
    return pen.tint(pen.pick((BRASS, BRASS, (204, 206, 212))), 0.8)


def _shine(pen: Pen, points: tuple[Point, ...], colour: RGB, width: float = 0.05) -> None:
    """Draw the long bright reflection that tells varnish and brass from matt things."""
    pen.bend(points, width, shade(colour, 1.55))


def _strings(pen: Pen, ends: tuple[Point, Point], gap: float, count: int) -> None:
    """Draw parallel strings from one end to the other, centred."""
    (x0, y0), (x1, y1) = ends
    for k in range(count):
        offset = gap * (k - 0.5 * (count - 1))
        pen.stroke(((x0 + offset, y0), (x1 + offset, y1)), 0.016, STRING)


def _pegs(pen: Pen, top: float, step: float, count: int) -> None:
    """Draw tuning pegs on both sides of a head."""
    for k in range(count):
        y = top + step * k
        pen.stroke(((-0.15, y), (0.15, y)), 0.035, BRASS)
        for side in (-1, 1):
            pen.dot((side * 0.17, y), 0.045, IVORY)


def guitar(pen: Pen) -> None:
    """Draw a guitar: waisted body with a round hole, long fretted neck."""
    wood = _varnish(pen)
    neck = pen.tint((92, 56, 36))
    hip = pen.around(0.52, 0.08)
    right = ((0.3, -0.14), (0.36, 0.08), (0.28, 0.3), (hip, 0.6), (0.36, 0.94))
    pen.blob(((0.0, -0.2), *right, (0.0, 1.0), *((-x, y) for x, y in reversed(right))), wood)
    _shine(pen, ((-0.36, 0.5), (-0.4, 0.66), (-0.3, 0.84)), wood)
    pen.poly(((-0.07, 0.1), (0.07, 0.1), (0.06, -0.74), (-0.06, -0.74)), neck)
    for k in range(6):
        pen.stroke(((-0.05, -0.65 + 0.12 * k), (0.05, -0.65 + 0.12 * k)), 0.02, BRASS)
    _pegs(pen, -0.94, 0.08, 3)
    pen.poly(((-0.09, -0.72), (0.09, -0.72), (0.11, -1.0), (-0.11, -1.0)), shade(wood, 0.7))
    pen.oval((0.0, 0.22), (0.16, 0.16), (50, 32, 24))
    pen.ring((0.0, 0.22), 0.19, 0.03, STRING)
    pen.box((-0.2, 0.64, 0.2, 0.72), neck)
    _strings(pen, ((0.0, -0.94), (0.0, 0.68)), 0.03, 4)


def piano(pen: Pen) -> None:
    """Draw a grand piano: curved raised lid, keyboard, three legs."""
    case = pen.tint(pen.pick(((40, 36, 40), (40, 36, 40), *VARNISH[:2], (236, 232, 226))))
    for x in (-0.78, 0.02, 0.72):
        pen.poly(((x - 0.07, 0.3), (x + 0.07, 0.3), (x + 0.04, 0.88), (x - 0.04, 0.88)), shade(case, 0.85))
        pen.dot((x, 0.9), 0.05, BRASS)
    lid = pen.around(-0.86, 0.06)
    pen.blob(
        (
            (-0.66, -0.02),
            (-0.62, lid + 0.12),
            (-0.3, lid),
            (0.1, lid + 0.16),
            (0.5, -0.34),
            (0.88, -0.24),
            (0.9, -0.02),
        ),
        shade(case, 1.15),
    )
    _shine(pen, ((-0.46, -0.2), (-0.4, -0.5), (-0.28, -0.68)), case)
    pen.stroke(((0.5, 0.0), (0.36, -0.4)), 0.03, BRASS)
    pen.poly(((-0.9, 0.0), (0.92, 0.0), (0.9, 0.34), (-0.9, 0.34)), case)
    _strings(pen, ((0.1, -0.06), (0.1, -0.02)), 0.1, 9)
    pen.box((-0.96, 0.12, 0.7, 0.3), IVORY)
    for k in range(1, 14):
        x = -0.96 + 1.66 * k / 14
        pen.stroke(((x, 0.13), (x, 0.29)), 0.014, (120, 116, 110))
        if k % 7 not in (3, 0):
            pen.box((x - 0.03, 0.12, x + 0.03, 0.22), BLACK, line=False)


def drum(pen: Pen) -> None:
    """Draw a drum: cylinder with a pale skin, zigzag cords, rims, two sticks."""
    paint = pen.tint(pen.pick((*PAINTS[:4], *VARNISH[:2])), 1.3)
    wide, low = pen.around(0.76, 0.06), 0.62
    pen.oval((0.0, low), (wide, 0.24), shade(paint, 0.8))
    pen.box((-wide, -0.12, wide, low), paint, line=False)
    pen.bend(((-0.6 * wide, 0.1), (-0.62 * wide, 0.6)), 0.09, shade(paint, 1.4))
    zigzag = [(-wide + 2 * wide * k / 8, (0.02 if k % 2 else 0.72) + 0.16 * (1 - abs(k / 4 - 1))) for k in range(9)]
    pen.stroke(zigzag, 0.035, STRING)
    rim = _metal(pen)
    for level in (low, -0.06):
        edge = [(wide * c, level + 0.24 * s) for c, s in ((-1, 0), (-0.7, 0.7), (0, 1), (0.7, 0.7), (1, 0))]
        pen.cord(edge, 0.08, rim)
    pen.oval((0.0, -0.12), (wide, 0.25), IVORY)
    pen.oval((0.0, -0.1), (0.8 * wide, 0.17), shade(IVORY, 0.94), line=False)
    for side in (-1, 1):
        end = (side * pen.between(0.1, 0.3), -0.2)
        pen.cord(((side * 0.95, -0.92), end), 0.06, pen.tint(VARNISH[2]))
        pen.dot(end, 0.07, VARNISH[2])


def violin(pen: Pen) -> None:
    """Draw a violin: small waisted body with f-holes, black fingerboard, scroll, and a bow beside it."""
    wood = _varnish(pen)
    hip = pen.around(0.4, 0.06)
    right = ((0.28, -0.3), (0.34, -0.12), (0.2, 0.08), (0.2, 0.28), (hip, 0.46), (0.36, 0.78))
    pen.blob(((0.0, -0.36), *right, (0.0, 0.9), *((-x, y) for x, y in reversed(right))), wood)
    _shine(pen, ((-0.28, 0.46), (-0.3, 0.6), (-0.24, 0.76)), wood)
    for side in (-1, 1):
        hole = ((side * 0.13, 0.06), (side * 0.2, 0.14), (side * 0.17, 0.3), (side * 0.24, 0.4))
        pen.bend(hole, 0.035, (40, 24, 20))
    _pegs(pen, -0.86, 0.09, 2)
    pen.poly(((-0.05, -0.7), (0.05, -0.7), (0.08, 0.1), (-0.08, 0.1)), BLACK)
    pen.poly(((-0.06, -0.68), (0.06, -0.68), (0.05, -0.9), (-0.05, -0.9)), shade(wood, 0.8))
    pen.oval((0.0, -0.94), (0.09, 0.07), shade(wood, 0.8))
    pen.poly(((-0.1, 0.5), (0.1, 0.5), (0.05, 0.82), (-0.05, 0.82)), BLACK)
    pen.box((-0.12, 0.2, 0.12, 0.25), STRING)
    _strings(pen, ((0.0, -0.8), (0.0, 0.52)), 0.035, 3)
    lean = pen.between(-0.1, 0.1)
    pen.bend(((0.62 + lean, -0.9), (0.74, 0.0), (0.62 - lean, 0.92)), 0.05, shade(wood, 0.6))
    pen.stroke(((0.62 + lean, -0.9), (0.6 - lean, 0.86)), 0.03, WHITE)


def trumpet(pen: Pen) -> None:
    """Draw a trumpet: long brass tube with a flared bell, three valves, a loop and a mouthpiece."""
    brass = _metal(pen)
    bell = pen.around(0.44, 0.08)
    pen.cord(((-0.5, 0.02), (-0.62, 0.2), (-0.5, 0.4), (0.2, 0.42), (0.34, 0.22), (0.22, 0.02)), 0.07, brass)
    pen.cord(((-0.98, -0.1), (-0.1, -0.1)), 0.06, brass)
    pen.poly(((-1.0, -0.2), (-0.88, -0.14), (-0.88, -0.06), (-1.0, 0.0)), shade(brass, 0.85))
    pen.taper(((-0.3, -0.06), (0.4, -0.06), (0.72, -0.06), (0.94, -0.06)), (0.08, 0.11, 0.22, 2 * bell), brass)
    pen.oval((0.94, -0.06), (0.1, bell), shade(brass, 0.6))
    for k in range(3):
        x = -0.2 + 0.17 * k
        pen.box((x - 0.06, -0.26, x + 0.06, 0.46), shade(brass, 0.92))
        pen.stroke(((x, -0.28), (x, -0.4)), 0.04, shade(brass, 0.6))
        pen.box((x - 0.06, -0.46, x + 0.06, -0.4), IVORY)
    _shine(pen, ((-0.85, -0.11), (-0.35, -0.11)), brass, 0.025)
    _shine(pen, ((0.3, -0.1), (0.66, -0.12), (0.84, -0.24)), brass, 0.035)


def flute(pen: Pen) -> None:
    """Draw a flute: one long slanting tube with a lip plate and a row of round keys."""
    metal = pen.tint(pen.pick(((204, 208, 216), (204, 208, 216), BRASS, VARNISH[2], (60, 46, 44))))
    wide = pen.around(0.17, 0.1)
    rise = pen.around(0.42, 0.2)
    ends = ((-0.98, rise), (0.98, -rise))
    pen.taper(ends, (wide, wide), metal)
    _shine(pen, ((-0.9, rise * 0.92 - 0.04), (0.9, -rise * 0.92 - 0.04)), metal, 0.03)
    for k in (-0.5, 0.38, 0.9):
        x, y = k, -k * rise
        pen.taper(((x - 0.05, y + 0.05 * rise), (x + 0.05, y - 0.05 * rise)), (1.35 * wide, 1.35 * wide), BRASS)
    pen.oval((0.62, -0.63 * rise - 0.03), (0.14, 0.09), shade(metal, 0.8), -22)
    pen.oval((0.62, -0.63 * rise - 0.04), (0.06, 0.04), BLACK, -22, line=False)
    for k in range(8):
        x = -0.82 + 0.135 * k + (0.06 if k > 2 else 0.0)
        y = -x * rise - 0.04
        pen.oval((x, y), (0.06, 0.06), shade(metal, 0.7))
        pen.dot((x, y), 0.025, shade(metal, 1.4))
    pen.stroke(((-0.8, 0.8 * rise + 0.09), (0.3, -0.3 * rise + 0.09)), 0.035, shade(metal, 0.6))


def harp(pen: Pen) -> None:
    """Draw a harp: triangular golden frame, curved neck, many upright strings."""
    gold = pen.tint(pen.pick((BRASS, *VARNISH[:3])))
    neck = ((-0.5, -0.56), (-0.24, -0.82), (0.1, pen.around(-0.62, 0.1)), (0.42, -0.74), (0.62, -0.96))
    for k in range(9):
        x = -0.42 + 0.105 * k
        top = -0.66 + (0.1 if 2 < k < 7 else -0.04)
        pen.stroke(((x, top), (x, 0.05 + 0.85 * (x + 0.5))), 0.02, (232, 60, 60) if k % 4 == 0 else STRING)
    pen.taper(((-0.56, -0.6), (0.0, 0.3), (0.56, 0.9)), (0.14, 0.24, 0.3), shade(gold, 0.85))
    pen.cord(((0.62, -0.92), (0.66, 0.0), (0.62, 0.86)), 0.12, gold)
    pen.taper(neck, (0.14, 0.17, 0.15, 0.15, 0.1), gold)
    _shine(pen, ((0.63, -0.7), (0.66, 0.0), (0.63, 0.6)), gold, 0.03)
    pen.oval((0.64, -0.94), (0.12, 0.09), gold)
    pen.soft_box((0.3, 0.84, 0.84, 0.98), 0.05, shade(gold, 0.7))


def xylophone(pen: Pen) -> None:
    """Draw a xylophone: coloured bars that grow shorter across a wooden frame, two mallets."""
    wood = _varnish(pen)
    for side in (-1, 1):
        pen.taper(((-0.98, side * 0.34), (0.98, side * 0.18)), (0.12, 0.1), wood)
    rainbow: tuple[RGB, ...] = (
        (214, 50, 50),
        (236, 130, 40),
        (240, 206, 60),
        (90, 176, 80),
        (60, 160, 200),
        (60, 80, 180),
        (140, 70, 170),
        (214, 90, 140),
    )
    plain = pen.chance(0.25)
    for k, hue in enumerate(rainbow):
        x = -0.84 + 0.24 * k
        half = pen.around(0.62 - 0.042 * k, 0.03)
        bar = shade(wood, 1.2) if plain else pen.tint(hue)
        pen.soft_box((x - 0.1, -half, x + 0.1, half), 0.04, bar)
        _shine(pen, ((x - 0.04, -half + 0.1), (x - 0.04, half - 0.14)), bar, 0.03)
        for side in (-1, 1):
            pen.dot((x, side * (0.33 - 0.02 * k)), 0.03, BLACK)
    for side in (-1, 1):
        tip = (side * 0.3 + pen.between(-0.2, 0.2), pen.between(-0.2, 0.1))
        pen.cord(((side * 0.2 + 0.3, 0.98), tip), 0.035, pen.tint(VARNISH[2]))
        pen.oval(tip, (0.09, 0.09), pen.tint((190, 40, 50)))


DRAWERS: Final[dict[str, Callable[[Pen], None]]] = {
    "guitar": guitar,
    "piano": piano,
    "drum": drum,
    "violin": violin,
    "trumpet": trumpet,
    "flute": flute,
    "harp": harp,
    "xylophone": xylophone,
}
