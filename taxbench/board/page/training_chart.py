"""The chart of how losses fell in training, for the page of answers."""

from taxbench.board.page import svg
from taxbench.board.page.charts import Chart
from taxbench.board.page.svg import Axes
from taxbench.board.series import Point, Series
from taxbench.results.predictions import OWN
from taxbench.specs.controls import control_title
from taxbench.specs.side_files import TrainingLosses
from taxbench.util.text import number


def loss_chart(key: str, name: str, losses: TrainingLosses) -> Chart:
    """Return how the losses of a result's heads fell: a dashed line each, and marks where validation was looked at."""
    series = tuple(
        Series(
            "own head" if head == OWN else control_title(head),
            tuple(Point(step, loss, f"validation, step {step:,}: {number(loss)}") for step, loss in curve.validation),
            twin=tuple(Point(step, loss, "") for step, loss in zip(curve.step, curve.loss, strict=True)),
        )
        for head, curve in losses.heads.items()
        if curve.step
    )
    points = [point for each in series for point in (*each.points, *each.twin)]
    axes = Axes(
        title=f"Losses in training: {name}",
        description="; ".join(f"{each.name}: from {number(each.twin[0].y)} to {number(each.twin[-1].y)}"
                              for each in series if each.twin),
        x_label="step",
        y_label="loss",
        x=(0.0, max((point.x for point in points), default=1.0)),
        y=(0.0, max((point.y for point in points), default=1.0)),
        joined=True,
    )  # fmt: skip
    return Chart("", axes.title, "", axes.description, axes.x_label, series, True, svg.chart(axes, series, key))
