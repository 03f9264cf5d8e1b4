"""A pen that draws jittered, outlined shapes in object coordinates onto a supersampled picture.

Object coordinates: the object fills about [-1, 1] x [-1, 1], x to the right, y downwards. One `Pen` carries one pose
(mirror, rotation, shear, scale, position) and one slow sinusoidal warp, so that all shapes of one instance bend alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import ImageDraw

from taxbench.pocket.art.colour import RGB, jitter, shade

Point = tuple[float, float]
Points = Sequence[Point] | NDArray[np.float64]
T = TypeVar("T")

_OVAL: Final[NDArray[np.float64]] = np.array(
    [(math.cos(2 * math.pi * i / 28), math.sin(2 * math.pi * i / 28)) for i in range(28)]
)
_STEPS: Final = 6  # straight pieces between two control points of a smooth curve


def _spline_basis(tension: float = 0.5) -> NDArray[np.float64]:
    """Return the Catmull-Rom weights of four control points at `_STEPS` places.  (_STEPS, 4)"""
    t = np.arange(_STEPS) / _STEPS
    rows = (
        -tension * t + 2 * tension * t**2 - tension * t**3,
        1 + (tension - 3) * t**2 + (2 - tension) * t**3,
        tension * t + (3 - 2 * tension) * t**2 + (tension - 2) * t**3,
        -tension * t**2 + tension * t**3,
    )
    return np.stack(rows, axis=1)


_BASIS: Final[NDArray[np.float64]] = _spline_basis()


def smooth_closed(points: Points) -> NDArray[np.float64]:
    """Run a closed smooth curve through `points`.  (n, 2) -> (n * _STEPS, 2)"""
    p = np.asarray(points, dtype=np.float64)
    windows = np.stack([np.roll(p, 1, 0), p, np.roll(p, -1, 0), np.roll(p, -2, 0)], axis=1)  # (n, 4, 2)
    return np.asarray(_BASIS @ windows).reshape(-1, 2)


def smooth_open(points: Points) -> NDArray[np.float64]:
    """Run an open smooth curve through `points`.  (n, 2) -> ((n - 1) * _STEPS + 1, 2)"""
    p = np.asarray(points, dtype=np.float64)
    if len(p) < 3:
        return p
    padded = np.concatenate([p[:1], p, p[-1:]])
    windows = np.stack([padded[:-3], padded[1:-2], padded[2:-1], padded[3:]], axis=1)  # (n - 1, 4, 2)
    return np.concatenate([np.asarray(_BASIS @ windows).reshape(-1, 2), p[-1:]])


def turned(points: Points, degrees: float, about: Point = (0.0, 0.0)) -> NDArray[np.float64]:
    """Rotate points clockwise on the picture (y points down)."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    centre = np.asarray(about, dtype=np.float64)
    return np.asarray((np.asarray(points, dtype=np.float64) - centre) @ np.array([[c, s], [-s, c]]) + centre)


@dataclass(frozen=True, slots=True)
class Pose:
    """Place an object: `matrix` and `shift` take object coordinates to supersampled pixels."""

    matrix: NDArray[np.float64]  # (2, 2), applied as points @ matrix
    shift: NDArray[np.float64]  # (2,)
    unit: float  # pixels per object unit; line widths follow it
    warp: tuple[float, float, float, float]  # amplitude, wave number, two phases


