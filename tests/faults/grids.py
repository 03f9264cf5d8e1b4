"""Kill workers, machines, the command and the whole of a Ray cluster at random moments, until grids are done.

`python -m tests.faults.grids --kills 100 --seed 7`. The cluster is of three machines with one shared folder; a grid of
40 runs is done again and again until so many were killed. After each grid: no record is lost, none is there twice, and
all are, byte for byte, what one process makes.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taxbench.results.records import RESULT
from tests.conftest import save_tiny_lm
from tests.runs.small_grid import small_grid, typed

MACHINES = 3
_ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_gcs_rpc_server_reconnect_timeout_s": "5"}
_KINDS = ("worker",) * 12 + ("machine",) * 4 + ("command",) * 3 + ("head",)
_PATIENCE = 300.0
"""Seconds for a command to notice that its cluster is gone."""


@dataclass
class Tally:
    """What a campaign found."""

    kills: Counter[str] = field(default_factory=Counter)
    grids: int = 0
    records: int = 0
    commands: int = 0
    """How often the command was typed."""
    problems: list[str] = field(default_factory=list)


def contents(out: Path) -> dict[str, bytes]:
    """Return what records say, by their place in a folder of results: all that does not tell the time."""
    files = {path.relative_to(out): path for path in out.rglob("*") if path.is_file() and path.name != "timing.json"}
    return {str(name): path.read_bytes() for name, path in files.items()
            if not any(part.startswith(".") for part in name.parts)}  # what is hidden is no record  # fmt: skip


class Cluster:
    """Three machines of one core each beside a head without any."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster as RayCluster

        os.environ.update(_ENVIRONMENT)
        self._cluster = RayCluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        self._machines: list[Any] = [self._cluster.add_node(num_cpus=1) for _ in range(MACHINES)]
        self.address: str = self._cluster.address

    def lose_machine(self, which: int) -> None:
        """Kill one machine with all that runs on it; another one takes its place."""
        self._cluster.remove_node(self._machines.pop(which), allow_graceful=False)
        self._machines.append(self._cluster.add_node(num_cpus=1))

    def lose_head(self) -> None:
        """Kill what holds the cluster together."""
        self._cluster.head_node.kill_gcs_server(check_alive=False)

    def workers(self) -> list[int]:
        """Return the processes in which a grid is worked on."""
        parents = {each.process.pid for machine in self._machines for each in machine.all_processes["raylet"]}
        return sorted(pid for pid, parent in _processes("ray::_work") if parent in parents)

    def stop(self) -> None:
        """End what is left of it."""
        self._cluster.shutdown()


def _processes(name: str) -> Iterator[tuple[int, int]]:
    """Yield the processes whose command line has a name, each with its parent."""
    for folder in Path("/proc").iterdir():
        with suppress(OSError):  # it ended
            if folder.name.isdigit() and name in (folder / "cmdline").read_text():
                yield int(folder.name), int((folder / "stat").read_text().rpartition(")")[2].split()[1])


