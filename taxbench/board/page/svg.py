"""Small charts as inline SVG: shapes and text only, coloured by the page's style sheet, every text escaped."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from taxbench.board.series import Series
from taxbench.util.text import seen

WIDTH, HEIGHT = 400, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 388, 10, 222


@dataclass(frozen=True, slots=True)
class Axes:
    """What a chart is of. Bounds are of the axes, in their own units."""

    title: str
    description: str
    x_label: str
    y_label: str
    x: tuple[float, float]
    y: tuple[float, float]
    joined: bool
    """Whether the points of a series are joined by a line."""
    chance: float | None = None
    """Where a dotted line marks chance."""
    x_names: tuple[str, ...] = ()
    """What stands at 0, 1, 2 and so on along x, in the place of numbers."""


def shown(value: object) -> object:
    """Return text for SVG without letters that no page may hold; anything else as it is."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else seen(value)


def element(name: str, *inside: object, **attributes: object) -> Markup:
    """Return one SVG element, texts and values escaped; `class_` and `text_anchor` become `class` and `text-anchor`."""
    given = Markup("").join(
        Markup(' {}="{}"').format(key.strip("_").replace("_", "-"), shown(_short(value)))
        for key, value in attributes.items()
    )
    content = Markup("").join(escape(shown(part)) for part in inside)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), given, content)


def chart(axes: Axes, series: Sequence[Series], key: str) -> Markup:
    """Draw a chart; `key` makes the ids of its title and description its own."""
    parts = [
        element("title", axes.title, id=f"{key}-t"),
        element("desc", axes.description, id=f"{key}-d"),
        *_frame(axes),
        *(_series(axes, each, number) for number, each in enumerate(series)),
    ]
    return element(
        "svg", *parts, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_labelledby=f"{key}-t {key}-d", class_="chart"
    )


def swatch(number: int, published: bool, joined: bool) -> Markup:
    """Return the marker of a series, for a legend."""
    line = element("path", d="M0 7H22", class_="line") if joined else ""
    return element(
        "svg", line, _marker(number, 11, 7), viewBox="0 0 22 14", aria_hidden="true", class_=_class(number, published)
    )


def strip(values: tuple[float, float | None, float | None], marks: Sequence[float | None]) -> Markup:
    """Draw a mean with its interval on a scale from 0.3 to 1, and a tick for each mark: chance, then the random LM."""
    mean, low, high = values
    parts = [element("path", d="M2 8H82", class_="base")]
    for mark, style in zip(marks, ("chance", "twin"), strict=True):
        if mark is not None:
            parts.append(element("path", d=f"M{_short(_on_strip(mark))} 3V13", class_=style))
    if low is not None and high is not None:
        parts.append(element("path", d=f"M{_short(_on_strip(low))} 8H{_short(_on_strip(high))}", class_="range"))
    parts.append(element("circle", cx=_on_strip(mean), cy=8, r=3.2, class_="mean"))
    return element("svg", *parts, viewBox="0 0 84 16", class_="strip", aria_hidden="true")


def _on_strip(value: float) -> float:
    """Return the x of a score on an SVG strip, whose scale goes from 0.3 to 1."""
    return 2 + 80 * (min(max(value, 0.3), 1.0) - 0.3) / 0.7


def _short(value: object) -> object:
    """Write numbers with one decimal at most: a tenth of a pixel is enough."""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else value


def _at(axes: Axes, x: float, y: float) -> tuple[float, float]:
    """Return where a point lies on the drawing; what is beyond the axes lies on their edge."""
    across = min(max((x - axes.x[0]) / (axes.x[1] - axes.x[0]), 0.0), 1.0)
    up = min(max((y - axes.y[0]) / (axes.y[1] - axes.y[0]), 0.0), 1.0)
    return _LEFT + across * (_RIGHT - _LEFT), _BOTTOM - up * (_BOTTOM - _TOP)


