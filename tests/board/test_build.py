"""Building the leaderboard: all forms, the same bytes again, and intervals kept beside the records."""

import base64
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from taxbench.board.build import FORMS, build, make_board, stale
from taxbench.board.load import RESULTS, load_records
from taxbench.board.resampling import FILE, Cached, Resampled, known_resamplings, read_resamplings
from taxbench.board.rows import make_table, row_key
from taxbench.cli.main import call
from taxbench.results.records import RESULT, read_result, result_bytes, result_folder, write_result
from taxbench.scoring import bootstrap
from taxbench.specs.run import TrainerSpec
from taxbench.specs.side_files import Timing
from taxbench.tasks.registry import find_tasks
from taxbench.util.errors import DataError
from taxbench.util.progress import Reporter
from tests.board.boards import TASKS
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


def test_intervals_are_kept_and_a_damaged_file_of_them_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(root, (), QUIET)
    before = read_resamplings(root / FILE)
    assert all(row.intervals["transfer"][0] is not None for row in before.values()) and len(before) == 5
    monkeypatch.setattr("taxbench.board.resampling.replicates", lambda *_: pytest.fail("resampled again"))
    build(root, (), QUIET)
    text = (root / FILE).read_text()
    f1 = next(iter(before.values())).f1
    for wrong in ("{", text.replace(f1, f1[:-8]), text.replace(f1, "é")):
        (root / FILE).write_text(wrong)
        with pytest.raises(DataError, match="Remove it"):
            read_resamplings(root / FILE)
        assert len(known_resamplings(load_records([root / RESULTS]), root / "cache")) == 0  # readers bear it


def test_figures_of_the_user_are_left_alone(root: Path) -> None:
    (root / "figures").mkdir()
    for name in ("my_plot.png", "heatmap-gone.png"):
        (root / "figures" / name).write_text("mine")
    build(root, (), QUIET)
    assert (root / "figures" / "my_plot.png").exists() and not (root / "figures" / "heatmap-gone.png").exists()


def test_what_does_not_follow_from_the_records_is_found(root: Path) -> None:
    build(root, (), QUIET)
    assert stale(root, (), QUIET) == []
    page = root / FORMS["html"]
    page.write_text(page.read_text().replace("0.", "0.9", 1))
    assert stale(root, (), QUIET) == [FORMS["html"]]
    build(root, (), QUIET)
    row = next(iter(read_resamplings(root / FILE).values()))
    zeros = base64.b64encode(bytes(len(base64.b64decode(row.f1)))).decode()
    for false in (row.f1, json.dumps(row.intervals["f1"][0])):
        text = (root / FILE).read_text()
        (root / FILE).write_text(text.replace(false, zeros if false == row.f1 else "0.5"))
        assert stale(root, (), QUIET) == [FILE]
        (root / FILE).write_text(text)


