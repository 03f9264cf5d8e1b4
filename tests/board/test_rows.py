"""The table: means over seeds, blanks where something is missing, and no mixing of different runs."""

import pytest

from taxbench.board.group_averages import group_averages
from taxbench.board.published import compare_with_published
from taxbench.board.render.text_table import text_table
from taxbench.board.roles import task_order
from taxbench.board.rows import make_table
from taxbench.specs.group import GroupSpec
from taxbench.specs.result import Evidence, Result, Scores, Versions, VisualSimilarity
from taxbench.specs.run import DatasetId, EncoderId, HeadSpec, LMId, RunSpec, TrainerSpec
from tests.board.boards import SPECS


def scores(f1: float | None) -> Scores:
    return Scores(macro_f1=f1, auroc=f1, accuracy=f1, chance_f1=0.5, n_questions=10, n_categories=2, n_one_class=0)


def result(seed: int = 42, f1: float | None = 0.8, twin: float = 0.4, **changes: object) -> Result:
    run = RunSpec(
        task=SPECS["unseen_hypernym"], dataset=DatasetId(name="pocket", fingerprint="f"),
        encoder=EncoderId(name="pocket", digest="e", features="c"), lm=LMId(name="pocket", digest="b", dtype="float32"),
        head=HeadSpec(name="mlp"), trainer=TrainerSpec(), seed=seed,
    ).model_copy(update=changes)  # fmt: skip
    evidence = Evidence(n_images=1, n_leaf_questions=1, n_hypernym_questions=0, removed_fraction=1.0, heldout_leaves=(),
                        removed_hypernyms=(), leaks=(), dropped_leaves=(), fixed_points=())  # fmt: skip
    return Result(
        run=run, is_control=False,
        scores={"leaf": scores(0.9), "unseen": scores(f1), "heldout_leaf": scores(0.7)},
        controls={"random_lm": {"unseen": scores(twin)}}, validation=scores(0.9), categories=(), evidence=evidence,
        visual_similarity=VisualSimilarity(before=0.3, after=0.2, categories=()),
        predictions=None,
        versions=Versions(taxbench="0", numerics="0", python="3", torch="2", transformers="5", numpy="2"),
    )  # fmt: skip


def test_seeds_are_averaged_with_their_spread_and_transfer_is_paired() -> None:
    (row,) = make_table([result(7, 0.6, 0.2), result(42, 0.8, 0.4)])
    assert row.seeds == (7, 42)
    assert row.f1.mean == pytest.approx(0.7) and row.f1.sd == pytest.approx(0.141421, abs=1e-5)
    assert row.transfer.mean == pytest.approx(0.4) and row.transfer.sd == pytest.approx(0.0)
    assert str(row.f1) == "0.700 ± 0.141"


def test_a_seed_without_a_score_leaves_the_average_blank() -> None:
    (row,) = make_table([result(7, None), result(42, 0.8)])
    assert row.f1.mean is None and str(row.f1) == "–" and row.transfer.mean is None
    assert row.leaf_f1.mean == pytest.approx(0.9)


def test_an_lm_that_hardly_tells_names_apart_is_marked() -> None:
    weak = [result(seed).model_copy(update={"name_auroc": auroc}) for seed, auroc in ((7, 0.66), (42, 0.55))]
    (row,) = make_table(weak)
    assert row.note == "this LM hardly tells names apart: AUROC 0.55"
    assert "this LM hardly tells names apart: AUROC 0.55" in text_table([row])
    (row,) = make_table([weak[0]])
    assert row.note == ""


def test_runs_with_different_settings_are_never_averaged() -> None:
    rows = make_table([result(7), result(42, trainer=TrainerSpec(epochs=3))])
    assert [row.seeds for row in rows] in ([(7,), (42,)], [(42,), (7,)])


def test_a_run_that_lies_in_two_folders_counts_once_and_other_code_stands_apart() -> None:
    (row,) = make_table([result(7, 0.6), result(42, 0.8), result(42, 0.8)])
    assert row.seeds == (7, 42)
    task = SPECS["unseen_hypernym"].model_copy(update={"summary": "other words"})
    assert len(make_table([result(7), result(42, task=task)])) == 1
    newer = result(42).versions.model_copy(update={"torch": "3"})
    rows = make_table([result(7), result(42).model_copy(update={"versions": newer})])
    assert {row.setting for row in rows} == {"torch 2", "torch 3"}


