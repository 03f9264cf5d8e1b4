"""Fish, head to the right: smooth tapering body with fins, tail, gill and a round eye."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from taxbench.pocket.art.colour import BLACK, RGB, WHITE, blend, shade
from taxbench.pocket.art.pen import Pen, Point


@dataclass(frozen=True, slots=True)
class FishPlan:
    """Hold the outline of one species; lengths in object units."""

    snout: float  # x of the nose
    root: float  # x where the tail begins
    back: float  # height of the back above the axis
    belly: float  # depth below the axis
    coat: RGB
    under: RGB


def _trunk(pen: Pen, plan: FishPlan) -> None:
    """Draw the body with a paler belly."""
    nose, root = plan.snout, plan.root
    span = nose - root
    back, belly = pen.around(plan.back, 0.1), pen.around(plan.belly, 0.1)
    top = (
        (root, -0.07),
        (root + 0.35 * span, -0.8 * back),
        (root + 0.65 * span, -back),
        (root + 0.88 * span, -0.6 * back),
    )
    low = (
        (root + 0.88 * span, 0.6 * belly),
        (root + 0.65 * span, belly),
        (root + 0.35 * span, 0.8 * belly),
        (root, 0.07),
    )
    pen.blob((*top, (nose, 0.02), *low), plan.coat)
    pale = ((root + 0.3 * span, 0.35 * belly), (nose - 0.04, 0.1 * belly), (root + 0.8 * span, 0.72 * belly))
    pen.blob((*pale, (root + 0.6 * span, 0.86 * belly), (root + 0.35 * span, 0.66 * belly)), plan.under, line=False)


def _face(pen: Pen, plan: FishPlan, eye: float = 0.06) -> None:
    """Draw eye, gill and mouth."""
    x = plan.snout - 0.16 * (plan.snout - plan.root)
    pen.eye((x, -0.22 * plan.back), eye)
    gill = x - 0.13
    pen.bend(((gill, -0.45 * plan.back), (gill - 0.06, 0), (gill, 0.45 * plan.belly)), 0.03, shade(plan.coat, 0.55))
    pen.bend(((plan.snout - 0.02, 0.06), (plan.snout - 0.12, 0.1)), 0.03, shade(plan.coat, 0.45))


def _tail(pen: Pen, plan: FishPlan, length: float, span: Point, colour: RGB) -> None:
    """Draw a forked tail fin; `span` is its reach up and down."""
    x, up, down = plan.root, pen.around(span[0]), span[1]
    notch = (x - 0.45 * length, 0.02)
    pen.blob(((x + 0.08, -0.06), (x - length, -up), notch, (x - 0.95 * length, down), (x + 0.08, 0.06)), colour)
    for y in (-0.6 * up, 0.6 * down):
        pen.stroke(((x, 0), (x - 0.65 * length, y)), 0.02, shade(colour, 0.7))


def _fin(pen: Pen, base: tuple[Point, Point], tip: Point, colour: RGB) -> None:
    """Draw a fin from two points on the body to its tip."""
    (a, b), (c, d) = base
    pen.blob(
        (
            (a, b),
            (0.5 * (a + tip[0]), 0.5 * (b + tip[1])),
            tip,
            (0.6 * c + 0.4 * tip[0], 0.6 * d + 0.4 * tip[1]),
            (c, d),
        ),
        colour,
    )
    pen.stroke(
        (((a + c) / 2, (b + d) / 2), (0.25 * a + 0.75 * tip[0], 0.25 * b + 0.75 * tip[1])), 0.02, shade(colour, 0.7)
    )


def _scales(pen: Pen, plan: FishPlan, rows: tuple[float, ...]) -> None:
    """Draw a few scale marks on the flank."""
    mark = shade(plan.coat, 0.72)
    for k in range(5):
        for y in rows:
            x = plan.root + 0.22 + 0.15 * k + (0.07 if y > 0 else 0.0)
            pen.bend(((x, y - 0.06), (x + 0.06, y), (x, y + 0.06)), 0.025, mark)


def shark(pen: Pen) -> None:
    """Draw a shark: grey torpedo, triangular back fin, toothed mouth, uneven tail."""
    coat = pen.tint((112, 126, 142))
    plan = FishPlan(0.95, -0.68, 0.3, 0.3, coat, pen.tint(WHITE, 0.5))
    _tail(pen, plan, 0.3, (0.5, 0.28), coat)
    pen.poly(((0.28, -0.2), (-0.02, pen.around(-0.72, 0.08)), (-0.1, -0.2)), coat)
    pen.poly(((-0.4, 0.1), (-0.56, 0.36), (-0.56, 0.08)), coat)
    _trunk(pen, plan)
    pen.poly(((0.32, 0.16), (-0.08, pen.around(0.68, 0.1)), (0.06, 0.16)), shade(coat, 0.85))
    pen.blob(((0.9, 0.08), (0.62, 0.16), (0.66, 0.24), (0.82, 0.17)), (120, 30, 36))
    for k in range(4):
        x = 0.66 + 0.06 * k
        pen.poly(
            ((x, 0.14 - 0.015 * k), (x + 0.05, 0.13 - 0.015 * k), (x + 0.025, 0.2 - 0.015 * k)), (255, 255, 255), False
        )
    for k in range(3):
        pen.bend(((0.42 - 0.08 * k, -0.1), (0.38 - 0.08 * k, 0.02), (0.42 - 0.08 * k, 0.12)), 0.03, shade(coat, 0.5))
    pen.eye((0.7, -0.06), 0.045)


def goldfish(pen: Pen) -> None:
    """Draw a goldfish: plump, orange, with long veil fins."""
    coat = pen.tint((244, 128, 32))
    plan = FishPlan(0.78, -0.3, 0.42, 0.42, coat, pen.tint((252, 190, 84)))
    veil = blend(coat, WHITE, 0.25)
    reach = pen.around(0.62, 0.12)
    for tip in (-0.62, -0.15, 0.35, 0.7):
        pen.blob(((-0.22, 0), (-0.6, 0.7 * tip - 0.08), (-0.3 - reach, tip), (-0.62, 0.75 * tip + 0.12)), veil)
    _fin(pen, ((0.36, -0.34), (-0.12, -0.3)), (-0.18, pen.around(-0.82, 0.1)), veil)
    _fin(pen, ((0.2, 0.34), (0.0, 0.34)), (-0.12, 0.78), veil)
    _trunk(pen, plan)
    _scales(pen, plan, (-0.14, 0.04, 0.2))
    _fin(pen, ((0.3, 0.08), (0.24, 0.2)), (0.02, 0.26), veil)
    _face(pen, plan, 0.085)


def eel(pen: Pen) -> None:
    """Draw an eel: a long waving ribbon with one continuous fin."""
    coat = pen.tint(pen.pick(((92, 98, 64), (84, 76, 66), (110, 120, 60))))
    wave, phase = pen.around(0.28, 0.25), pen.between(-0.5, 0.5)
    steps = [k / 10 for k in range(11)]
    path = [(-0.98 + 1.84 * k, wave * (1.1 - 0.5 * k) * math.sin(8.5 * k + phase)) for k in steps]
    pen.taper(path, (0.05, 0.24, 0.34, 0.4, 0.36, 0.3, 0.2), shade(coat, 1.3))
    pen.taper(path, (0.02, 0.13, 0.22, 0.26, 0.26, 0.25, 0.2), coat)
    x, y = path[-1]
    pen.oval((x, y), (0.16, 0.12), coat)
    pen.oval((x - 0.05, y), (0.14, 0.09), coat, line=False)
    pen.bend([(a, b + 0.05) for a, b in path[1:-1]], 0.05, blend(coat, (230, 214, 150), 0.5))
    fin = path[8]
    _fin(pen, ((fin[0] + 0.05, fin[1]), (fin[0], fin[1] + 0.06)), (fin[0] - 0.14, fin[1] + 0.22), shade(coat, 1.3))
    pen.eye((x + 0.02, y - 0.04), 0.04)
    pen.bend(((x + 0.15, y + 0.03), (x + 0.02, y + 0.05)), 0.03, shade(coat, 0.4))


def seahorse(pen: Pen) -> None:
    """Draw a seahorse: upright, tube snout, ringed belly, curled tail."""
    coat = pen.tint(pen.pick(((236, 172, 60), (226, 120, 70), (206, 150, 90))))
    path = (
        (0.1, -0.52),
        (-0.12, -0.2),
        (0.08, 0.15),
        (-0.05, 0.5),
        (-0.1, 0.78),
        (0.16, 0.92),
        (0.32, 0.72),
        (0.16, 0.64),
    )
    _fin(pen, ((-0.16, -0.12), (-0.1, 0.22)), (pen.around(-0.5, 0.12), 0.02), blend(coat, WHITE, 0.4))
    for k in range(4):
        pen.poly(
            ((-0.12 + 0.1 * k, -0.84 + 0.02 * k), (-0.1 + 0.1 * k, -1.0), (0.0 + 0.1 * k, -0.82)), shade(coat, 0.8)
        )
    pen.taper(path, (0.26, 0.34, 0.44, 0.28, 0.17, 0.12, 0.09, 0.06), coat)
    pen.taper(((0.22, -0.64), (0.48, -0.56), (0.68, -0.5)), (0.2, 0.12, 0.13), coat)
    pen.oval((0.14, -0.66), (0.24, 0.2), coat)
    pen.oval((0.2, -0.62), (0.2, 0.13), coat, line=False)
    ring = shade(coat, 0.7)
    for k in range(6):
        y = -0.18 + 0.13 * k
        x = -0.02 + (0.05 if 0 < k < 4 else -0.05)
        pen.bend(((x - 0.14, y), (x, y + 0.05), (x + 0.16, y)), 0.035, ring)
    pen.bend(((-0.02, -0.46), (-0.06, -0.56), (0.0, -0.66)), 0.03, ring)
    pen.eye((0.2, -0.7), 0.06)


def stingray(pen: Pen) -> None:
    """Draw a stingray from above: flat diamond, whip tail, two eyes."""
    coat = pen.tint(pen.pick(((130, 116, 96), (100, 108, 118), (150, 128, 90))))
    sway = pen.between(-0.25, 0.25)
    pen.taper(((-0.3, 0), (-0.65, 0.4 * sway), (-1.1, sway)), (0.2, 0.11, 0.05), coat)
    pen.poly(((-0.6, 0.36 * sway - 0.04), (-0.75, 0.4 * sway - 0.12), (-0.7, 0.4 * sway)), shade(coat, 0.6))
    for side in (-1, 1):
        pen.oval((-0.36, side * 0.16), (0.16, 0.09), coat, side * 30)
    flap = pen.around(0.86, 0.08)
    edge = (
        (0.72, 0.0),
        (0.5, -0.28),
        (0.06, -flap),
        (-0.14, -0.6),
        (-0.4, 0.0),
        (-0.14, 0.6),
        (0.06, flap),
        (0.5, 0.28),
    )
    pen.blob(edge, coat)
    pen.blob([(0.6 * x + 0.08, 0.5 * y) for x, y in edge], shade(coat, 1.12), line=False)
    for _ in range(9):
        pen.dot((pen.between(-0.15, 0.3), pen.between(-0.5, 0.5)), 0.04, pen.tint((90, 130, 180)))
    for side in (-1, 1):
        pen.oval((0.4, side * 0.14), (0.1, 0.08), shade(coat, 0.8))
        pen.eye((0.43, side * 0.15), 0.045)


def swordfish(pen: Pen) -> None:
    """Draw a swordfish: dark blue back, sword-like bill, sickle fin and tail."""
    coat = pen.tint((52, 82, 130))
    plan = FishPlan(0.42, -0.66, 0.27, 0.25, coat, pen.tint((206, 214, 222), 0.5))
    _tail(pen, plan, 0.3, (0.48, 0.46), coat)
    pen.blob(
        ((0.22, -0.2), (0.06, -0.42), (-0.16, pen.around(-0.76, 0.08)), (-0.06, -0.4), (-0.06, -0.18)), shade(coat, 0.8)
    )
    pen.poly(((-0.4, 0.12), (-0.52, 0.34), (-0.5, 0.1)), coat)
    pen.taper(((0.3, -0.04), (0.7, -0.06), (1.05, -0.08)), (0.16, 0.07, 0.02), shade(coat, 0.75))
    _trunk(pen, plan)
    _fin(pen, ((0.14, 0.1), (0.02, 0.14)), (-0.14, 0.56), shade(coat, 0.8))
    _face(pen, plan, 0.065)


def salmon(pen: Pen) -> None:
    """Draw a salmon: slim silver and pink flank, speckled back, small fins."""
    coat = pen.tint(pen.pick(((142, 148, 142), (150, 132, 126))))
    plan = FishPlan(0.9, -0.7, 0.27, 0.27, coat, pen.tint((236, 160, 140)))
    _tail(pen, plan, 0.26, (0.32, 0.32), shade(coat, 0.8))
    _fin(pen, ((0.16, -0.22), (-0.12, -0.2)), (-0.12, pen.around(-0.46, 0.1)), shade(coat, 0.8))
    pen.blob(((-0.44, -0.1), (-0.56, -0.24), (-0.52, -0.08)), shade(coat, 0.8))
    for base in (0.1, -0.42):
        _fin(pen, ((base, 0.16), (base - 0.14, 0.14)), (base - 0.18, 0.4), shade(coat, 0.8))
    _trunk(pen, plan)
    pen.taper(((-0.62, 0.0), (0.1, 0.03), (0.6, 0.02)), (0.06, 0.13, 0.08), pen.tint((228, 126, 116)), line=False)
    for _ in range(14):
        x = pen.between(-0.5, 0.6)
        pen.dot((x, -0.07 - pen.between(0, 0.11)), 0.025, BLACK)
    _face(pen, plan, 0.055)


def angelfish(pen: Pen) -> None:
    """Draw an angelfish: tall thin diamond with black bars and long fins above and below."""
    coat = pen.tint(pen.pick(((236, 214, 110), (226, 224, 220), (240, 190, 80))))
    plan = FishPlan(0.6, -0.36, 0.5, 0.5, coat, blend(coat, WHITE, 0.5))
    trail = pen.around(0.98, 0.06)
    for side in (-1, 1):
        pen.blob(
            ((0.24, side * 0.36), (-0.16, side * 0.72), (-0.5, side * trail), (-0.3, side * 0.6), (-0.24, side * 0.2)),
            shade(coat, 0.9),
        )
        pen.stroke(((0.12, side * 0.4), (-0.04, side * 0.92)), 0.03, shade(coat, 0.7))
    _tail(pen, plan, 0.42, (0.3, 0.3), coat)
    _trunk(pen, plan)
    thick = pen.around(0.1, 0.2)
    for x, half in ((0.3, 0.26), (0.06, 0.38), (-0.18, 0.26)):
        pen.bend(((x, -half), (x - 0.04, 0), (x, half)), thick, (40, 40, 50))
    pen.eye((0.4, -0.08), 0.06, (220, 90, 40))
    pen.bend(((0.6, 0.04), (0.52, 0.08)), 0.03, shade(coat, 0.4))
    pen.taper(((0.12, 0.2), (0.02, 0.5), (0.1, 0.86)), (0.05, 0.03, 0.02), shade(coat, 0.8))


DRAWERS: Final[dict[str, Callable[[Pen], None]]] = {
    "shark": shark,
    "goldfish": goldfish,
    "eel": eel,
    "seahorse": seahorse,
    "stingray": stingray,
    "swordfish": swordfish,
    "salmon": salmon,
    "angelfish": angelfish,
}
