"""The page's charts: what they say beside the drawing, and that nothing in them is more than text."""

from dataclasses import replace
from functools import partial
from xml.etree import ElementTree

import pytest

from taxbench.board.page.charts import deprivation_chart, similarity_chart, sweep_chart
from taxbench.board.page.svg import Axes, chart, element, shown
from taxbench.board.plots import MOST_CURVES, deprivations, scatters
from taxbench.board.series import Point, Series
from taxbench.board.sweeps import sweeps
from tests.board import boards
from tests.board.test_plots import swept


def test_measured_and_published_curves_stand_apart_and_the_random_lm_is_dashed() -> None:
    charts = {
        (each.dataset, each.title): each for each in map(partial(deprivation_chart, "k"), deprivations(boards.board()))
    }
    both = charts["things", "Random deprivation"]
    assert [each.published for each in both.series] == [False, True, True, True]
    assert str(both.drawing).count('class="line"') == str(both.drawing).count('class="line dashed"') == 4
    assert both.series[0].points[0].label.startswith("deprivation_random-0.1: 0.")
    assert both.series[1].points[0].label.startswith("random 10: 0.") and both.series[0].points[0].low is not None


def test_curves_that_are_left_out_are_counted() -> None:
    rows = tuple(replace(row, lm=f"lm-{number}") for row in boards.board().rows for number in range(MOST_CURVES + 2)
                 if row.name.startswith("deprivation_random") and row.dataset == "pocket")  # fmt: skip
    (content,) = deprivations(replace(boards.empty_board(), rows=rows))
    found = deprivation_chart("k", content)
    assert len(found.series) == MOST_CURVES and found.note.strip().startswith("2 further")


def test_similarity_is_drawn_for_the_leading_entry_under_each_pairing() -> None:
    charts = [similarity_chart("k", each) for each in scatters(boards.board())]
    assert [each.about for each in charts] == [
        "qwen3-0.6b · dinov2-reg-large · mlp",
        "llama-3.2-1b · dinov2-reg-large · mlp",
    ]
    assert [len(series.points) for series in charts[0].series] == [len(boards.TERMS)] * 3


@pytest.mark.parametrize("top, texts", [(0.02, ["0.0", "0.005", "0.01"]), (1.0, ["0.0", "0.2", "0.4"])])
def test_small_values_have_ticks_too(top: float, texts: list[str]) -> None:
    drawing = chart(Axes("", "", "x", "y", (0.0, 9.0), (0.0, top), True), [], "k")
    assert [each.text for each in ElementTree.fromstring(str(drawing)).iter("text")][:3] == texts


@pytest.mark.parametrize("name", boards.HOSTILE)
def test_drawings_are_well_formed_whatever_they_are_called(name: str) -> None:
    axes = Axes(name, name, name, name, (0.0, 1.0), (-0.2, 1.0), True, 0.5)
    points = (Point(0.1, 0.2, name, 0.1, 0.3), Point(5.0, -7.0, name))
    drawing = chart(axes, [Series(name, points, False, points)], "k")
    tree = ElementTree.fromstring(str(drawing))
    assert tree.findtext("title") == tree.findtext("desc") == shown(name)
    assert {each.tag for each in tree.iter()} == {"svg", "title", "desc", "path", "text", "g"}
    assert tree.get("aria-labelledby") == "k-t k-d"


def test_attributes_are_escaped_too() -> None:
    assert element("path", class_='"><script>', x=1.25) == '<path class="&#34;&gt;&lt;script&gt;" x="1.2"></path>'


def test_a_sweep_has_its_values_along_x_and_says_what_is_dashed() -> None:
    (content,) = sweeps(swept((0.01, 0.001)))
    found = sweep_chart("k", content)
    tree = ElementTree.fromstring(str(found.drawing))
    texts = [each.text for each in tree.iter("text")]
    assert texts.index("0.001") < texts.index("0.01") < texts.index("learning_rate") and found.twin == "validation"
