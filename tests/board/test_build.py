"""Building the leaderboard: all forms, the same bytes again, and intervals kept beside the records."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from taxbench.board.build import FORMS, build, make_board
from taxbench.board.found import RESULTS, find
from taxbench.board.model import TASKS
from taxbench.board.resampling import FILE, known_resamplings, read_resamplings, write_resamplings
from taxbench.board.table import row_key
from taxbench.errors import DataError
from taxbench.progress import Reporter
from taxbench.registry.tasks import find_tasks
from taxbench.scoring import bootstrap
from tests.board.records import record

QUIET = Reporter(quiet=True)
PUBLISHED = Path(__file__).parents[2] / "leaderboard"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for task in TASKS:
        for seed in (1, 2):
            record(tmp_path / RESULTS, seed, 1.5, task)
    return tmp_path


def everything(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_building_writes_every_form_and_again_changes_no_byte(root: Path) -> None:
    written = build(root, find_tasks().groups.values(), QUIET)
    first = everything(root)
    assert {*FORMS.values(), FILE} <= set(first) and all(path.is_file() for path in written)
    assert any(name.endswith(".png") for name in first) and any(name.endswith(".pdf") for name in first)
    build(root, find_tasks().groups.values(), QUIET)
    assert everything(root) == first


def test_intervals_are_kept_and_made_anew_by_another_method(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(root, (), QUIET)
    before = read_resamplings(root / FILE)
    assert all(row.intervals["transfer"][0] is not None for row in before.rows.values()) and len(before.rows) == 5
    monkeypatch.setattr("taxbench.board.resampling.replicates", lambda *_: pytest.fail("resampled again"))
    build(root, (), QUIET)
    write_resamplings(root / FILE, before.model_copy(update={"method": 0}))
    assert read_resamplings(root / FILE).rows == {}
    (root / FILE).write_text("{")
    with pytest.raises(DataError, match="Remove it"):
        read_resamplings(root / FILE)


def test_kept_replicates_give_the_same_interval_as_those_that_were_made(root: Path) -> None:
    found = find([root])
    board, made = make_board(found, (), known_resamplings([root]), (), QUIET)
    for row in board.rows:
        kept = made.rows[row_key(row)].replicates()  # in two bytes each
        scored = min(result.scores[row.split].n_categories for result in found.results if result.task == row.task)
        assert (row.f1.low, row.f1.high) == pytest.approx(bootstrap.interval(kept, scored), abs=1e-4)


@pytest.mark.skipif(not (PUBLISHED / RESULTS).is_dir(), reason="no published records in this checkout")
def test_the_published_board_follows_from_its_records_in_five_seconds_without_torch(tmp_path: Path) -> None:
    import shutil

    for name in (RESULTS, FILE):
        source = PUBLISHED / name
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, tmp_path / name)
    heavy = ("torch", "transformers", "h5py", "sklearn")
    code = (
        "import sys; from taxbench.cli.main import call; code = call(sys.argv[1:]);"
        f"print('HEAVY', [name for name in {heavy!r} if name in sys.modules]); sys.exit(code)"
    )
    command = [sys.executable, "-c", code, "leaderboard", "build", "--board", str(tmp_path), "--json"]
    start = time.process_time(), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    taken = time.perf_counter() - start[1]
    assert done.stdout.rstrip().endswith("HEAVY []")
    assert len(json.loads(done.stdout.rpartition("HEAVY")[0])) >= 6
    for name in (*FORMS.values(), FILE):
        assert (tmp_path / name).read_bytes() == (PUBLISHED / name).read_bytes(), f"{name}: taxbench leaderboard build"
    assert taken < 15  # 5 on a quiet machine, see README; this one may be busy
