"""The catalogue: entries, misses that say why, and cleaning up without losing anything that is used."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from taxbench.features.store.index import (
    begin_entry,
    collect,
    entries,
    entry_folder,
    find_entry,
    nearest_difference,
    open_entry,
    orphans,
    read_manifest,
    read_table,
    remove,
)
from taxbench.features.store.writer import partial_path, shard_path
from taxbench.specs.feature_key import Imported, Origin
from taxbench.util.errors import CacheError, UsageError
from tests.features.store.making import PAGED, PREPROCESSING, SOURCE, key_of, open_made, write_entry
from tests.features.store.test_locks import Holder

OTHER = key_of(PAGED, "other pictures")
THEIRS = key_of(PAGED).model_copy(update={"source": Imported(name="theirs", file_digest="f")})


def stopped(folder: Path, shard: int) -> Path:
    """Make a sealed shard look as a stopped process left it."""
    return shard_path(folder, shard).rename(partial_path(folder, shard))


def test_an_empty_cache_holds_nothing(tmp_path: Path) -> None:
    assert read_table(tmp_path, key_of(PAGED)) is None
    assert not list(entries(tmp_path)) and not list(orphans(tmp_path))
    assert nearest_difference(tmp_path, key_of(PAGED)) == []


def test_the_first_to_begin_an_entry_decides_its_layout(tmp_path: Path) -> None:
    first = begin_entry(tmp_path, key_of(PAGED), PAGED, Origin(encoder="one"))
    wider = PAGED.model_copy(update={"shard_rows": 64})
    assert begin_entry(tmp_path, key_of(PAGED), wider, Origin(encoder="two")) == first
    assert first.layout == PAGED and first.origin.encoder == "one"
    assert read_manifest(entry_folder(tmp_path, key_of(PAGED))) == first


def test_two_entries_do_not_disturb_each_other(tmp_path: Path) -> None:
    write_entry(tmp_path, PAGED)
    write_entry(tmp_path, PAGED, key=OTHER)
    assert open_made(tmp_path, PAGED).check_all() == open_made(tmp_path, PAGED, OTHER).check_all() == []
    assert [entry.complete for entry in entries(tmp_path)] == [True, True]


def test_a_miss_names_the_field_that_differs_from_the_nearest_entry(tmp_path: Path) -> None:
    write_entry(tmp_path, PAGED)
    write_entry(tmp_path, PAGED, key=THEIRS)
    source = SOURCE.model_copy(update={"preprocessing": PREPROCESSING.model_copy(update={"height": 256})})
    wanted = key_of(PAGED).model_copy(update={"source": source})
    assert read_table(tmp_path, wanted) is None
    assert nearest_difference(tmp_path, wanted) == ["preprocessing.height 224 → 256"]


def test_an_entry_says_what_is_there(tmp_path: Path) -> None:
    folder = write_entry(tmp_path, PAGED)
    (whole,) = entries(tmp_path)
    assert (whole.sealed, whole.complete, whole.name) == (5, True, "dinov3")
    assert whole.size >= PAGED.n * PAGED.row_bytes
    stopped(folder, 2)
    (entry,) = entries(tmp_path)
    assert (entry.sealed, entry.complete) == (4, False)
    assert read_table(tmp_path, key_of(PAGED)) is None
    with pytest.raises(CacheError, match=r"not complete: 4 of 5 shards are sealed.*goes on where it stopped"):
        open_entry(entry)


def test_entries_are_found_by_the_beginning_of_their_key_or_by_the_imported_name(tmp_path: Path) -> None:
    for key in (key_of(PAGED), OTHER, THEIRS):
        write_entry(tmp_path, PAGED, key=key)
    assert find_entry(tmp_path, OTHER.digest[:12]).folder == entry_folder(tmp_path, OTHER)
    assert find_entry(tmp_path, "theirs").name == "imported:theirs"
    assert find_entry(tmp_path, "imported:theirs").name == "imported:theirs"
    with pytest.raises(UsageError, match=f"several entries begin with '': .*{OTHER.digest}"):
        find_entry(tmp_path, "")
    with pytest.raises(UsageError, match=f"no entry begins with 'zz': .*{OTHER.digest}"):
        find_entry(tmp_path, "zz")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text[:100], "is broken"),
        (lambda text: "", "is broken"),
        (lambda text: text.replace("features 1", "features 2"), "is broken"),
        (lambda text: text.replace('"def"', '"dff"'), "describes the entry"),
        (lambda text: text.replace('"n": 140', '"n": 141'), "layout cannot be"),
        (lambda text: text.replace('"shard_rows": 32', '"shard_rows": 30'), "layout cannot be"),
        (lambda text: text.replace('"block_rows": 8', '"block_rows": 0'), "layout cannot be"),
        (lambda text: text.replace('"t": 2', '"t": 3'), "another layout than"),
        (lambda text: text.replace('"block_rows": 8', '"block_rows": 4'), "another layout than"),
    ],
)
def test_a_broken_manifest_is_an_error_that_names_it(tmp_path: Path, change: Callable[[str], str], words: str) -> None:
    path = write_entry(tmp_path, PAGED) / "manifest.json"
    text = path.read_text()
    path.write_text(change(text))
    assert path.read_text() != text
    with pytest.raises(CacheError, match=rf"{path}' .*{words}|{words} '{path}'"):
        read_table(tmp_path, key_of(PAGED))


def test_a_manifest_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = write_entry(tmp_path, PAGED) / "manifest.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CacheError, match=f"'{path}' is broken"):
        read_table(tmp_path, key_of(PAGED))


def test_the_manifest_is_plain_json(tmp_path: Path) -> None:
    tree = json.loads((write_entry(tmp_path, PAGED) / "manifest.json").read_text())
    assert tree["format"] == "taxbench features 1" and tree["layout"]["shard_rows"] == 32


def test_strays_are_what_no_run_can_use(tmp_path: Path) -> None:
    folder = write_entry(tmp_path, PAGED)
    kept = stopped(write_entry(tmp_path, PAGED, key=OTHER), 1)
    features = tmp_path / "features"
    leftover = partial_path(folder, 2)
    leftover.write_bytes(b"")
    (folder / ".manifest.json.77.partial").write_text("{")
    (features / "0123.h5").write_bytes(b"old")
    (features / "empty").mkdir()
    broken = write_entry(tmp_path, PAGED, key=THEIRS)
    (broken / "manifest.json").write_text("{")
    found = {stray.path: stray.reason for stray in orphans(tmp_path)}
    assert set(found) == {
        leftover, folder / ".manifest.json.77.partial", features / "0123.h5", features / "empty", broken,
    }  # fmt: skip
    assert found[leftover] == "its shard is sealed" and "is broken" in found[broken]
    assert {stray.path for stray in collect(tmp_path, [], incomplete=False, dry_run=True)} == set(found)
    assert all(path.exists() for path in found)
    collect(tmp_path, [], incomplete=False, dry_run=False)
    assert not any(path.exists() for path in found) and kept.is_file()
    assert open_made(tmp_path, PAGED).check_all() == []


def test_only_what_is_named_is_removed(tmp_path: Path) -> None:
    write_entry(tmp_path, PAGED)
    write_entry(tmp_path, PAGED, key=OTHER)
    collect(tmp_path, [OTHER.digest[:10]], incomplete=False, dry_run=False)
    assert [entry.folder.name for entry in entries(tmp_path)] == [key_of(PAGED).digest]


def test_unfinished_entries_are_removed_on_request_only(tmp_path: Path) -> None:
    stopped(write_entry(tmp_path, PAGED, key=OTHER), 1)
    write_entry(tmp_path, PAGED)
    assert collect(tmp_path, [], incomplete=False, dry_run=False) == []
    (stray,) = collect(tmp_path, [], incomplete=True, dry_run=False)
    assert stray.path == entry_folder(tmp_path, OTHER) and not stray.path.exists()
    assert [entry.complete for entry in entries(tmp_path)] == [True]


def test_an_entry_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    folder = write_entry(tmp_path, PAGED)
    stopped(folder, 3)
    writer = Holder(folder, "3")
    with pytest.raises(CacheError, match=r"is being written by another process \(shard 3\)"):
        remove(folder)
    assert folder.is_dir()
    writer.kill()
    remove(folder)
    assert not folder.exists()


def test_a_partial_file_that_a_process_may_be_about_to_seal_is_no_stray(tmp_path: Path) -> None:
    folder = write_entry(tmp_path, PAGED)
    partial_path(folder, 2).write_bytes(b"")
    writer = Holder(folder, "2")
    assert not list(orphans(tmp_path))
    writer.kill()
    assert [stray.path for stray in orphans(tmp_path)] == [partial_path(folder, 2)]


def test_removing_what_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match="cannot be removed"):
        remove(tmp_path / "gone")
