"""World scopes: which cell a row counts in, and which rows count in none."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from taxbench.board.board import Estimate, Row
from taxbench.board.page.page import page
from taxbench.board.world_scopes import ScopeMap, evidence_of, scope_maps, scope_of
from taxbench.registry.models import lms
from tests.board import boards


def asked(task: str, auroc: float | None, **other: str) -> Row:
    names = {"dataset": "pocket", "lm": "pocket", "encoder": "pocket", "head": "mlp", "features": "pooled",
             "setting": "", **other}  # fmt: skip
    made = boards.row("unseen_hypernym", names)
    return replace(made, task=boards.SPECS[task], auroc=Estimate(auroc))


def maps(*rows: Row) -> tuple[ScopeMap, ...]:
    board: Any = SimpleNamespace(rows=rows)
    return scope_maps(board)


def test_a_cell_is_the_mean_over_tasks_and_then_over_systems() -> None:
    (found,) = maps(
        asked("unseen_hypernym", 0.9), asked("property_size", 0.5), asked("property_colour", 0.7),
        asked("property_heavy", 0.6), asked("unseen_hypernym", 0.7, head="linear"),
        asked("property_size", 0.8, head="linear"), asked("property_alive", 0.55, lm="gpt2"),
        asked("property_heavy", 0.45, lm="gpt2"), asked("property_size_within", 0.1), asked("property_sound", None),
        asked("unseen_hypernym", 0.99, head="ridge"),
    )  # fmt: skip
    assert found.evidence == ("corpora (LM), perception (encoder)", "internet (LM), perception (encoder)")
    assert found.asked == ("corpora", "internet", "perception", "embodiment")
    means = [[cell and round(cell.mean or 0, 4) for cell in line] for line in found.auroc]
    # Not the ridge head, which was asked in one scope; two tasks of perception, then two heads.
    assert means == [[0.8, None, 0.7, 0.6], [None, 0.55, None, 0.45]]
    assert found.tasks == (1, 1, 2, 1)


def test_what_is_not_known_and_what_has_nothing_to_compare_is_left_out() -> None:
    assert maps(asked("unseen_hypernym", 0.9), asked("unseen_hypernym", 0.8, head="linear")) == ()
    strange = asked("property_size", 0.9, lm="./my-lm")
    assert evidence_of(strange) is None and maps(strange, asked("unseen_hypernym", 0.9, lm="./my-lm")) == ()
    assert scope_of(asked("property_size_across", 0.5)) is None and scope_of(asked("leaf", 0.5)) is None
    assert evidence_of(asked("property_size", 0.5, lm="llava", head="answer")) == "perception (whole system)"
    control = replace(asked("property_size", 0.5), is_control=True)
    assert maps(control, replace(asked("unseen_hypernym", 0.5), is_control=True)) == ()


def test_the_registry_says_what_models_were_trained_with() -> None:
    assert lms()["pocket"].evidence == "corpora"
    assert {spec.evidence for name, spec in lms().items() if name != "pocket"} == {"internet"}


@pytest.mark.parametrize("scoped", [True, False])
def test_the_page_shows_the_map_where_there_is_one(scoped: bool) -> None:
    board = boards.board()
    rows = [asked("unseen_hypernym", 0.91234), asked("property_heavy", 0.4)] if scoped else []
    text = page(replace(board, rows=(*board.rows, *rows)))
    assert ('<section id="scopes">' in text) is scoped is ('href="#scopes"' in text)
    assert ("AUROC · " in text and "embodiment: 1 task." in text and "corpora (LM)" in text) is scoped
