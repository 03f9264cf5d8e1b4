"""Mammals in profile: furry trunk on four legs, head with ears, snout and eye, tail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from taxbench.pocket.art.colour import BLACK, RGB, WHITE, shade
from taxbench.pocket.art.pen import Pen, Point

PINK: Final[RGB] = (240, 166, 168)


@dataclass(frozen=True, slots=True)
class MammalPlan:
    """Hold the proportions of one species, facing right; lengths in object units."""

    body: Point  # centre
    radii: Point
    foot: float  # y of the ground
    legs: tuple[float, float]  # width at the top and at the hoof or paw
    head: Point  # centre
    skull: Point  # radii
    neck: float  # width; 0 hides it
    coat: RGB


def _tail(pen: Pen, plan: MammalPlan, points: tuple[Point, ...], widths: tuple[float, ...]) -> None:
    """Draw a tail from the rump; points are offsets from it."""
    x, y = plan.body[0] - 0.9 * plan.radii[0], plan.body[1]
    pen.taper(tuple((x + a, y + b) for a, b in points), widths, plan.coat)


def _legs(pen: Pen, plan: MammalPlan, hoof: RGB | None = None) -> None:
    """Draw the far pair of legs darker, then the near pair."""
    x, y = plan.body
    swing = pen.between(-0.07, 0.07)
    for offset, dark in ((0.12, 0.75), (-0.02, 1.0)):
        for end, sway in ((-0.68, swing), (0.6, -swing)):
            hip = x + end * plan.radii[0] + offset
            foot = hip + sway * (1 if dark == 1.0 else -1)
            colour = shade(plan.coat, dark)
            pen.taper(((hip, y), (hip, 0.5 * (y + plan.foot)), (foot, plan.foot)), (plan.legs[0], plan.legs[1]), colour)
            pen.oval((foot + 0.02, plan.foot), (0.62 * plan.legs[1], 0.05), hoof or colour)


def _trunk(pen: Pen, plan: MammalPlan) -> None:
    """Draw body, neck and head, and paint over the seams."""
    x, y = plan.body
    wide, tall = plan.radii
    shoulder = (x + 0.62 * wide, y - 0.15 * tall)
    sag = pen.around(1.0, 0.08)
    top = (
        (x - wide, y - 0.1 * tall),
        (x - 0.7 * wide, y - 0.9 * tall),
        (x, y - 0.85 * tall),
        (x + 0.7 * wide, y - 0.95 * tall),
    )
    low = (
        (x + wide, y),
        (x + 0.7 * wide, y + 0.8 * tall),
        (x, y + 0.95 * sag * tall),
        (x - 0.75 * wide, y + 0.8 * tall),
    )
    pen.blob((*top, *low), plan.coat)
    if plan.neck:
        pen.taper((shoulder, plan.head), (1.35 * plan.neck, 0.8 * plan.neck), plan.coat)
    pen.oval(plan.head, plan.skull, plan.coat)
    pen.oval(shoulder, (0.3 * wide, 0.6 * tall), plan.coat, line=False)


def _ear(pen: Pen, at: Point, lean: float, size: Point, coat: RGB) -> None:
    """Draw a pointed ear with a pink inside; `lean` moves its tip sideways."""
    x, y = at
    wide, tall = size
    pen.blob(((x - wide, y), (x + lean, y - tall), (x + wide, y)), coat)
    pen.poly(
        ((x - 0.4 * wide, y - 0.1 * tall), (x + lean * 0.8, y - 0.7 * tall), (x + 0.4 * wide, y - 0.1 * tall)),
        PINK,
        False,
    )


def cat(pen: Pen) -> None:
    """Draw a cat: pointed ears, whiskers, raised curling tail, tabby stripes now and then."""
    coat = pen.tint(pen.pick(((214, 140, 70), (128, 126, 126), (70, 66, 66), (226, 214, 196))))
    plan = MammalPlan((-0.12, 0.3), (0.55, 0.3), 0.88, (0.2, 0.13), (0.5, -0.2), (0.32, 0.28), 0.3, coat)
    curl = pen.around(0.25, 0.4)
    _tail(pen, plan, ((0.08, -0.05), (-0.2, -0.35), (-0.12, -0.75), (-0.12 - curl, -0.95)), (0.14, 0.13, 0.11, 0.08))
    _legs(pen, plan)
    for side in (-0.2, 0.17):
        _ear(pen, (0.5 + side, -0.38), side * 0.4, (0.13, 0.32), coat)
    _trunk(pen, plan)
    if pen.chance(0.6):
        for k in range(4):
            x = -0.5 + 0.2 * k
            pen.bend(((x, 0.05), (x + 0.04, 0.2), (x, 0.34)), 0.06, shade(coat, 0.65))
    pen.oval((0.58, -0.08), (0.17, 0.13), shade(coat, 1.5), line=False)
    pen.poly(((0.56, -0.14), (0.68, -0.14), (0.62, -0.07)), (214, 110, 120), False)
    for side in (0.4, 0.68):
        pen.eye((side, -0.25), 0.06, (120, 180, 70))
    for rise in (-0.06, 0.02, 0.1):
        pen.stroke(((0.66, -0.04), (0.98, -0.06 + rise)), 0.02, WHITE)
        pen.stroke(((0.5, -0.04), (0.2, -0.06 + rise)), 0.02, WHITE)


def elephant(pen: Pen) -> None:
    """Draw an elephant: grey bulk, great ear, trunk, tusk, pillar legs."""
    coat = pen.tint((138, 138, 146))
    plan = MammalPlan((-0.15, 0.02), (0.66, 0.5), 0.88, (0.3, 0.24), (0.5, -0.25), (0.32, 0.33), 0.5, coat)
    _tail(pen, plan, ((0.05, -0.1), (-0.15, 0.1), (-0.14, 0.4)), (0.08, 0.05, 0.04))
    _legs(pen, plan, shade(coat, 1.3))
    _trunk(pen, plan)
    reach = pen.between(-0.15, 0.12)
    trunk = ((0.66, -0.2), (0.86, 0.15), (0.84, 0.5), (0.92 + reach, 0.72))
    pen.taper(trunk, (0.32, 0.22, 0.16, 0.12), coat)
    pen.taper(((0.66, 0.0), (0.82, 0.2), (1.0, 0.2)), (0.1, 0.09, 0.02), WHITE)
    pen.blob(((0.4, -0.52), (0.12, -0.62), (-0.08, -0.3), (0.05, 0.12), (0.3, 0.2), (0.42, -0.1)), shade(coat, 0.86))
    pen.eye((0.6, -0.32), 0.045)


def rabbit(pen: Pen) -> None:
    """Draw a rabbit: very long ears, crouched round body, white puff of a tail."""
    coat = pen.tint(pen.pick(((168, 138, 106), (236, 232, 226), (146, 142, 142), (120, 88, 62))))
    plan = MammalPlan((-0.15, 0.42), (0.58, 0.42), 0.88, (0.2, 0.14), (0.45, 0.05), (0.27, 0.25), 0.3, coat)
    pen.dot((-0.76, 0.42), 0.17, shade(WHITE, 0.97))
    _legs(pen, plan)
    tip = pen.between(-0.12, 0.1)
    for x, dark in ((0.5, 0.85), (0.34, 1.0)):
        pen.taper(
            ((x, -0.1), (x - 0.06 + 0.5 * tip, -0.55), (x + tip - 0.1, -0.98)), (0.14, 0.22, 0.06), shade(coat, dark)
        )
        pen.taper(((x, -0.2), (x - 0.06 + 0.5 * tip, -0.55), (x + tip - 0.08, -0.88)), (0.06, 0.1, 0.03), PINK, False)
    _trunk(pen, plan)
    pen.oval((-0.35, 0.52), (0.3, 0.3), shade(coat, 0.93))
    pen.oval((-0.12, 0.86), (0.28, 0.08), coat)
    pen.eye((0.52, -0.02), 0.055)
    pen.dot((0.71, 0.05), 0.045, (220, 120, 130))
    pen.stroke(((0.66, 0.12), (0.92, 0.08)), 0.018, WHITE)


def giraffe(pen: Pen) -> None:
    """Draw a giraffe: long neck and legs, brown patches on yellow, two horns."""
    coat = pen.tint((232, 184, 98))
    plan = MammalPlan((-0.2, 0.12), (0.42, 0.22), 0.96, (0.15, 0.08), (0.52, -0.82), (0.2, 0.12), 0.22, coat)
    _tail(pen, plan, ((0.05, -0.1), (-0.14, 0.1), (-0.12, 0.4)), (0.06, 0.03, 0.08))
    _legs(pen, plan, (90, 62, 40))
    _trunk(pen, plan)
    patch = pen.tint((160, 92, 40))
    for k in range(6):
        f = (k + 0.6) / 6.6
        x, y = 0.05 + f * 0.4, 0.05 - f * 0.78
        pen.oval((x + pen.between(-0.04, 0.04), y), (0.085 - 0.03 * f, 0.06), patch, pen.between(-40, 40), line=False)
    for k in range(7):
        at = (-0.52 + 0.11 * k, 0.02 + 0.17 * (k % 2) + pen.between(-0.03, 0.03))
        pen.oval(at, (0.07, 0.065), patch, pen.between(-40, 40), line=False)
    for x in (0.42, 0.52):
        pen.stroke(((x, -0.9), (x - 0.03, -1.02)), 0.04, shade(patch, 0.7))
        pen.dot((x - 0.03, -1.03), 0.04, shade(patch, 0.6))
    _ear(pen, (0.36, -0.84), -0.12, (0.05, 0.12), coat)
    pen.oval((0.68, -0.76), (0.1, 0.08), shade(coat, 1.3), 15)
    pen.eye((0.53, -0.86), 0.035)


def pig(pen: Pen) -> None:
    """Draw a pig: pink barrel body, flat snout, flopping ears, curly tail, short legs."""
    coat = pen.tint((240, 168, 166))
    plan = MammalPlan((-0.12, 0.15), (0.64, 0.44), 0.8, (0.22, 0.16), (0.52, 0.0), (0.3, 0.29), 0.45, coat)
    pen.bend(
        ((-0.68, 0.05), (-0.84, -0.1), (-0.95, 0.02), (-0.86, 0.1), (-0.8, -0.02), (-0.96, -0.16)),
        0.05,
        shade(coat, 0.8),
    )
    _legs(pen, plan, (120, 80, 76))
    _trunk(pen, plan)
    for x in (0.4, 0.68):
        pen.poly(((x - 0.12, -0.22), (x - 0.06, -0.48), (x + 0.12, -0.24)), shade(coat, 0.86))
    pen.oval((0.78, 0.08), (0.14, 0.16), shade(coat, 0.85))
    for y in (0.04, 0.13):
        pen.dot((0.8, y), 0.035, (130, 66, 70))
    pen.eye((0.5, -0.06), 0.045)
    pen.eye((0.7, -0.08), 0.04)
    if pen.chance(0.3):
        pen.oval((-0.25, 0.05), (0.2, 0.14), shade(coat, 0.5), line=False)


def zebra(pen: Pen) -> None:
    """Draw a zebra: black stripes on white, upright mane, dark muzzle."""
    coat = pen.tint((238, 236, 230), 0.4)
    plan = MammalPlan((-0.18, 0.08), (0.56, 0.3), 0.9, (0.18, 0.1), (0.62, -0.5), (0.26, 0.15), 0.3, coat)
    _tail(pen, plan, ((0.04, -0.1), (-0.14, 0.1), (-0.12, 0.42)), (0.07, 0.05, 0.1))
    _legs(pen, plan, BLACK)
    pen.taper(((0.0, -0.22), (0.28, -0.62), (0.56, -0.74)), (0.1, 0.16, 0.08), BLACK)
    _ear(pen, (0.5, -0.6), -0.04, (0.07, 0.22), coat)
    _trunk(pen, plan)
    thick = pen.around(0.065, 0.2)
    for k in range(7):
        x = -0.66 + 0.135 * k
        pen.bend(((x, -0.14), (x + 0.05, 0.08), (x - 0.02, 0.3)), thick, BLACK)
    for k in range(4):
        x, y = 0.26 + 0.08 * k, -0.12 - 0.1 * k
        pen.stroke(((x - 0.11, y - 0.1), (x + 0.11, y + 0.06)), 0.055, BLACK)
    for k in range(2):
        pen.stroke(((0.55 + 0.1 * k, -0.62), (0.58 + 0.1 * k, -0.4)), 0.035, BLACK)
    for x in (-0.58, 0.16):
        for y in (0.5, 0.63, 0.76):
            pen.stroke(((x - 0.07, y), (x + 0.06, y - 0.02)), 0.045, BLACK)
    pen.oval((0.82, -0.44), (0.1, 0.1), (58, 54, 54), 15)
    pen.eye((0.62, -0.55), 0.04)


def camel(pen: Pen) -> None:
    """Draw a camel: two sandy humps, low curved neck, long legs."""
    coat = pen.tint((200, 154, 94))
    plan = MammalPlan((-0.18, 0.12), (0.52, 0.28), 0.92, (0.17, 0.1), (0.74, -0.42), (0.22, 0.13), 0.0, coat)
    _tail(pen, plan, ((0.04, -0.1), (-0.14, 0.05), (-0.12, 0.34)), (0.06, 0.04, 0.07))
    _legs(pen, plan)
    for x in (-0.45, 0.05):
        peak = pen.around(-0.55, 0.1)
        pen.blob(
            ((x - 0.24, 0.0), (x - 0.1, peak + 0.1), (x + 0.02, peak), (x + 0.14, peak + 0.12), (x + 0.25, 0.0)), coat
        )
        pen.oval((x, peak + 0.07), (0.09, 0.07), shade(coat, 0.72), line=False)
    pen.taper(((0.24, 0.1), (0.55, 0.18), (0.62, -0.2), (0.68, -0.42)), (0.34, 0.26, 0.17, 0.16), coat)
    _ear(pen, (0.6, -0.5), -0.06, (0.05, 0.14), coat)
    _trunk(pen, plan)
    pen.oval((0.9, -0.38), (0.1, 0.1), shade(coat, 0.85), 10)
    pen.eye((0.74, -0.46), 0.04)


def mouse(pen: Pen) -> None:
    """Draw a mouse: big round ears, pointed nose, long thin pink tail, tiny legs."""
    coat = pen.tint(pen.pick(((150, 146, 148), (176, 150, 124), (120, 112, 110), (232, 228, 224))))
    plan = MammalPlan((-0.15, 0.4), (0.55, 0.36), 0.78, (0.12, 0.08), (0.46, 0.28), (0.32, 0.25), 0.0, coat)
    lift = pen.between(-0.3, 0.1)
    pen.bend(((-0.6, 0.6), (-0.85, 0.65), (-0.95, 0.2 + lift), (-0.7, -0.1 + lift)), 0.07, shade(PINK, 0.9))
    _legs(pen, plan, PINK)
    pen.oval((0.5, -0.08), (0.21, 0.23), shade(coat, 0.8))
    _trunk(pen, plan)
    pen.blob(((0.3, 0.06), (0.62, 0.14), (0.92, 0.38), (0.6, 0.52), (0.3, 0.55)), coat)
    pen.oval((0.25, -0.06), (0.24, 0.26), coat)
    pen.oval((0.26, -0.05), (0.16, 0.18), PINK, line=False)
    pen.dot((0.91, 0.38), 0.06, (220, 110, 120))
    pen.eye((0.62, 0.26), 0.055)
    for rise in (-0.1, 0.02, 0.12):
        pen.stroke(((0.8, 0.42), (0.72, 0.5 + 0.12 + rise)), 0.018, shade(coat, 0.5))


DRAWERS: Final[dict[str, Callable[[Pen], None]]] = {
    "cat": cat,
    "elephant": elephant,
    "rabbit": rabbit,
    "giraffe": giraffe,
    "pig": pig,
    "zebra": zebra,
    "camel": camel,
    "mouse": mouse,
}