class Pen:
    """Draw the shapes of one object. Shapes drawn later cover those drawn earlier."""

    __slots__ = ("_draw", "_pose", "outline", "rng")

    def __init__(self, draw: ImageDraw.ImageDraw, pose: Pose, rng: np.random.Generator) -> None:
        self._draw = draw
        self._pose = pose
        self.rng = rng
        self.outline = max(1, round(0.028 * pose.unit))  # pixels

    # chance

    def around(self, value: float, spread: float = 0.1) -> float:
        """Return `value` times a uniform factor in 1 +- spread."""
        return value * (1.0 + spread * (2.0 * self.rng.random() - 1.0))

    def between(self, low: float, high: float) -> float:
        """Return a uniform number in [low, high)."""
        return low + (high - low) * self.rng.random()

    def chance(self, probability: float) -> bool:
        """Return True with the given probability."""
        return self.rng.random() < probability

    def pick(self, options: Sequence[T]) -> T:
        """Return one of the options, all equally likely."""
        return options[int(self.rng.random() * len(options))]

    def tint(self, base: RGB, spread: float = 1.0) -> RGB:
        """Return a natural variation of a typical colour."""
        return jitter(base, self.rng, spread)

    # place

    def place(self, points: Points) -> list[float]:
        """Take object coordinates to a flat list of pixel coordinates, warp first."""
        p = np.asarray(points, dtype=np.float64)
        amplitude, wave, phase_x, phase_y = self._pose.warp
        bent = p + amplitude * np.sin(wave * p[:, ::-1] + (phase_x, phase_y))
        flat: list[float] = (bent @ self._pose.matrix + self._pose.shift).ravel().tolist()
        return flat

    def _pixels(self, width: float) -> int:
        return max(1, round(width * self._pose.unit))

    # shapes

    def poly(self, points: Points, fill: RGB, line: bool = True) -> None:
        """Fill a polygon with straight edges."""
        flat = self.place(points)
        self._draw.polygon(flat, fill=fill)
        if line:
            self._draw.line(flat + flat[:4], fill=shade(fill, 0.45), width=self.outline)

    def blob(self, points: Points, fill: RGB, line: bool = True) -> None:
        """Fill a smooth closed outline through the points."""
        self.poly(smooth_closed(points), fill, line)

    def oval(self, centre: Point, radii: Point, fill: RGB, turn: float = 0.0, line: bool = True) -> None:
        """Fill an ellipse, turned clockwise by `turn` degrees."""
        points = _OVAL * radii
        self.poly((turned(points, turn) if turn else points) + np.asarray(centre), fill, line)

    def box(self, corners: tuple[float, float, float, float], fill: RGB, line: bool = True) -> None:
        """Fill an upright rectangle (left, top, right, bottom)."""
        left, top, right, bottom = corners
        self.poly(((left, top), (right, top), (right, bottom), (left, bottom)), fill, line)

    def soft_box(self, corners: tuple[float, float, float, float], radius: float, fill: RGB, line: bool = True) -> None:
        """Fill an upright rectangle with cut, rounded corners."""
        left, top, right, bottom = corners
        r, k = radius, 0.3 * radius
        points = (
            *((left, bottom - r), (left, top + r), (left + k, top + k), (left + r, top)),
            *((right - r, top), (right - k, top + k), (right, top + r)),
            *((right, bottom - r), (right - k, bottom - k), (right - r, bottom), (left + r, bottom)),
            (left + k, bottom - k),
        )
        self.poly(points, fill, line)

    def stroke(self, points: Points, width: float, fill: RGB) -> None:
        """Draw a line of straight pieces with round ends."""
        self._line(self.place(points), self._pixels(width), fill, joined=True)

    def bend(self, points: Points, width: float, fill: RGB) -> None:
        """Draw a smooth line with round ends."""
        self._line(self.place(smooth_open(points)), self._pixels(width), fill)

    def cord(self, points: Points, width: float, fill: RGB) -> None:
        """Draw a smooth line with an outline: a limb, a cable, a handle."""
        flat = self.place(smooth_open(points))
        pixels = self._pixels(width)
        self._line(flat, pixels + 2 * self.outline, shade(fill, 0.45))
        self._line(flat, pixels, fill)

    def _line(self, flat: list[float], width: int, fill: RGB, joined: bool = False) -> None:
        # Round joints are dear and only show where a line has corners; smooth curves do without.
        self._draw.line(flat, fill=fill, width=width, joint="curve" if joined and width > 3 and len(flat) > 4 else None)
        if width > 3:
            r = 0.5 * width - 0.5
            for x, y in (flat[:2], flat[-2:]):
                self._draw.ellipse((x - r, y - r, x + r, y + r), fill=fill)

    def taper(self, points: Points, widths: Sequence[float], fill: RGB, line: bool = True) -> None:
        """Fill a smooth tube whose full width runs through `widths`, evenly spaced along it: a neck, a trunk."""
        path = smooth_open(points)
        along = np.gradient(path, axis=0)
        normal = along[:, ::-1] * (-1.0, 1.0) / np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)[:, None]
        half = 0.5 * np.interp(np.linspace(0, 1, len(path)), np.linspace(0, 1, len(widths)), widths)[:, None]
        self.poly(np.concatenate([path + half * normal, (path - half * normal)[::-1]]), fill, line)

    def dot(self, centre: Point, radius: float, fill: RGB) -> None:
        """Fill a small disc without an outline."""
        x, y = self.place((centre,))
        r = radius * self._pose.unit
        self._draw.ellipse((x - r, y - r, x + r, y + r), fill=fill)

    def ring(self, centre: Point, radius: float, width: float, fill: RGB) -> None:
        """Draw a circle line."""
        circle = _OVAL * radius + np.asarray(centre)
        self._line(self.place(np.concatenate([circle, circle[:2]])), self._pixels(width), fill)

    def eye(self, centre: Point, radius: float, iris: RGB = (24, 20, 20)) -> None:
        """Draw a round eye with a glint."""
        self.dot(centre, radius * 1.25, (245, 242, 235))
        self.dot(centre, radius, iris)
        if iris != (24, 20, 20):
            self.dot(centre, 0.55 * radius, (24, 20, 20))
        self.dot((centre[0] - 0.3 * radius, centre[1] - 0.35 * radius), 0.3 * radius, (255, 255, 255))
