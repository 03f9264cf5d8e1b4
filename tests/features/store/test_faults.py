"""Faults, of a fixed seed: kills, disks, flipped bits, pictures. `python -m tests.faults.campaign` goes on longer."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from taxbench.datasets.dataset import Dataset
from taxbench.features.extract import require_all
from taxbench.features.store.layout import OK, UNDECODABLE
from taxbench.features.store.writer import partial_path, shard_path
from taxbench.util.errors import CacheError, DataError
from tests.faults.campaign import damaged
from tests.faults.damage import Findings
from tests.faults.disk import NoDisk, read_only, resize, small_disk, writable
from tests.faults.pictures import Broken, make_pictures
from tests.faults.truth import Truth
from tests.faults.writer import Job, extract

ROOT = Path(__file__).parents[3]
BROKEN = Broken(garbage=(5, 70), empty=(40,))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Path]:
    folder = tmp_path_factory.mktemp("pictures")
    return make_pictures(folder, 96, BROKEN), folder / "photos"


@pytest.fixture
def job(pictures: tuple[Dataset, Path], tmp_path: Path) -> Job:
    return Job(pictures[0].images, pictures[1], tmp_path / "cache", small=(16, 32))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk that holds an entry's manifest and nothing more."""
    try:
        with small_disk(tmp_path / "disk", 1) as path:
            yield path
    except NoDisk as error:
        pytest.skip(f"no small disk to fill ({error})")


def test_a_hundred_kills_cost_what_was_in_flight_and_never_give_a_wrong_row() -> None:
    line = [sys.executable, "-m", "tests.faults.campaign", "--kills", "100", "--faults", "0", "--seed", "1", "--json"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)["kills"]
    assert found["problems"] == [] and found["wrong_rows"] == 0 and done.returncode == 0
    assert found["kills"] >= 100 and found["caches"] >= 4 and found["rows_compared"] > 5000
    assert found["rows_encoded"] > found["rows_recomputed"] > 0


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Findings]:
    return damaged(360, 2, tmp_path_factory.mktemp("damaged"))


@pytest.mark.parametrize(
    ("kind", "at_least"),
    [
        ("bit flips in sealed shards", 100),
        ("bit flips in manifests", 80),
        ("truncated shards", 40),
        ("swapped blocks", 20),
        ("other files in a shard's place", 20),
        ("damaged partial shards, extracted again", 40),
    ],
)
def test_damage_is_named_or_harmless_and_never_gives_a_wrong_row(
    findings: dict[str, Findings], kind: str, at_least: int
) -> None:
    found = findings[kind]
    assert found.problems == [] and found.wrong_rows == 0
    assert found.tried >= at_least


def test_removing_the_shard_that_an_error_names_is_enough(job: Job, tmp_path: Path) -> None:
    truth = Truth(job, tmp_path / "truth")
    Truth(job, job.cache)
    path = shard_path(job.folders[0], 1)
    others = {shard: shard_path(job.folders[0], shard).stat().st_mtime_ns for shard in (0, 2)}
    data = bytearray(path.read_bytes())
    data[-1000] ^= 1
    path.write_bytes(data)
    (table,) = extract(job)
    with pytest.raises(CacheError, match=f"only this shard is extracted anew: rm '{path}'"):
        truth.wrong_rows(0, table)
    path.unlink()
    assert truth.wrong_rows(0, extract(job)[0]) == 0
    assert others == {shard: shard_path(job.folders[0], shard).stat().st_mtime_ns for shard in (0, 2)}


def test_a_full_disk_ends_with_what_to_do_and_the_same_call_goes_on_when_there_is_room(
    job: Job, tmp_path: Path, disk: Path
) -> None:
    truth, full = Truth(job, tmp_path / "truth"), job.elsewhere(disk / "cache")
    full.begin()
    outcomes = set()
    for pages in range(1, 220, 9):
        resize(disk, pages)
        try:
            assert truth.wrong_rows(0, extract(full)[0]) == 0
            outcomes.add("whole")
        except CacheError as error:
            assert f"'{disk}" in str(error) and "No space left" in str(error)
            outcomes.add("full")
            sealed = [shard for shard in range(3) if shard_path(full.folders[0], shard).is_file()]
            for shard in sealed:
                assert shard_path(full.folders[0], shard).read_bytes() == truth.files[0][shard]
            if "shard-" in str(error):
                assert "make room, or choose another folder with --cache DIR, and run the same command" in str(error)
                assert len(sealed) < 3
    assert outcomes == {"full", "whole"}
    assert not list(disk.rglob("*.partial"))


