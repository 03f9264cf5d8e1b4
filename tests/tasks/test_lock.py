"""The version lock: content may change only together with the version, and nothing that is locked is overwritten."""

import json
from pathlib import Path

from taxbench.tasks.lock import LOCK
from taxbench.tasks.validation import validate


def write(folder: Path, extra: str = "", version: int = 1) -> None:
    (folder / "mine.yaml").write_text(f"name: mine\nextends: unseen_hypernym\nversion: {version}\n{extra}")


def test_without_a_lock_nothing_is_checked_and_none_is_made(tmp_path: Path) -> None:
    write(tmp_path)
    assert not validate([tmp_path]).findings
    assert not (tmp_path / LOCK).exists()


def test_changed_content_needs_a_new_version(tmp_path: Path) -> None:
    write(tmp_path)
    assert validate([tmp_path]).lock() == {tmp_path / LOCK: 1}
    write(tmp_path, "summary: Other words.\n")
    assert not validate([tmp_path]).findings
    write(tmp_path, "heldout_leaves: 0.2\n")
    before = (tmp_path / LOCK).read_bytes()
    found = validate([tmp_path])
    (finding,) = found.findings
    assert finding.line == 3
    assert "content changed but version is still 1: raise version to 2, or undo" in finding.message
    assert found.lock() == {tmp_path / LOCK: 0} and (tmp_path / LOCK).read_bytes() == before
    write(tmp_path, "heldout_leaves: 0.2\n", version=2)
    assert not validate([tmp_path]).findings
    assert validate([tmp_path / "mine.yaml"]).lock() == {tmp_path / LOCK: 1}
    assert set(json.loads((tmp_path / LOCK).read_text())["mine"]) == {"1", "2"}


def test_the_lock_of_a_folder_holds_for_a_file_that_is_checked_alone(tmp_path: Path) -> None:
    write(tmp_path)
    validate([tmp_path]).lock()
    write(tmp_path, "heldout_leaves: 0.2\n")
    assert len(validate([tmp_path / "mine.yaml"]).findings) == 1
    assert len(validate([], [tmp_path]).findings) == 1


def test_every_level_of_a_curve_is_locked_and_broken_files_are_not(tmp_path: Path) -> None:
    (tmp_path / "curve.yaml").write_text("name: curve\nextends: deprivation_random\nlevels: {values: [0.1, 0.5]}\n")
    (tmp_path / "broken.yaml").write_text("name: broken\nextends: leaf\nfoo: 1\n")
    validate([tmp_path]).lock()
    assert set(json.loads((tmp_path / LOCK).read_text())) == {"curve-0.1", "curve-0.5"}


def test_a_damaged_lock_is_a_finding_and_is_left_as_it_is(tmp_path: Path) -> None:
    write(tmp_path)
    for text, line, words in (
        ('{\n "mine": ', 2, "not valid JSON"),
        ('{\n "mine": {\n<<<<<<< HEAD\n', 3, "not valid JSON"),
        ("[1]", 1, "expected {"),
        ('{"mine": {"1": 2}}', 1, "expected {"),
        ('{"mine": {"²": "a"}}', 1, "expected {"),
        ('{"mine": {"1": "a", "1": "b"}}', 1, "'1' is given twice"),
    ):
        (tmp_path / LOCK).write_text(text)
        found = validate([tmp_path])
        (finding,) = found.findings
        assert (finding.path, finding.line) == (str(tmp_path / LOCK), line)
        assert words in finding.message and finding.message.endswith("; restore it from version control")
        found.lock()
        assert (tmp_path / LOCK).read_text() == text
