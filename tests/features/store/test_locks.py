"""Locks: one process a shard, freed however the process ends."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from taxbench.features.store.writer import EntryLock
from taxbench.util.errors import CacheError

_HOLD = """
import sys, time
from pathlib import Path
from taxbench.features.store.writer import EntryLock
lock = EntryLock(Path(sys.argv[1]))
print(*[shard for shard in map(int, sys.argv[2].split(",")) if lock.try_shard(shard)], flush=True)
if sys.argv[3] == "manifest":
    with lock.manifest():
        print("manifest", flush=True)
        sys.stdin.readline()
    print("released", flush=True)
sys.stdin.readline()
lock.close()
print("closed", flush=True)
sys.stdin.readline()
"""


class Holder:
    """Another process that takes shards and waits to be told to go on."""

    def __init__(self, folder: Path, shards: str, manifest: bool = False) -> None:
        kind = "manifest" if manifest else "shards"
        command = [sys.executable, "-c", _HOLD, str(folder), shards, kind]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.got = self.next_line()
        if manifest:
            assert self.next_line() == "manifest"

    def next_line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def go_on(self) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.next_line()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def test_a_shard_belongs_to_one_process_until_it_is_given_back(tmp_path: Path) -> None:
    lock = EntryLock(tmp_path / "entry")
    holder = Holder(tmp_path / "entry", "0,2")
    assert holder.got == "0 2"
    assert [lock.try_shard(shard) for shard in range(4)] == [False, True, False, True]
    assert holder.go_on() == "closed"
    assert lock.try_shard(0) and lock.try_shard(2)
    holder.kill()
    other = Holder(tmp_path / "entry", "0,1,2,3,4")
    assert other.got == "4"
    other.kill()
    lock.release_shard(1)
    other = Holder(tmp_path / "entry", "0,1,2,3,4")
    assert other.got == "1 4"
    other.kill()
    lock.close()


def test_a_kill_frees_what_the_process_held(tmp_path: Path) -> None:
    holder, lock = Holder(tmp_path, "0,1"), EntryLock(tmp_path)
    assert not lock.try_shard(0)
    holder.kill()
    assert lock.try_shard(0) and lock.try_shard(1)
    lock.close()


def test_the_manifest_is_written_by_one_process_at_a_time_whatever_shards_are_held(tmp_path: Path) -> None:
    lock = EntryLock(tmp_path)
    assert lock.try_shard(0)
    holder = Holder(tmp_path, "1", manifest=True)
    waiting = os.fork()
    if waiting == 0:
        with lock.manifest():
            os._exit(0)
    assert os.waitpid(waiting, os.WNOHANG) == (0, 0)
    assert holder.go_on() == "released"
    assert os.waitpid(waiting, 0)[1] == 0
    assert lock.try_shard(5) and not lock.try_shard(1)
    holder.kill()
    lock.close()


@pytest.mark.skipif(sys.platform != "linux", reason="locks of an open file are Linux's")
def test_a_shard_is_kept_when_its_holder_closes_the_lock_file_elsewhere(tmp_path: Path) -> None:
    lock = EntryLock(tmp_path)
    assert lock.try_shard(0)
    for look in (lambda: (tmp_path / "lock").read_bytes(), EntryLock(tmp_path).close):
        look()
    holder, here = Holder(tmp_path, "0,1"), EntryLock(tmp_path)
    assert holder.got == "1"
    assert not here.try_shard(0)  # nor does another part of this process get it
    holder.kill()
    lock.close()
    assert here.try_shard(0)
    here.close()


def test_the_lock_file_stays_empty(tmp_path: Path) -> None:
    lock = EntryLock(tmp_path)
    with lock.manifest():
        assert lock.try_shard(3)
    lock.close()
    assert (tmp_path / "lock").stat().st_size == 0


def test_a_folder_that_cannot_be_made_is_reported_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError, match=r"file/entry' cannot be written .*--cache DIR"):
        EntryLock(tmp_path / "file" / "entry")


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    lock = EntryLock(tmp_path / "entry")
    for name in ("lockf", "fcntl"):
        monkeypatch.setattr(fcntl, name, lambda *_: (_ for _ in ()).throw(OSError(number, os.strerror(number))))
    for take in (lambda: lock.try_shard(0), lambda: lock.manifest().__enter__()):
        with pytest.raises(CacheError, match=rf"file system of '{tmp_path}/entry' gives no locks .*--cache DIR"):
            take()
