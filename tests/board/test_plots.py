"""What charts and figures show, as numbers, the same for the page and for papers."""

from dataclasses import replace

import pytest

from taxbench.board.board import NOTHING, Board, Row
from taxbench.board.plots import (
    MOST_CURVES,
    PAIRING_NAMES,
    bars,
    deprivations,
    heatmaps,
    main_heatmaps,
    plots,
    scatters,
)
from taxbench.board.references import references
from taxbench.board.series import Series
from taxbench.board.sweeps import sweeps
from taxbench.specs.result import Similarity
from tests.board.boards import TERMS, board, empty_board, entry, row

NAMES = {"dataset": "d", "lm": "l", "encoder": "e", "head": "h", "features": "", "setting": ""}


def curves(given: Board) -> dict[tuple[str, str], tuple[Series, ...]]:
    return {(each.dataset, each.kind): each.curves for each in deprivations(given)}


def percents(curve: Series) -> list[float]:
    return [round(point.x, 1) for point in curve.points]


def test_measured_curves_end_where_all_is_denied_and_published_ones_stand_beside_them() -> None:
    found = curves(replace(board(), references=references()))
    assert list(found) == [(name, kind) for name in ("pocket", "things") for kind in ("random", "systematic")]
    (curve,) = found["pocket", "random"]
    assert (curve.name, curve.published) == ("wordnet-lm, pocket-conv", False)
    assert percents(curve) == [10, 30, 50, 70, 90, 100] and len(curve.twin) == 6
    assert [(each.name, each.published) for each in found["pocket", "systematic"]] == [
        ("wordnet-lm, pocket-conv, negatives: drop", False),
        ("wordnet-lm, pocket-conv, negatives: keep", False),
    ]
    mine, *published = found["things", "random"]
    assert percents(mine) == [10, 30, 50, 70, 90, 100]
    assert len(published) == 4 and all(each.published and percents(each)[-1] == 100 for each in published)
    (curve,) = [each for each in found["things", "systematic"] if each.name == "Qwen3-1.7B, DINOv2"]
    assert percents(curve) == [18.9, 37.7, 56.6, 75.5, 100] and len(curve.twin) == 5
    assert curve.points[0].y == pytest.approx(0.7209, abs=1e-4)  # without one-class terms


def test_an_axis_begins_below_every_figure() -> None:
    deep = [replace(each, f1=0.15, two_class_f1=None) for each in references() if each.deprivation == "random"]
    found = deprivations(replace(board(), references=tuple(deep)))
    assert [each.bottom for each in found] == [0.3, 0.3, 0.1]


def test_levels_are_those_that_training_was_denied_in_effect() -> None:
    def changed(each: Row) -> Row:
        assert each.evidence is not None and each.visual_similarity is not None
        known = tuple(Similarity(hypernym=term, before=0.1, after=0.1) for term in ("a", "b", "c"))
        return replace(
            each,
            evidence=each.evidence.model_copy(update={"removed_fraction": 0.482, "removed_hypernyms": ("c", "d")}),
            visual_similarity=each.visual_similarity.model_copy(update={"categories": known}),
        )

    tasks = ("deprivation_random-0.3", "deprivation_systematic_drop-0.2")
    rows = (row("unseen_hypernym", NAMES), *(changed(row(task, NAMES)) for task in tasks))
    found = curves(replace(empty_board(), rows=rows))
    assert percents(found["d", "random"][0]) == [48.2, 100] and percents(found["d", "systematic"][0]) == [50, 100]
    bare = tuple(replace(each, evidence=None, visual_similarity=None) for each in rows)
    found = curves(replace(empty_board(), rows=bare))
    assert percents(found["d", "random"][0]) == [30, 100] and percents(found["d", "systematic"][0]) == [20, 100]


@pytest.mark.parametrize(
    "change", [{"random_lm": True}, {"deprivation": "full"}, {"pairing": "within_category"}, {"split": "seen"}]
)
def test_published_curves_leave_out_other_pairings_and_splits_and_lone_points(change: dict[str, str]) -> None:
    name, value = next(iter(change.items()))
    kept = [each for each in references() if getattr(each, name) == value]
    assert kept or name == "split"
    assert not deprivations(replace(empty_board(), references=tuple(kept)))


def test_a_level_without_a_score_is_no_point_and_too_many_curves_are_counted() -> None:
    one = board()
    blank = tuple(replace(each, f1=NOTHING) if each.name == "deprivation_random-0.3" else each for each in one.rows)
    assert percents(curves(replace(one, rows=blank))["pocket", "random"][0]) == [10, 50, 70, 90, 100]
    more = [row(task, NAMES | {"lm": f"lm-{number}"}) for number in range(MOST_CURVES + 2)
            for task in ("deprivation_random-0.3", "deprivation_random-0.5")]  # fmt: skip
    (found,) = deprivations(replace(empty_board(), rows=tuple(more)))
    assert len(found.curves) == MOST_CURVES and found.n_more == 2
    assert deprivations(replace(empty_board(), rows=(more[0],))) == ()


def test_terms_are_those_of_the_leading_entry_under_each_pairing() -> None:
    found = scatters(board())
    assert [each.entry.place[1:4] for each in found] == [
        ("qwen3-0.6b", "dinov2-reg-large", "mlp"),
        ("llama-3.2-1b", "dinov2-reg-large", "mlp"),
    ]
    assert [each.name for each in found[0].terms] == list(PAIRING_NAMES.values()) and found[0].chance == 0.492
    assert [len(each.points) for each in found[0].terms] == [len(TERMS)] * 3 and scatters(empty_board()) == ()


