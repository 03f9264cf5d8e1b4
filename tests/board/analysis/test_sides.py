"""The sides of a comparison: one system each, or a message that lists what is there."""

from pathlib import Path

import pytest

from taxbench.board.analysis.systems import System, compare_systems, find_sides
from taxbench.results.records import result_bytes, result_folder
from taxbench.specs.run import DatasetId, HeadSpec, LanguageId, TrainerSpec
from taxbench.specs.task import PromptSpec
from taxbench.util.errors import DataError, UsageError
from tests.board.records import record

LINEAR = HeadSpec(name="linear")


def find_system(name: str, results: list[Path]) -> System:
    """Return the system of one side."""
    return find_sides(name, name, results)[0]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    for seed in (7, 42):
        record(folder, seed, 2.0)
        record(folder, seed, 0.5, head=LINEAR)
        record(folder, seed, 2.0, "leaf")
        record(folder, seed, 1.0, "leaf", head=LINEAR)
    return folder


def test_names_choose_one_system_and_all_tasks_of_both_are_compared(results: Path) -> None:
    found = compare_systems(find_system("head=mlp,lm=speaker", [results]), find_system("head=linear", [results]))
    assert [(each.fact, each.a, each.b) for each in found.apart] == [("head", "mlp", "linear")]
    assert [row.task.partition("@")[0] for row in found.tasks] == ["leaf", "unseen_hypernym"]
    assert all(row.comparison.seeds == (7, 42) for row in found.tasks) and not found.notes
    unseen = found.tasks[1]
    f1 = unseen.comparison.macro_f1
    assert f1.difference is not None and f1.low is not None and f1.difference > f1.low > 0
    ps = sorted(row.comparison.permutation_p or 1 for row in found.tasks)
    assert sorted(row.holm_p or 1 for row in found.tasks) == pytest.approx([2 * ps[0], max(2 * ps[0], ps[1])])


