"""Stacks of heads against the same heads one by one."""

import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch

from taxbench.features.encoders import describe_encoder, load_encoder
from taxbench.lms.frozen import load_lm
from taxbench.registry.models import encoders, lms
from taxbench.training.head_state import HeadTrainingState
from taxbench.training.parallel import side_by_side
from taxbench.training.stack import train_stack
from taxbench.util.devices import pick_dtype
from tests.bench.rounds import Ratio, compare, ratio_of, timed
from tests.bench.training import QUIET, Work, make_work

_HEADS = 16
_TASK = "name: {0}\nversion: 1\nsummary: No control.\nextends: unseen_hypernym\ncontrols: [chance]\n"


def bench_stack(device: torch.device, folder: Path, rounds: int) -> Iterator[Ratio]:
    """Yield the cost of 16 heads in a stack relative to one by one: training alone, and whole commands."""
    dtype = pick_dtype(device.type)
    lm = load_lm(lms()["pocket"], device, dtype)
    encoder = load_encoder(describe_encoder(encoders()["pocket"]), device, dtype)
    work = make_work(lm, encoder, "pooled", 2, folder)
    yield compare(
        f"training of {_HEADS} heads in stacks / one by one: pocket, {str(dtype)[6:]}",
        lambda: _train(work, [fresh(work)[: _HEADS // 2], fresh(work)[_HEADS // 2 :]]),
        lambda: [_train(work, [[one]]) for one in fresh(work)],
        rounds,
        target=1 / 0.35,
    )
    (folder / "plain_run.yaml").write_text(_TASK.format("plain_run"))
    _run(folder, "warm", "0")  # features
    seeds = [str(seed) for seed in range(1, _HEADS + 1)]
    ours, theirs = [], []
    for number in range(max(1, rounds // 3)):  # minutes each
        ours.append(timed(lambda: _run(folder, f"together-{number}", ",".join(seeds))))  # noqa: B023
        theirs.append(sum(timed(partial(_run, folder, f"alone-{number}", seed)) for seed in seeds))
    what = f"`taxbench run` with {_HEADS} seeds / {_HEADS} runs of one seed: pocket, {str(dtype)[6:]}"
    yield ratio_of(what, ours, theirs, 1 / 0.35)


def fresh(work: Work) -> list[HeadTrainingState]:
    """Return untrained heads of many seeds."""
    return [work.trainee(work.rows, seed) for seed in range(_HEADS)]


def _train(work: Work, stacks: list[list[HeadTrainingState]]) -> None:
    scorer = work.scorer()
    jobs = [partial(train_stack, stack, scorer, QUIET, lambda _: None, len(stacks)) for stack in stacks]
    side_by_side(jobs, work.lm.device, QUIET)


def _run(folder: Path, out: str, seeds: str) -> None:
    """Run the command in a process of its own; heads are trained, features are there."""
    (folder / out).mkdir(exist_ok=True)
    heads = folder / "features" / "heads"
    for path in heads.glob("*"):
        path.unlink()
    options = ["--task", str(folder / "plain_run.yaml"), "--seeds", seeds, "--cache", str(folder / "features")]
    subprocess.run([sys.executable, "-m", "taxbench", "-q", "run", *options, "--out", str(folder / out)], check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
