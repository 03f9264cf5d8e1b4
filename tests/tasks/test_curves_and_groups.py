"""`levels` make a curve of a task, groups name tasks; what a package offers is found without running it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from taxbench.tasks.registry import find_tasks
from taxbench.tasks.scaffold import write_new_task
from taxbench.tasks.validation import validate
from taxbench.util.errors import TaskError, UsageError
from tests.made import offer

CURVE = """\
name: curve
version: 1
summary: A curve.
tags: [mine]
deprivation: {kind: random, unit: concept}
levels: {field: deprivation.fraction, values: [0.1, 0.30, 0.5]}
evaluate: [leaf, seen, unseen]
"""


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_levels_make_a_task_each_and_a_curve_that_is_averaged(tmp_path: Path) -> None:
    write(tmp_path, "curve.yaml", CURVE)
    found = find_tasks([tmp_path])
    tasks = found.resolve(["curve"])
    assert [task.name for task in tasks] == ["curve-0.1", "curve-0.3", "curve-0.5"]
    assert [getattr(task.deprivation, "fraction", None) for task in tasks] == [0.1, 0.3, 0.5]
    group = found.groups["curve"]
    assert (group.members, group.weights, group.tags) == (tuple(task.name for task in tasks), "equal", ("mine",))
    assert found.resolve(["curve-0.3"]) == [tasks[1]]
    assert find_tasks().resolve([str(tmp_path / "curve.yaml")]) == tasks


def test_levels_are_inherited_and_can_be_changed(tmp_path: Path) -> None:
    write(tmp_path, "curve.yaml", CURVE)
    write(tmp_path, "child.yaml", "name: child\nextends: curve\nlevels: {values: [0.7]}\nheldout_leaves: 0.3\n")
    (task,) = find_tasks([tmp_path]).resolve(["child"])
    assert (task.name, task.heldout_leaves) == ("child-0.7", 0.3)


def test_a_value_of_ones_own_for_the_field_that_varies_is_refused_and_a_curve_can_be_switched_off(
    tmp_path: Path,
) -> None:
    write(tmp_path, "curve.yaml", CURVE)
    own = "name: {0}\nextends: curve\ndeprivation: {{kind: random, fraction: 0.33}}\n"
    child = write(tmp_path, "child.yaml", own.format("child"))
    with pytest.raises(
        TaskError, match=r"child.yaml:3:29: deprivation.fraction: no effect, since levels \(curve.yaml:6\)"
    ):
        find_tasks([tmp_path]).resolve(["child"])
    child.write_text(own.format("child") + "levels: null\n")
    write(tmp_path, "again.yaml", own.format("again") + "levels: {values: [0.2]}\n")
    found = find_tasks([tmp_path])
    (task,) = found.resolve(["child"])
    assert (task.name, getattr(task.deprivation, "fraction", None)) == ("child", 0.33)
    assert "no effect" in found.broken[tmp_path / "again.yaml"]


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("extends: curve\nlevels: null\n", (3, 1), "field 'fraction' is missing; the curve gave it"),
        ("extends: counterfactual_graded\ncounterfactual: {kind: across_category}\n", (3, 1),
         "counterfactual: has no 'similarity', which levels (counterfactual_graded.yaml:7) vary; say 'levels: null'"),
        ("extends: leaf\nlevels: {field: settings.epochs, values: [1]}\n", (3, 10), "settings are not part of a task"),
    ],
)  # fmt: skip
def test_what_does_not_fit_an_inherited_curve_is_said_in_the_file_that_caused_it(
    tmp_path: Path, text: str, place: tuple[int, int], words: str
) -> None:
    write(tmp_path, "curve.yaml", CURVE)
    child = write(tmp_path, "child.yaml", f"name: child\n{text}")
    found = find_tasks([tmp_path])
    (finding,) = found.findings[child]
    assert (finding.path, finding.line, finding.column) == (str(child), *place) and words in finding.message
    with pytest.raises(TaskError, match=r"child\.yaml:3"):
        found.resolve(["child-1"])


@pytest.mark.parametrize("parent", ["unseen_hypernym", "deprivation_random", "counterfactual_graded"])
def test_every_suggestion_of_a_new_file_can_be_taken(parent: str, tmp_path: Path) -> None:
    path = write_new_task("mine", parent, tmp_path, find_tasks())
    text = path.read_text()
    path.write_text(re.sub(r"^#(?=\S|  )", "", text, flags=re.M))
    assert path.read_text() != text
    assert find_tasks([tmp_path]).broken == {}


def test_each_level_keeps_its_own_published_figures(tmp_path: Path) -> None:
    rows = [("0.1", 0.9), ("0.3", 0.8), ("null", 0.5)]
    figures = "".join(f"    - {{encoder: e, lm: l, split: leaf, macro_f1: {f1}, level: {at}}}\n" for at, f1 in rows)
    path = write(tmp_path, "curve.yaml", f"{CURVE}expected:\n  source: s\n  dataset: d\n  figures:\n{figures}")
    kept = [[row.macro_f1 for row in task.expected.figures] if task.expected else []
            for task in find_tasks().resolve([str(path)])]  # fmt: skip
    assert kept == [[0.9, 0.5], [0.8, 0.5], [0.5]]
    path.write_text(path.read_text().replace("level: 0.3", "level: 0.4"))
    with pytest.raises(
        TaskError, match=r"curve.yaml:13:\d+: expected.figures\[1\].level: 0.4 is not one of levels.values"
    ):
        find_tasks().resolve([str(path)])


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        (("[0.1, 0.30, 0.5]", "\n  [0.1,\n  1.5, 0.5]"), 8, "deprivation.fraction: expected a value less than 1"),
        (("[0.1, 0.30, 0.5]", "\n  [0.1,\n  x, 0.5]"), 8, "levels.values[1]: expected a number, found 'x'"),
        (("[0.1, 0.30, 0.5]", "\n  [0.1,\n  0.10, 0.5]"), 8, "0.1 is duplicated"),
        (("[0.1, 0.30, 0.5]", "\n  [0.1,\n  1e-7, 0.5]"), 8, "found 'curve-1e-07'"),
        (
            ("deprivation.fraction", "deprivation.fractio"),
            6,
            "there is no 'fractio' here. Did you mean 'fraction'",
        ),
        (("deprivation.fraction", "depravation.fraction"), 6, "Did you mean 'deprivation'"),
        (("deprivation.fraction", "fraction"), 6, "levels.field"),
        (("name: curve", "name: curve-0.1"), 1, "ends in a level"),
        (("seen, unseen", "sen, unseen"), 7, "evaluate[1]"),
        (("kind: random", "kind: full"), 5, "unknown field 'unit'"),
    ],
)
def test_a_wrong_level_is_reported_where_it_stands(
    tmp_path: Path, change: tuple[str, str], line: int, words: str
) -> None:
    path = write(tmp_path, "curve.yaml", CURVE.replace(*change))
    with pytest.raises(TaskError) as caught:
        find_tasks().resolve([str(path)])
    (problem, *more) = [each for each in str(caught.value).splitlines() if words in each]
    assert f"{path}:{line}:" in problem and not more


def test_members_of_a_group_may_be_curves_and_groups(tmp_path: Path) -> None:
    write(tmp_path, "curve.yaml", CURVE)
    write(tmp_path, "inner.yaml", "group: inner\nsummary: x\nmembers: [curve, leaf]\n")
    outer = write(tmp_path, "outer.yaml", "group: outer\nsummary: x\nmembers: [inner, leaf, unseen_hypernym]\n")
    names = [task.name for task in find_tasks([tmp_path]).resolve(["outer"])]
    assert names == ["curve-0.1", "curve-0.3", "curve-0.5", "leaf", "unseen_hypernym"]
    assert [task.name for task in find_tasks().resolve([str(outer)])] == names  # members lie beside the file


def test_members_that_are_not_there_or_broken_are_reported_where_they_are_named(tmp_path: Path) -> None:
    write(tmp_path, "broken.yaml", "name: broken\nextends: leaf\nfoo: 1\n")
    group = write(tmp_path, "g.yaml", "group: g\nsummary: x\nmembers:\n  - leaf\n  - laef\n  - broken\n")
    over = write(tmp_path, "over.yaml", "group: over\nsummary: x\nmembers: [g]\nweights: {g: 1}\n")
    found = find_tasks([tmp_path])
    assert [(each.line, each.key) for each in found.findings[group]] == [(5, "members[1]"), (6, "members[2]")]
    assert "Did you mean 'leaf'?" in found.findings[group][0].message
    assert "broken.yaml" in found.findings[group][1].message
    assert [each.line for each in found.findings[over]] == [3]
    assert not {"g", "over"} & set(found.groups) and "leaf" in found.tasks
    with pytest.raises(TaskError, match="'laef' is not a task"):
        find_tasks().resolve([str(group)])


@pytest.mark.parametrize(
    "weight", [".nan", ".inf", "-1", "0", "1e308, unseen_hypernym: 1e308", "true", "'1'", "1, leave: 1"]
)
def test_weights_that_do_not_fit_or_give_no_average_are_refused(tmp_path: Path, weight: str) -> None:
    members = "leaf, unseen_hypernym" if "unseen" in weight else "leaf"
    path = write(tmp_path, "g.yaml", f"group: g\nsummary: x\nmembers: [{members}]\nweights: {{leaf: {weight}}}\n")
    (finding,) = find_tasks([tmp_path]).findings[path]
    assert finding.line == 4 and "weights" in finding.message


@pytest.mark.parametrize(("member", "kind"), [("taxonomic", "group"), ("deprivation_random", "curve")])
@pytest.mark.parametrize("equal", [True, False])
def test_a_group_with_weights_has_tasks_only(tmp_path: Path, member: str, kind: str, equal: bool) -> None:
    weights = "equal" if equal else f"{{{member}: 1, leaf: 1}}"
    path = write(tmp_path, "g.yaml", f"group: g\nsummary: x\nmembers: [leaf, {member}]\nweights: {weights}\n")
    (finding,) = find_tasks([tmp_path]).findings[path]
    assert (finding.line, finding.message) == (4, f"weights: members must be tasks, '{member}' is a {kind}")
    with pytest.raises(TaskError, match="members must be tasks"):
        find_tasks().resolve([str(path)])


def test_groups_are_found_by_name_and_by_path(tmp_path: Path) -> None:
    curve = write(tmp_path, "curve.yaml", CURVE)
    group = write(tmp_path, "g.yaml", "group: g\nsummary: x\nmembers: [leaf]\nweights: equal\n")
    task = write(tmp_path, "mine.yaml", "name: mine\nextends: leaf\n")
    paths = [str(group), str(task), f" {curve} ", "leaf", "taxonomic", "deprivation_random-0.3"]
    assert [each.group for each in find_tasks().select(paths)[1]] == ["g", "curve", "taxonomic"]
    found = find_tasks([tmp_path])
    assert found.select(["g", str(group), "mine", "curve"])[1] == [found.groups["g"], found.groups["curve"]]
    with pytest.raises(UsageError, match="Unknown task or group 'h'"):
        found.select(["h"])


def test_a_group_file_that_is_named_has_its_members_beside_it(tmp_path: Path) -> None:
    write(tmp_path, "mine.yaml", "name: mine\nextends: leaf\n")
    write(tmp_path, "other.yaml", "name: not_other\nextends: leaf\n")
    inner = write(tmp_path, "inner.yaml", "group: inner\nsummary: x\nmembers: [mine, leaf]\nweights: equal\n")
    outer = write(tmp_path, "outer.yaml", "group: outer\nsummary: x\nmembers: [inner]\n")
    for path in (inner, outer):
        assert [task.name for task in find_tasks().resolve([str(path)])] == ["mine", "leaf"]
        found = validate([path])
        assert (found.findings, [file.path for file in found.files]) == ((), [path])
    for member, words in (("../mine", "expected lower-case"), ("other", "'other' is not a task or group")):
        outer.write_text(f"group: outer\nsummary: x\nmembers: [{member}]\n")
        (finding,) = validate([outer]).findings
        assert words in finding.message
        with pytest.raises(TaskError, match=words):
            find_tasks().resolve([str(outer)])


@pytest.mark.parametrize(("deep", "wide"), [(200, 1), (22, 2)])
def test_deep_and_wide_groups_are_unfolded_at_once(tmp_path: Path, deep: int, wide: int) -> None:
    for level in range(deep):
        inner = ["leaf"] if level == deep - 1 else [f"g{level + 1}_{each}" for each in range(wide)]
        for each in range(wide):
            name = f"g{level}_{each}"
            write(tmp_path, f"{name}.yaml", f"group: {name}\nsummary: x\nmembers: [{', '.join(inner)}]\n")
    found = find_tasks([tmp_path])
    assert not found.broken
    assert [task.name for task in found.resolve(["g0_0"])] == ["leaf"]
    assert [task.name for task in find_tasks().resolve([str(tmp_path / "g0_0.yaml")])] == ["leaf"]


def test_a_group_that_leads_to_a_circle_is_told_from_those_in_it(tmp_path: Path) -> None:
    for name, members in (("a", "b"), ("b", "a"), ("c", "leaf, a")):
        write(tmp_path, f"{name}.yaml", f"group: {name}\nsummary: x\nmembers: [{members}]\n")
    found = {path.stem: [each.message for each in some] for path, some in find_tasks([tmp_path]).findings.items()}
    assert found == {
        "a": ["members[0]: the group contains itself: a → b → a"],
        "b": ["members[0]: the group contains itself: b → a → b"],
        "c": [f"members[1]: 'a' cannot be used, see {tmp_path}/a.yaml."],
    }
    with pytest.raises(TaskError, match="contains itself"):
        find_tasks().resolve([str(tmp_path / "a.yaml")])


def test_wrong_members_are_not_said_to_be_too_few(tmp_path: Path) -> None:
    path = write(tmp_path, "g.yaml", "group: g\nsummary: x\nmembers: [1, null]\n")
    assert [each.message for each in find_tasks([tmp_path]).findings[path]] == [
        "members[0]: expected text, found 1", "members[1]: expected text, found nothing"
    ]  # fmt: skip


def test_levels_fill_fields_of_whole_numbers(tmp_path: Path) -> None:
    levels = "levels: {field: questions.negatives_per_positive, values: [1, 3.0]}"
    path = write(tmp_path, "curve.yaml", f"name: curve\nextends: leaf\n{levels}\n")
    tasks = find_tasks().resolve([str(path)])
    assert [task.questions.negatives_per_positive for task in tasks] == [1, 3]


def package(root: Path, points: str) -> None:
    """Install a package in a folder, as pip would leave it; importing it would end the program."""
    offer(root, "taxbench.tasks", points)
    for folder in ("plugged", "plugged/tasks"):
        (root / folder).mkdir()
        (root / folder / "__init__.py").write_text("raise SystemExit('imported')\n")
    (root / "plugged" / "plain.yaml").write_text("name: outer\nextends: leaf\n")
    (root / "plugged" / "tasks" / "inner.yaml").write_text("name: inner\nextends: leaf\n")


def test_packages_offer_tasks_and_a_broken_one_hides_nothing(tmp_path: Path) -> None:
    package(tmp_path, "a = plugged.tasks\nb = no_such_package\nc = json.decoder\nd = plugged.tasks.more\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from taxbench.tasks.registry import find_tasks\nfound = find_tasks()\n"
        "print(found.tasks['inner'].name, 'outer' in found.tasks, 'leaf' in found.tasks, 'plugged' in sys.modules)\n"
        "for path, error in found.broken.items(): print(path, '|', error)\n"
    )
    lines = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines[0] == "inner False True False"
    assert [line.partition(" |")[0] for line in lines[1:]] == ["entry point b", "entry point c", "entry point d"]
    assert "'no_such_package' is not a package with tasks" in lines[1]


def test_a_folder_that_does_not_exist_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        find_tasks([tmp_path / "nowhere"])


def test_hidden_files_and_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".hidden").mkdir()
    write(tmp_path / ".hidden", "x.yaml", "nonsense: 1\n")
    write(tmp_path, ".x.yaml", "nonsense: 1\n")
    assert not find_tasks([tmp_path]).broken
