"""Figures for papers: drawn where there is data, the same bytes every time, whatever names hold."""

import re
from dataclasses import replace

import pytest

from taxbench.board.board import Board
from taxbench.board.plots import plots
from taxbench.board.references import references
from taxbench.board.render import paper_figures
from taxbench.board.render.paper_figures import figures, scaling_figure
from taxbench.util.progress import Reporter
from tests.board.boards import board, chinese_board, empty_board, hostile_board, large_board
from tests.board.test_plots import swept


@pytest.mark.filterwarnings("error")
def test_files_are_the_same_bytes_every_time_and_carry_no_date() -> None:
    one = replace(board(), references=references())
    files = figures(one)
    assert list(files) == [f"{plot.stem}.{form}" for plot in plots(one) for form in ("png", "pdf")] and len(files) == 12
    assert figures(one) == files
    for name, content in files.items():
        assert b"CreationDate" not in content and b"Matplotlib" not in content
        assert content.startswith(b"%PDF" if name.endswith("pdf") else b"\x89PNG")


@pytest.mark.filterwarnings("error")
def test_a_sweep_is_drawn() -> None:
    assert {"sweep-learning-rate-d.png", "sweep-learning-rate-d.pdf"} <= set(figures(swept((0.01, 0.001))))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("make", [hostile_board, large_board, empty_board, chinese_board])
def test_any_names_any_number_of_entries_can_be_drawn(make) -> None:  # type: ignore[no-untyped-def]
    found = figures(make())
    assert all(re.fullmatch(r"[a-z0-9-]+\.(png|pdf)", name) for name in found)
    assert bool(found) == (make is not empty_board)


def named(dataset: str) -> Board:
    """Return a board whose dataset has a name, the same but for that."""
    made = chinese_board()
    entries, rows = (tuple(replace(each, dataset=dataset) for each in part) for part in (made.entries, made.rows))
    return replace(made, entries=entries, rows=rows)


def picture(dataset: str) -> bytes:
    """Return a PNG that says the name of a dataset; a glyph that is missing looks the same, whatever letter it is."""
    return next(content for name, content in figures(named(dataset)).items() if re.fullmatch(r"heatmap.*png", name))


@pytest.mark.filterwarnings("error")
def test_chinese_letters_are_drawn_where_a_font_has_them() -> None:
    if len(paper_figures._letters()) < 2:
        pytest.skip("no font with Chinese letters on this machine (apt-get install fonts-wqy-microhei)")
    assert picture("鸟") != picture("鱼") != picture("?")


@pytest.mark.filterwarnings("error")
def test_letters_that_no_font_has_are_question_marks_and_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = paper_figures._letters()
    monkeypatch.setattr(paper_figures, "_letters", lambda: {"DejaVu Sans": drawn["DejaVu Sans"]})
    assert picture("鸟") == picture("鱼") != picture("ß")
    figures(chinese_board(), Reporter())
    said = capsys.readouterr().err
    assert (
        said.startswith("Figures have '?' in the place of 习 二 像 ") and "apt-get install fonts-wqy-microhei" in said
    )


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("form", ["png", "pdf"])
def test_what_several_processes_gain_is_drawn_from_what_they_take(form: str) -> None:
    by_workers = {n: 20.0 + 86_400 / n for n in (1, 2, 4, 8, 16, 32, 64)}
    drawn = scaling_figure(by_workers, form)
    assert drawn == scaling_figure(by_workers, form) and drawn.startswith(b"%PDF" if form == "pdf" else b"\x89PNG")
    assert drawn != scaling_figure({**by_workers, 64: 86_400.0}, form)
