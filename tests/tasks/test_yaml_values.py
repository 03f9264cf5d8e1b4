"""What the words of a YAML file mean, and what cannot stand in one."""

import math
from pathlib import Path
from typing import Any

import pytest

from taxbench.tasks.registry import find_tasks
from taxbench.tasks.validation import validate
from taxbench.tasks.yaml_file import parse_scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12), ("-3", -3), ("0777", 777), ("0o17", 15), ("0x1F", 31), ("1e-3", 0.001), (".5", 0.5), ("5.", 5.0),
        ("-.inf", -math.inf), ("true", True), ("False", False), ("~", None), ("", None), ("[1, a]", [1, "a"]),
        ("{a: {b: 1}}", {"a": {"b": 1}}), ("!!str 5", "5"), ("!!int '5'", 5),
        *((word, word) for word in ("yes", "off", "1:30", "1_000", "0b11", "2020-13-45", "0x_", "=", "1e")),
    ],
)  # fmt: skip
def test_words_mean_what_the_core_schema_of_yaml_says(text: str, value: Any) -> None:
    found = parse_scalar(text)
    assert (found, type(found)) == (value, type(value))


def test_nan_is_a_number() -> None:
    assert math.isnan(parse_scalar(".nan"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        *((f"!!{tag} foo", f"'foo' is not a value of the tag !!{tag}") for tag in ("int", "float", "bool", "null")),
        *((f"!!{tag} foo", f"the tag !!{tag} is not used here") for tag in ("timestamp", "binary")),
        ("!!set {a, b}", "the tag !!set is not used here"),
        ("!!omap [a: 1]", "the tag !!omap is not used here"),
        ("!own x", "the tag !own is not used here"),
        ("!!int " + "9" * 5000, "is not a value of the tag !!int"),
        ("{1: a}", 'the key 1 is not text; write "1" in quotes'),
        ("{~: a}", 'the key ~ is not text; write "~" in quotes'),
        ("? [a]\n: b", "a key before a colon is missing or not text"),
        ("?\n: b", "a key before a colon is missing or not text"),
        ("[" * 52 + "]" * 52, "nested more than 50 deep"),
        ("&a [*a, *a]", "nested more than 50 deep"),
        ("[1", "did not find expected"),
        ("a\0", "control characters"),
    ],
)
def test_what_cannot_be_a_value_is_refused_in_words(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_scalar(text)
    assert words in str(caught.value)
    indented = text.replace("\n", "\n ")
    (tmp_path / "x.yaml").write_text(f"name: x\nextends: leaf\nsettings:\n {indented}\n")
    (tmp_path / "ok.yaml").write_text("name: ok\nextends: leaf\n")
    found = find_tasks([tmp_path])
    assert "ok" in found.tasks and list(found.findings) == [tmp_path / "x.yaml"]
    (finding,) = found.findings[tmp_path / "x.yaml"]
    assert words in finding.message and finding.line >= 4


def test_links_that_lead_nowhere_and_folders_are_findings(tmp_path: Path) -> None:
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    (tmp_path / "gone.yaml").symlink_to("nowhere.yaml")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "ok.yaml").write_text("name: ok\nextends: leaf\n")
    (tmp_path / "link.yml").symlink_to("ok.yaml")
    found = find_tasks([tmp_path], [tmp_path / "folder.yaml"])
    assert "ok" in found.tasks
    assert {path: each[0].message for path, each in found.findings.items()} == {
        (path := tmp_path / f"{name}.yaml"): f"'{path}' cannot be read ({why})."
        for name, why in (
            ("loop", "Too many levels of symbolic links"),
            ("gone", "No such file or directory"),
            ("folder", "Is a directory"),
        )
    }
    assert len(validate([tmp_path / "loop.yaml"]).findings) == 1


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_with_a_mark_in_front_is_found_by_its_name_and_read(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "x.yaml").write_text("name: mine\nsummary: caf\u00e9\nextends: leaf\n", encoding=encoding)
    (task,) = find_tasks([tmp_path], names=["mine"]).resolve(["mine"])
    assert task.summary == "caf\u00e9"
