"""Entries: complete ones are ranked with the places they might have, the others are shown."""

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from taxbench.board.board import Board, Entry, Estimate
from taxbench.board.build import make_board
from taxbench.board.entries import _ranked
from taxbench.board.load import load_records
from taxbench.board.roles import newest
from taxbench.board.rows import make_table
from taxbench.heads.loading import head_spec
from taxbench.scoring.bootstrap import DIFFERENCE, interval, replicates
from taxbench.specs.run import DatasetId, EncoderId
from taxbench.util.progress import Reporter
from tests.board.boards import TASKS
from tests.board.records import record
from tests.scoring.simulation import Effects, draw, hypernyms


def board_of(out: Path) -> Board:
    return make_board(load_records([out]), (), {}, (), Reporter(quiet=True))


def encoder(name: str) -> EncoderId:
    return EncoderId(name=name, digest="e0" * 8, features="f0" * 8)


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Entry]:
    out = tmp_path_factory.mktemp("out")
    for name, skill in (("good", 2.0), ("twin", 1.99), ("bad", 0.3)):
        for task in TASKS:
            for seed in (1, 2):
                record(out, seed, skill * (0.2 if task == "counterfactual_low" else 1), task, encoder=encoder(name))
    record(out, 1, 2.5, encoder=encoder("partial"))
    for task in TASKS:
        record(out, 1, 3.0, task, head=head_spec("text_only", {}))
    return {entry.encoder: entry for entry in board_of(out).entries}


def test_entries_of_the_same_seeds_that_are_no_controls_are_ranked(entries: dict[str, Entry]) -> None:
    partial = entries["partial"]
    assert partial.rank is None and partial.status == "other seeds"
    assert set(partial.missing) == set(TASKS) - {"unseen_hypernym"} and partial.coherence_effect.mean is None
    assert {entry.status for entry in entries.values() if entry.is_control} == {"control"}
    ranked = [entry.encoder for entry in entries.values() if entry.rank]
    assert sorted(ranked) == ["bad", "good", "twin"] and list(entries)[:3] == ranked


def test_those_that_cannot_be_told_apart_share_a_band_and_their_places(entries: dict[str, Entry]) -> None:
    good, twin, bad = (entries[name].rank for name in ("good", "twin", "bad"))
    assert good and twin and bad
    assert {good.place, twin.place} == {1, 2} and good.band == twin.band == 1
    assert (good.low, good.high) == (twin.low, twin.high) == (1, 2)
    assert (bad.place, bad.low, bad.high, bad.band) == (3, 3, 3, 2)


def test_the_coherence_effect_is_paired_and_has_an_interval(entries: dict[str, Entry]) -> None:
    for name in ("good", "twin"):
        entry = entries[name]
        effect, rows = entry.coherence_effect, entry.rows
        assert effect.mean is not None and effect.low is not None and effect.high is not None
        high, low = rows["high"].f1.mean, rows["low"].f1.mean
        assert high is not None and low is not None
        assert effect.mean == pytest.approx(high - low) and effect.low < effect.mean < effect.high and effect.sd


def test_runs_of_one_task_are_ranked_and_charted_the_best_first(tmp_path: Path) -> None:
    """What most people run: one task, many heads and settings; names in another order than scores."""
    for name, skill in (("a", 0.2), ("b", 2.0), ("c", 1.0), ("d", 0.5)):
        record(tmp_path, 1, skill, "unseen_hypernym", encoder=encoder(name))
    board = board_of(tmp_path)
    assert [entry.encoder for entry in board.entries] == ["b", "c", "d", "a"]
    assert [entry.rank and (entry.rank.place, entry.rank.of) for entry in board.entries] == [
        (1, 4), (2, 4), (3, 4), (4, 4)]  # fmt: skip
    assert {entry.role for entry in board.entries} == {"unseen"}
    scores = [entry.score("unseen").mean for entry in board.entries]
    assert scores == sorted(scores, reverse=True)


def test_a_dataset_without_unseen_questions_ranks_by_what_entries_share(tmp_path: Path) -> None:
    for name, skill in (("a", 0.2), ("b", 2.0), ("c", 1.0)):
        record(tmp_path, 1, skill, "leaf", encoder=encoder(name))
    record(tmp_path, 1, 0.7, "unseen_hypernym", encoder=encoder("a"))
    entries = board_of(tmp_path).entries
    assert [(entry.encoder, entry.role, entry.rank and entry.rank.place) for entry in entries] == [
        ("b", "leaf", 1), ("c", "leaf", 2), ("a", "leaf", 3)]  # fmt: skip
    unseen = entries[2].rows["unseen"].rank
    assert unseen is not None and (unseen.place, unseen.of) == (1, 1)