def test_rows_say_what_is_not_as_by_default_and_what_tells_them_apart() -> None:
    task = SPECS["unseen_hypernym"]
    versions = [task.model_copy(update={"heldout_leaves": share, "name": "u"}) for share in (0.2, 0.3)]
    other = DatasetId(name="pocket", fingerprint="ff")
    rows = make_table(
        [
            result(),
            result(trainer=TrainerSpec(epochs=3), head=HeadSpec(name="mlp", settings={"dropout": 0.5, "hidden": 512})),
            result(dataset=other),
            *(result(task=changed) for changed in versions),
        ]
    )
    assert {row.setting for row in rows} == {"", "epochs=3, dropout=0.5"}
    assert {row.dataset for row in rows} == {"pocket f", "pocket ff"}
    text = text_table(rows)
    assert text.startswith("**LM pocket ← encoder pocket · dataset pocket f · seed 42**")  # several settings: one table
    assert "| epochs=3, dropout=0.5 | unseen_hypernym@2 " in text and "| head | features | setting " in text
    assert "seed 42 · epochs=3**" in text_table(make_table([result(trainer=TrainerSpec(epochs=3))]))
    assert all(f"| {changed.identity} " in text for changed in versions) and "| unseen_hypernym@2 " in text


def test_a_group_is_averaged_by_weight_only_where_every_member_is_there() -> None:
    rows = make_table([result(seed, f1) for seed, f1 in ((7, 0.6), (42, 0.8))]
                      + [result(seed, 0.4, task=SPECS["counterfactual_low"]) for seed in (7, 42)])  # fmt: skip
    both = GroupSpec(group="both", summary="", members=("unseen_hypernym", "counterfactual_low"),
                     weights={"unseen_hypernym": 3, "counterfactual_low": 1})  # fmt: skip
    (row,) = group_averages(rows, [both])
    assert row.average.mean == pytest.approx((3 * 0.7 + 0.4) / 4) and row.blank_because == ""
    more = both.model_copy(update={"members": (*both.members, "leaf"), "weights": "equal"})
    (row,) = group_averages(rows, [more])
    assert row.average.mean is None and row.blank_because == "1 of 3 members missing: leaf"
    assert "average: – (1 of 3 members missing: leaf)" in text_table(rows, [row])
    (row,) = group_averages(rows[:1] + make_table([result(1, 0.4, task=SPECS["counterfactual_low"])]), [both])
    assert row.blank_because == "the members were run with different seeds"
    assert group_averages(rows, [both.model_copy(update={"weights": None})]) == []


def test_published_figures_stand_beside_runs_of_the_same_task_dataset_encoder_and_lm() -> None:
    paper = SPECS["paper_full"]
    ran = result(
        7, 0.7, task=paper, dataset=DatasetId(name="things", fingerprint="f"),
        encoder=EncoderId(name="dinov2-reg-large", digest="e", features="c"),
        lm=LMId(name="qwen3-1.7b", digest="b", dtype="float32"),
    )  # fmt: skip
    found = compare_with_published(make_table([ran]), SPECS)
    cells = {(each.split, each.control): each for each in found}
    assert set(cells) == {("leaf", "none"), ("unseen", "none"), ("unseen", "random_lm")}
    unseen = cells["unseen", "none"]
    assert unseen.value == unseen.published.two_class and unseen.difference == pytest.approx(0.7 - unseen.value)
    assert "arXiv 2603.07474" in text_table(make_table([ran]), (), found)
    changed = ran.run.model_copy(update={"task": paper.model_copy(update={"leaks": "drop"})})
    other = ran.model_copy(update={"run": changed})
    assert compare_with_published(make_table([other]), SPECS) == []


def test_tasks_stand_in_the_order_of_the_question_and_curves_by_level() -> None:
    names = ["deprivation_random-0.1", "deprivation_random-0.9", "paper_systematic-10", "paper_systematic-40"]
    given = ["leaf", "seen_hypernym", "unseen_hypernym", "counterfactual_high", "counterfactual_low",
             "counterfactual_graded-0.25", "counterfactual_graded-0.5", "counterfactual_swap", *names]  # fmt: skip
    assert [task.name for task in sorted((SPECS[name] for name in reversed(given)), key=task_order)] == given
    own = SPECS["unseen_hypernym"].model_copy(update={"name": "a_name_of_my_own"})
    assert task_order(SPECS["seen_hypernym"]) < task_order(own) < task_order(SPECS["counterfactual_high"])
