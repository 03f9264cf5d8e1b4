"""Damage files of a finished cache in every way a disk or a hand may, and see what a reader makes of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from taxbench.features.store.layout import seal_digest
from taxbench.features.store.writer import shard_path
from taxbench.util.errors import CacheError
from tests.faults.truth import Survey, Truth
from tests.faults.writer import Job


@dataclass(slots=True)
class Findings:
    """Outcomes of one kind of fault."""

    right: int = 0
    """All rows were served, and were right: the byte carries nothing."""
    named: int = 0
    """An error named the file, and the block when it was in the rows."""
    wrong_rows: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def tried(self) -> int:
        """Return the number of faults."""
        return self.right + self.named + len(self.problems)


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a sealed shard, and where its bytes lie in the file."""

    path: Path
    number: int
    """In the entry."""
    places: tuple[slice, slice, slice]
    """Of features, status and digest."""


class Patient:
    """A finished cache and the truth about it; damage is undone after each look.

    Args:
        job: Extracted here.
        folder: For the truth.
    """

    def __init__(self, job: Job, folder: Path) -> None:
        self.truth = Truth(job, folder / f"{job.cache.name}-truth")
        Truth(job, job.cache)
        self.survey = Survey(job, self.truth)
        self.shards = [
            shard_path(folder, shard)
            for folder, layout in zip(self.survey.folders, self.survey.layouts, strict=True)
            for shard in range(layout.shards)
        ]

    def blocks(self, path: Path) -> list[Block]:
        """Return the blocks of a shard."""
        place = self.survey.folders.index(path.parent)
        layout, shard = self.survey.layouts[place], self.shards.index(path) % self.survey.layouts[place].shards
        rows = layout.rows_of(shard)
        with h5py.File(path) as file:
            features, status, digests = (
                int(file[name].id.get_offset()) for name in ("features", "status", "block_digests")
            )
        found = []
        for i, first in enumerate(range(0, len(rows), layout.block_rows)):
            last = min(len(rows), first + layout.block_rows)
            places = (
                slice(features + first * layout.row_bytes, features + last * layout.row_bytes),
                slice(status + first, status + last),
                slice(digests + 8 * i, digests + 8 * i + 8),
            )
            found.append(Block(path, rows.start // layout.block_rows + i, places))
        return found

    def look(self, findings: Findings, paths: list[Path], words: str, block: Block | None = None) -> None:
        """Open every entry, read every row, and judge what comes of it.

        Args:
            paths: The files that were damaged; an error must name one of them.
            words: What was done, for a problem's text.
            block: Damaged in its rows, if one was; an error must name it.
        """
        wrong, told = 0, None
        try:
            for place, table in enumerate(self.survey.tables()):
                if table is None:
                    findings.problems.append(f"{words}: taken for incomplete")
                    return
                wrong += self.truth.wrong_rows(place, table)
        except CacheError as error:
            told = str(error)
        except Exception as error:  # any other is a finding
            findings.problems.append(f"{words}: {type(error).__name__}: {error}")
            return
        findings.wrong_rows += wrong
        if wrong:
            findings.problems.append(f"{words}: {wrong} wrong rows")
        elif told is None:
            findings.right += 1
        elif any(f"'{path}'" in told for path in paths) and (block is None or f"block {block.number} " in told):
            findings.named += 1
        else:
            findings.problems.append(f"{words}: not named in: {told}")

    def block_at(self, path: Path, offset: int) -> Block | None:
        """Return the block whose rows have a byte at an offset."""
        hit = (block for block in self.blocks(path) if block.places[0].start <= offset < block.places[0].stop)
        return next(hit, None)


@contextmanager
def altered(path: Path, alter: Callable[[bytearray], bytes | bytearray]) -> Iterator[None]:
    """Replace a file by an altered copy of itself, and put it back in the end."""
    whole = path.read_bytes()
    path.write_bytes(alter(bytearray(whole)))
    try:
        yield
    finally:
        path.write_bytes(whole)


def flipped(bit: int) -> Callable[[bytearray], bytearray]:
    """Return what flips one bit."""

    def flip(data: bytearray) -> bytearray:
        data[bit // 8] ^= 1 << bit % 8
        return data

    return flip


def cut(length: int) -> Callable[[bytearray], bytearray]:
    """Return what keeps the beginning."""
    return lambda data: data[:length]


def replaced(other: Path) -> Callable[[bytearray], bytes]:
    """Return what puts another file's bytes in place."""
    return lambda data: other.read_bytes()


def resealed(path: Path) -> None:
    """Give a shard the seal that its altered bytes ask for, as a hand with knowledge of the format would."""
    with h5py.File(path) as file:
        arrays = [file[name][...] for name in ("ids", "contents", "status", "block_digests")]
        seal, offset = seal_digest(str(file.attrs["header"]), arrays), int(file["seal"].id.get_offset())
    with path.open("rb+") as raw:
        raw.seek(offset)
        raw.write(seal.tobytes())


def flip_bits(patient: Patient, n: int, rng: np.random.Generator) -> Findings:
    """Flip single bits of sealed shards, half of them outside the rows."""
    findings = Findings()
    for i in range(n):
        path = patient.shards[rng.integers(len(patient.shards))]
        size = path.stat().st_size
        rows_start = patient.blocks(path)[0].places[0].start
        bit = int(rng.integers(8 * size) if i % 2 else rng.integers(8 * rows_start))
        with altered(path, flipped(bit)):
            block = patient.block_at(path, bit // 8) if bit // 8 >= rows_start else None
            patient.look(findings, [path], f"'{path.name}', bit {bit} flipped", block)
    return findings


def truncate(patient: Patient, n: int, rng: np.random.Generator) -> Findings:
    """Cut sealed shards off at random lengths, and at 0, and one byte before their end."""
    findings = Findings()
    for i in range(n):
        path = patient.shards[i % len(patient.shards)]
        size = path.stat().st_size
        length = [0, 1, size - 1, size // 2][i] if i < 4 else int(rng.integers(size))
        with altered(path, cut(length)):
            patient.look(findings, [path], f"'{path.name}', cut to {length} of {size} bytes")
    return _noticed(findings)


def swap_blocks(patient: Patient, other: Patient, n: int, rng: np.random.Generator) -> Findings:
    """Swap a block's features, status and digest with another's: of the shard, of another, of another entry.

    In half of the trials the shards are sealed anew, so that only the block's own digest can tell.
    """
    findings = Findings()
    for i in range(n):
        ours = patient.shards[rng.integers(len(patient.shards))]
        place = patient.shards.index(ours)
        theirs = [ours, patient.shards[rng.integers(len(patient.shards))], other.shards[place]][i % 3]
        one = patient.blocks(ours)
        two = (other if i % 3 == 2 else patient).blocks(theirs)
        a, b = one[rng.integers(len(one))], two[rng.integers(len(two))]
        same_size = all(x.stop - x.start == y.stop - y.start for x, y in zip(a.places, b.places, strict=True))
        if not same_size or (a.path, a.number) == (b.path, b.number):
            continue
        with altered(b.path, bytearray), altered(a.path, bytearray):
            _swap(a, b)
            if i % 2:
                resealed(a.path)
                resealed(b.path)
            words = f"block {a.number} of '{a.path.name}' and block {b.number} of '{b.path.name}' swapped"
            # The reader meets the lower one first; a block of the other cache is never met here.
            first = a if i % 3 == 2 or (a.path, a.number) < (b.path, b.number) else b
            patient.look(findings, [a.path, b.path], words, first if i % 2 else None)
    return _noticed(findings)


def strangers(patient: Patient, other: Patient) -> Findings:
    """Put other files in a shard's place: another number's, another fingerprint's, one without a seal, no HDF5."""
    findings = Findings()
    for place, path in enumerate(patient.shards):
        same_entry = [each for each in patient.shards if each.parent == path.parent and each != path]
        candidates = [*same_entry, other.shards[place]]
        for stranger in candidates:
            with altered(path, replaced(stranger)):
                patient.look(findings, [path], f"'{stranger}' in the place of '{path}'")
        with altered(path, bytearray):
            with h5py.File(path, "r+") as file:
                file["seal"][...] = 0
            patient.look(findings, [path], f"'{path}' without its seal")
        with altered(path, lambda _: b"no HDF5"):
            patient.look(findings, [path], f"text in the place of '{path}'")
        with altered(path, bytearray):
            path.unlink()
            with h5py.File(path, "w") as file:
                file["features"] = np.zeros(3)
            patient.look(findings, [path], f"another HDF5 file in the place of '{path}'")
    return _noticed(findings)


def flip_manifests(patient: Patient, n: int, rng: np.random.Generator) -> Findings:
    """Flip single bits of manifests; what they say of an entry's origin may change, nothing else."""
    findings = Findings()
    manifests = [folder / "manifest.json" for folder in patient.survey.folders]
    for _ in range(n):
        path = manifests[rng.integers(len(manifests))]
        bit = int(rng.integers(8 * path.stat().st_size))
        shards = [shard for shard in patient.shards if shard.parent == path.parent]
        with altered(path, flipped(bit)):
            text = path.read_bytes()[max(0, bit // 8 - 20) : bit // 8 + 20]
            patient.look(findings, [path, *shards], f"'{path}', bit {bit} flipped: {text!r}")
    return findings


def _swap(a: Block, b: Block) -> None:
    first, second = bytearray(a.path.read_bytes()), bytearray(b.path.read_bytes())
    if a.path == b.path:
        second = first
    for x, y in zip(a.places, b.places, strict=True):
        first[x], second[y] = second[y], first[x]
    a.path.write_bytes(first)
    b.path.write_bytes(second)


def _noticed(findings: Findings) -> Findings:
    """Count it as a problem if any of the faults, none of which is harmless, went unnoticed."""
    if findings.right:
        findings.problems.append(f"{findings.right} faults went unnoticed")
    return findings
