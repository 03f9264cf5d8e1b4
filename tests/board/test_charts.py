"""What the page's charts show, and that nothing in them is more than text."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from taxbench.board.charts import MOST_SERIES, deprivation_charts, heatmaps, similarity_charts
from taxbench.board.model import NOTHING, Figure
from taxbench.board.svg import Axes, Point, Series, chart, element, shown
from tests.board import boards


def test_measured_curves_run_from_none_to_all_denied_and_published_ones_stand_beside_them() -> None:
    charts = {(each.dataset, each.title): each for each in deprivation_charts(boards.board())}
    assert [dataset for dataset, _ in charts] == ["pocket", "pocket", "things", "things"]
    (curve,) = charts["pocket", "Random deprivation"].series
    assert [point.x for point in curve.points] == [0, 10, 30, 50, 70, 90, 100] and not curve.published
    assert [each.name for each in charts["pocket", "Systematic deprivation"].series] == [
        f"wordnet-lm · pocket-conv · mlp · negatives: {kept}" for kept in ("drop", "keep")
    ]
    both = charts["things", "Random deprivation"].series
    assert [each.published for each in both] == [False, True, True, True]
    assert [point.x for point in both[1].points] == [0, 10, 30, 50, 70, 90, 100]
    systematic = charts["things", "Systematic deprivation"].series
    assert [round(point.x, 1) for point in systematic[0].points] == [0, 18.9, 37.7, 56.6, 75.5, 100]


def test_published_curves_leave_out_random_weights_other_pairings_and_lone_points() -> None:
    board = boards.board()
    some = {
        "random weights": [each for each in board.references if each.random_lm],
        "ends alone": [each for each in board.references if each.deprivation in ("none", "full")],
        "other pairings": [replace(each, pairing="within_category") for each in board.references],
    }
    for references in some.values():
        charts = deprivation_charts(replace(board, references=tuple(references)))
        assert not any(series.published for each in charts for series in each.series)


def test_a_level_without_a_score_is_no_point_and_too_many_curves_are_counted() -> None:
    board = boards.board()
    blank = tuple(replace(row, f1=NOTHING) if row.name == "deprivation_random-0.3" else row for row in board.rows)
    (chart, *_) = deprivation_charts(replace(board, rows=blank))
    assert [point.x for point in chart.series[0].points] == [0, 10, 50, 70, 90, 100]
    more = tuple(replace(row, lm=f"lm-{number}") for row in board.rows if row.name == "deprivation_random-0.3"
                 and row.dataset == "pocket" for number in range(MOST_SERIES + 2))  # fmt: skip
    (chart, *_) = deprivation_charts(replace(board, rows=more))
    assert len(chart.series) == MOST_SERIES and chart.note.strip().startswith("2 further")


def test_similarity_is_drawn_for_the_leading_entry_under_each_pairing() -> None:
    charts = similarity_charts(boards.board())
    assert [each.about for each in charts] == [
        "qwen3-0.6b · dinov2-reg-large · mlp",
        "llama-3.2-1b · dinov2-reg-large · mlp",
    ]
    assert [len(series.points) for series in charts[0].series] == [len(boards.TERMS)] * 3
    assert similarity_charts(boards.empty_board()) == []


def test_heatmaps_keep_apart_what_was_not_run_and_what_has_no_score() -> None:
    (f1, transfer), _ = heatmaps(boards.board())
    assert (f1.score, transfer.score, f1.encoders) == (
        "unseen F1",
        "transfer",
        ("dinov2-reg-large", "pixels", "pocket-conv"),
    )
    cells = dict(f1.lines)
    assert cells["wordnet-lm"][0] is None and cells["llama-3.2-1b"][1] == NOTHING
    assert [f1.shade(Figure(value)) for value in (None, -1.0, 0.3, 0.65, 1.0, 9.0)] == [0, 0, 0, 5, 9, 9]


@pytest.mark.parametrize("name", boards.HOSTILE)
def test_drawings_are_well_formed_whatever_they_are_called(name: str) -> None:
    axes = Axes(name, name, name, name, (0.0, 1.0), (-0.2, 1.0), True, 0.5)
    drawing = chart(axes, [Series(name, (Point(0.1, 0.2, name, 0.1, 0.3), Point(5.0, -7.0, name)))], "k")
    tree = ElementTree.fromstring(str(drawing))
    assert tree.findtext("title") == tree.findtext("desc") == shown(name)
    assert {each.tag for each in tree.iter()} == {"svg", "title", "desc", "path", "text", "g"}
    assert tree.get("aria-labelledby") == "k-t k-d"


def test_attributes_are_escaped_too() -> None:
    assert element("path", class_='"><script>', x=1.25) == '<path class="&#34;&gt;&lt;script&gt;" x="1.2"></path>'
