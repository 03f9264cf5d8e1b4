"""Entries: complete ones are ranked with the places they might have, the others are shown."""

from pathlib import Path

import pytest

from taxbench.board.build import make_board
from taxbench.board.found import find
from taxbench.board.model import TASKS, Board, Entry
from taxbench.board.resampling import Resamplings
from taxbench.progress import Reporter
from taxbench.registry.heads import head_spec
from taxbench.specs.run import EncoderId
from tests.board.records import record


def board_of(out: Path) -> Board:
    return make_board(find([out]), (), Resamplings(), (), Reporter(quiet=True))[0]


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


def test_only_complete_entries_that_are_no_controls_are_ranked(entries: dict[str, Entry]) -> None:
    partial = entries["partial"]
    assert partial.rank is None and set(partial.missing) == set(TASKS) - {"unseen_hypernym"}
    assert partial.coherence_effect.mean is None
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
        high, low = rows["counterfactual_high"].f1.mean, rows["counterfactual_low"].f1.mean
        assert high is not None and low is not None
        assert effect.mean == pytest.approx(high - low) and effect.low < effect.mean < effect.high and effect.sd


def test_seeds_that_differ_leave_an_entry_incomplete(tmp_path: Path) -> None:
    for task in TASKS:
        record(tmp_path, 1, 1.0, task)
    record(tmp_path, 2, 1.0, "unseen_hypernym")
    (entry,) = board_of(tmp_path).entries
    assert entry.seeds == (1, 2) and set(entry.missing) == set(TASKS) - {"unseen_hypernym"} and entry.rank is None
