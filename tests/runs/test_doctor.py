"""What a machine and a shared folder can do is found out, and what they cannot is said."""

import errno
import fcntl
import json
import os
from pathlib import Path

import pytest

from taxbench.cli.main import call
from taxbench.runs import doctor
from taxbench.runs.doctor import examine_folder, examine_machine


def states(folder: Path) -> dict[str, str]:
    return {each.what: each.state for each in examine_folder(folder)}


def test_a_local_disk_can_be_shared_and_is_left_as_it_was(tmp_path: Path) -> None:
    found = states(tmp_path / "new")
    assert {found[what] for what in ("locks", "renames", "memory maps")} == {"good"}
    assert list((tmp_path / "new").iterdir()) == []


def test_a_disk_without_locks_is_told_from_one_that_grants_them_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "fcntl", lambda *_: 0)  # local locks: nobody is kept out
    monkeypatch.setattr(fcntl, "lockf", lambda *_: 0)
    assert states(tmp_path)["locks"] == "bad"
    assert call(["doctor", "--shared", str(tmp_path)]) == 1

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    monkeypatch.setattr(fcntl, "lockf", refuse)
    (locks,) = (each for each in examine_folder(tmp_path) if each.what == "locks")
    assert locks.state == "note" and "No locks available" in locks.text


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (found,) = examine_folder(tmp_path / "file")
    assert (found.what, found.state) == ("disk", "bad") and "cannot be written" in found.text


def test_the_machine_is_described(capsys: pytest.CaptureFixture[str], tmp_path: Path,
                                  monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    assert call(["doctor", "--shared", str(tmp_path), "--json"]) == 0
    told = {each["what"]: each for each in json.loads(capsys.readouterr().out)}
    assert {"taxbench", "torch", "device", "memory", "disk", "locks", "renames", "memory maps"} <= told.keys()
    monkeypatch.setattr(doctor.torch, "get_num_threads", lambda: 999)
    (torch,) = (each for each in examine_machine() if each.what == "torch")
    assert torch.state == "note" and "OMP_NUM_THREADS" in torch.text
