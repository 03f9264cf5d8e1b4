"""A grid on a Ray cluster: the records of one process, whatever dies meanwhile; and what is wrong with a cluster."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from taxbench.cli.main import call
from taxbench.runs.config import resolve
from taxbench.runs.ray_engine import LockTable, _check_machine, _Job, _Seat
from taxbench.runs.run_options import Options
from taxbench.runs.runner import run_here
from taxbench.runs.status import grids_of
from taxbench.util.errors import TaxbenchError
from taxbench.util.locks import ByteLocks, take_locks_from
from tests.faults.grids import campaign
from tests.runs.small_grid import small_grid, typed


class Server:
    """A lock table asked without a cluster."""

    def __init__(self, table: LockTable, worker: str) -> None:
        self._table, self._worker = table, worker

    def take(self, lock: str, holder: str) -> bool:
        return self._table.take(lock, self._worker, holder)

    def release(self, lock: str, holder: str) -> None:
        self._table.release(lock, self._worker, holder)


def test_locks_of_a_table_keep_others_out_until_they_are_given_back(tmp_path: Path) -> None:
    table = LockTable()
    try:
        take_locks_from(Server(table, "worker 1"))
        mine = ByteLocks(tmp_path / "lock")
        assert mine.take(3) and mine.take(3)
        take_locks_from(Server(table, "worker 2"))
        theirs = ByteLocks(tmp_path / "lock")
        assert not theirs.take(3)
        assert theirs.take(4) and ByteLocks(tmp_path / "other").take(3)
        take_locks_from(Server(table, "worker 1"))
        mine.close()
        assert theirs.take(3, wait=True)
    finally:
        take_locks_from(None)


def test_what_a_dead_worker_held_is_free_and_it_gets_nothing_more() -> None:
    table = LockTable()
    assert table.take("lock", "worker 1", "a")
    assert not table.take("lock", "worker 2", "b")
    table.forget("worker 1")
    assert table.take("lock", "worker 2", "b")
    table.release("lock", "worker 1", "a")  # too late: it is another one's
    assert not table.take("lock", "worker 3", "c")
    assert not table.take("another", "worker 1", "a")
    table.tell("out/one")
    table.tell("out/two")
    table.tell("out/one")
    assert table.records() == ["out/one", "out/two"]


def test_a_machine_that_cannot_help_says_why(tmp_path: Path) -> None:
    config = resolve(Options(out=str(tmp_path / "out"), cache=str(tmp_path / "cache")))
    job = _Job(config, run_here, {"torch": "1.0"}, [], str(tmp_path), ".token")
    with pytest.raises(TaxbenchError, match=r"and not 1\.0: its numbers would be others"):
        _check_machine(job)
    with pytest.raises(TaxbenchError, match="does not see the folder"):
        _check_machine(replace(job, computing={}))


def test_an_engine_that_is_not_there_is_told(
    tmp_path: Path, tiny_llama: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = typed(small_grid(tmp_path, tiny_llama))
    assert call(["run", *options, "--engine", "rya"]) == 2
    (tmp_path / "grid.yaml").write_text("engine: rya\n")
    assert call(["run", str(tmp_path / "grid.yaml")]) == 2
    assert "grid.yaml:1:1" in capsys.readouterr().err
    assert call(["run", *options, "--device", "cuda:0,cuda:1", "--engine", "ray"]) == 2
    assert "Ray gives each worker its GPU" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "ray", None)
    assert call(["run", *options, "--engine", "ray"]) == 2
    assert "pip install 'taxbench[ray]'" in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("**/*"))


def test_a_cluster_that_cannot_be_reached_is_told(
    tmp_path: Path, tiny_llama: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert call(["run", *typed(small_grid(tmp_path, tiny_llama)), "--engine", "ray"]) == 2
    said = capsys.readouterr().err
    assert "The Ray cluster at RAY_ADDRESS=127.0.0.1:1 cannot be used" in said and "unset RAY_ADDRESS" in said


def test_a_cluster_of_another_version_is_told_with_both_versions(
    tmp_path: Path, tiny_llama: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = pytest.importorskip("ray")
    from ray._private.utils import check_version_info

    theirs = {"ray_version": "2.1.0", "python_version": "3.10.1"}
    monkeypatch.setattr(ray, "init", lambda **_: check_version_info(theirs, "this machine"))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert call(["run", *typed(small_grid(tmp_path, tiny_llama)), "--engine", "ray"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "Ray: 2.1.0 Python: 3.10.1" in said and f"Ray: {ray.__version__}" in said
    assert "Install the same Ray and Python on all machines." in said and "ray start" not in said


def test_a_grid_comes_out_byte_for_byte_as_by_one_process_whatever_is_killed(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    tally = campaign(tmp_path, kills=2, seed=5, every=12.0, seeds=4)
    assert tally.problems == []
    assert tally.kills.total() >= 2 and tally.records == tally.grids * 24


@pytest.mark.parametrize(
    ("device", "threads", "resource", "each", "count"),
    [("auto", None, "GPU", 1, 2), ("cpu", None, "CPU", 4, 17), ("cpu", "2", "CPU", 2, 34), ("cpu", "8", "CPU", 4, 17),
     ("cpu", "2,1", "CPU", 2, 34), ("cpu", "0", "CPU", 4, 17)],
)  # fmt: skip
def test_all_workers_have_as_much_of_a_machine(
    monkeypatch: pytest.MonkeyPatch, device: str, threads: str | None, resource: str, each: int, count: int
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if threads:
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    machines = [{"CPU": 4.0, "GPU": 2.0}, {"CPU": 64.0}, {"memory": 1e9}]
    seat = _Seat.of(machines, device)
    assert (seat.resource, seat.each, seat.count(machines)) == (resource, each, count)
    assert seat.environment["HF_HUB_OFFLINE"] == "1" and "HF_TOKEN" not in seat.environment
    assert seat.environment.get("OMP_NUM_THREADS") == (str(each) if resource == "CPU" else threads)


def test_a_grid_that_is_interrupted_goes_on_where_it_stopped(tmp_path: Path, tiny_llama: Path) -> None:
    pytest.importorskip("ray")
    options = {**small_grid(tmp_path, tiny_llama), "set": "epochs=4000", "seeds": "1"}
    words = [sys.executable, "-m", "taxbench", "run", *typed(options), "--engine", "ray"]
    command = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    heads = tmp_path / "cache" / "heads"
    while command.poll() is None and not _in_training(tmp_path / "out"):
        time.sleep(0.2)
    command.send_signal(signal.SIGTERM)
    _, said = command.communicate(timeout=120)
    assert command.returncode == 143, said
    assert "the same command goes on" in said and "Internal error" not in said
    assert list(heads.glob("*.checkpoint"))


def _in_training(out: Path) -> bool:
    """Say whether a head has made some steps."""
    return any(work.done > 200 for grid in grids_of(out) for process in grid.processes for work in process.now
               ) if out.is_dir() else False  # fmt: skip
