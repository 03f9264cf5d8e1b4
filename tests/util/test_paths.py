"""Files are whole or not there, and nothing that is not a regular file is written over."""

import os
from pathlib import Path

import pytest

from taxbench.util.errors import CacheError, DataError
from taxbench.util.paths import check_writable, read_text, read_within, replacing


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    with replacing(path) as partial:
        partial.write_text("one")
    with pytest.raises(ValueError, match="half way"), replacing(path) as partial:
        partial.write_text("two")
        raise ValueError("half way")
    assert path.read_text() == "one" and os.listdir(path.parent) == ["file"]


def test_a_link_stays_a_link_and_other_things_are_left_alone(tmp_path: Path) -> None:
    link, fifo = tmp_path / "link", tmp_path / "fifo"
    link.symlink_to(tmp_path / "target")
    with replacing(link) as partial:
        partial.write_text("one")
    assert link.is_symlink() and (tmp_path / "target").read_text() == "one"
    os.mkfifo(fifo)
    for path in (fifo, tmp_path):
        with pytest.raises(CacheError, match="no regular file"), replacing(path):
            raise AssertionError
    assert fifo.is_fifo()


def test_a_place_below_a_file_is_refused_before_and_while_writing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    below = tmp_path / "file" / "deep" / "x"
    with pytest.raises(CacheError, match="cannot be written"), replacing(below):
        raise AssertionError
    with pytest.raises(CacheError, match="is not a folder"):
        check_writable(below)
    check_writable(tmp_path / "not" / "yet")
    assert not (tmp_path / "not").exists() and {path.name for path in tmp_path.iterdir()} == {"file"}


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no file system that refuses files of everybody")
def test_a_file_system_that_takes_no_file_is_refused_before_work_though_its_rights_allow_it() -> None:
    with pytest.raises(CacheError, match=r"'/proc' may not be written to \(No such file"):
        check_writable(Path("/proc/results"))


def test_a_pipe_in_place_of_a_file_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "result.json")
    with pytest.raises(DataError, match="is not a regular file"):
        read_within(tmp_path / "result.json", 10, "a record has at most")
    (tmp_path / "large").write_bytes(bytes(11))
    with pytest.raises(DataError, match="has 11 bytes; a record has at most 10"):
        read_within(tmp_path / "large", 10, "a record has at most")


def test_two_processes_of_one_number_on_two_hosts_write_beside_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.getpid", lambda: 1)  # as in two containers
    with replacing(tmp_path / "file") as one, replacing(tmp_path / "file") as other:
        one.write_text("one")
        other.write_text("other")
        assert one != other and one.read_text() == "one"
    assert (tmp_path / "file").read_text() == "one"  # the last to end
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_text_is_the_same_however_an_editor_saves_it(tmp_path: Path, encoding: str, end: str) -> None:
    (tmp_path / "x").write_bytes(f"leaf{end}gr\u00e8be\u2028{end}".encode(encoding))
    assert read_text(tmp_path / "x") == "leaf\ngr\u00e8be\u2028\n"


@pytest.mark.parametrize("content", ["caf\u00e9".encode("latin-1"), b"\xff\xfe\x00"])
def test_what_is_no_text_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DataError, match=r"x' cannot be read as text: it is not UTF-8 at byte \d+\. Save it as UTF-8"):
        read_text(tmp_path / "x")
    for name in ("gone", "."):
        with pytest.raises(DataError, match=r"cannot be read \(.+\)\.$"):
            read_text(tmp_path / name)
