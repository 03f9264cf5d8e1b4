"""Several processes with one grid: nothing is done twice, nothing is lost, and anyone can see how far they are."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from taxbench.cli.main import call
from taxbench.results.records import find_results, read_result
from taxbench.runs import status as status_module
from taxbench.runs.config import resolve
from taxbench.runs.run_options import Options
from taxbench.runs.runner import run
from taxbench.runs.status import STATUS, ProcessStatus, StatusFile, Tally, grids_of
from taxbench.util.errors import TaxbenchError, TrainingError
from taxbench.util.progress import Reporter
from tests.faults.disk import PAGE, NoDisk, resize, small_disk
from tests.runs.small_grid import small_grid

ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}
RUN = """
import sys, time
from pathlib import Path
import taxbench
from taxbench.runs import fit, runner
log, ready, head = Path(sys.argv[1]), Path(sys.argv[2]), fit.save_head
asked = runner.measure
def saving(cache, key, *made):
    with log.open("a") as file: file.write(f"head {key.digest}\\n")
    return head(cache, key, *made)
def asking(planned, *rest):
    with log.open("a") as file: file.write(f"run {planned.spec.digest}\\n")
    return asked(planned, *rest)
fit.save_head, runner.measure = saving, asking
ready.touch()
while len(list(ready.parent.glob("ready*"))) < 2: time.sleep(0.05)
taxbench.run(quiet=True, **eval(sys.argv[3]))
"""


@pytest.fixture
def options(tmp_path: Path, tiny_llama: Path) -> dict[str, str]:
    return small_grid(tmp_path, tiny_llama)


def test_two_processes_share_a_grid_without_doing_anything_twice(options: dict[str, str], tmp_path: Path) -> None:
    workers = [
        subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path / f"log{i}"), str(tmp_path / f"ready{i}"),
                          repr(options)], stderr=subprocess.PIPE, env=ONE_THREAD)
        for i in range(2)
    ]  # fmt: skip
    for worker in workers:
        _, said = worker.communicate(timeout=600)
        assert worker.returncode == 0, said.decode()
    done = Counter(line for i in range(2) if (tmp_path / f"log{i}").exists()
                   for line in (tmp_path / f"log{i}").read_text().splitlines())  # fmt: skip
    assert set(done.values()) == {1}
    assert sum(line.startswith("run") for line in done) == 6
    assert sum(line.startswith("head") for line in done) == 12
    assert len({read_result(path).digest for path in find_results([tmp_path / "out"])}) == 6
    assert not list((tmp_path / "out" / STATUS).glob("*"))  # which ended well


def test_status_says_what_is_done_under_way_and_failed(options: dict[str, str], tmp_path: Path,
                                                       capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    config, report, tally = resolve(Options(**options)), Reporter(quiet=True), Tally(6)
    with pytest.raises(KeyboardInterrupt), StatusFile(config, tally, report) as file:
        tally.folders = {"mine mlp seed 1": tmp_path / "out" / "one", "mine mlp seed 2": tmp_path / "out" / "two"}
        (tmp_path / "out" / "one").mkdir(parents=True)
        (tmp_path / "out" / "one" / "result.json").touch()
        with report.bar("train 2 heads", 200, "q") as advance:
            advance(50)
            file._write("running")
            (grid,) = grids_of(tmp_path / "out")
        assert (grid.total, grid.done, grid.failed) == (6, 1, ())
        (process,) = grid.processes
        (work,) = process.now
        assert (work.label, work.done, work.total) == ("train 2 heads", 50, 200)
        assert grid.seconds_left is not None and work.seconds_left is not None
        tally.failed["The loss of the head stopped being a number"] = ["mine mlp seed 2"]
        raise KeyboardInterrupt
    assert call(["status", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "1 of 6 runs done" in said and "interrupted" in said and "failed: mine mlp seed 2: The loss" in said
    assert call(["status", str(tmp_path / "out"), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["grids"]
    assert found["processes"][0]["state"] == "interrupted"
    with StatusFile(config, Tally(6), report):  # the same command again takes its place
        (grid,) = grids_of(tmp_path / "out")
        assert [process.state for process in grid.processes] == ["running"]
    assert grids_of(tmp_path / "out") == []


def test_a_process_that_was_killed_is_told_from_one_at_work(options: dict[str, str], tmp_path: Path,
                                                            monkeypatch: pytest.MonkeyPatch,
                                                            capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    with StatusFile(resolve(Options(**options)), Tally(6), Reporter(quiet=True)):
        assert call(["status", str(tmp_path / "out")]) == 0
        assert "at work" in capsys.readouterr().out
        monkeypatch.setattr(status_module, "_SILENT", -1.0)
        assert call(["status", str(tmp_path / "out")]) == 0
        assert "no sign of life" in capsys.readouterr().out


def test_a_command_that_fails_leaves_word_of_it(options: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(TrainingError), StatusFile(resolve(Options(**options)), Tally(1), Reporter(quiet=True)):
        raise TrainingError("The loss stopped being a number.\nSecond line.")
    (path,) = (tmp_path / "out" / STATUS).glob("*.json")
    status = ProcessStatus.model_validate_json(path.read_text())
    assert (status.state, status.failed) == ("failed", ("The loss stopped being a number.",))
    assert time.time() - status.updated < 60
    path.write_text("{")  # a file cut short is no status, and no error
    assert grids_of(tmp_path / "out") == []


def test_a_folder_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["status", str(tmp_path / "none")]) == 2
    assert "There is no folder" in capsys.readouterr().err


def test_a_grid_runs_on_several_devices_at_once(options: dict[str, str], tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(f"import taxbench\nif __name__ == '__main__':\n    taxbench.run(quiet=True, **{options!r})\n")
    script.write_text(script.read_text().replace("'device': 'cpu'", "'device': 'cpu,cpu'"))
    started = subprocess.Popen([sys.executable, str(script)], env=ONE_THREAD)
    hosts = set[int]()
    while started.poll() is None:
        hosts |= {process.pid for grid in grids_of(tmp_path) for process in grid.processes}
        if (tmp_path / "out").is_dir():
            hosts |= {process.pid for grid in grids_of(tmp_path / "out") for process in grid.processes}
        time.sleep(0.1)
    assert started.returncode == 0
    assert len({read_result(path).digest for path in find_results([tmp_path / "out"])}) == 6
    assert len(hosts) == 2
    assert {read_result(path).run.device for path in find_results([tmp_path / "out"])} == {"cpu"}
    assert call(["run", "--device", "cpu,cuda:99", "--out", str(tmp_path / "none")]) == 2


def test_a_disk_that_fills_amid_a_grid_is_named_and_what_is_done_stays(options: dict[str, str], tmp_path: Path) -> None:
    try:
        with small_disk(tmp_path / "disk", 1000) as disk:
            config = resolve(Options(**{**options, "head": "ridge_token", "out": str(disk / "out")}))
            runs = run(config, Reporter(quiet=True))
            first = next(runs)
            assert first.folder is not None
            there = {path: path.read_bytes() for path in first.folder.iterdir()}
            resize(disk, sum(1 + path.stat().st_size // PAGE for path in disk.rglob("*") if path.is_file()))
            with pytest.raises(TaxbenchError, match=rf"{disk}/out.*cannot be written \(No space left on") as caught:
                list(runs)
            assert ".partial" not in str(caught.value)  # but the name that the record would have
            assert "runs failed" not in str(caught.value)
            assert {path: path.read_bytes() for path in first.folder.iterdir()} == there
            assert find_results([disk / "out"]) == [first.folder / "result.json"]
            resize(disk, 1000)
            assert len(list(run(config, Reporter(quiet=True)))) == 3
    except NoDisk as error:
        pytest.skip(f"no small disk to fill ({error})")
