"""Records of every older form are read, with every figure as it was."""

import json
from pathlib import Path
from typing import Any

import pytest

from taxbench.results.migrations import migrate
from taxbench.results.records import read_result

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))
KEPT = ("digest", "task", "dataset", "encoder", "lm", "head", "seed", "scores", "controls", "validation")


def contains(new: Any, old: Any, where: str = "") -> None:
    """Hold that everything of the old record stands in the new one, unless it was wrapped into a list."""
    if isinstance(old, dict):
        for key, value in old.items():
            contains(new[key], value, f"{where}.{key}")
    elif isinstance(old, list):
        assert len(new) == len(old), where
        for index, (one, other) in enumerate(zip(new, old, strict=True)):
            contains(one, other, f"{where}[{index}]")
    else:
        assert new in (old, [old]) and type(new) in (type(old), list), where


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_every_figure_of_an_old_record_is_kept(path: Path) -> None:
    old, new = json.loads(path.read_text()), read_result(path).model_dump(mode="json")
    contains(new, {name: value for name, value in old.items() if name not in ("schema_version", "predictions")})
    assert all(new[name] == old[name] for name in KEPT)
    assert new["schema_version"] == 2 and new["predictions"] is None and new["code"]["commit"] is None


def test_all_releases_are_there() -> None:
    assert [path.stem for path in GOLDEN] == ["version1-6934332", "version1-7fb95e7", "version1-c4272b5"]


def test_what_a_release_did_not_say_is_what_it_did() -> None:
    first, last, middle = map(read_result, GOLDEN)
    assert [each.run.trainer.beta2 for each in (first, middle, last)] == [0.999, 0.999, 0.95]  # 0.999 was PyTorch's own
    assert [each.run.trainer.warmup for each in (first, middle, last)] == [0.1, 0.1, 0.2]
    assert first.run.task.questions.answers.positive == ("Yes",) and first.evidence.leaks == ()
    assert {each.run.encoder.reading for each in (first, middle, last)} == {"pooled"}
    assert all(row.controls == {} for row in first.categories)


def test_a_leaf_that_the_first_guard_dropped_said_the_hypernym_itself() -> None:
    old = json.loads(GOLDEN[0].read_text())
    old["evidence"]["dropped_leaves"] = ["bird"]
    assert migrate(old)["evidence"]["leaks"] == [{"leaf": "bird", "hypernym": "bird", "kind": "exact"}]


@pytest.mark.parametrize(("version", "said"), [
    (3, "schema_version is 3; expected 1 to 2; a newer taxbench wrote it: pip install --upgrade"),
    (0, "expected 1 to 2$"), (None, "is None"), ("1", "is '1'"), (True, "is True"), (1.0, "is 1.0"),
])  # fmt: skip
def test_other_forms_are_refused(version: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        migrate({"schema_version": version})


@pytest.mark.parametrize("record", [{}, {"run": 3}, {"run": {"task": []}, "evidence": None}, {"run": {"trainer": "x"}}])
def test_an_old_record_that_is_none_is_left_for_the_check_to_name(record: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(json.dumps({"schema_version": 1, **record}))
    from taxbench.util.errors import DataError

    with pytest.raises(DataError, match="no result of this version"):
        read_result(tmp_path / "result.json")
