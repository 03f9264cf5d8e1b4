"""Birds in profile: oval body, round head on a neck, beak, folded wing, tail, two thin legs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from taxbench.pocket.art.colour import RGB, WHITE, shade
from taxbench.pocket.art.pen import Pen, Point, turned

ORANGE: Final[RGB] = (238, 140, 40)
YELLOW: Final[RGB] = (242, 196, 60)


@dataclass(frozen=True, slots=True)
class BirdPlan:
    """Hold the proportions of one species; lengths in object units, angles in degrees."""

    body: Point  # centre
    radii: Point
    tilt: float  # of the body axis; negative lifts the breast
    neck: tuple[Point, ...]  # from the breast to the head, which sits on the last point
    neck_widths: tuple[float, ...]
    head: float  # radius
    coat: RGB
    legs: Point  # (where they end, distance between them)
    leg_colour: RGB = ORANGE
    tail: tuple[Point, ...] = ()


def _legs(pen: Pen, plan: BirdPlan) -> None:
    """Draw two thin legs with three toes each."""
    foot_y, apart = plan.legs
    x = plan.body[0] + 0.05
    top = plan.body[1] + 0.6 * plan.radii[1]
    for side in (-0.5, 0.5):
        foot = (x + side * apart, foot_y)
        pen.stroke(((x + 0.6 * side * apart, top), foot), 0.055, plan.leg_colour)
        for toe in (-0.06, 0.07, 0.15):
            pen.stroke((foot, (foot[0] + toe, foot_y + 0.05)), 0.045, plan.leg_colour)


def _trunk(pen: Pen, plan: BirdPlan, coat: RGB) -> None:
    """Draw tail, body, neck and head in one colour."""
    if plan.tail:
        pen.blob(plan.tail, shade(coat, 0.85))
    pen.oval(plan.body, plan.radii, coat, plan.tilt)
    pen.taper(plan.neck, plan.neck_widths, coat)
    pen.oval(plan.neck[-1], (plan.head, plan.head * 0.93), coat)
    # The seam between body and neck is painted over, so that the bird is one piece.
    pen.oval(plan.body, (plan.radii[0] * 0.86, plan.radii[1] * 0.86), coat, plan.tilt, line=False)


def _wing(pen: Pen, plan: BirdPlan, colour: RGB, size: float = 0.62) -> None:
    """Draw a folded wing with three feather lines on the flank."""
    x, y = plan.body
    long, tall = plan.radii[0] * pen.around(size, 0.12), plan.radii[1] * size
    shape = (
        (x + long, y - 0.1),
        (x + 0.3 * long, y - tall),
        (x - long * 0.8, y - 0.3 * tall),
        (x - 1.5 * long, y + 0.1),
    )
    under = ((x - 0.4 * long, y + 0.75 * tall), (x + 0.5 * long, y + 0.7 * tall))
    pen.blob(turned((*shape, *under), plan.tilt, plan.body), colour)
    for k in (0.15, 0.45, 0.75):
        feather = ((x + 0.2 * long, y + (k - 0.25) * tall), (x - (1.2 - 0.5 * k) * long, y + k * tall * 0.9))
        pen.stroke(turned(feather, plan.tilt, plan.body), 0.028, shade(colour, 0.6))


def _beak(pen: Pen, plan: BirdPlan, length: float, height: float, colour: RGB) -> None:
    """Draw a straight pointed beak with its gape line."""
    x, y = plan.neck[-1]
    root, tip = x + 0.8 * plan.head, (x + plan.head + pen.around(length), y + 0.07)
    pen.poly(((root, y - 0.5 * height), tip, (root, y + 0.5 * height + 0.04)), colour)
    pen.stroke(((root, y + 0.04), tip), 0.02, shade(colour, 0.6))


def _hook(pen: Pen, plan: BirdPlan, length: float, colour: RGB) -> None:
    """Draw a beak that curves down to a hooked tip."""
    x, y = plan.neck[-1]
    h = plan.head
    tip = (x + h + 0.55 * length, y + 0.9 * length)
    pen.blob(
        ((x + 0.75 * h, y - 0.4 * h), (x + h + 0.5 * length, y - 0.2 * h), tip, (x + 0.75 * h, y + 0.5 * h)), colour
    )


def _face(pen: Pen, plan: BirdPlan, size: float = 0.055) -> None:
    x, y = plan.neck[-1]
    pen.eye((x + 0.3 * plan.head, y - 0.2 * plan.head), size)


def duck(pen: Pen) -> None:
    """Draw a mallard: green head, white ring, flat yellow bill, short orange legs."""
    coat = pen.tint((172, 150, 122))
    tail = ((-0.55, 0.1), (-0.98, -0.2), (-0.9, 0.2), (-0.5, 0.35))
    neck = ((0.35, 0.15), (0.48, -0.15), (0.5, pen.around(-0.42)))
    plan = BirdPlan((-0.1, 0.25), (0.65, 0.38), -6, neck, (0.4, 0.27, 0.24), 0.24, coat, (0.88, 0.3), tail=tail)
    _legs(pen, plan)
    _trunk(pen, plan, coat)
    pen.oval((0.34, 0.3), (0.24, 0.25), pen.tint((112, 62, 40)), line=False)
    head = pen.tint((34, 112, 66))
    pen.taper(((0.47, -0.12), (0.5, -0.4)), (0.28, 0.26), head)
    pen.oval(neck[-1], (0.25, 0.23), head)
    pen.stroke(((0.33, -0.08), (0.61, -0.06)), 0.07, WHITE)
    x, y = neck[-1]
    bill = pen.tint(YELLOW)
    pen.blob(((x + 0.18, y - 0.06), (x + 0.45, y + 0.03), (x + 0.5, y + 0.12), (x + 0.18, y + 0.14)), bill)
    _wing(pen, plan, pen.tint((140, 124, 112)))
    pen.stroke(((-0.35, 0.32), (-0.12, 0.36)), 0.08, (58, 92, 190))
    _face(pen, plan)


def owl(pen: Pen) -> None:
    """Draw an owl from the front: ear tufts, two great eyes in a pale face, speckled breast."""
    coat = pen.tint(pen.pick(((128, 90, 58), (150, 112, 76), (112, 92, 78))))
    plan = BirdPlan((0, 0.25), (0.5, 0.62), 0, ((0, -0.1), (0, -0.42)), (0.8, 0.8), 0.46, coat, (0.86, 0.36), YELLOW)
    _legs(pen, plan)
    for side in (-1, 1):
        pen.poly(((side * 0.16, -0.72), (side * 0.48, -0.98), (side * 0.46, -0.5)), shade(coat, 0.8))
    _trunk(pen, plan, coat)
    pale = pen.tint((226, 202, 164))
    pen.oval((0, 0.32), (0.32, 0.46), pale, line=False)
    for row in range(4):
        for k in range(3 - row % 2):
            x = (k - 1 + 0.5 * (row % 2)) * 0.2
            pen.bend(((x - 0.06, 0.05 + 0.16 * row), (x, 0.1 + 0.16 * row), (x + 0.06, 0.05 + 0.16 * row)), 0.035, coat)
    for side in (-1, 1):
        pen.blob(((side * 0.42, -0.1), (side * 0.62, 0.3), (side * 0.42, 0.78), (side * 0.3, 0.3)), shade(coat, 0.75))
        pen.oval((side * 0.21, -0.43), (0.22, 0.23), pale)
        pen.eye((side * 0.2, -0.43), 0.13, pen.tint((232, 160, 30)))
    pen.poly(((-0.07, -0.36), (0.07, -0.36), (0, -0.18)), pen.tint((80, 70, 60)))


def penguin(pen: Pen) -> None:
    """Draw a penguin: upright, black with a white front, flippers, orange feet."""
    black = pen.tint((44, 48, 60))
    plan = BirdPlan((0, 0.2), (0.42, 0.65), 0, ((0.02, -0.3), (0.06, -0.6)), (0.56, 0.46), 0.26, black, (0.86, 0.3))
    _legs(pen, plan)
    for side in (-0.2, 0.24):
        pen.oval((side, 0.88), (0.2, 0.07), pen.tint(ORANGE))
    pen.taper(((-0.3, -0.12), (-0.55, 0.2), (-0.58, 0.5)), (0.2, 0.2, 0.05), shade(black, 0.8))
    _trunk(pen, plan, black)
    pen.oval((0.1, 0.28), (0.3, 0.55), WHITE, line=False)
    pen.oval((0.16, -0.5), (0.14, 0.13), WHITE, line=False)
    pen.oval((0.12, -0.2), (0.18, 0.08), pen.tint(YELLOW), line=False)
    _beak(pen, plan, 0.2, 0.1, pen.tint(ORANGE))
    pen.taper(((0.3, -0.1), (0.5, 0.15), (0.62, 0.42)), (0.16, 0.2, 0.05), black)
    pen.eye((0.16, -0.64), 0.05)


def parrot(pen: Pen) -> None:
    """Draw a macaw: red or green, hooked beak, blue-and-yellow wing, long hanging tail."""
    coat = pen.tint(pen.pick(((206, 36, 36), (206, 36, 36), (56, 160, 60))))
    tail = ((-0.35, 0.2), (-0.72, 0.98), (-0.55, 0.98), (-0.1, 0.4))
    neck = ((0.1, -0.25), (0.2, -0.58))
    plan = BirdPlan((-0.02, 0.02), (0.55, 0.33), -62, neck, (0.5, 0.4), 0.3, coat, (0.62, 0.2), (92, 92, 96), tail)
    pen.cord(((-0.75, 0.66), (0.8, 0.6)), 0.08, pen.tint((116, 82, 52)))
    _legs(pen, plan)
    _trunk(pen, plan, coat)
    pen.poly(((-0.32, 0.42), (-0.66, 0.95), (-0.5, 0.95), (-0.18, 0.5)), pen.tint((40, 90, 190)))
    _wing(pen, plan, pen.tint((40, 96, 196)), 0.72)
    pen.blob(turned(((0.2, -0.1), (-0.05, -0.2), (-0.15, 0.1), (0.1, 0.15)), -62), pen.tint(YELLOW))
    pen.oval((0.31, -0.56), (0.15, 0.17), WHITE, line=False)
    _hook(pen, plan, 0.36, pen.tint((60, 54, 54)))
    _face(pen, plan, 0.06)


def swan(pen: Pen) -> None:
    """Draw a swan: white, on the water, S-shaped neck, orange beak with a black root."""
    white = pen.tint((243, 242, 238), 0.3)
    tail = ((-0.5, 0.3), (-0.98, 0.05), (-0.85, 0.4), (-0.5, 0.55))
    neck = ((0.4, 0.4), (0.68, 0.1), (0.4, -0.3), (0.42, -0.68), (0.62, pen.around(-0.74, 0.06)))
    plan = BirdPlan(
        (-0.1, 0.42), (0.68, 0.36), -4, neck, (0.34, 0.2, 0.16, 0.15, 0.2), 0.15, white, (0.85, 0.3), tail=tail
    )
    _legs(pen, plan)
    _trunk(pen, plan, white)
    _wing(pen, plan, shade(white, 0.94), 0.75)
    _beak(pen, plan, 0.24, 0.14, pen.tint(ORANGE))
    x, y = neck[-1]
    pen.dot((x + 0.14, y - 0.02), 0.06, (30, 30, 30))
    pen.eye((x + 0.02, y - 0.05), 0.03)


def flamingo(pen: Pen) -> None:
    """Draw a flamingo: pink, very long legs, S-shaped neck, bent beak with a black tip."""
    pink = pen.tint((242, 132, 148))
    tail = ((-0.4, -0.1), (-0.72, 0.08), (-0.6, 0.15), (-0.3, 0.12))
    neck = ((0.2, -0.05), (0.48, -0.2), (0.3, -0.5), (0.26, -0.8), (0.44, -0.88))
    plan = BirdPlan(
        (-0.1, -0.05), (0.46, 0.26), -8, neck, (0.22, 0.13, 0.1, 0.1, 0.14), 0.13, pink, (0.96, 0.14), pink, tail
    )
    knee = (pen.between(0.05, 0.25), 0.5)
    pen.stroke(((0.05, 0.1), knee, (pen.between(-0.2, 0.05), 0.55)), 0.05, shade(pink, 0.8))
    _legs(pen, plan)
    _trunk(pen, plan, pink)
    _wing(pen, plan, pen.tint((228, 100, 124)), 0.7)
    x, y = neck[-1]
    pen.blob(((x + 0.07, y - 0.08), (x + 0.24, y), (x + 0.22, y + 0.2), (x + 0.12, y + 0.1)), WHITE)
    pen.dot((x + 0.21, y + 0.14), 0.055, (30, 28, 30))
    pen.eye((x, y - 0.03), 0.03, (230, 190, 60))


def eagle(pen: Pen) -> None:
    """Draw a bald eagle: dark brown with a white head and tail, hooked yellow beak, wings raised."""
    brown = pen.tint((84, 58, 40))
    tail = ((-0.35, 0.4), (-0.7, 0.85), (-0.38, 0.92), (-0.1, 0.6))
    neck = ((0.16, -0.05), (0.3, -0.36))
    plan = BirdPlan((0, 0.22), (0.5, 0.3), -55, neck, (0.4, 0.32), 0.2, brown, (0.9, 0.26), YELLOW, tail)
    lift = pen.between(-0.2, 0.1)
    for root, far, dark in ((0.12, 0.9, 0.8), (-0.1, -0.95, 1.0)):
        edge = [(root + (far - root) * k, -0.75 + lift + 0.55 * abs(k - 0.75)) for k in (0.3, 0.7, 1.0)]
        tips = [
            (root + (far - root) * k, 0.28 - 0.3 * k + 0.07 * (j % 2))
            for j, k in enumerate((0.95, 0.8, 0.7, 0.55, 0.4))
        ]
        pen.poly(((root, 0.0), *edge, *tips, (root, 0.35)), shade(brown, dark))
    _legs(pen, plan)
    _trunk(pen, plan, brown)
    pen.blob(tail, WHITE)
    pen.oval((0.02, 0.22), (0.46, 0.26), brown, -55, line=False)
    pen.taper(((0.2, -0.12), (0.3, -0.36)), (0.36, 0.32), WHITE, line=False)
    pen.oval(neck[-1], (0.21, 0.2), WHITE)
    pen.oval((0.24, -0.22), (0.15, 0.12), WHITE, line=False)
    _hook(pen, plan, 0.24, pen.tint(YELLOW))
    _face(pen, plan, 0.045)


def rooster(pen: Pen) -> None:
    """Draw a rooster: red comb and wattle, golden neck, arched dark green tail feathers."""
    coat = pen.tint(pen.pick(((176, 84, 40), (196, 120, 60), (224, 210, 190))))
    neck = ((0.3, 0.05), (0.42, -0.25), (0.44, -0.48))
    plan = BirdPlan((-0.05, 0.2), (0.5, 0.36), -14, neck, (0.5, 0.34, 0.22), 0.17, coat, (0.88, 0.24), YELLOW)
    green = pen.tint((28, 84, 72))
    for k in range(5):
        peak = -0.75 + 0.16 * k + pen.between(-0.05, 0.05)
        pen.taper(
            ((-0.3, 0.1), (-0.6, peak), (-0.98, peak + 0.38 + 0.08 * k)),
            (0.16, 0.22, 0.05),
            shade(green, 0.8 + 0.1 * k),
        )
    red = pen.tint((214, 34, 36))
    for k in range(4):
        pen.dot((0.3 + 0.09 * k, -0.66 - 0.03 * (k % 3)), 0.085, red)
    _legs(pen, plan)
    _trunk(pen, plan, coat)
    pen.taper(((0.26, 0.16), (0.42, -0.25), (0.44, -0.46)), (0.5, 0.36, 0.22), pen.tint((226, 160, 52)), line=False)
    _wing(pen, plan, shade(coat, 0.7))
    _beak(pen, plan, 0.14, 0.1, pen.tint(YELLOW))
    pen.oval((0.55, -0.3), (0.07, 0.13), red)
    _face(pen, plan, 0.045)


DRAWERS: Final[dict[str, Callable[[Pen], None]]] = {
    "duck": duck,
    "owl": owl,
    "penguin": penguin,
    "parrot": parrot,
    "swan": swan,
    "flamingo": flamingo,
    "eagle": eagle,
    "rooster": rooster,
}
