"""Vehicles in profile, front to the right: painted body, glass windows, dark round wheels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from taxbench.pocket.art.colour import BLACK, GLASS, PAINTS, RGB, RUBBER, STEEL, shade
from taxbench.pocket.art.pen import Pen, Point

Box = tuple[float, float, float, float]
LAMP: Final[RGB] = (252, 232, 140)


def _paint(pen: Pen) -> RGB:
    """Choose a paint; paints vary far more than coats of animals."""
    return pen.tint(pen.pick(PAINTS), 1.6)


def _wheel(pen: Pen, centre: Point, radius: float, hub: RGB = STEEL) -> None:
    """Draw a tyre on a rim with bolts."""
    pen.oval(centre, (radius, radius), RUBBER)
    pen.oval(centre, (0.56 * radius, 0.56 * radius), hub)
    for k in range(5):
        angle = 2 * math.pi * k / 5
        pen.dot(
            (centre[0] + 0.32 * radius * math.cos(angle), centre[1] + 0.32 * radius * math.sin(angle)),
            0.08 * radius,
            BLACK,
        )
    pen.dot(centre, 0.14 * radius, shade(hub, 0.6))


def _spoked(pen: Pen, centre: Point, radius: float, tyre: float) -> None:
    """Draw an open wheel with thin spokes."""
    for k in range(8):
        angle = math.pi * k / 8
        dx, dy = radius * math.cos(angle), radius * math.sin(angle)
        pen.stroke(((centre[0] - dx, centre[1] - dy), (centre[0] + dx, centre[1] + dy)), 0.015, (200, 204, 210))
    pen.ring(centre, radius, tyre, RUBBER)
    pen.dot(centre, 0.05, STEEL)


def _window(pen: Pen, corners: Box) -> None:
    """Draw an upright pane with a streak of light."""
    left, top, right, bottom = corners
    pen.box(corners, GLASS)
    wide = right - left
    pen.stroke(((left + 0.25 * wide, bottom - 0.04), (left + 0.5 * wide, top + 0.04)), 0.03, (236, 246, 250))


def _lamps(pen: Pen, front: Point, rear: Point) -> None:
    pen.oval(front, (0.05, 0.06), LAMP)
    pen.oval(rear, (0.04, 0.06), (200, 40, 36))


def car(pen: Pen) -> None:
    """Draw a car: low body, rounded cabin, two wheels."""
    paint = _paint(pen)
    roof = pen.around(-0.42, 0.12)
    pen.blob(((-0.62, 0.0), (-0.4, roof), (0.1, roof - 0.03), (0.42, -0.02), (0.3, 0.12), (-0.5, 0.12)), paint)
    pen.poly(((-0.5, -0.03), (-0.35, roof + 0.1), (-0.1, roof + 0.08), (-0.1, -0.03)), GLASS)
    pen.poly(((-0.03, -0.03), (-0.03, roof + 0.08), (0.1, roof + 0.08), (0.33, -0.03)), GLASS)
    nose = pen.between(-0.04, 0.06)
    top = ((-0.94, 0.04), (-0.6, -0.03), (0.4, -0.02), (0.86, 0.06 + nose), (0.96, 0.2))
    pen.poly((*top, (0.96, 0.36), (-0.96, 0.36), (-0.97, 0.14)), paint)
    pen.stroke(((-0.9, 0.2), (0.9, 0.2)), 0.03, shade(paint, 0.7))
    pen.stroke(((-0.06, 0.0), (-0.06, 0.32)), 0.025, shade(paint, 0.55))
    pen.stroke(((0.0, 0.08), (0.1, 0.08)), 0.035, shade(paint, 0.5))
    for x in (-0.56, 0.56):
        _wheel(pen, (x, 0.38), pen.around(0.21, 0.04))
    _lamps(pen, (0.88, 0.16 + nose), (-0.93, 0.13))


def truck(pen: Pen) -> None:
    """Draw a truck: big square load box behind a separate cab."""
    paint, load = _paint(pen), _paint(pen)
    pen.box((-0.9, 0.3, 0.9, 0.44), shade(STEEL, 0.5))
    top = pen.around(-0.56, 0.12)
    pen.box((-0.98, top, 0.34, 0.34), load)
    for k in range(5):
        x = -0.78 + 0.22 * k
        pen.stroke(((x, top + 0.08), (x, 0.26)), 0.025, shade(load, 0.75))
    pen.poly(((0.42, 0.4), (0.42, -0.3), (0.74, -0.3), (0.86, 0.02), (0.98, 0.06), (0.98, 0.4)), paint)
    pen.poly(((0.52, 0.0), (0.52, -0.2), (0.7, -0.2), (0.78, 0.0)), GLASS)
    pen.stroke(((0.6, 0.08), (0.7, 0.08)), 0.035, shade(paint, 0.5))
    for x in (-0.68, -0.3, 0.7):
        _wheel(pen, (x, 0.44), 0.18)
    _lamps(pen, (0.93, 0.2), (-0.94, 0.38))


def bus(pen: Pen) -> None:
    """Draw a bus: one long tall box with a row of equal windows and a door."""
    paint = _paint(pen)
    top = pen.around(-0.46, 0.1)
    pen.soft_box((-0.98, top, 0.98, 0.4), 0.12, paint)
    pen.box((-0.96, 0.1, 0.96, 0.2), pen.tint(pen.pick(PAINTS)), line=False)
    for k in range(5):
        left = -0.88 + 0.29 * k
        _window(pen, (left, top + 0.14, left + 0.23, -0.02))
    pen.box((0.58, top + 0.14, 0.8, 0.36), GLASS)
    pen.stroke(((0.69, top + 0.14), (0.69, 0.36)), 0.03, shade(paint, 0.5))
    pen.box((0.87, top + 0.14, 0.96, 0.02), GLASS)
    for x in (-0.58, 0.4):
        _wheel(pen, (x, 0.42), 0.18)
    _lamps(pen, (0.92, 0.27), (-0.94, 0.27))


def bicycle(pen: Pen) -> None:
    """Draw a bicycle: two thin spoked wheels, diamond frame, saddle and handlebar."""
    paint = _paint(pen)
    r = pen.around(0.42, 0.05)
    rear, front, crank, seat, head = (-0.52, 0.4), (0.54, 0.4), (-0.06, 0.4), (-0.24, -0.2), (0.36, -0.2)
    for hub in (rear, front):
        _spoked(pen, hub, r, 0.06)
    for a, b in ((rear, crank), (rear, seat), (seat, crank), (seat, head), (crank, head), (head, front)):
        pen.cord((a, b), 0.05, paint)
    pen.cord((seat, (-0.29, -0.38)), 0.04, STEEL)
    pen.blob(((-0.5, -0.46), (-0.1, -0.44), (-0.1, -0.38), (-0.4, -0.34)), BLACK)
    pen.cord((head, (0.31, -0.46)), 0.04, STEEL)
    pen.bend(((0.2, -0.5), (0.36, -0.5), (0.5, -0.44), (0.46, -0.32)), 0.06, BLACK)
    pen.ring(crank, 0.1, 0.04, (90, 92, 96))
    angle = pen.between(0, math.pi)
    dx, dy = 0.17 * math.cos(angle), 0.17 * math.sin(angle)
    pen.stroke(((crank[0] - dx, crank[1] - dy), (crank[0] + dx, crank[1] + dy)), 0.05, BLACK)


def motorcycle(pen: Pen) -> None:
    """Draw a motorcycle: two fat wheels, engine block, tank, long seat, exhaust."""
    paint = _paint(pen)
    for x in (-0.58, 0.6):
        pen.oval((x, 0.42), (0.36, 0.36), RUBBER)
        pen.oval((x, 0.42), (0.22, 0.22), STEEL)
        pen.oval((x, 0.42), (0.09, 0.09), (90, 92, 98))
    pen.cord(((0.34, -0.3), (0.6, 0.42)), 0.08, STEEL)
    pen.box((-0.24, 0.14, 0.22, 0.5), (110, 114, 122))
    for k in range(3):
        pen.stroke(((-0.2, 0.22 + 0.09 * k), (0.18, 0.22 + 0.09 * k)), 0.03, (60, 62, 68))
    pen.cord(((0.0, 0.48), (-0.4, 0.56), (-0.92, 0.46)), 0.09, (206, 208, 214))
    pen.poly(((-0.58, 0.4), (-0.3, -0.02), (0.3, -0.1), (0.1, 0.18)), shade(paint, 0.75))
    pen.blob(((-0.1, -0.06), (0.04, -0.3), (0.34, -0.28), (0.4, -0.06), (0.1, 0.04)), paint)
    pen.blob(((-0.72, -0.14), (-0.4, -0.16), (-0.1, -0.1), (-0.14, 0.04), (-0.5, 0.04), (-0.84, -0.06)), BLACK)
    pen.blob(((-0.94, 0.2), (-0.7, -0.02), (-0.36, 0.06), (-0.6, 0.06)), paint)
    pen.blob(((0.28, 0.14), (0.56, 0.0), (0.92, 0.16), (0.6, 0.1)), paint)
    pen.bend(((0.34, -0.28), (0.3, -0.5), (0.14, -0.54)), 0.07, BLACK)
    pen.oval((0.46, -0.24), (0.09, 0.1), LAMP)


def tractor(pen: Pen) -> None:
    """Draw a tractor: huge rear wheel, small front wheel, bonnet, open cab, exhaust pipe."""
    paint = _paint(pen)
    pen.box((0.4, -0.48, 0.47, -0.04), (70, 72, 78))
    pen.soft_box((-0.1, -0.1, 0.88, 0.36), 0.1, paint)
    for k in range(3):
        pen.stroke(((0.5, 0.02 + 0.09 * k), (0.8, 0.02 + 0.09 * k)), 0.03, shade(paint, 0.55))
    pen.box((-0.62, -0.6, -0.02, 0.1), GLASS)
    for x in (-0.62, -0.02):
        pen.stroke(((x, -0.62), (x, 0.1)), 0.07, shade(paint, 0.7))
    pen.box((-0.74, -0.74, 0.08, -0.62), paint)
    pen.stroke(((0.0, 0.0), (-0.14, -0.14)), 0.05, BLACK)
    hub = pen.tint(pen.pick(((230, 196, 60), (220, 220, 214), (200, 60, 48))))
    r = pen.around(0.46, 0.06)
    for k in range(14):
        angle = 2 * math.pi * k / 14
        pen.dot((-0.46 + r * math.cos(angle), 0.38 + r * math.sin(angle)), 0.08, RUBBER)
    _wheel(pen, (-0.46, 0.38), r, hub)
    _wheel(pen, (0.66, 0.58), 0.25, hub)
    pen.oval((0.88, 0.06), (0.04, 0.07), LAMP)


def airplane(pen: Pen) -> None:
    """Draw an airliner: tube with a pointed nose, swept wing, tail fin, engine, row of small windows."""
    paint = _paint(pen)
    hull = pen.tint((234, 236, 238), 0.5)
    pen.poly(((0.1, -0.02), (-0.2, -0.4), (-0.34, -0.4), (-0.16, 0.0)), shade(hull, 0.75))
    pen.poly(((-0.6, -0.1), (-0.98, pen.around(-0.62, 0.08)), (-0.8, -0.62), (-0.42, -0.14)), paint)
    fore = ((0.5, -0.17), (0.8, -0.12), (0.98, 0.04), (0.8, 0.16))
    pen.blob(((-0.98, -0.12), (-0.5, -0.17), (0.0, -0.18), *fore, (0.0, 0.18), (-0.5, 0.1)), hull)
    pen.taper(((-0.86, 0.0), (0.0, 0.07), (0.86, 0.08)), (0.03, 0.07, 0.04), paint, line=False)
    for k in range(9):
        pen.dot((-0.5 + 0.13 * k, -0.05), 0.035, (70, 110, 150))
    pen.poly(((0.72, -0.1), (0.84, -0.09), (0.92, 0.0), (0.76, -0.01)), GLASS)
    pen.poly(((-0.7, -0.06), (-0.98, 0.1), (-0.84, 0.12), (-0.5, -0.02)), shade(hull, 0.8))
    sweep = pen.around(0.62, 0.1)
    for x in (0.0, -0.16):
        pen.soft_box((x - 0.08, 0.26 - x * 0.5, x + 0.16, 0.38 - x * 0.5), 0.05, shade(paint, 0.8))
    pen.poly(((0.24, 0.08), (-0.4, sweep), (-0.56, sweep), (-0.18, 0.06)), shade(hull, 0.85))
    for x in (0.62, -0.05):
        pen.stroke(((x, 0.14), (x, 0.36)), 0.04, STEEL)
        _wheel(pen, (x, 0.4), 0.08)


def helicopter(pen: Pen) -> None:
    """Draw a helicopter: glass bubble, long tail boom with a small rotor, main rotor, skids."""
    paint = _paint(pen)
    pen.taper(((-0.1, 0.0), (-0.6, -0.06), (-0.92, -0.12)), (0.24, 0.13, 0.09), paint)
    pen.poly(((-0.8, -0.1), (-0.98, -0.42), (-0.86, -0.42), (-0.72, -0.1)), shade(paint, 0.8))
    pen.ring((-0.9, -0.2), 0.15, 0.025, (90, 92, 98))
    pen.stroke(((-0.96, -0.32), (-0.84, -0.08)), 0.04, (90, 92, 98))
    for x in (0.02, 0.52):
        pen.stroke(((x, 0.3), (x - 0.06, 0.58)), 0.045, BLACK)
    pen.bend(((-0.28, 0.6), (0.6, 0.6), (0.8, 0.5)), 0.06, BLACK)
    pen.stroke(((0.2, -0.34), (0.2, -0.56)), 0.08, (90, 92, 98))
    pen.blob(((-0.26, -0.12), (0.1, -0.36), (0.5, -0.3), (0.84, 0.06), (0.66, 0.34), (0.0, 0.34), (-0.24, 0.14)), paint)
    pen.blob(((0.42, -0.24), (0.58, -0.2), (0.8, 0.06), (0.72, 0.14), (0.44, 0.12)), GLASS)
    _window(pen, (0.08, -0.18, 0.34, 0.1))
    reach, tip = pen.around(0.95, 0.06), pen.between(-0.05, 0.05)
    pen.taper(
        ((0.2 - reach, -0.58 + tip), (0.2, -0.57), (0.2 + 0.8 * reach, -0.58 - tip)), (0.05, 0.08, 0.05), (70, 72, 78)
    )
    pen.dot((0.2, -0.58), 0.07, (60, 62, 66))


DRAWERS: Final[dict[str, Callable[[Pen], None]]] = {
    "car": car,
    "truck": truck,
    "bus": bus,
    "bicycle": bicycle,
    "motorcycle": motorcycle,
    "tractor": tractor,
    "airplane": airplane,
    "helicopter": helicopter,
}