def test_heatmaps_keep_apart_what_was_not_run_and_what_has_no_score() -> None:
    grid = heatmaps(board())[0]
    assert (grid.dataset, grid.head, grid.encoders) == ("pocket", "mlp", ("dinov2-reg-large", "pixels", "pocket-conv"))
    cells = dict(zip(grid.lms, grid.f1, strict=True))
    assert cells["wordnet-lm"][0] is None and cells["llama-3.2-1b"][1] == NOTHING
    assert {len(line) for line in (*grid.f1, *grid.transfer)} == {len(grid.encoders)}
    own, twins = grid.lms[: len(grid.transfer)], grid.lms[len(grid.transfer) :]
    assert twins == tuple(f"{lm}, random weights" for lm in own) and len(grid.f1) == len(grid.lms)
    transfer = dict(zip(own, grid.transfer, strict=True))["wordnet-lm"][2]
    pair = [cells[name][2] for name in ("wordnet-lm", "wordnet-lm, random weights")]
    assert all(pair) and transfer is not None


def test_the_main_heatmap_is_of_the_head_that_most_pairs_have_and_of_no_control() -> None:
    one = board()
    small = [replace(each, head="ridge", setting="") for each in one.entries[:2]]
    control = [replace(each, head="oracle", is_control=True) for each in one.entries]
    several = replace(one, entries=(*small, *control, *one.entries))
    assert [each.head for each in heatmaps(several)[:3]] == ["ridge", "oracle", "oracle"]
    assert [(each.dataset, each.head) for each in main_heatmaps(several)] == [("pocket", "mlp"), ("things", "mlp")]


def test_bars_show_the_best_complete_entry_of_each_pair_and_no_control() -> None:
    for each in bars(board()):
        assert len({(entry.lm, entry.encoder) for entry in each.entries}) == len(each.entries) <= 6
        assert all(set(PAIRING_NAMES) <= set(entry.rows) and not entry.is_control for entry in each.entries)
    assert [each.dataset for each in bars(board())] == ["pocket", "things"] and bars(empty_board()) == ()


def test_every_figure_has_a_name_of_its_own() -> None:
    stems = [plot.stem for plot in plots(board())]
    assert stems == [f"{kind}-{name}" for kind in ("counterfactual", "heatmap", "deprivation")
                     for name in ("pocket", "things")]  # fmt: skip
    entries = tuple(replace(each, dataset=each.dataset.replace("things", "Pocket!")) for each in board().entries)
    alike = [plot.stem for plot in plots(replace(board(), entries=entries))]
    assert len(set(alike)) == len(alike) and "heatmap-pocket-2" in alike


def swept(rates: tuple[float, ...], heads: tuple[str, ...] = ("mlp", "linear"), **more: object) -> Board:
    """Return a board of heads that were each run with several learning rates."""
    made = [
        entry({**NAMES, "head": head, "setting": f"learning_rate={rate}"}, 0.5 + 0.1 * place)
        for head in heads for place, rate in enumerate(rates)
    ]  # fmt: skip
    own = {head: {"hidden": 512} if head == "mlp" else {} for head in heads}
    settings = [{"learning_rate": rate, "epochs": 5, **own[head], **more} for head in heads for rate in rates]
    entries = tuple(
        replace(each, rows={role: replace(one, settings=mine) for role, one in each.rows.items()})
        for each, mine in zip(made, settings, strict=True)
    )
    return Board(entries, tuple(one for each in entries for one in each.rows.values()))


def test_a_setting_that_was_tried_with_several_values_is_a_curve_for_each_head() -> None:
    (found,) = sweeps(swept((0.01, 0.001, 0.1)))
    assert (found.dataset, found.setting, found.role, found.values) == (
        "d",
        "learning_rate",
        "unseen",
        (0.001, 0.01, 0.1),
    )
    assert {each.name for each in found.curves} == {"mlp", "linear"} and found.n_more == 0
    rows = {
        (row.head, row.settings["learning_rate"]): row
        for row in swept((0.01, 0.001, 0.1)).rows
        if row.name == "unseen_hypernym"
    }
    for curve in found.curves:
        assert [point.x for point in curve.points] == [0, 1, 2]
        assert [point.y for point in curve.points] == [rows[curve.name, rate].f1.mean for rate in found.values]
    (plot,) = [each for each in plots(swept((0.01, 0.001))) if each.stem.startswith("sweep")]
    assert plot.stem == "sweep-learning-rate-d"


def test_one_value_is_no_curve_and_another_setting_is_another_curve() -> None:
    assert sweeps(swept((0.01,))) == () and sweeps(board()) == ()
    one, other = swept((0.01, 0.001), ("mlp",)), swept((0.01, 0.1), ("mlp",), epochs=9)
    (found, *_) = sweeps(Board((*one.entries, *other.entries), (*one.rows, *other.rows)))
    assert found.setting == "learning_rate" and {each.name for each in found.curves} == {
        "mlp, epochs=5",
        "mlp, epochs=9",
    }
    assert sorted([point.x for point in each.points] for each in found.curves) == [[0, 1], [1, 2]]