def test_changed_predictions_are_told_and_give_no_interval(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = sorted(root.rglob("predictions.npz"))[0]
    content, kept = path.read_bytes(), dict[str, Resampled]()
    path.write_bytes(sorted(root.rglob("predictions.npz"))[1].read_bytes())
    board = make_board(load_records([root]), (), kept, (), Reporter())
    assert "is not the file that its record was written with" in capsys.readouterr().err
    assert len(kept) == 4 and sum(row.f1.low is None for row in board.rows) == 1
    path.write_bytes(content)
    assert all(row.f1.low is not None for row in make_board(load_records([root]), (), kept, (), QUIET).rows)


def test_the_cache_keeps_resamplings_and_bears_damage(root: Path, tmp_path: Path) -> None:
    cached = Cached(tmp_path / "cache")
    make_board(load_records([root]), (), cached, (), QUIET)
    assert len(cached) == 5
    key = next(iter(cached))
    (tmp_path / "cache" / "resampling" / f"{key}.json").write_text("{")
    assert cached.get(key) is None and len(make_board(load_records([root]), (), cached, (), QUIET).rows) == 5
    assert cached.get(key) is not None


def test_kept_replicates_give_the_same_interval_as_those_that_were_made(root: Path) -> None:
    found, made = load_records([root]), dict[str, Resampled]()
    board = make_board(found, (), made, (), QUIET)
    for row in board.rows:
        kept = made[row_key(row)].replicates()  # in two bytes each
        assert kept is not None
        scored = min(result.scores[row.split].n_categories for result in found.results if result.run.task == row.task)
        assert (row.f1.low, row.f1.high) == pytest.approx(bootstrap.interval(kept, scored), abs=1e-4)


@pytest.mark.skipif(not (PUBLISHED / RESULTS).is_dir(), reason="no published records in this checkout")
def test_the_published_board_follows_from_its_records_fast_and_without_torch(tmp_path: Path) -> None:
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
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    taken = time.perf_counter() - start
    assert done.stdout.rstrip().endswith("HEAVY []")
    assert len(json.loads(done.stdout.rpartition("HEAVY")[0])) >= 6
    for name in (*FORMS.values(), FILE):
        assert (tmp_path / name).read_bytes() == (PUBLISHED / name).read_bytes(), f"{name}: taxbench leaderboard build"
    assert taken < 15  # 5 on a quiet machine, see README; this one may be busy


@pytest.mark.skipif(not (PUBLISHED / RESULTS).is_dir(), reason="no published records in this checkout")
def test_a_new_seed_of_a_published_system_joins_its_row(tmp_path: Path) -> None:
    folders = sorted((PUBLISHED / RESULTS / "unseen_hypernym").glob("pocket-pocket-mlp-pocket-seed*"))
    records = [read_result(folder / RESULT) for folder in folders]
    known = [each for each in records if each.run.trainer == TrainerSpec()]
    run = known[0].run.model_copy(update={"seed": 1})
    new = known[0].model_copy(update={"run": run, "versions": known[0].versions.model_copy(
        update={"taxbench": "0.9.0", "python": "3.14.0", "scikit_learn": None})})  # fmt: skip
    predictions = (folders[records.index(known[0])] / "predictions.npz").read_bytes()
    write_result(result_folder(tmp_path, run), new, predictions, Timing(machine="here", seconds={}))
    assert json.loads(next(tmp_path.rglob(RESULT)).read_text())["schema_version"] == 3
    (row,) = make_table([*known, *load_records([tmp_path]).results])
    assert row.seeds == (1, 7, 42, 218) and len(row.records) == 4 and row.setting == ""


def test_settings_are_chosen_by_validation_and_never_by_the_test(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rates = {1e-3: (0.5, 3.0), 3e-3: (0.7, 0.5)}  # of which the second does better on validation leaves alone
    for rate, (validation, skill) in rates.items():
        made = record(root / "swept", 1, skill, trainer=TrainerSpec(learning_rate=rate))
        folder = result_folder(root / "swept", made.run)
        scores = made.validation.model_copy(update={"macro_f1": validation})
        (folder / RESULT).write_bytes(result_bytes(made.model_copy(update={"validation": scores})))
    board = make_board(load_records([root / "swept"]), (), {}, (), QUIET)
    assert [row.validation_f1.mean for row in board.rows] == [0.5, 0.7]
    assert board.rows[0].f1.mean > board.rows[1].f1.mean  # type: ignore[operator]
    (row,) = make_board(load_records([root / "swept"]), (), {}, (), QUIET, "validation").rows
    assert (row.validation_f1.mean, row.setting) == (0.7, "learning_rate=0.003")
    assert call(["leaderboard", "show", str(root / "swept"), "--best-by", "validation"]) == 0
    assert "0.700" in (said := capsys.readouterr().out) and "0.500" not in said
    assert call(["leaderboard", "show", str(root / "swept")]) == 0
    said = capsys.readouterr().out
    assert said.index("0.700") < said.index("0.500")  # in the order of validation