def test_entries_without_a_rank_stand_by_their_score(tmp_path: Path) -> None:
    for name, seed, skill in (("a", 1, 0.2), ("b", 1, 2.0), ("c", 2, 0.3), ("d", 3, 2.0), ("e", 4, 1.0)):
        record(tmp_path, seed, skill, "unseen_hypernym", encoder=encoder(name))
    record(tmp_path, 1, 3.0, "leaf", encoder=encoder("f"))
    entries = board_of(tmp_path).entries
    assert [entry.encoder for entry in entries] == ["b", "a", "d", "e", "c", "f"]
    assert [entry.status for entry in entries] == ["", "", *["other seeds"] * 3, "not run"]


def test_tasks_that_are_no_part_of_the_question_rank_as_well(tmp_path: Path) -> None:
    for name, skill in (("a", 0.2), ("b", 2.0)):
        record(tmp_path, 1, skill, "deprivation_random-0.5", encoder=encoder(name))
    board = board_of(tmp_path)
    assert not board.entries and [(row.encoder, row.rank and row.rank.place) for row in board.others] == [
        ("b", 1), ("a", 2)]  # fmt: skip


def test_seeds_that_differ_leave_an_entry_without_a_task(tmp_path: Path) -> None:
    for task in TASKS:
        record(tmp_path, 1, 1.0, task)
    record(tmp_path, 2, 1.0, "unseen_hypernym")
    (entry,) = board_of(tmp_path).entries
    assert entry.seeds == (1, 2) and set(entry.missing) == set(TASKS) - {"unseen_hypernym"}
    assert entry.rank is not None and entry.coherence_effect.mean is None


def test_an_entry_with_other_seeds_is_shown_and_not_ranked(tmp_path: Path) -> None:
    for name, seeds in (("one", (1, 2)), ("two", (1, 2)), ("three", (3,)), ("four", (3,)), ("five", (3,))):
        for task in TASKS:
            for seed in seeds:
                record(tmp_path, seed, 1.0, task, encoder=encoder(name))
    ranked = {entry.encoder: entry.status for entry in board_of(tmp_path).entries}
    assert ranked == {"one": "", "two": "", **dict.fromkeys(("three", "four", "five"), "other seeds")}


def test_datasets_of_one_name_and_other_content_are_never_ranked_together(tmp_path: Path) -> None:
    for fingerprint in ("ab" * 8, "cd" * 8):
        for task in TASKS:
            record(tmp_path, 1, 1.0, task, dataset=DatasetId(name="made", fingerprint=fingerprint))
    entries = board_of(tmp_path).entries
    assert [(entry.dataset, entry.rank and entry.rank.place) for entry in entries] == [
        ("made abababab", 1),
        ("made cdcdcdcd", 1),
    ]


def test_bands_hold_all_that_are_not_worse_for_sure_than_their_best(
    monkeypatch: pytest.MonkeyPatch, entries: dict[str, Entry]
) -> None:
    """A is better than B for sure, and C can be told from neither."""
    good = entries["good"].rows["unseen"]
    made = [replace(good, encoder=name, f1=Estimate(f1)) for name, f1 in (("A", 0.9), ("B", 0.8), ("C", 0.7))]
    monkeypatch.setattr("taxbench.board.entries._surely_better", lambda a, b, *_: (a.encoder, b.encoder) == ("A", "B"))
    ranks = {row.encoder: rank for row, rank in _ranked(made, {})}
    assert {name: rank.band for name, rank in ranks.items()} == {"A": 1, "B": 2, "C": 1}
    assert [(rank.place, rank.low, rank.high) for rank in ranks.values()] == [(1, 1, 2), (2, 2, 3), (3, 1, 3)]


def test_ranges_of_equal_systems_hold_every_place_as_often_as_they_say() -> None:
    """Pairwise intervals without a correction would part some of eight equal systems in half of the boards."""
    rng, parted = np.random.default_rng(3), 0
    design = hypernyms(12, 40, (3, 6))
    for _ in range(40):
        drawn = [
            replicates(one, "unseen", n=200)
            for [one] in draw(design, Effects("equal", own_leaf=0.3, seeds=(0.0,)), rng, 8)
        ]
        values = [each.macro_f1 for each in drawn]
        apart = [(interval(a - b, 12, 0.05 / 7, DIFFERENCE)[0] or 0) > 0 for a, b in permutations(values, 2)]
        parted += any(apart)
    assert parted <= 9  # an entry's seven differences hold at once in 95 %; those of all eight entries in rather fewer


def test_newer_versions_of_a_task_are_never_pooled_with_older_ones(tmp_path: Path) -> None:
    result = record(tmp_path, 1, 1.0)
    newer = result.run.task.model_copy(update={"version": result.run.task.version + 1})
    other = result.model_copy(update={"run": result.run.model_copy(update={"task": newer})})
    rows = make_table([result, other])
    assert len(rows) == 2 and [row.task for row in newest(rows)] == [newer]
    elsewhere = replace(next(row for row in rows if row.task != newer), dataset="photos")
    assert newest([*rows, elsewhere])[-1] is elsewhere  # where nobody has run the newer one
