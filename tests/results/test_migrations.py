"""Records of every older form are read, with every figure as it was."""

import json
from pathlib import Path
from typing import Any

import pytest

from taxbench.results.migrations import migrate
from taxbench.results.records import read_result
from taxbench.specs.feature_key import FeatureOptions
from taxbench.specs.run import head_key
from taxbench.util.errors import DataError

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))
FIRST, SECOND = ([path for path in GOLDEN if path.stem.startswith(f"version{n}")] for n in (1, 2))
PUBLISHED = Path(__file__).parents[2] / "leaderboard" / "results"
REPEATED = ("digest", "task", "dataset", "encoder", "lm", "head", "seed")
by_stem = {"ids": lambda path: path.stem}


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


@pytest.mark.parametrize("path", GOLDEN, **by_stem)
def test_every_figure_of_an_old_record_is_kept(path: Path) -> None:
    old, result = json.loads(path.read_text()), read_result(path)
    new = result.model_dump(mode="json")
    encoder, versions = old["run"]["encoder"], old["versions"]
    assert result.run.encoder.reading == encoder.pop("reading", "pooled")
    assert new["versions"].pop("taxbench") == versions.pop("taxbench").partition("+")[0] == "0.1.0"
    first = old["schema_version"] == 1  # the same run and task had other digests then
    assert all(getattr(result, name) == old[name] for name in REPEATED[2 if first else 0 :])
    assert first is (new["predictions"] is None) is (new["code"]["commit"] is None)
    other = ("schema_version", *REPEATED, *(["predictions"] if first else []))
    contains(new, {name: value for name, value in old.items() if name not in other})
    assert new["schema_version"] == 3 and not new.keys() & set(REPEATED)


def test_all_releases_are_there() -> None:
    assert [path.stem for path in GOLDEN] == [
        "version1-6934332", "version1-7fb95e7", "version1-c4272b5",
        "version2-control", "version2-grid2", "version2-imported",
    ]  # fmt: skip


def test_facts_that_version_2_said_in_words_are_typed() -> None:
    control, grid, imported = map(read_result, SECOND)
    assert [each.is_control for each in (control, grid, imported)] == [True, False, False]
    assert grid.run.encoder.options == FeatureOptions(pool="grid2") and imported.run.encoder.options is None
    assert {each.versions.numerics for each in (control, grid, imported)} == {"1"}
    assert [each.versions.numerics for each in map(read_result, FIRST)] == ["75e10121", "2e6345d8", "d3ec2114"]


@pytest.mark.parametrize(("name", "value"), [
    ("digest", "0" * 16), ("task", "leaf@1#00000000"), ("lm", "another"), ("seed", 8), ("seed", 7.0), ("seed", None),
])  # fmt: skip
def test_a_record_of_version_2_that_contradicts_its_run_is_refused(name: str, value: object) -> None:
    record = json.loads(SECOND[0].read_text())
    with pytest.raises(ValueError, match=f"{name} is '{value}', but `run` says .*: one of them was edited"):
        migrate(record | {name: value})


@pytest.mark.parametrize("words", ["grid0", "layer -2", "pooled, layer", "<b>", "", 3])
def test_words_for_features_that_nobody_wrote_are_refused(words: object) -> None:
    record = json.loads(SECOND[0].read_text())
    record["run"]["encoder"]["reading"] = words
    with pytest.raises(ValueError, match=r"run\.encoder\.reading is .*; expected such as 'pooled'"):
        migrate(record)


def test_no_identity_of_a_published_record_has_moved() -> None:
    folders = sorted(path.parent for path in PUBLISHED.glob("*/*/result.json"))
    assert len(folders) >= 162
    for folder in folders:
        result = read_result(folder / "result.json")
        assert (
            result.digest[:8] == folder.name.rpartition("-")[2] and result.task.partition("@")[0] == folder.parent.name
        )
    result = read_result(Path(__file__).parent / "known.json")
    assert (result.digest, result.task) == ("4381a1f77186ddc6", "unseen_hypernym@1#9ba3713d")
    keys = [head_key(result.run, variant, result.run.head, "code").digest for variant in ("none", "random_lm")]
    assert keys == ["604246087ece5b7e54bc", "31e5fb86ec59f6609b98"]  # as commit baecad4 computed them


def test_what_a_release_did_not_say_is_what_it_did() -> None:
    first, last, middle = map(read_result, FIRST)
    assert [each.run.trainer.beta2 for each in (first, middle, last)] == [0.999, 0.999, 0.95]  # 0.999 was PyTorch's own
    assert [each.run.trainer.warmup for each in (first, middle, last)] == [0.1, 0.1, 0.2]
    assert first.run.task.questions.answers.positive == ("Yes",) and first.evidence.leaks == ()
    assert {each.run.encoder.reading for each in (first, middle, last)} == {"pooled"}
    assert all(row.controls == {} for row in first.categories)


def test_a_leaf_that_the_first_guard_dropped_said_the_hypernym_itself() -> None:
    old = json.loads(FIRST[0].read_text())
    old["evidence"]["dropped_leaves"] = ["bird"]
    assert migrate(old)["evidence"]["leaks"] == [{"leaf": "bird", "hypernym": "bird", "kind": "exact"}]


@pytest.mark.parametrize(("version", "said"), [
    (4, "schema_version is 4; expected 1 to 3; a newer taxbench wrote it: pip install --upgrade"),
    (0, "expected 1 to 3$"), (None, "is None"), ("1", "is '1'"), (True, "is True"), (1.0, "is 1.0"),
])  # fmt: skip
def test_other_forms_are_refused(version: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        migrate({"schema_version": version})


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("record", [{}, {"run": 3}, {"run": {"task": []}, "evidence": None}, {"run": {"trainer": "x"}},
                                    {"run": {"encoder": []}, "versions": {"taxbench": 1}}])  # fmt: skip
def test_an_old_record_that_is_none_is_left_for_the_check_to_name(
    version: int, record: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "result.json").write_text(json.dumps({"schema_version": version, **record}))
    with pytest.raises(DataError, match="not a result of this version"):
        read_result(tmp_path / "result.json")