def _frame(axes: Axes) -> list[Markup]:
    """Return the SVG elements of a chart's axes: grid, ticks, labels, and the line of chance."""
    parts = []
    for value in _ticks(*axes.y):
        _, y = _at(axes, axes.x[0], value)
        parts.append(element("path", d=f"M{_LEFT} {_short(y)}H{_RIGHT}", class_="grid"))
        parts.append(element("text", _tick(value), x=_LEFT - 6, y=y + 4, text_anchor="end"))
    ticks = [(value, f"{value:g}" if axes.x[1] > 1 else _tick(value)) for value in _ticks(*axes.x)]
    for value, text in [(float(place), name) for place, name in enumerate(axes.x_names)] or ticks:
        x, _ = _at(axes, value, axes.y[0])
        parts.append(element("path", d=f"M{_short(x)} {_BOTTOM}v4", class_="axis"))
        parts.append(element("text", text, x=x, y=_BOTTOM + 16, text_anchor="middle"))
    parts.append(element("path", d=f"M{_LEFT} {_BOTTOM}H{_RIGHT}", class_="axis"))
    parts.append(element("text", axes.x_label, x=(_LEFT + _RIGHT) / 2, y=HEIGHT - 5, text_anchor="middle"))
    middle = (_TOP + _BOTTOM) / 2
    parts.append(
        element("text", axes.y_label, x=10, y=middle, text_anchor="middle", transform=f"rotate(-90 10 {middle:g})")
    )
    if axes.chance is not None:
        _, y = _at(axes, axes.x[0], axes.chance)
        parts.append(element("path", d=f"M{_LEFT} {_short(y)}H{_RIGHT}", class_="chance"))
        parts.append(element("text", "chance", x=_RIGHT, y=y - 4, text_anchor="end"))
    return parts


def _tick(value: float) -> str:
    """Write a round value with one decimal, or with as many as it has."""
    return f"{value:.1f}" if round(value, 1) == value else f"{value:g}"


def _ticks(low: float, high: float) -> list[float]:
    """Return about five round values between the bounds."""
    steps = (round(digit * 10.0**power, 3) for power in range(-3, 9) for digit in (1, 2, 5))
    step = next((step for step in steps if (high - low) / step <= 6), 1e9)
    first = -int(-low // step) if low >= 0 else int(low / step)
    return [round(number * step, 6) for number in range(first, int(high / step + 1e-9) + 1)]


def _class(number: int, published: bool) -> str:
    """Return the CSS class of an SVG series: its number, and whether it was published."""
    return f"series s{number % 6}" + (" published" if published else "")


def _series(axes: Axes, series: Series, number: int) -> Markup:
    """Return the SVG group of one series: its lines, the ranges of its points, and their markers."""
    parts = []
    for points, style in ((series.points, "line"), (series.twin, "line dashed")):
        if axes.joined and len(points) > 1:
            places = [_at(axes, point.x, point.y) for point in points]
            way = "L".join(f"{_short(x)} {_short(y)}" for x, y in places)
            parts.append(element("path", d=f"M{way}", class_=style))
    for point in series.points:
        x, y = _at(axes, point.x, point.y)
        if point.low is not None and point.high is not None:
            (_, low), (_, high) = _at(axes, point.x, point.low), _at(axes, point.x, point.high)
            parts.append(element("path", d=f"M{_short(x)} {_short(low)}V{_short(high)}", class_="range"))
        parts.append(element("g", element("title", point.label), _marker(number, x, y)))
    return element("g", *parts, class_=_class(number, series.published))


_SHAPES = (
    "M-3.4 0a3.4 3.4 0 1 0 6.8 0a3.4 3.4 0 1 0-6.8 0z",
    "M-3-3h6v6h-6z",
    "M0-4L4 3.2H-4z",
    "M0-4.4L4.4 0L0 4.4L-4.4 0z",
    "M0 4L4-3.2H-4z",
    "M-1.3-4h2.6v2.7h2.7v2.6h-2.7v2.7h-2.6v-2.7h-2.7v-2.6h2.7z",
)
"""Circle, square, triangle, diamond, triangle down, cross, around (0, 0)."""


def _marker(number: int, x: float, y: float) -> Markup:
    """Return the SVG path of a series' marker at a place."""
    return element(
        "path", d=_SHAPES[number % len(_SHAPES)], class_="mark", transform=f"translate({_short(x)} {_short(y)})"
    )
