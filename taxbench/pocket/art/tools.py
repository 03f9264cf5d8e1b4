"""Tools: long upright handle with a steel working end at the top."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from taxbench.pocket.art.colour import PAINTS, RGB, STEEL, WOODS, shade
from taxbench.pocket.art.pen import Pen

GRIPS: Final[tuple[RGB, ...]] = (
    (196, 40, 36),
    (236, 176, 36),
    (44, 92, 170),
    (52, 52, 58),
    (60, 130, 70),
    (230, 110, 36),
)


def _steel(pen: Pen) -> RGB:
    return pen.tint(pen.pick((STEEL, (150, 156, 164), (124, 128, 136))), 0.8)


def _handle(pen: Pen, top: float, bottom: float, width: float) -> RGB:
    """Draw a wooden handle, now and then painted or with a coloured grip; return its colour."""
    wood = pen.tint(pen.pick(WOODS), 1.2) if pen.chance(0.75) else pen.tint(pen.pick(PAINTS), 1.5)
    wide = pen.around(width, 0.12)
    mid = 0.5 * (top + bottom)
    pen.taper(((0.0, top), (0.01, mid), (0.0, bottom)), (0.85 * wide, 0.95 * wide, 1.2 * wide), wood)
    if pen.chance(0.4):
        pen.taper(
            ((0.0, bottom - 0.4 * (bottom - mid)), (0.0, bottom)), (1.1 * wide, 1.35 * wide), pen.tint(pen.pick(GRIPS))
        )
    else:
        for offset in (-0.2, 0.15):
            pen.stroke(((offset * wide, mid), (offset * wide, bottom - 0.1)), 0.02, shade(wood, 0.75))
    return wood


def _plastic_grip(pen: Pen, top: float, bottom: float, width: float, colour: RGB) -> None:
    """Draw a fluted plastic grip with a rounded end."""
    pen.taper(
        ((0.0, top), (0.0, 0.5 * (top + bottom)), (0.0, bottom)),
        (0.8 * width, width, 1.05 * width, 0.8 * width),
        colour,
    )
    for offset in (-0.25, 0.0, 0.25):
        pen.stroke(((offset * width, top + 0.1), (offset * width, bottom - 0.1)), 0.035, shade(colour, 0.68))


def hammer(pen: Pen) -> None:
    """Draw a claw hammer: flat striking face on one side, split curved claw on the other."""
    steel = _steel(pen)
    _handle(pen, -0.6, 0.98, 0.2)
    long = pen.around(0.62, 0.08)
    pen.taper(((-0.1, -0.72), (-0.45, -0.76), (-0.8, -0.5)), (0.26, 0.2, 0.05), steel)
    pen.taper(((-0.2, -0.72), (-0.5, -0.72), (-0.78, -0.5)), (0.02, 0.04, 0.03), shade(steel, 0.55), line=False)
    pen.box((-0.16, -0.88, 0.18, -0.54), steel)
    pen.box((0.18, -0.83, long - 0.14, -0.6), shade(steel, 0.92))
    pen.box((long - 0.16, -0.9, long + 0.04, -0.52), steel)
    pen.stroke(((-0.12, -0.82), (0.5, -0.82)), 0.03, shade(steel, 1.5))


def saw(pen: Pen) -> None:
    """Draw a hand saw: long toothed blade and a closed wooden grip."""
    steel = _steel(pen)
    teeth = []
    count = int(pen.between(13, 19))
    for k in range(count):
        y = 0.36 - 1.3 * k / count
        x = 0.36 - 0.16 * k / count
        teeth += [(x, y), (x + 0.09, y - 0.02)]
    pen.poly(((-0.34, 0.4), (0.36, 0.4), *teeth, (0.14, -0.98), (-0.06, -0.98)), steel)
    pen.stroke(((-0.22, 0.2), (-0.02, -0.86)), 0.03, shade(steel, 1.4))
    wood = pen.tint(pen.pick(WOODS), 1.2)
    grip = (
        (-0.42, 0.3),
        (0.0, 0.24),
        (0.42, 0.32),
        (0.36, 0.56),
        (0.44, 0.92),
        (0.1, 0.98),
        (-0.3, 0.96),
        (-0.38, 0.6),
    )
    pen.blob(grip, wood)
    pen.oval((0.03, 0.66), (0.2, 0.15), shade(wood, 0.4), -10)
    for x in (-0.22, 0.24):
        pen.dot((x, 0.38), 0.05, steel)


def screwdriver(pen: Pen) -> None:
    """Draw a screwdriver: round steel shaft with a flat tip, fat fluted grip."""
    steel = _steel(pen)
    pen.taper(((0.0, 0.2), (0.0, -0.72)), (pen.around(0.13, 0.15), 0.12), steel)
    pen.poly(
        ((-0.06, -0.7), (-0.13, -0.84), (-0.08, -1.0), (0.08, -1.0), (0.13, -0.84), (0.06, -0.7)), shade(steel, 0.9)
    )
    pen.stroke(((-0.02, 0.14), (-0.02, -0.66)), 0.03, shade(steel, 1.5))
    colour = pen.tint(pen.pick(GRIPS), 1.3)
    pen.taper(((0.0, 0.12), (0.0, 0.3)), (0.2, 0.26), shade(colour, 0.7))
    _plastic_grip(pen, 0.24, 0.98, pen.around(0.4, 0.1), colour)


def wrench(pen: Pen) -> None:
    """Draw a wrench: one bar of steel, open jaw at one end, ring at the other."""
    steel = _steel(pen)
    dark = shade(steel, 0.5)
    wide = pen.around(0.2, 0.12)
    pen.taper(((0.0, -0.5), (0.0, 0.6)), (1.1 * wide, wide, wide), steel)
    pen.stroke(((0.0, -0.3), (0.0, 0.4)), 0.07, shade(steel, 0.82))
    jaw = ((-0.16, -0.4), (-0.36, -0.6), (-0.34, -0.86), (-0.2, -1.0), (-0.15, -0.98), (-0.15, -0.7), (0.0, -0.6))
    right = ((0.15, -0.7), (0.15, -0.98), (0.2, -1.0), (0.34, -0.86), (0.36, -0.6), (0.16, -0.4))
    pen.poly((*jaw, *right), steel)
    pen.stroke(((-0.25, -0.86), (-0.26, -0.62)), 0.03, shade(steel, 1.5))
    pen.oval((0.0, 0.76), (0.27, 0.24), steel)
    pen.oval((0.0, 0.76), (0.14, 0.13), dark)


def axe(pen: Pen) -> None:
    """Draw an axe: broad curved blade on one side of a long handle."""
    steel = _steel(pen)
    _handle(pen, -0.94, 0.98, 0.17)
    edge = pen.around(0.72, 0.06)
    head = steel if pen.chance(0.6) else pen.tint((190, 40, 36))
    pen.poly(
        (
            (-0.2, -0.78),
            (0.12, -0.8),
            (0.46, -0.9),
            (edge - 0.06, -0.98),
            (edge - 0.1, -0.2),
            (0.42, -0.42),
            (0.12, -0.5),
            (-0.2, -0.5),
        ),
        head,
    )
    arc = (
        (edge - 0.2, -0.96),
        (edge, -1.0),
        (edge + 0.08, -0.6),
        (edge - 0.04, -0.16),
        (edge - 0.24, -0.26),
        (edge - 0.16, -0.6),
    )
    pen.blob(arc, shade(steel, 1.35))
    pen.box((-0.12, -0.8, 0.12, -0.5), shade(head, 0.75))


def shovel(pen: Pen) -> None:
    """Draw a shovel, blade down like a spade at work: rounded pointed blade, long shaft, D-shaped grip."""
    steel = _steel(pen)
    _handle(pen, -0.74, 0.3, 0.12)
    grip = pen.tint(pen.pick(GRIPS))
    pen.cord(((0.0, -0.66), (-0.2, -0.8), (-0.18, -0.96), (0.18, -0.96), (0.2, -0.8), (0.0, -0.66)), 0.07, grip)
    wide = pen.around(0.4, 0.1)
    side = ((wide, 0.2), (wide + 0.02, 0.6), (0.6 * wide, 0.86))
    pen.poly(((-wide, 0.2), *side, (0.0, 1.0), *((-x, y) for x, y in reversed(side))), steel)
    pen.taper(((0.0, 0.1), (0.0, 0.36), (0.0, 0.56)), (0.18, 0.16, 0.04), shade(steel, 0.75))
    for x in (-0.24, 0.24):
        pen.stroke(((x, 0.3), (0.7 * x, 0.74)), 0.03, shade(steel, 0.72))
    pen.stroke(((-wide, 0.2), (wide, 0.2)), 0.06, shade(steel, 0.6))


def rake(pen: Pen) -> None:
    """Draw a rake: cross bar with a row of parallel teeth at the end of a long shaft."""
    steel = _steel(pen) if pen.chance(0.6) else pen.tint(pen.pick(GRIPS))
    _handle(pen, -0.98, 0.5, 0.11)
    half = pen.around(0.62, 0.1)
    teeth = int(pen.between(6, 10))
    for k in range(teeth):
        x = -half + 2 * half * (k + 0.5) / teeth
        pen.taper(((x, 0.52), (1.02 * x, 0.76), (1.08 * x, 0.98)), (0.09, 0.08, 0.04), shade(steel, 0.9))
    for side in (-1, 1):
        pen.cord(((0.0, 0.26), (side * 0.5 * half, 0.38), (side * 0.75 * half, 0.52)), 0.05, shade(steel, 0.85))
    pen.soft_box((-half, 0.48, half, 0.62), 0.04, steel)
    pen.box((-0.08, 0.22, 0.08, 0.56), shade(steel, 0.7))


def scissors(pen: Pen) -> None:
    """Draw scissors: two crossed blades on a screw, two loops to hold."""
    steel, grip = _steel(pen), pen.tint(pen.pick(GRIPS), 1.4)
    spread = pen.between(0.1, 0.36)
    for side in (-1, 1):
        tip = (side * spread, -0.98)
        pen.poly(
            (
                (-side * 0.13, 0.12),
                (side * 0.02, 0.16),
                (tip[0] + side * 0.05, -0.7),
                tip,
                (-side * 0.1 + 0.3 * tip[0], -0.2),
            ),
            shade(steel, 1.0 if side > 0 else 0.86),
        )
        pen.stroke(((0.0, 0.06), (0.9 * tip[0], -0.8)), 0.025, shade(steel, 1.5))
    for side in (-1, 1):
        loop = (side * (0.28 + 0.3 * spread), 0.68)
        pen.cord(((0.0, 0.1), (side * 0.1, 0.32), (loop[0] - side * 0.05, 0.44)), 0.11, grip)
        pen.taper(((0.0, 0.1), (side * 0.08, 0.3)), (0.14, 0.14), grip)
        hole = [
            (loop[0] + 0.23 * c, loop[1] + 0.28 * s)
            for c, s in ((0, -1), (0.85, -0.5), (0.9, 0.4), (0, 1), (-0.9, 0.4), (-0.85, -0.5), (0, -1))
        ]
        pen.cord(hole, 0.1, grip)
    pen.dot((0.0, 0.06), 0.075, shade(steel, 0.55))


DRAWERS: Final[dict[str, Callable[[Pen], None]]] = {
    "hammer": hammer,
    "saw": saw,
    "screwdriver": screwdriver,
    "wrench": wrench,
    "axe": axe,
    "shovel": shovel,
    "rake": rake,
    "scissors": scissors,
}
