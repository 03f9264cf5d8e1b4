"""Trained heads come back exactly, and under no other key."""

from pathlib import Path

import pytest
import torch

from taxbench.heads.base import SoftHead
from taxbench.heads.stored import checkpoint_path, head_path, load_head, read_curve, save_head
from taxbench.specs.run import TRAINING_FIELDS, EncoderId, HeadKey, HeadSpec, RunSpec, ScoringSpec, head_key
from taxbench.specs.side_files import LossCurve
from taxbench.specs.task import FullDeprivation, Graded, TaskSpec, WithinCategory
from taxbench.util.errors import CacheError, DiskError
from tests.board.test_rows import result
from tests.faults.disk import NoDisk, small_disk

RUN = result().run
KEY = head_key(RUN, "none", RUN.head, "code")
CURVE = LossCurve(step=(2, 4), loss=(0.7, 0.2), validation=((4, 0.3),))
# What a task says for people and about asking; it must not separate heads that are trained alike.
ASKING_FIELDS = {"name", "version", "summary", "tags", "evaluate", "controls", "metrics", "settings", "expected",
                 "property_questions", "world_scope"}  # fmt: skip


def changed(**changes: object) -> RunSpec:
    return RUN.model_copy(update=changes)


def make_head(seed: int) -> SoftHead:
    torch.manual_seed(seed)
    return SoftHead(torch.nn.Linear(4, 3), torch.zeros(4), torch.ones(4), 0.1)


def test_a_saved_head_comes_back_exactly(tmp_path: Path) -> None:
    one, two = make_head(1), make_head(2)
    with pytest.raises(CacheError, match="was removed"):
        load_head(tmp_path, KEY, two)
    save_head(tmp_path, KEY, one, CURVE)
    load_head(tmp_path, KEY, two)
    assert read_curve(tmp_path, KEY) == CURVE
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))


def test_a_full_disk_is_said_of_a_head_as_of_all_else(tmp_path: Path) -> None:
    large = SoftHead(torch.nn.Linear(400, 30), torch.zeros(400), torch.ones(400), 0.1)
    try:
        with (
            small_disk(tmp_path / "disk", 1) as disk,
            pytest.raises(
                DiskError, match=r"^'\S+' cannot be written \(No space left on device\)\. Nothing was changed"
            ),
        ):
            save_head(disk, KEY, large, CURVE)
    except NoDisk as error:
        pytest.skip(f"no small disk to fill ({error})")


def test_a_finished_head_needs_no_checkpoint(tmp_path: Path) -> None:
    path = checkpoint_path(tmp_path, KEY)
    path.parent.mkdir()
    path.touch()
    save_head(tmp_path, KEY, make_head(1), CURVE)
    assert not path.exists()


def test_a_truncated_head_is_refused_with_the_command_to_type(tmp_path: Path) -> None:
    save_head(tmp_path, KEY, make_head(1), CURVE)
    path = head_path(tmp_path, KEY)
    path.write_bytes(path.read_bytes()[:-8])
    for read in (lambda: load_head(tmp_path, KEY, make_head(1)), lambda: read_curve(tmp_path, KEY)):
        with pytest.raises(CacheError, match=f"rm '{path}'"):
            read()


def test_every_field_that_decides_the_weights_is_in_the_key() -> None:
    assert set(TaskSpec.model_fields) == TRAINING_FIELDS | ASKING_FIELDS
    assert set(HeadKey.model_fields) == (set(RunSpec.model_fields) - {"task", "scoring"}) | {
        "training",
        "variant",
        "code",
    }


def test_tasks_that_train_alike_share_heads_and_others_do_not() -> None:
    def key(**changes: object) -> str:
        return head_key(changed(task=RUN.task.model_copy(update=changes)), "none", RUN.head, "code").digest

    assert key(name="other", evaluate=("leaf",), summary="x", version=9) == KEY.digest
    assert key(deprivation=FullDeprivation(kind="full")) == KEY.digest
    assert key(counterfactual=WithinCategory(kind="within_category")) != KEY.digest
    assert key(heldout_leaves=0.3) != KEY.digest
    assert key(leaks="keep") != KEY.digest
    assert head_key(RUN, "random_lm", RUN.head, "code").digest != KEY.digest
    assert head_key(RUN, "none", HeadSpec(name="no_image"), "code").digest != KEY.digest
    assert head_key(RUN, "none", RUN.head, "other code").digest != KEY.digest
    assert head_key(changed(seed=43), "none", RUN.head, "code").digest != KEY.digest
    elsewhere = changed(encoder=EncoderId(name="other", digest="1", features="2"))
    assert head_key(elsewhere, "none", RUN.head, "code").digest != KEY.digest
    blind = [head_key(run, "none", RUN.head, "code", sees_features=False).digest for run in (RUN, elsewhere)]
    assert blind[0] == blind[1] != KEY.digest
    graded = RUN.task.model_copy(update={"counterfactual": Graded(kind="graded", similarity=0.5)})
    runs = (changed(task=graded), elsewhere.model_copy(update={"task": graded}))  # paired by what the encoder sees
    assert len({head_key(run, "none", RUN.head, "code", sees_features=False).digest for run in runs}) == 2
    calibrated = changed(scoring=ScoringSpec(calibration="batch"))
    assert calibrated.digest != RUN.digest and head_key(calibrated, "none", RUN.head, "code").digest == KEY.digest
