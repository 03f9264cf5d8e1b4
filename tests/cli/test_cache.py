"""`taxbench extract` and `taxbench cache`, as typed."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from taxbench.board.pictures import pictures_of
from taxbench.cli.main import call
from taxbench.results.records import read_result
from taxbench.util.errors import DataError
from taxbench.util.progress import Reporter
from tests.datasets.test_folder import make

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run one command line with a cache and pictures of its own; returns exit code, output, and errors."""
    make(tmp_path / "photos")
    monkeypatch.setenv("TAXBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def one(*arguments: str) -> tuple[int, str, str]:
        code = call(["-q", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return one


PHOTOS = ("--dataset", "folder:photos", "--taxonomy", "taxonomy.tsv")
EXTRACT = ("extract", *PHOTOS, "--encoder", "pixels")


def extracted(run: Run, *arguments: str) -> list[dict[str, object]]:
    code, out, _ = run(*EXTRACT, "--json", *arguments)
    assert code == 0
    found: list[dict[str, object]] = json.loads(out)
    return found


def test_extract_says_what_it_made_and_a_run_finds_it(run: Run, tmp_path: Path) -> None:
    (entry,) = extracted(run)
    assert (entry["n"], entry["t"], entry["f"], entry["sealed"]) == (24, 1, 3072, 1)
    code, out, _ = run("run", *PHOTOS, "--encoder", "pixels", "--task", "leaf", "--json", "--set", "epochs=1")
    assert code == 0 and json.loads(out)[0]["run"]["encoder"]["features"] == entry["key"]


def test_several_pools_are_several_entries_that_ls_and_info_show(run: Run) -> None:
    keys = [str(entry["key"]) for entry in extracted(run, "--pool", "pooled,tokens,grid4")]
    code, out, _ = run("cache", "ls")
    assert code == 0 and all(key in out for key in keys) and "layer -1 grid4" in out
    code, out, _ = run("cache", "info", keys[1][:6])
    assert code == 0 and "key.source.preprocessing.height 32" in out and "layout.t" in out
    code, out, _ = run("cache", "info", keys[1], "--json")
    assert json.loads(out)["manifest"]["key"]["n_images"] == 24
    code, out, _ = run("cache", "ls", "--json")
    assert sorted(entry["key"] for entry in json.loads(out)) == sorted(keys)


def test_undecodable_images_are_listed_and_the_exit_code_is_1(run: Run, tmp_path: Path) -> None:
    (tmp_path / "photos" / "test" / "n2" / "test1.png").write_bytes(b"no picture")
    code, out, _ = run(*EXTRACT, "--json")
    assert code == 1 and json.loads(out)[0]["undecodable"] == ["test/n2/test1.png"]
    assert "1 images without features" in run("cache", "ls")[1]


def test_verify_encodes_a_sample_again_and_names_damage(run: Run, tmp_path: Path) -> None:
    (entry,) = extracted(run)
    code, out, _ = run("cache", "verify", "--json")
    (found,) = json.loads(out)
    assert code == 0 and found["sampled"] == 24 and found["largest_difference"] < 2e-3 and not found["problems"]
    (shard,) = Path(str(entry["folder"])).glob("*.h5")
    data = bytearray(shard.read_bytes())
    data[len(data) - 3000] ^= 1
    shard.write_bytes(bytes(data))
    code, out, _ = run("cache", "verify", str(entry["key"]))
    assert code == 1 and f"'{shard}', block 0 (rows 0 to 23)" in out and "rm '" in out


def test_an_empty_cache_is_said(run: Run) -> None:
    assert "No features in" in run("cache", "verify")[1]


def test_verify_says_what_has_changed_since(run: Run, tmp_path: Path) -> None:
    extracted(run)
    (tmp_path / "photos" / "test" / "n2" / "test1.png").unlink()
    code, out, _ = run("cache", "verify")
    assert code == 0 and "Nothing was encoded again" in out and "n_images 24 → 23" in out


def test_verify_bears_an_entry_in_which_no_image_has_features(run: Run, tmp_path: Path) -> None:
    for path in (tmp_path / "photos").rglob("*.png"):
        path.write_bytes(b"no picture")
    assert run(*EXTRACT)[0] == 1  # which names one
    code, out, _ = run("cache", "verify")
    assert code == 0 and "Nothing was encoded again. No image has features in it." in out


def test_gc_removes_what_is_named_and_nothing_else(run: Run, tmp_path: Path) -> None:
    first, second = extracted(run, "--pool", "pooled,tokens")
    stray = tmp_path / "cache" / "features" / "0123456789abcdef.h5"
    stray.write_bytes(b"of an older version")
    code, out, _ = run("cache", "gc", "--dry-run")
    assert code == 0 and f"would remove {stray}" in out and stray.exists()
    assert run("cache", "gc")[0] == 0 and not stray.exists()
    assert run("cache", "gc", str(first["key"]))[0] == 0
    assert [entry["key"] for entry in json.loads(run("cache", "ls", "--json")[1])] == [second["key"]]


def test_export_import_and_run_with_imported_features(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (entry,) = extracted(run)
    assert run("cache", "export", str(entry["key"]), "pixels.npy")[0] == 0
    assert np.load("pixels.npy").shape == (24, 1, 3072)
    code, out, _ = run("cache", "import", "pixels.npy", "--ids", "pixels.ids.txt", "--name", "mine", *PHOTOS)
    assert code == 0 and f"imported:mine {' '.join(PHOTOS)}" in out
    results = []
    for encoder in ("imported:mine", "pixels"):
        code, out, _ = run("run", *PHOTOS, "--encoder", encoder, "--task", "leaf", "--json", "--set", "epochs=1")
        assert code == 0
        results.append(json.loads(out)[0]["scores"])
    assert results[0] == results[1]
    (record,) = (path for path in Path("results").rglob("result.json") if "imported" in str(path))
    of, quiet = read_result(record), Reporter(quiet=True)
    monkeypatch.chdir("/")
    pictures = pictures_of(of, quiet)
    assert len(pictures.images) == 24
    moved = (tmp_path / "taxonomy.tsv").rename(tmp_path / "moved.tsv")
    with pytest.raises(DataError, match="--taxonomy FILE"):
        pictures_of(of, quiet)
    assert pictures_of(of, quiet, taxonomy=moved).images == pictures.images


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((*EXTRACT, "--pool", "both"), 2, "expected pooled, tokens or gridK"),
        ((*EXTRACT, "--pool", "grid9"), 2, "finer than the 8 x 8 patches"),
        ((*EXTRACT, "--layers", "last"), 2, "expected whole numbers"),
        ((*EXTRACT, "--layers", "-2"), 2, "has no layer -2"),
        (("extract", *PHOTOS, "--encoder", "dinov4"), 2, "Did you mean 'dinov"),
        (("extract", *PHOTOS, "--encoder", "imported:mine"), 1, "there is no encoder to make others with"),
        (("cache", "info", "abc"), 2, "no entry begins with 'abc'"),
        (("cache", "import", "none.npy", "--name", "x", *PHOTOS), 2, "No such file: 'none.npy'"),
        (("cache", "import", "taxonomy.tsv", "--name", "x", *PHOTOS), 2, "of no kind that can be imported"),
        (("run", *PHOTOS, "--encoder", "imported:none", "--task", "leaf"), 2, "cache import FILE --name NAME"),
    ],
)
def test_what_cannot_be_done_is_said(run: Run, arguments: tuple[str, ...], code: int, words: str) -> None:
    found, _, err = run(*arguments)
    assert found == code and words in err
