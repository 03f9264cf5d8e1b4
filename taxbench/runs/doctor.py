"""What a machine, and a folder that several share, can do: looked at before work starts, not when it fails."""

import mmap
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import torch

from taxbench._version import NUMERICS, __version__
from taxbench.features.store.reader import free_memory
from taxbench.runs.environment import available_cores, machine
from taxbench.util.devices import dtype_name, pick_device, pick_dtype
from taxbench.util.locks import ByteLocks

_LITTLE = 5e9  # bytes of a disk: features of THINGS and some heads fit
_HOLDER = """
import sys
from pathlib import Path
from taxbench.util.locks import ByteLocks
print(ByteLocks(Path(sys.argv[1])).take(0), flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    state: Literal["good", "note", "bad"]
    text: str
    """What was found, and what it means."""


def examine_machine() -> Iterator[Finding]:
    """Yield what this machine computes with."""
    yield Finding("taxbench", "good", f"{__version__}, numerics {NUMERICS}, Python {sys.version.split()[0]}")
    device = pick_device("auto")
    threads, cores = torch.get_num_threads(), available_cores()
    state: Literal["good", "note"] = "good" if threads <= cores else "note"
    more = "" if threads <= cores else f", more than its {cores} cores: set OMP_NUM_THREADS={cores}"
    yield Finding("torch", state, f"{torch.__version__}, {threads} threads{more}")
    dtype = dtype_name(pick_dtype(device.type))
    yield Finding("device", "good", f"{machine(device)}; computes in {dtype}")
    for number in range(torch.cuda.device_count()) if device.type == "cuda" else ():
        free = free_memory(f"cuda:{number}") / 1e9
        yield Finding(f"cuda:{number}", "good", f"{torch.cuda.get_device_name(number)}, {free:.0f} GB free")
    yield Finding("memory", "good", f"{free_memory() / 1e9:.0f} GB free")
    for package, use in (("datasets", "hf: datasets"), ("gguf", "GGUF files"), ("pyarrow", "Parquet files")):
        try:
            yield Finding(package, "good", f"{version(package)}, for {use}")
        except PackageNotFoundError:
            yield Finding(package, "note", f"not installed; {use} need it: pip install {package}")
    if os.environ.get("HF_HUB_OFFLINE"):
        yield Finding("hub", "note", "HF_HUB_OFFLINE is set: nothing is downloaded")


def examine_folder(folder: Path) -> Iterator[Finding]:
    """Yield what a folder of features or results can do that several processes, or machines, are to share.

    What it cannot tell is whether another machine sees the same locks: type it on both, at the same time.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".doctor-", dir=folder) as place:
            free = shutil.disk_usage(place).free
            yield Finding("disk", "good" if free > _LITTLE else "note", f"{free / 1e9:.0f} GB free in '{folder}'")
            yield _locks(Path(place))
            yield _renames(Path(place))
            yield _maps(Path(place))
    except OSError as error:
        why = f"'{folder}' cannot be written ({error.strerror}). Choose another folder."
        yield Finding("disk", "bad", why)


def _locks(place: Path) -> Finding:
    """Say whether a lock that another process holds keeps this one out, and is free when that one is killed."""
    path = place / "lock"
    holder = subprocess.Popen([sys.executable, "-c", _HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        held = holder.stdout.readline() == b"True\n"
        mine = ByteLocks(path)
        kept_out = not mine.take(0)
        holder.kill()
        holder.wait()
        freed = mine.take(0)
        mine.close()
    except OSError as error:
        return Finding("locks", "note", f"none ({error.strerror}): runs may be done twice, and stay right; features "
                       "are extracted on a local disk only (--cache DIR)")  # fmt: skip
    finally:
        holder.kill()
        holder.wait()
    if held and kept_out and freed:
        return Finding("locks", "good", "processes of this machine share runs and features")
    return Finding("locks", "bad", "granted twice at once: extract features with one process, on a local disk (--cache "
                   "DIR); runs may be done twice, and stay right")  # fmt: skip


def _renames(place: Path) -> Finding:
    """Say whether a folder can be moved to its place in one step, as records are."""
    (place / "new").mkdir()
    (place / "new" / "file").write_text("whole")
    with suppress(OSError):
        (place / "new").rename(place / "moved")
        (place / "again").mkdir()
        (place / "again" / "file").write_text("late")
        try:
            (place / "again").rename(place / "moved")
        except OSError:  # a full folder is never replaced: the first record stays
            if (place / "moved" / "file").read_text() == "whole":
                return Finding("renames", "good", "in one step, and the first record stays")
    return Finding("renames", "bad", "folders are not moved in one step: keep --out on another disk")


def _maps(place: Path) -> Finding:
    """Say whether what is written to a file is seen through a map of it, as features are read."""
    path = place / "mapped"
    path.write_bytes(bytes(mmap.PAGESIZE))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        os.pwrite(file.fileno(), b"seen", 100)
        if mapped[100:104] == b"seen":
            return Finding("memory maps", "good", "show what is written")
    return Finding("memory maps", "bad", "do not show what is written: keep --cache on a local disk")
