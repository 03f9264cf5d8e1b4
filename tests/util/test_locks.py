"""Locks belong to an open file, and claims never stop anyone where there are none."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from taxbench.util.locks import ByteLocks, Claims


def test_a_byte_has_one_holder_and_others_are_free(tmp_path: Path) -> None:
    ours, theirs = ByteLocks(tmp_path / "locks"), ByteLocks(tmp_path / "locks")
    assert ours.take(3) and not theirs.take(3) and theirs.take(2**55)
    ours.release(3)
    assert theirs.take(3, wait=True) and not ours.take(3)
    theirs.close()
    assert ours.take(3) and ours.take(2**55)


def test_what_a_killed_process_claimed_is_free_again(tmp_path: Path) -> None:
    code = ("import sys, time\nfrom pathlib import Path\nfrom taxbench.util.locks import Claims\n"
            "print(Claims(Path(sys.argv[1])).take('a head'), flush=True)\ntime.sleep(600)\n")  # fmt: skip
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "in" / "claims")], stdout=subprocess.PIPE)
    assert holder.stdout is not None and holder.stdout.readline() == b"True\n"
    mine = Claims(tmp_path / "in" / "claims")
    assert not mine.take("a head") and mine.take("another")
    holder.kill()
    holder.wait()
    assert mine.take("a head")


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_without_locks_everything_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    for name in ("lockf", "fcntl"):
        monkeypatch.setattr(fcntl, name, lambda *_: (_ for _ in ()).throw(OSError(number, os.strerror(number))))
    one, two = Claims(tmp_path / "claims"), Claims(tmp_path / "claims")
    assert one.take("a head") and two.take("a head")
    two.release("a head")
    with pytest.raises(OSError):
        ByteLocks(tmp_path / "claims").take(0)
    (tmp_path / "file").touch()
    assert Claims(tmp_path / "file" / "claims").take("a head")  # nor where the lock file cannot be made
