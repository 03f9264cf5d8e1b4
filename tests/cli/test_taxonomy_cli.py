"""`taxbench taxonomy` from a list and from an image folder, and where a request's files are recorded."""

import json
from pathlib import Path

import pytest

from taxbench.cli.main import call
from taxbench.registry.models import find_encoder
from taxbench.runs.inputs import origin_of
from taxbench.taxonomy.taxonomy import read_taxonomy

NAMES = ["crow", "robin", "owl", "finch", "wren", "hammer"]


def test_a_list_of_leaves_becomes_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "leaves.txt").write_text("# birds\n" + "\n".join(NAMES) + "\n\n")
    out = tmp_path / "made.tsv"
    assert call(["taxonomy", str(tmp_path / "leaves.txt"), "--out", str(out)]) == 0
    assert f"--taxonomy {out}" in capsys.readouterr().out
    assert set(read_taxonomy(out).taxonomy.leaves) == set(NAMES)
    assert call(["taxonomy", str(tmp_path / "leaves.txt"), "--out", str(out)]) == 2
    assert "--force" in capsys.readouterr().err


def test_an_image_folder_gives_its_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for split in ("train", "test"):
        for name in NAMES:
            (tmp_path / "photos" / split / name).mkdir(parents=True)
    out = tmp_path / "made.tsv"
    out.write_text("old")
    assert call(["taxonomy", str(tmp_path / "photos"), "--out", str(out), "--force", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["leaves"] == 6 and said["hypernyms"] == {"animal": ["crow", "finch", "owl", "robin", "wren"]}


def test_what_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["taxonomy", str(tmp_path / "no.txt"), "--out", str(tmp_path / "made.tsv")]) == 2
    assert "one leaf a line" in capsys.readouterr().err
    (tmp_path / "leaves.txt").write_text("crow\n")
    command = ["taxonomy", str(tmp_path / "leaves.txt"), "--out", str(tmp_path / "made.tsv")]
    assert call([*command, "--wordnet", str(tmp_path)]) == 1
    assert "holds no WordNet" in capsys.readouterr().err


def test_the_input_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "leaves.txt").write_text("crow\n")
    (tmp_path / "link.txt").symlink_to(tmp_path / "leaves.txt")
    for out in ("leaves.txt", "link.txt"):
        assert call(["taxonomy", str(tmp_path / "leaves.txt"), "--out", str(tmp_path / out), "--force"]) == 2
        assert "is what the leaves are read from" in capsys.readouterr().err
    assert (tmp_path / "leaves.txt").read_text() == "crow\n"


def test_depths_that_exclude_each_other_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "leaves.txt").write_text("crow\n")
    command = ["taxonomy", str(tmp_path / "leaves.txt"), "--out", str(tmp_path / "made.tsv")]
    assert call([*command, "--min-depth", "20", "--max-depth", "2"]) == 2
    assert "Lower --min-depth or raise --max-depth" in capsys.readouterr().err


def test_the_origin_can_be_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    encoder = find_encoder("pocket")
    for kind in ("folder", "things", "cifar100", "hf"):
        assert origin_of(f"{kind}:photos", None, encoder).dataset == f"{kind}:{tmp_path}/photos"
    for name in ("pocket", "things", "cifar100", "hf:org/name"):
        assert origin_of(name, None, encoder).dataset == name
    assert origin_of("folder:photos", Path("wordnet"), encoder).taxonomy == "wordnet"
    assert origin_of("folder:photos", Path("a.tsv"), encoder).taxonomy == f"{tmp_path}/a.tsv"