@pytest.mark.parametrize(("name", "said"), [
    ("head=mpl", r"no result has head=mpl\. Did you mean 'mlp'\? There are linear, mlp"),
    ("hed=mlp", r"no result has 'hed'\. Did you mean 'head'"),
    ("model=speaker", r"2 systems[\s\S]*head=linear +\(leaf, unseen_hypernym; seeds 7, 42\)[\s\S]*"
     r"compare model=speaker,head=linear model=speaker,head=mlp --results"),
    ("head=mlp,epochs=3", "no result has epochs=3. There are 4"), ("nowhere", "No such folder: 'nowhere'"),
    ("head=mlp,device", "no result has head=mlp,device"), ("=mlp", "no result has ''"),
])  # fmt: skip
def test_what_is_no_one_system_is_said(results: Path, name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        find_system(name, [results])


def test_the_command_that_is_proposed_has_both_sides(results: Path, tmp_path: Path) -> None:
    for seed in (7, 42):
        record(tmp_path, seed, 2.0, trainer=TrainerSpec(epochs=3))
        record(tmp_path, seed, 1.0, "leaf", head=LINEAR, trainer=TrainerSpec(epochs=2))
    places, where = [results, tmp_path], f" --results {results} --results {tmp_path} --task 'my leaf'"
    for sides, proposed in (
        (("lm=speaker,head=mlp,epochs=3", "head=linear"), "lm=speaker,head=mlp,epochs=3 head=linear,epochs=4"),
        (("head=linear,epochs=2", "head=mlp"), "head=linear,epochs=2 head=mlp,epochs=4"),  # which was asked leaves too
        (("head=mlp", "head=linear"), "head=mlp,epochs=4 head=linear,epochs=4"),
    ):
        with pytest.raises(UsageError, match="2 systems") as raised:
            find_sides(*sides, places, " --task 'my leaf'")
        assert str(raised.value).splitlines()[-1] == f"Say which: taxbench compare {proposed}{where}"
        assert all(len(side.tasks) for side in find_sides(*proposed.split(), places))
    with pytest.raises(UsageError) as raised:
        find_sides(str(results), str(tmp_path / "leaf"), [])
    assert str(raised.value).endswith(f"compare head=linear {tmp_path / 'leaf'} --results {results}")


def test_a_folder_is_a_side_and_settings_behind_the_same_names_tell_systems_apart(tmp_path: Path) -> None:
    record(tmp_path / "a")
    record(tmp_path / "b", trainer=TrainerSpec(epochs=3))
    found = compare_systems(find_system(str(tmp_path / "a"), []), find_system(str(tmp_path / "b"), []))
    assert [(each.fact, each.a, each.b) for each in found.apart] == [("epochs", "4", "3")]
    with pytest.raises(UsageError, match=r"2 systems[\s\S]*epochs=4 [\s\S]*epochs=3 "):
        find_system(str(tmp_path), [])
    assert find_system("epochs=3", [tmp_path]).tasks


@pytest.mark.parametrize("changed", [
    {"prompt": PromptSpec(frame="qa")},
    {"prompt": PromptSpec(answer_form="both")},
    {"dataset": DatasetId(name="made", fingerprint="f0" * 8, properties="0a" * 8)},
    {"language": LanguageId(asked="0b" * 8, prompt=PromptSpec())},
    {"language": LanguageId(taught="0c" * 8, prompt=PromptSpec())},
    {"language": LanguageId(prompt=PromptSpec(frame="qa"))},
])  # fmt: skip
def test_whatever_keeps_runs_apart_tells_systems_apart(tmp_path: Path, changed: dict[str, object]) -> None:
    plain = {"language": LanguageId(prompt=PromptSpec())} if "language" in changed else {}
    record(tmp_path / "a", **plain)
    record(tmp_path / "b", **changed)
    (fact,) = compare_systems(*(find_system(str(tmp_path / name), []) for name in "ab")).apart
    with pytest.raises(UsageError, match="holds 2 systems"):
        find_system(str(tmp_path), [])
    assert find_system(f"{fact.fact}={fact.b}", [tmp_path]).tasks


def test_a_first_look_is_told_from_a_whole_run_by_its_limit_alone(tmp_path: Path) -> None:
    record(tmp_path), record(tmp_path, dataset=DatasetId(name="made", fingerprint="0f" * 8, limit=8))
    with pytest.raises(UsageError, match="holds 2 systems") as refused:
        find_system("head=mlp", [tmp_path])
    assert {line.split()[0] for line in str(refused.value).splitlines()[1:3]} == {"limit=none", "limit=8"}
    assert find_system("head=mlp,limit=none", [tmp_path]).tasks


def test_settings_that_a_task_brings_are_no_other_system(tmp_path: Path) -> None:
    record(tmp_path)
    record(tmp_path, 42, 1.0, "leaf", trainer=TrainerSpec(epochs=3))
    assert len(find_system(str(tmp_path), []).tasks) == 2


def test_the_same_run_by_other_code_has_predictions_of_its_own(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    record(old, skill=2.0)
    made = record(new, skill=0.5)
    newer = made.model_copy(update={"versions": made.versions.model_copy(update={"numerics": "1"})})
    (result_folder(new, made.run) / "result.json").write_bytes(result_bytes(newer))
    sides = [find_system(name, [old, new]) for name in ("numerics=0", "numerics=1")]
    (row,) = compare_systems(*sides).tasks
    f1 = row.comparison.macro_f1
    assert f1.a is not None and f1.b is not None and f1.a > f1.b + 0.1


def test_what_cannot_be_compared_is_named_and_the_rest_is_compared(tmp_path: Path) -> None:
    record(tmp_path, 7), record(tmp_path, 42)
    record(tmp_path, 42, head=LINEAR)
    record(tmp_path, 7, 1.0, "leaf"), record(tmp_path, 42, 1.0, "leaf", head=LINEAR)
    record(tmp_path, 7, 1.0, "seen_hypernym")
    a, b = find_system("head=mlp", [tmp_path]), find_system("head=linear", [tmp_path])
    found = compare_systems(a, b)
    assert [row.task.partition("@")[0] for row in found.tasks] == ["unseen_hypernym"]
    notes = "\n".join(found.notes)
    for said in ("Only 'head=mlp' has seen_hypernym@", "of the seeds, 7 only one side has; compared are 42", "leaf@",
                 "no seed in common (7 and 42)", "taxbench run --seeds 42"):  # fmt: skip
        assert said in notes
    with pytest.raises(UsageError, match="no seed in common"):
        compare_systems(a, b, ["leaf"])
    with pytest.raises(UsageError, match=r"do not both have the task 'laef'\. Did you mean 'leaf'"):
        compare_systems(a, b, ["laef"])
    with pytest.raises(UsageError, match=r"no such split\. Did you mean 'unseen'"):
        compare_systems(a, b, split="unsen")


@pytest.mark.parametrize(("harm", "said"), [
    (lambda folder, other: (folder / "predictions.npz").write_bytes((other / "predictions.npz").read_bytes()),
     "is not the file that its record was written with"),
    (lambda folder, other: (folder / "predictions.npz").unlink(), "cannot be read"),
])  # fmt: skip
def test_predictions_must_be_those_of_the_record(tmp_path: Path, harm, said: str) -> None:  # type: ignore[no-untyped-def]
    folders = [result_folder(tmp_path, record(tmp_path, seed).run) for seed in (1, 2)]
    harm(*folders)
    one = find_system(str(tmp_path), [])
    with pytest.raises(DataError, match=said):
        compare_systems(one, one)
