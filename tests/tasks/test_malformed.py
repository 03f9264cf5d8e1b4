"""What is wrong in a task file is found all at once, each thing at its line, and one bad file hides no other."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxbench.tasks.diagnostics import dotted
from taxbench.tasks.inheritance import BUILTIN, TaskPath
from taxbench.tasks.registry import find_tasks
from taxbench.tasks.task_files import read_task_file
from taxbench.tasks.validation import validate
from taxbench.tasks.yaml_file import BadYaml, parse_yaml
from taxbench.util.errors import TaskError, UsageError
from tests.tasks.malformed import FILES, write_all
from tests.tasks.reading import load_task


@pytest.mark.parametrize("name", FILES)
def test_every_error_of_a_malformed_file_is_found_at_its_line(tmp_path: Path, name: str) -> None:
    write_all(tmp_path)
    findings = validate([tmp_path]).registry.findings[tmp_path / name]
    assert [(each.path, each.line) for each in findings] == [
        (str(tmp_path / name), line) for line, _ in FILES[name].found
    ]
    for finding, (line, words) in zip(findings, FILES[name].found, strict=True):
        assert words in finding.message and finding.level == "error"
        assert str(finding) == f"{tmp_path / name}:{line}:{finding.column}: {finding.message}"


def test_malformed_files_hide_no_task(tmp_path: Path) -> None:
    write_all(tmp_path)
    found = find_tasks([tmp_path])
    assert {name: task.digest for name, task in found.tasks.items()} == {
        name: task.digest for name, task in find_tasks().tasks.items()
    }
    assert set(found.broken) == {*(tmp_path / name for name in FILES), tmp_path / "_back.yaml"}
    assert found.resolve(["leaf"])[0].name == "leaf"
    with pytest.raises(TaskError, match="not valid YAML"):
        found.resolve(["indentation"])


def test_a_broken_task_that_is_named_says_all_that_is_wrong(tmp_path: Path) -> None:
    write_all(tmp_path)
    with pytest.raises(TaskError) as by_name:
        find_tasks([tmp_path]).resolve(["wrong_type"])
    with pytest.raises(TaskError) as by_path:
        load_task(tmp_path / "wrong_type.yaml")
    assert str(by_path.value).splitlines() == str(by_name.value).splitlines()[1:]
    assert len(str(by_path.value).splitlines()) == len(FILES["wrong_type.yaml"].found)
    with pytest.raises(UsageError, match="Unknown task or group 'wrong_typ'"):
        find_tasks([tmp_path]).resolve(["wrong_typ"])


def test_an_error_in_an_inherited_value_points_into_the_parent(tmp_path: Path) -> None:
    (tmp_path / "_p.yaml").write_text("version: 1\nquestions:\n  template: What is {this}?\n")
    (tmp_path / "child.yaml").write_text("name: child\nsummary: x\nextends: _p\ndeprivation: {kind: full}\n"
                                         "evaluate: [leaf]\nquestions: {negatives: fixed}\n")  # fmt: skip
    with pytest.raises(TaskError, match=r"_p\.yaml:3:3: questions.template: unknown placeholder"):
        load_task(tmp_path / "child.yaml")
    assert len(validate([tmp_path]).findings) == 1  # said once, though two files are the worse for it


def test_a_clash_with_what_is_inherited_is_reported_where_the_file_caused_it(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    for line in ("heldout_leaves: 0", "deprivation: {kind: none}", "evaluate: [seen]", "evaluate: [heldout_leaf]"):
        path.write_text(f"name: x\nextends: unseen_hypernym\n{line}\n")
        with pytest.raises(TaskError, match=r"x\.yaml:3:\d+: "):
            load_task(path)


def test_a_parent_that_cannot_be_read_is_reported_where_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "_p.yaml").write_text("version: [\n")
    (tmp_path / "child.yaml").write_text("name: child\nextends: _p\nfoo: 1\n")
    with pytest.raises(TaskError) as caught:
        load_task(tmp_path / "child.yaml")
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"{tmp_path}/child.yaml:2:1: extends '_p', which cannot be read: {tmp_path}/_p.yaml:2:1:")
    assert second.endswith("child.yaml:3:1: unknown field 'foo'")


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: 1\nb: \x07\n", (2, 4), "not valid YAML"),
        ("a: 1\n---\nb: 2\n", (2, 1), "not valid YAML"),
        ("- a\n", (1, 1), "expected a mapping"),
        ("", (1, 1), "expected a mapping"),
        ("a:\n\tb: 1\n", (2, 1), "not valid YAML"),
        ("a: !!python/object:os.system 1\n", (1, 4), "the tag !!python/object:os.system is not used here"),
    ],
)
def test_what_is_no_yaml_mapping_is_one_finding(tmp_path: Path, text: str, place: tuple[int, int], words: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(BadYaml) as caught:
        parse_yaml(path)
    assert (caught.value.finding.line, caught.value.finding.column) == place
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("line", "column", "words"),
    [
        ("settings: {epoch: 3}", 12, "nothing has the setting 'epoch'. Did you mean 'epochs'?"),
        ("settings: {epochs: 0}", 12, "settings.epochs: expected a value greater than or equal to 1, found 0"),
        ("settings: {pool: grid}", 12, "settings.pool: expected pooled, tokens or gridK"),
        ("questions: {answers: {positive: True}}", 23, 'write "True" in quotes'),
        ("evaluate: [leaf, leaf]", 1, "evaluate names a split twice"),
        ("metrics: [{name: auroc}, {name: auroc, primary: true}]", 1, "a metric is listed twice"),
    ],
)
def test_settings_and_lists_are_checked_where_they_stand(tmp_path: Path, line: str, column: int, words: str) -> None:
    (tmp_path / "x.yaml").write_text(f"name: x\nextends: leaf\n{line}\n")
    (finding,) = validate([tmp_path]).findings
    assert (finding.line, finding.column) == (3, column) and words in finding.message


def test_weights_of_a_wrong_shape_are_one_finding(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("group: x\nsummary: s\nmembers: [leaf]\nweights: [1]\n")
    (finding,) = validate([tmp_path]).findings
    assert finding.line == 4 and "expected equal, or a mapping such as {leaf: 1" in finding.message


def test_a_folder_without_task_files_is_no_success(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No task file"):
        validate([tmp_path])


def test_bytes_that_are_no_text_and_files_that_are_gone_are_findings(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"name: \xff\n")
    with pytest.raises(
        TaskError, match=r"x\.yaml' cannot be read as text: it is not UTF-8 at byte 6\. Save it as UTF-8"
    ):
        load_task(tmp_path / "x.yaml")
    with pytest.raises(TaskError, match="cannot be read"):
        load_task(tmp_path / "gone.yaml")


def test_a_file_that_refers_to_itself_by_an_alias_is_refused_and_nothing_hangs(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("name: x\nextends: leaf\nsettings: &s {a: *s}\ntags: &t [*t]\n")
    assert {each.line for each in validate([tmp_path]).findings} == {3}


_KEYS = st.sampled_from(["name", "version", "deprivation", "kind", "questions", "levels", "metrics", "values", "odd"])
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=True) | st.sampled_from(["leaf", "x", "full"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=6,
)


@given(data=st.dictionaries(st.sampled_from(
    ["name", "version", "summary", "deprivation", "counterfactual", "questions", "evaluate", "levels", "metrics",
     "settings", "expected", "extends", "group", "members", "weights", "tags"]), _VALUES))  # fmt: skip
def test_any_mapping_is_either_a_task_or_a_list_of_findings(
    tmp_path_factory: pytest.TempPathFactory, data: dict[str, object]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(json.dumps(data).replace("NaN", ".nan").replace("Infinity", ".inf"))
    found = read_task_file(path, TaskPath((BUILTIN,)))
    assert bool(found.names) != bool(found.findings)
    assert all(each.line >= 1 and each.message for each in found.findings)


def test_keys_are_written_as_people_write_them() -> None:
    assert dotted(("metrics", 0, "name")) == "metrics[0].name"
