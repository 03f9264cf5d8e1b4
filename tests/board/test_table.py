"""The table: means over seeds, blanks where something is missing, and no mixing of different runs."""

import json

import pytest

from taxbench.board.render import csv_text, json_text, markdown
from taxbench.board.table import make_table
from taxbench.registry.tasks import find_tasks
from taxbench.specs.result import Evidence, Result, Scores, Versions, VisualSimilarity
from taxbench.specs.run import DatasetId, EncoderId, HeadSpec, LMId, RunSpec, TrainerSpec


def scores(f1: float | None) -> Scores:
    return Scores(macro_f1=f1, auroc=f1, accuracy=f1, chance_f1=0.5, n_questions=10, n_categories=2, n_one_class=0)


def result(seed: int = 42, f1: float | None = 0.8, twin: float = 0.4, **changes: object) -> Result:
    run = RunSpec(
        task=find_tasks().tasks["unseen_hypernym"], dataset=DatasetId(name="pocket", fingerprint="f"),
        encoder=EncoderId(name="pocket", digest="e", features="k"), lm=LMId(name="pocket", digest="l", dtype="float32"),
        head=HeadSpec(name="mlp"), trainer=TrainerSpec(), seed=seed,
    ).model_copy(update=changes)  # fmt: skip
    evidence = Evidence(n_images=1, n_leaf_questions=1, n_hypernym_questions=0, removed_fraction=1.0, heldout_leaves=(),
                        dropped_leaves=(), fixed_points=())  # fmt: skip
    return Result(
        digest=run.digest, task=run.task.identity, dataset="pocket", encoder="pocket", lm="pocket", head="mlp",
        seed=seed,
        scores={"leaf": scores(0.9), "unseen": scores(f1), "heldout_leaf": scores(0.7)},
        controls={"random_lm": {"unseen": scores(twin)}}, validation=scores(0.9), categories=(), evidence=evidence,
        visual_similarity=VisualSimilarity(before=0.3, after=0.2, categories=()), run=run,
        versions=Versions(taxbench="0", python="3", torch="2", transformers="5", numpy="2"),
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


def test_runs_with_different_settings_are_never_averaged() -> None:
    rows = make_table([result(7), result(42, trainer=TrainerSpec(epochs=3))])
    assert [row.seeds for row in rows] in ([(7,), (42,)], [(42,), (7,)])


def test_all_forms_carry_the_same_figures() -> None:
    rows = make_table([result(7, 0.6), result(42, 0.8)])
    assert "| unseen_hypernym@1 | unseen | 0.900 ± 0.000 | 0.700 ± 0.141 |" in markdown(rows)
    header, line = csv_text(rows).splitlines()
    assert dict(zip(header.split(","), line.split(","), strict=True))["f1"] == "0.700000"
    assert json.loads(json_text(rows))[0]["f1"]["mean"] == pytest.approx(0.7)
