"""What a task is on the board follows from what it says: names of one's own change nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from taxbench.board.board import Board, Entry, Row
from taxbench.board.entries import make_entries, rank_rows, role_rows
from taxbench.board.plots import deprivations
from taxbench.board.roles import ROLES, role_of
from taxbench.specs.task import TaskSpec
from taxbench.tasks.registry import find_tasks
from tests.board.boards import SPECS, row

NAMES = {"dataset": "d", "lm": "l", "encoder": "e", "head": "h", "features": "", "setting": ""}


@pytest.fixture
def mine(tmp_path: Path) -> dict[str, TaskSpec]:
    """Task files with the content of the suite's, by other names."""
    for name in (*ROLES.values(), "deprivation_random", "deprivation_systematic_keep"):
        (tmp_path / f"{name}.yaml").write_text(f"name: my_{name[::-1]}\nextends: {name}\nversion: 1\n")
    return {name: task for name, task in find_tasks([tmp_path]).tasks.items() if name.startswith("my_")}


def by_another_name(name: str, tasks: dict[str, TaskSpec]) -> Row:
    base, dash, level = name.partition("-")
    return replace(row(name, NAMES), task=tasks[f"my_{base[::-1]}{dash}{level}"])


def board(rows: list[Row]) -> Board:
    rows = rank_rows(rows, {})
    return Board(tuple(make_entries(rows, {})), tuple(rows))


def names(entry: Entry) -> dict[str, str]:
    return {role: one.name for role, one in entry.rows.items()}


def test_every_task_of_the_suite_has_the_role_that_its_content_has() -> None:
    roles = {name: role_of(task) for name, task in SPECS.items() if role_of(task)}
    assert roles == {task: role for role, task in ROLES.items()} | {
        "paper_full": "unseen", "paper_full_within": "high", "paper_full_across": "low",
    }  # fmt: skip


def test_tasks_by_other_names_take_the_same_roles(mine: dict[str, TaskSpec]) -> None:
    rows = [by_another_name(name, mine) for name in ROLES.values()]
    (entry,) = board(rows).entries
    assert list(entry.rows) == list(ROLES) and entry.missing == () and entry.rank is not None
    assert not board(rows).others
    (entry,) = board(rows[:3]).entries
    assert entry.missing == ("counterfactual_high", "counterfactual_low") and entry.rank is not None


def test_of_several_tasks_with_one_role_the_suite_s_own_counts_and_the_others_stand_apart(
    mine: dict[str, TaskSpec],
) -> None:
    own = [row(name, NAMES) for name in ROLES.values()]
    others = [by_another_name(name, mine) for name in ROLES.values()]
    both = board([*others, *own])
    assert names(both.entries[0]) == ROLES and {each.name for each in both.others} == {each.name for each in others}
    elsewhere = [replace(each, dataset="another") for each in others]
    assert [list(names(each).values()) for each in board([*own, *elsewhere]).entries] == [
        [each.name for each in elsewhere], list(ROLES.values()),
    ]  # fmt: skip


def test_what_most_rows_are_of_stands_for_a_role_where_the_suite_s_own_is_not_there(mine: dict[str, TaskSpec]) -> None:
    unseen = by_another_name("unseen_hypernym", mine)
    paper = row("paper_full", NAMES)
    rows = [unseen, paper, replace(paper, lm="another")]
    assert {each.name for _, each in role_rows(rows)} == {"paper_full"}
    assert {each.name for _, each in role_rows(rows[:2])} == {"paper_full"}  # of equals the last by name


def test_a_task_that_asks_in_another_way_does_not_stand_beside_the_one_that_is_ranked() -> None:
    rows = [row(name, NAMES) for name in ("unseen_hypernym", "paper_full_within", "paper_full_across")]
    mixed = board(rows)
    assert names(mixed.entries[0]) == {"unseen": "unseen_hypernym"} and [each.name for each in mixed.others] == [
        each.name for each in rows[1:]
    ]
    assert mixed.entries[0].coherence_effect.mean is None
    paper = board([row("paper_full", NAMES), *rows[1:]])
    assert list(names(paper.entries[0])) == ["unseen", "high", "low"] and not paper.others


@pytest.mark.parametrize(("kind", "levels"), [
    ("deprivation_random", (0.1, 0.5)), ("deprivation_systematic_keep", (0.2, 0.8)),
])  # fmt: skip
def test_a_curve_by_another_name_is_drawn(mine: dict[str, TaskSpec], kind: str, levels: tuple[float, ...]) -> None:
    rows = [by_another_name(f"{kind}-{level}", mine) for level in levels]
    rows.append(by_another_name("unseen_hypernym", mine))
    (chart,) = deprivations(board(rows))
    (curve,) = chart.curves
    assert chart.kind == kind.split("_")[1] and curve.name == "l, e"
    assert [point.x for point in curve.points] == [*(100 * level for level in levels), 100]


def test_curves_that_differ_in_what_they_deny_or_ask_are_never_joined(mine: dict[str, TaskSpec]) -> None:
    tasks = [f"deprivation_systematic_{kind}-{level}" for kind in ("drop", "keep") for level in (0.2, 0.4)]
    rows = [row(name, NAMES) for name in (*tasks, "unseen_hypernym", "paper_systematic-10", "paper_systematic-40")]
    (chart,) = deprivations(board(rows))
    assert {curve.name: len(curve.points) for curve in chart.curves} == {
        "l, e, negatives: drop, unit: pair": 3, "l, e, negatives: keep, unit: pair": 3,
        "l, e, negatives: keep, unit: concept": 2,  # unseen_hypernym asks otherwise, and is not its end
    }  # fmt: skip
    assert not deprivations(board([row("paper_random_across-0.1", NAMES), row("paper_random_across-0.5", NAMES)]))