def test_a_disk_too_full_for_the_manifest_is_named(job: Job, tmp_path: Path, disk: Path) -> None:
    (disk / "filler").write_bytes(bytes(4096))
    full = job.elsewhere(disk / "cache")
    with pytest.raises(CacheError, match=rf"'{disk}.*manifest\.json' cannot be written \(No space left"):
        extract(full)
    assert not list(disk.rglob("manifest.json")) and not list(disk.rglob("*.partial"))
    resize(disk, 1000)
    assert Truth(job, tmp_path / "truth").wrong_rows(0, extract(full)[0]) == 0


def test_the_command_line_ends_cleanly_on_a_full_disk_and_goes_on_when_there_is_room(
    tmp_path: Path, disk: Path
) -> None:
    make_pictures(tmp_path, 96)
    photos = tmp_path / "photos"
    line = [sys.executable, "-m", "taxbench", "extract", "--dataset", f"folder:{photos}", "--encoder", "pixels"]
    line += ["--taxonomy", str(photos.parent / "taxonomy.tsv"), "--cache", str(disk), "--device", "cpu"]
    resize(disk, 20)
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "shard-00000.h5.partial' cannot be written (No space left on device" in done.stderr
    assert "--cache DIR" in done.stderr
    resize(disk, 1000)
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "complete" in done.stdout
    assert len(list(disk.rglob("shard-*.h5"))) == 1 and not list(disk.rglob("*.partial"))


def test_a_whole_entry_on_a_read_only_disk_is_read(job: Job, tmp_path: Path, disk: Path) -> None:
    resize(disk, 1000)
    truth = Truth(job, disk / "cache")
    read_only(disk)
    assert truth.wrong_rows(0, extract(job.elsewhere(disk / "cache"))[0]) == 0


@pytest.mark.parametrize("left", ["nothing", "an unfinished entry"])
def test_a_read_only_disk_is_named_and_what_is_there_stays(job: Job, tmp_path: Path, disk: Path, left: str) -> None:
    resize(disk, 1000)
    there = job.elsewhere(disk / "cache")
    if left == "an unfinished entry":
        Truth(job, there.cache)
        shard_path(there.folders[0], 1).rename(partial_path(there.folders[0], 1))
    before = {path: path.stat().st_size for path in disk.rglob("*")}
    read_only(disk)
    with pytest.raises(CacheError, match=rf"'{disk}.*cannot be written \(Read-only file system.*--cache DIR"):
        extract(there)
    assert before == {path: path.stat().st_size for path in disk.rglob("*")}
    writable(disk)
    assert Truth(job, tmp_path / "truth").wrong_rows(0, extract(there)[0]) == 0


def test_pictures_that_cannot_be_decoded_have_a_status_and_are_never_served(
    job: Job, pictures: tuple[Dataset, Path]
) -> None:
    (table,) = extract(job)
    bad = sorted([*BROKEN.garbage, *BROKEN.empty])
    assert np.flatnonzero(table.status == UNDECODABLE).tolist() == bad
    assert (np.delete(table.status, bad) == OK).all()
    for row in bad:
        with pytest.raises(CacheError, match=f"no features, first: image '{table.ids[row]}'"):
            table.take(np.array([0, row]))
    with pytest.raises(DataError, match=rf"'{pictures[1] / table.ids[5]}' cannot be decoded .*3 of 96 images"):
        require_all(table, pictures[0])


def test_a_picture_that_was_empty_is_read_after_it_was_mended(
    pictures: tuple[Dataset, Path], job: Job, tmp_path: Path
) -> None:
    (before,) = extract(job)
    root = tmp_path / "mended"
    shutil.copytree(pictures[1].parent, root)
    for row in (*BROKEN.garbage, *BROKEN.empty):
        shutil.copy(root / "photos" / before.ids[0], root / "photos" / before.ids[row])
    images = make_pictures(root, 0).images
    (after,) = extract(Job(images, root / "photos", job.cache, small=None))
    assert after.key != before.key and (after.status == OK).all()
    assert np.array_equal(after.take(np.array([0])), after.take(np.array([40])))


def test_the_same_features_asked_for_twice_are_extracted_once(job: Job, tmp_path: Path) -> None:
    truth = Truth(job, tmp_path / "truth")
    twice = Job(job.images, job.photos, job.cache, pools=("pooled", "pooled"), small=(16, 32))
    for table in extract(twice):
        assert truth.wrong_rows(0, table) == 0
