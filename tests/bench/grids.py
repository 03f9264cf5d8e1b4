"""A grid of runs done by one process, by several, and by Ray's workers, on the cores of this machine.

Each process has one core's worth of threads; one process alone is held to one core.
"""

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.rounds import Ratio, ratio_of

GRID = ("--task", "unseen_hypernym", "--head", "linear,mlp", "--limit", "10", "--set", "epochs=1")
_RAY = ("--engine", "ray")


@dataclass(frozen=True)
class Done:
    """What a grid took."""

    wall: float
    """Seconds from the first process's start to the last one's end."""
    work: float
    """Seconds of CPU of all processes."""


def bench_grids(folder: Path, rounds: int, seeds: int = 8) -> Iterator[Ratio]:
    """Yield what several processes lose: in work by doing things twice, in time by waiting for each other.

    The embedded LM, two heads of as many seeds with all controls, features extracted before.
    """
    named = (*GRID, "--seeds", ",".join(map(str, range(1, seeds + 1))))
    cache = folder / "features"
    _grid((*GRID, "--seeds", "0"), cache, folder / "first", 1)  # extracts
    cores = sorted(os.sched_getaffinity(0))[:2]
    ways = {"one": (1, named, cores[:1]), "two": (2, named, cores), "four": (4, named, cores),
            "ray": (1, (*named, *_RAY), cores)}  # fmt: skip
    took: dict[str, list[Done]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (processes, words, on) in ways.items():
            took[name].append(_grid(words, cache, folder / name, processes, on))
    wall = {name: [each.wall for each in found] for name, found in took.items()}
    work = {name: [each.work for each in found] for name, found in took.items()}
    yield ratio_of("work of one process / of two that share a grid, CPU seconds", work["two"], work["one"], 1 / 1.1)
    yield ratio_of("two processes on two cores / one on one core", wall["two"], wall["one"], 1.6)
    yield ratio_of("four processes on two cores / one on one core", wall["four"], wall["one"], 1.6)
    yield ratio_of("Ray's two workers / two processes, on two cores", wall["ray"], wall["two"], 0.9)


def _grid(words: Sequence[str], cache: Path, out: Path, processes: int, cores: Sequence[int] = ()) -> Done:
    """Have so many processes do a grid anew, with features that are there and no head that is."""
    shutil.rmtree(out, ignore_errors=True)
    own = out / "cache"
    if cache.is_dir():
        shutil.copytree(cache, own, ignore=shutil.ignore_patterns("heads", ".claims*"), copy_function=os.link)
    command = [sys.executable, "-m", "taxbench", "-q", "run", *words, "--out", str(out / "results")]
    command += ["--cache", str(own if cache.is_dir() else cache)]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_DEDUP_LOGS": "0"}
    pin = (lambda: os.sched_setaffinity(0, cores)) if cores else None
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, preexec_fn=pin)
               for _ in range(processes)]  # fmt: skip
    for process in running:
        if process.wait():
            raise RuntimeError(f"{command} ended with {process.returncode}")
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Done(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
