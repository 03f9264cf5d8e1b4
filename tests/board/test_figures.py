"""Figures for papers: drawn where there is data, the same bytes every time, whatever names hold."""

import re
from dataclasses import replace

import pytest

from taxbench.board.figures import figures
from taxbench.board.model import NOTHING
from taxbench.board.plots import BARS, bars, curves, heatmaps, plots
from taxbench.board.references import references
from tests.board.boards import board, empty_board, hostile_board, large_board, row


def test_measured_curves_come_first_with_their_levels_and_published_ones_follow() -> None:
    found = curves(replace(board(), references=references()))
    measured = [each for each in found if not each.is_published]
    assert [(each.kind, each.name) for each in measured] == [
        ("random", "pocket, wordnet-lm, pocket-conv"),
        ("random", "things, qwen3-0.6b, dinov2-reg-large"),
        ("systematic", "pocket, wordnet-lm, pocket-conv (drop)"),
        ("systematic", "pocket, wordnet-lm, pocket-conv (keep)"),
    ]
    assert [x for x, _ in measured[0].points] == [10, 30, 50, 70, 90, 100]
    published = {(each.name, each.kind): each for each in found if each.is_published}
    assert len(published) == 8  # four LMs that have curves, of both kinds
    curve = published["Qwen3-1.7B, DINOv2", "systematic"]
    assert [round(x) for x, _ in curve.points] == [19, 38, 57, 75, 100]
    assert curve.points[0][1].mean == pytest.approx(0.7209, abs=1e-4)  # without one-class terms
    assert len(curve.random_lm) == 5


def test_a_curve_needs_levels_and_a_blank_level_is_left_out() -> None:
    one = board()
    rows = [replace(each, f1=NOTHING) if each.name == "deprivation_random-0.5" else each for each in one.rows]
    first = next(each for each in curves(replace(one, rows=tuple(rows))) if each.kind == "random")
    assert [x for x, _ in first.points] == [10, 30, 70, 90, 100]
    names = {"dataset": "d", "lm": "l", "encoder": "e", "head": "h", "features": "", "setting": ""}
    level = row("deprivation_random-0.1", names)
    alone = replace(
        empty_board(), rows=(row("unseen_hypernym", names), replace(level, task="deprivation_random-x@1#0"))
    )
    assert curves(alone) == ()


def test_bars_show_the_best_complete_entry_of_each_pair_and_no_control() -> None:
    for each in bars(board()):
        assert len({(entry.lm, entry.encoder) for entry in each.entries}) == len(each.entries) <= 6
        assert all(set(BARS) <= set(entry.rows) and not entry.is_control for entry in each.entries)
    assert [each.dataset for each in bars(board())] == ["pocket", "things"] and bars(empty_board()) == ()


def test_a_heatmap_takes_the_head_that_most_pairs_have_and_leaves_gaps() -> None:
    grid = heatmaps(board())[0]
    assert (grid.dataset, grid.head) == ("pocket", "mlp") and NOTHING in [cell for line in grid.f1 for cell in line]
    assert len(grid.f1) == len(grid.lms) and {len(line) for line in grid.f1} == {len(grid.encoders)}
    assert grid.f1[0][0].mean == board().entries[0].rows["unseen_hypernym"].f1.mean


@pytest.mark.filterwarnings("error")
def test_files_are_the_same_bytes_every_time_and_carry_no_date() -> None:
    one = replace(board(), references=references())
    files = figures(one)
    assert list(files) == [f"{plot.stem}.{form}" for plot in plots(one) for form in ("png", "pdf")] and len(files) == 10
    assert figures(one) == files
    for name, content in files.items():
        assert b"CreationDate" not in content and b"Matplotlib" not in content
        assert content.startswith(b"%PDF" if name.endswith("pdf") else b"\x89PNG")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("make", [hostile_board, large_board, empty_board])
def test_any_names_any_number_of_entries_can_be_drawn(make) -> None:  # type: ignore[no-untyped-def]
    found = figures(make())
    assert all(re.fullmatch(r"[a-z0-9-]+\.(png|pdf)", name) for name in found)
    assert bool(found) == (make is not empty_board)
