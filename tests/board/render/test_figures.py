"""Figures for papers: drawn where there is data, the same bytes every time, whatever names hold."""

import re
from dataclasses import replace

import pytest

from taxbench.board.plots import plots
from taxbench.board.references import references
from taxbench.board.render.paper_figures import figures, scaling_figure
from tests.board.boards import board, empty_board, hostile_board, large_board
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
@pytest.mark.parametrize("make", [hostile_board, large_board, empty_board])
def test_any_names_any_number_of_entries_can_be_drawn(make) -> None:  # type: ignore[no-untyped-def]
    found = figures(make())
    assert all(re.fullmatch(r"[a-z0-9-]+\.(png|pdf)", name) for name in found)
    assert bool(found) == (make is not empty_board)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("form", ["png", "pdf"])
def test_what_several_processes_gain_is_drawn_from_what_they_take(form: str) -> None:
    by_workers = {n: 20.0 + 86_400 / n for n in (1, 2, 4, 8, 16, 32, 64)}
    drawn = scaling_figure(by_workers, form)
    assert drawn == scaling_figure(by_workers, form) and drawn.startswith(b"%PDF" if form == "pdf" else b"\x89PNG")
    assert drawn != scaling_figure({**by_workers, 64: 86_400.0}, form)
