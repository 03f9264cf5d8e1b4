"""What computed a number is written down: versions, commit, machine."""

import subprocess
from pathlib import Path

import pytest
import torch

from taxbench.runs import environment


def test_the_commit_is_that_of_the_checkout_and_edits_make_it_dirty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        return subprocess.run(
            ["git", "-C", str(tmp_path), *who, *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    monkeypatch.setattr(environment, "_CHECKOUT", tmp_path)
    (tmp_path / "taxbench").mkdir()
    (tmp_path / "taxbench" / "code.py").write_text("1")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "one")
    found = environment.code.__wrapped__()
    assert (found.commit, found.dirty) == (git("rev-parse", "HEAD"), False)
    (tmp_path / "results").write_text("no code")
    assert environment.code.__wrapped__().dirty is False
    (tmp_path / "taxbench" / "code.py").write_text("2")
    assert environment.code.__wrapped__().dirty is True
    monkeypatch.setenv("PATH", "")
    assert environment.code.__wrapped__().commit is None


def test_versions_and_machine_are_said() -> None:
    versions = environment.versions()
    assert versions.torch == torch.__version__ and all(versions.model_dump().values())
    assert environment.machine(torch.device("cpu")).endswith("cores")
