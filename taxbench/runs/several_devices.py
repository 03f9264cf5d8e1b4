"""A grid on several devices of one machine: a process for each, which share it as any processes do."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing.context import SpawnProcess

from taxbench.runs.config import RunConfig
from taxbench.specs.result import Result
from taxbench.util.devices import pick_device
from taxbench.util.errors import TaxbenchError
from taxbench.util.progress import QUIET, Reporter

STOP = 60.0
"""Seconds that processes have to write down how far they are, when the command is interrupted."""
Run = Callable[[RunConfig, Reporter], Iterator[Result]]


@contextmanager
def on_each_device(config: RunConfig, run: Run) -> Iterator[RunConfig]:
    """Start a process for every device but the first of `--device cuda:0,cuda:1`; yield what is left to do here.

    What fails there is tried again here, and said here.

    Args:
        run: Does what a configuration asks for.

    Raises:
        UsageError: this machine has no such device.
    """
    devices = [name.strip() for name in config.device.split(",")]
    for device in devices:
        pick_device(device)
    context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
    config = replace(config, workers=len(devices))
    others = [context.Process(target=_alone, args=(replace(config, device=device), run), daemon=True)
              for device in devices[1:]]  # fmt: skip
    for other in others:
        other.start()
    try:
        try:
            yield replace(config, device=devices[0])
        except TaxbenchError:  # what failed here may be well on another device
            _join(others)
            raise
        _join(others)
    finally:
        for other in others:
            other.terminate()
        _join(others, STOP)


def _join(others: list[SpawnProcess], seconds: float | None = None) -> None:
    """Wait for processes to end."""
    for other in others:
        other.join(seconds)


def _alone(config: RunConfig, run: Run) -> None:
    """Do what is left of a grid on one device; SIGTERM ends it as Ctrl-C does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(TaxbenchError, KeyboardInterrupt):
        for _ in run(config, QUIET):
            pass