class Campaign:
    """A grid on a cluster that things happen to."""

    def __init__(self, options: dict[str, str], draw: random.Random, every: float) -> None:
        self._options, self._draw, self._every = options, draw, every
        self._cluster = Cluster()
        self.tally = Tally()

    def run(self, truth: dict[str, bytes], kills: int) -> Tally:
        """Do grids until so many were killed; look after each."""
        try:
            while self.tally.kills.total() < kills:
                for name in ("out", "cache"):
                    shutil.rmtree(self._options[name], ignore_errors=True)
                self._one_grid(kills)
                self._look(truth)
        finally:
            self._cluster.stop()
        return self.tally

    def _one_grid(self, kills: int) -> None:
        """Type the command until it says that all is done."""
        while True:
            command = self._start()
            due = time.monotonic() + self._draw.expovariate(1 / self._every)
            while command.poll() is None:
                time.sleep(0.2)
                if time.monotonic() > due and self.tally.kills.total() < kills:
                    self._kill(command)
                    due = time.monotonic() + self._draw.expovariate(1 / self._every)
            _, said = command.communicate()
            if command.returncode == 0:
                return
            # Where its head is lost, or a check of its core fails, Ray itself ends the process, and says so.
            ended = "GCS may have been killed" in said or "/ray/_raylet.so(" in said
            told = command.returncode == -signal.SIGKILL or "taxbench:" in said or ended
            if "Internal error" in said or not told:
                self.tally.problems.append(f"the command ended with {command.returncode}: {said[-500:]}")

    def _start(self) -> "subprocess.Popen[str]":
        """Type the command."""
        self.tally.commands += 1
        words = [sys.executable, "-m", "taxbench", "run", *typed(self._options), "--engine", "ray"]
        environment = {**_ENVIRONMENT, "RAY_ADDRESS": self._cluster.address}
        return subprocess.Popen(
            words, env=environment, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
        )

    def _kill(self, command: "subprocess.Popen[str]") -> None:
        """Kill something, where there is something of the kind."""
        kind = self._draw.choice(_KINDS)
        if kind == "worker":
            workers = self._cluster.workers()
            if not workers:
                return
            os.kill(self._draw.choice(workers), signal.SIGKILL)
        elif kind == "machine":
            self._cluster.lose_machine(self._draw.randrange(MACHINES))
        elif kind == "command":
            command.kill()
        else:
            self._lose_head(command)
        self.tally.kills[kind] += 1
        done = len(list(Path(self._options["out"]).rglob(RESULT)))
        print(f"kill {self.tally.kills.total()}: {kind}, {done} runs done", file=sys.stderr, flush=True)

    def _lose_head(self, command: "subprocess.Popen[str]") -> None:
        """Kill the head; the command is to notice, and a new cluster is started."""
        self._cluster.lose_head()
        try:
            command.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self.tally.problems.append("the command did not notice that its cluster was gone")
            command.kill()
        self._cluster.stop()
        self._cluster = Cluster()

    def _look(self, truth: dict[str, bytes]) -> None:
        """Compare a finished grid with what one process made."""
        found = contents(Path(self._options["out"]))
        self.tally.grids += 1
        self.tally.records += len(found)
        self.tally.problems += [f"lost: {name}" for name in truth.keys() - found.keys()]
        self.tally.problems += [f"too much: {name}" for name in found.keys() - truth.keys()]
        self.tally.problems += [f"other bytes: {name}" for name in truth.keys() & found.keys()
                                if truth[name] != found[name]]  # fmt: skip


def campaign(folder: Path, kills: int, seed: int, every: float = 10.0, seeds: int = 20) -> Tally:
    """Kill so many times, every so many seconds on average, at grids of two runs a seed; return what was found."""
    options = small_grid(folder, save_tiny_lm("llama", folder / "lm"))
    options["seeds"] = ",".join(map(str, range(1, seeds + 1)))
    alone = {**options, "out": str(folder / "alone"), "cache": str(folder / "alone-cache")}
    subprocess.run([sys.executable, "-m", "taxbench", "--quiet", "run", *typed(alone)], env=_ENVIRONMENT, check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    return Campaign(options, random.Random(seed), every).run(contents(folder / "alone"), kills)


def main() -> int:
    """Run the campaign, print what it found, and exit with 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=float, default=10.0, help="Seconds between kills, on average.")
    options = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tally = campaign(Path(folder), options.kills, options.seed, options.every)
    killed = ", ".join(f"{count} {kind}" for kind, count in tally.kills.most_common())
    print(
        f"{tally.kills.total()} kills ({killed}) in {tally.grids} grids; the command was typed {tally.commands} times"
    )
    print(f"{tally.records} files compared, {len(tally.problems)} problems")
    print("\n".join(tally.problems))
    print(f"{time.monotonic() - start:.0f} s, seed {options.seed}")
    return 1 if tally.problems else 0


if __name__ == "__main__":
    sys.exit(main())
