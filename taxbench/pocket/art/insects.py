"""Insects from above, head to the right: head, thorax and abdomen in a row, six jointed legs, two antennae, wings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from taxbench.pocket.art.colour import BLACK, RGB, WHITE, blend, shade
from taxbench.pocket.art.pen import Pen, Point

VEIL: Final[RGB] = (214, 226, 234)  # a clear wing; Pillow shapes are opaque


@dataclass(frozen=True, slots=True)
class InsectPlan:
    """Hold the proportions of one species along the body axis y = 0; lengths in object units."""

    head: tuple[float, float]  # x of the centre, radius
    thorax: tuple[float, float, float]  # x of the centre, radius along, radius across
    abdomen: tuple[float, float, float]
    legs: Point  # reach across, thickness
    coat: RGB
    feelers: float = 0.3  # length


def _legs(pen: Pen, plan: InsectPlan, colour: RGB) -> None:
    """Draw three jointed legs on either side of the thorax."""
    x, along, across = plan.thorax
    reach, thick = plan.legs
    stretch = pen.around(1.0, 0.15)
    for side in (-1, 1):
        for k, (root, sweep) in enumerate(((0.5, 0.35), (0.0, -0.05), (-0.5, -0.5))):
            hip = (x + root * along, side * 0.6 * across)
            knee = (hip[0] + 0.55 * sweep, side * reach * 0.62)
            foot = (knee[0] + 0.7 * sweep * stretch + (0.08 if k < 2 else -0.1), side * reach * stretch)
            pen.stroke((hip, knee, foot), thick, colour)


def _feelers(pen: Pen, plan: InsectPlan, colour: RGB, knob: float = 0.0) -> None:
    """Draw the two antennae, with knobs at the tips if asked."""
    x, r = plan.head
    spread = pen.around(0.22, 0.4)
    for side in (-1, 1):
        tip = (x + r + plan.feelers, side * (spread + 0.1))
        pen.bend(((x + 0.6 * r, side * 0.4 * r), (x + r + 0.5 * plan.feelers, side * spread * 0.7), tip), 0.03, colour)
        if knob:
            pen.dot(tip, knob, colour)


def _segments(pen: Pen, plan: InsectPlan, colours: tuple[RGB, RGB, RGB]) -> None:
    """Draw abdomen, thorax and head (colours in this order) and the eyes."""
    for (x, along, across), colour in zip((plan.abdomen, plan.thorax), colours[:2], strict=True):
        pen.oval((x, 0), (along, across), colour)
    x, r = plan.head
    pen.oval((x, 0), (r, r), colours[2])
    for side in (-1, 1):
        pen.dot(
            (x + 0.45 * r, side * 0.6 * r),
            0.35 * r,
            shade(colours[2], 0.5) if sum(colours[2]) > 200 else (150, 140, 130),
        )


def _wing(pen: Pen, root: Point, tip: Point, width: float, colour: RGB) -> None:
    """Draw one veined wing from its root to its tip."""
    (x, y), (u, v) = root, tip
    side = 1.0 if v >= y else -1.0
    mid = (0.5 * (x + u), 0.5 * (y + v))
    lean = (0.5 * width, 0.25 * side * width)
    front, back = (mid[0] + lean[0] + 0.1 * width, mid[1] + lean[1]), (mid[0] - lean[0], mid[1] - lean[1])
    pen.blob((root, front, tip, back), colour)
    vein = shade(colour, 0.72)
    pen.bend((root, (0.5 * (mid[0] + front[0]), mid[1]), tip), 0.02, vein)
    pen.bend((root, (0.5 * (mid[0] + back[0]), mid[1]), (0.9 * u + 0.1 * back[0], 0.9 * v + 0.1 * back[1])), 0.02, vein)


def bee(pen: Pen) -> None:
    """Draw a bee: furry yellow-and-black bands, two pairs of clear wings."""
    gold = pen.tint((240, 182, 40))
    plan = InsectPlan((0.58, 0.2), (0.24, 0.27, 0.29), (-0.36, 0.48, 0.34), (0.72, 0.05), gold, 0.26)
    _legs(pen, plan, BLACK)
    _feelers(pen, plan, BLACK)
    pen.poly(((-0.8, -0.08), (-0.95, 0), (-0.8, 0.08)), BLACK)
    _segments(pen, plan, (gold, shade(gold, 0.75), pen.tint((58, 46, 36))))
    thick = pen.around(0.13, 0.15)
    for x, half in ((-0.14, 0.27), (-0.38, 0.29), (-0.62, 0.24)):
        pen.bend(((x, -half), (x - 0.05, 0), (x, half)), thick, BLACK)
    for side in (-1, 1):
        sweep = pen.between(-0.12, 0.1)
        _wing(pen, (0.1, side * 0.16), (-0.55 + sweep, side * 0.66), 0.3, VEIL)
        _wing(pen, (0.24, side * 0.2), (-0.2 + sweep, side * 0.92), 0.42, VEIL)


def butterfly(pen: Pen) -> None:
    """Draw a butterfly: two pairs of great patterned wings, slim body, knobbed antennae."""
    wing = pen.tint(pen.pick(((236, 130, 36), (60, 120, 214), (240, 214, 70), (170, 70, 170), (224, 70, 60))), 1.5)
    plan = InsectPlan((0.36, 0.09), (0.16, 0.17, 0.1), (-0.22, 0.3, 0.08), (0.2, 0.03), wing, 0.42)
    edge, spot = shade(wing, 0.3), blend(wing, WHITE, 0.75)
    top, low = pen.around(0.92, 0.06), pen.around(0.72, 0.1)
    for side in (-1, 1):
        pen.blob(
            ((-0.02, 0), (-0.2, side * 0.55), (-0.72, side * low), (-0.86, side * 0.34), (-0.3, side * 0.04)), edge
        )
        pen.blob(
            ((-0.1, side * 0.08), (-0.25, side * 0.5), (-0.62, side * low * 0.86), (-0.7, side * 0.32)), wing, False
        )
        fore = (
            (0.16, 0),
            (0.6, side * 0.4),
            (0.72, side * 0.8),
            (0.4, side * top),
            (0.0, side * 0.75),
            (-0.06, side * 0.2),
        )
        pen.blob(fore, edge)
        pen.blob([(0.84 * x + 0.02, 0.84 * y) for x, y in fore], wing, False)
        for x, y, r in ((0.4, 0.62, 0.08), (0.18, 0.6, 0.06), (-0.5, 0.48, 0.08), (-0.3, 0.3, 0.05)):
            pen.dot((x, side * y), pen.around(r, 0.2), spot if r > 0.07 else edge)
    _feelers(pen, plan, BLACK, 0.04)
    _segments(pen, plan, (BLACK, BLACK, BLACK))


def ant(pen: Pen) -> None:
    """Draw an ant: three separate beads on a thin waist, bent antennae, jaws, no wings."""
    coat = pen.tint(pen.pick(((52, 40, 38), (124, 54, 30), (86, 50, 36))))
    plan = InsectPlan((0.55, 0.22), (0.08, 0.24, 0.14), (-0.56, 0.36, 0.27), (0.78, 0.055), coat, 0.0)
    _legs(pen, plan, shade(coat, 0.8))
    for side in (-1, 1):
        pen.stroke(((0.62, side * 0.1), (0.72, side * 0.42), (0.98, side * pen.around(0.4))), 0.045, coat)
        pen.taper(((0.72, side * 0.1), (0.86, side * 0.09), (0.9, side * 0.01)), (0.09, 0.07, 0.02), coat)
    pen.stroke(((-0.3, 0), (0.4, 0)), 0.1, coat)
    _segments(pen, plan, (coat, coat, coat))
    pen.oval((-0.18, 0), (0.07, 0.09), coat)
    for x in (-0.48, -0.64, -0.78):
        pen.bend(((x, -0.2), (x - 0.04, 0), (x, 0.2)), 0.03, shade(coat, 1.25))


def beetle(pen: Pen) -> None:
    """Draw a stag beetle: glossy wing cases split along the back, jaws like antlers."""
    coat = pen.tint(pen.pick(((38, 84, 58), (60, 44, 40), (44, 56, 96), (96, 52, 32))))
    plan = InsectPlan((0.52, 0.22), (0.26, 0.2, 0.34), (-0.34, 0.52, 0.42), (0.8, 0.075), coat, 0.2)
    _legs(pen, plan, shade(coat, 0.55))
    jaw = pen.around(0.36, 0.2)
    for side in (-1, 1):
        pen.taper(
            ((0.66, side * 0.12), (0.8, side * 0.26), (0.66 + jaw, side * 0.06)), (0.12, 0.1, 0.03), shade(coat, 0.7)
        )
    _feelers(pen, plan, shade(coat, 0.6), 0.04)
    _segments(pen, plan, (coat, shade(coat, 0.85), shade(coat, 0.7)))
    pen.stroke(((0.14, 0), (-0.86, 0)), 0.03, shade(coat, 0.4))
    for side in (-1, 1):
        for y in (0.14, 0.27):
            pen.bend(((0.1, side * y), (-0.4, side * (y + 0.03)), (-0.74, side * y * 0.6)), 0.02, shade(coat, 0.6))
        pen.oval((-0.2, side * 0.2), (0.2, 0.05), shade(coat, 1.45), line=False)


def dragonfly(pen: Pen) -> None:
    """Draw a dragonfly: long thin tail, four straight clear wings, huge eyes."""
    coat = pen.tint(pen.pick(((40, 130, 170), (60, 150, 80), (196, 60, 50), (70, 90, 190))))
    plan = InsectPlan((0.72, 0.16), (0.45, 0.2, 0.15), (-0.4, 0.6, 0.06), (0.3, 0.035), coat, 0.1)
    _legs(pen, plan, BLACK)
    fore, hind = pen.between(-0.05, 0.16), pen.between(-0.3, -0.1)
    for side in (-1, 1):
        for root, tip, width in ((0.36, hind, 0.3), (0.54, 0.5 + fore, 0.24)):
            pen.blob(
                (
                    *(
                        (root, side * 0.06),
                        (root + 0.5 * (tip - root) + 0.5 * width, side * 0.5),
                        (tip + 0.1, side * 0.95),
                    ),
                    *((tip - 0.1, side * 0.93), (root + 0.5 * (tip - root) - 0.4 * width, side * 0.5)),
                ),
                VEIL,
            )
            pen.stroke(((root, side * 0.08), (tip, side * 0.9)), 0.02, shade(VEIL, 0.7))
            pen.dot((tip + 0.05, side * 0.85), 0.045, shade(coat, 0.5))
    _segments(pen, plan, (coat, coat, coat))
    for k in range(6):
        x = 0.08 - 0.18 * k
        pen.stroke(((x, -0.05), (x, 0.05)), 0.04, shade(coat, 0.45))
    for side in (-1, 1):
        pen.oval((0.78, side * 0.12), (0.12, 0.12), pen.tint((120, 60, 50)))


def ladybug(pen: Pen) -> None:
    """Draw a ladybug: domed red wing cases with black spots, small black head with white cheeks."""
    red = pen.tint(pen.pick(((212, 38, 30), (212, 38, 30), (226, 110, 26))))
    plan = InsectPlan((0.72, 0.2), (0.5, 0.2, 0.36), (-0.12, 0.66, 0.62), (0.84, 0.07), red, 0.16)
    _legs(pen, plan, BLACK)
    _feelers(pen, plan, BLACK, 0.04)
    pen.oval((plan.head[0], 0), (0.2, 0.24), BLACK)
    pen.oval((0.5, 0), (0.2, 0.38), BLACK)
    for side in (-1, 1):
        pen.dot((0.62, side * 0.22), 0.075, WHITE)
    pen.oval((-0.12, 0), (0.66, 0.62), red)
    pen.stroke(((0.54, 0), (-0.76, 0)), 0.035, BLACK)
    size = pen.around(0.12, 0.2)
    for x, y in ((0.2, 0.3), (-0.2, 0.22), (-0.15, 0.5), (-0.52, 0.26)):
        for side in (-1, 1):
            pen.dot((x + pen.between(-0.04, 0.04), side * y), size, BLACK)
    pen.dot((0.38, 0), size, BLACK)
    pen.oval((0.12, -0.46), (0.14, 0.05), shade(red, 1.6), 15, line=False)


def grasshopper(pen: Pen) -> None:
    """Draw a grasshopper: slim green body, huge folded hind legs, wing cases along the back."""
    coat = pen.tint(pen.pick(((112, 164, 52), (112, 164, 52), (150, 140, 70))))
    plan = InsectPlan((0.66, 0.19), (0.38, 0.24, 0.19), (-0.35, 0.6, 0.16), (0.42, 0.045), coat, 0.42)
    _legs(pen, plan, shade(coat, 0.7))
    _feelers(pen, plan, shade(coat, 0.6))
    kick = pen.between(-0.1, 0.1)
    for side in (-1, 1):
        knee = (-0.62 + kick, side * 0.72)
        pen.stroke((knee, (0.02, side * 0.86), (0.18, side * 0.92)), 0.05, shade(coat, 0.75))
        pen.taper(((0.2, side * 0.14), (-0.2, side * 0.4), knee), (0.2, 0.2, 0.07), shade(coat, 0.9))
        pen.dot(knee, 0.06, shade(coat, 0.6))
    _segments(pen, plan, (coat, coat, coat))
    for side in (-1, 1):
        wing = ((0.3, side * 0.03), (0.2, side * 0.18), (-0.5, side * 0.2), (-0.98, side * 0.07), (-0.6, side * 0.01))
        pen.blob(wing, shade(coat, 0.8))
    pen.oval((0.38, 0), (0.2, 0.16), shade(coat, 1.25))
    for side in (-1, 1):
        pen.dot((0.74, side * 0.13), 0.07, (70, 50, 30))


def mosquito(pen: Pen) -> None:
    """Draw a mosquito: thread-like long legs, needle proboscis, thin banded abdomen, narrow wings."""
    coat = pen.tint((96, 88, 84))
    plan = InsectPlan((0.36, 0.1), (0.16, 0.18, 0.15), (-0.38, 0.42, 0.09), (0.98, 0.03), coat, 0.22)
    _legs(pen, plan, BLACK)
    for side in (-1, 1):
        hip, knee = (0.08, side * 0.08), (-0.3, side * 0.52)
        pen.stroke((hip, knee, (-0.95, side * pen.around(0.72))), 0.03, BLACK)
    pen.stroke(((0.42, 0), (0.96, 0)), 0.045, BLACK)
    _feelers(pen, plan, BLACK)
    for side in (-1, 1):
        for k in range(3):
            pen.stroke(
                ((0.48 + 0.06 * k, side * (0.08 + 0.05 * k)), (0.5 + 0.07 * k, side * (0.2 + 0.05 * k))), 0.015, BLACK
            )
    _segments(pen, plan, (coat, shade(coat, 0.75), shade(coat, 0.6)))
    for k in range(4):
        x = -0.12 - 0.16 * k
        pen.stroke(((x, -0.07), (x, 0.07)), 0.05, WHITE)
    for side in (-1, 1):
        _wing(pen, (0.12, side * 0.06), (-0.55, side * pen.around(0.36, 0.2)), 0.16, VEIL)


DRAWERS: Final[dict[str, Callable[[Pen], None]]] = {
    "bee": bee,
    "butterfly": butterfly,
    "ant": ant,
    "beetle": beetle,
    "dragonfly": dragonfly,
    "ladybug": ladybug,
    "grasshopper": grasshopper,
    "mosquito": mosquito,
}
