"""Records on disk: read strictly, and named by what they are."""

import json
import shutil
from pathlib import Path

import pytest

from taxbench.results.records import (
    find_results,
    finished,
    parse_json,
    read_result,
    result_bytes,
    result_folder,
    write_result,
)
from taxbench.specs.result import Result
from taxbench.specs.side_files import Timing
from taxbench.util.errors import CacheError, DataError
from taxbench.util.paths import beside
from tests.board.hostile import honest


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    result = honest(tmp_path / "run")
    assert read_result(tmp_path / "run" / "result.json") == result
    assert (tmp_path / "run" / "result.json").read_bytes() == result_bytes(result)
    assert find_results([tmp_path, tmp_path / "run"]) == [tmp_path / "run" / "result.json"]


def test_of_processes_that_make_the_same_record_the_first_wins(tmp_path: Path) -> None:
    """One believed dead, which writes late, spoils nothing; what is unfinished, damaged or older is replaced."""
    folder = tmp_path / "out" / "run"
    result = honest(folder)
    predictions = (folder / "predictions.npz").read_bytes()

    def write(machine: str, like: Result = result) -> str:
        write_result(folder, like, predictions, Timing(machine=machine, seconds={}))
        assert finished(folder, like.digest, like.versions) == like
        assert [path.name for path in folder.parent.iterdir()] == ["run"]
        return str(json.loads((folder / "timing.json").read_text())["machine"])

    assert write("late") == "none"  # what `honest` wrote
    (folder / "predictions.npz").write_bytes(predictions[:-9])
    with pytest.raises(DataError, match="missing or damaged"):
        finished(folder, result.digest, result.versions)
    assert write("whole") == "whole"
    (folder / "result.json").unlink()
    assert write("unfinished") == "unfinished"
    newer = result.model_copy(update={"versions": result.versions.model_copy(update={"torch": "99.0"})})
    assert write("newer", newer) == "newer"


def test_a_record_that_cannot_be_written_leaves_the_one_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = honest(tmp_path / "run")
    newer = result.model_copy(update={"versions": result.versions.model_copy(update={"torch": "99.0"})})
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(CacheError, match="No space left on device"):
        write_result(tmp_path / "run", newer, b"x", Timing(machine="here", seconds={}))
    assert read_result(tmp_path / "run" / "result.json") == result
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_record_that_is_being_written_is_none(tmp_path: Path) -> None:
    result = honest(tmp_path / "run")
    shutil.copytree(tmp_path / "run", beside(tmp_path / "run"))
    assert find_results([tmp_path]) == [tmp_path / "run" / "result.json"]
    assert read_result(find_results([tmp_path])[0]) == result


def test_a_name_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    run = honest(tmp_path / "run").run
    names = {"lm": "../../etc", "encoder": "/abs/path", "dataset": "a\nb\x00c" * 40}
    changed = run.model_copy(
        update={part: getattr(run, part).model_copy(update={"name": name}) for part, name in names.items()}
    )
    folder = result_folder(tmp_path, changed)
    assert folder.resolve().parent == (tmp_path / "unseen_hypernym").resolve() and len(folder.name) < 255
    assert folder.name.endswith(f"seed42-{changed.digest[:8]}")


@pytest.mark.parametrize(("content", "said"), [
    (b"", "not JSON at line 1"), (b"[]", "expected a JSON object"), (b"\xff\xfe", "not UTF-8 at byte 0"),
    (b"\xef\xbb\xbf{}", "not JSON"), (b'{"a": 1, "a": 1}', "the key 'a' is given twice"),
    (b'{"a": {"b": 1, "b": 2}}', "the key 'b' is given twice"), (b'{"a": NaN}', "NaN is not a JSON number"),
    (b'{"a": -Infinity}', "-Infinity is not a JSON number"), (b'{"a": 1e309}', "1e309 is too large"),
    (b'{"a": ' + b"9" * 5000 + b"}", "not a result: Exceeds the limit"), (b'{"a": ' + b"[" * 10**6, "not a result"),
])  # fmt: skip
def test_what_is_no_plain_json_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said):
        parse_json(content, "result.json")


def test_a_file_that_cannot_be_a_record_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_result(tmp_path / "result.json")
    with (tmp_path / "result.json").open("wb") as file:
        file.truncate(2**25 + 1)
    with pytest.raises(DataError, match="has 33,554,433 bytes; a record has at most"):
        read_result(tmp_path / "result.json")
    (tmp_path / "result.json").write_text(json.dumps({"schema_version": 3, "note": "\ud800"}))
    with pytest.raises(DataError, match="not a result of this version"):
        read_result(tmp_path / "result.json")
