"""Do independent jobs side by side on a CPU."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

import torch

from taxbench.util.progress import Reporter

T = TypeVar("T")
_PAUSE = 0.5
"""Seconds."""


def threads_of_a_job(device: torch.device) -> int:
    """Return how many threads a job computes with; 0 on an accelerator."""
    return max(1, torch.get_num_threads() // 2) if device.type == "cpu" else 0


@contextmanager
def split_threads(device: torch.device, wanted: bool) -> Iterator[ThreadPoolExecutor | None]:
    """Yield a pool of two threads on a CPU, each of which computes with as many threads as the caller does.

    A job that is alone takes the other half of the cores in this way: what it computes must not change, so it may not
    simply compute with more threads.
    """
    if device.type != "cpu" or not wanted:
        yield None
        return
    with ThreadPoolExecutor(2, "hand", torch.set_num_threads, (torch.get_num_threads(),)) as pool:
        yield pool


def wait_for_all(pool: ThreadPoolExecutor, function: Callable[[T], None], items: Sequence[T]) -> None:
    """Do a function to all items; what one raises is raised when all have ended."""
    futures = [pool.submit(function, item) for item in items]
    wait(futures)
    for future in futures:
        future.result()


def side_by_side(jobs: Sequence[Callable[[], T]], device: torch.device, report: Reporter) -> list[T]:
    """Run jobs at the same time, each with half of the cores; on an accelerator one after the other.

    A job gets its half also when it is alone: sums depend on the number of threads, and what a head becomes must not
    depend on what is trained beside it. When one fails, or the user interrupts, the others are stopped through the
    reporter, under whose bars they run.

    A small language model does not fill two cores with one job (its matrices are too small to split), but two jobs do.
    Jobs must not draw from torch's global random state.
    """
    if device.type != "cpu":
        return [job() for job in jobs]
    cores = torch.get_num_threads()
    try:
        # The number of threads is a property of the calling thread under OpenMP, so each worker sets its own.
        with ThreadPoolExecutor(2, "job", torch.set_num_threads, (threads_of_a_job(device),)) as pool:
            futures = [pool.submit(job) for job in jobs]
            try:
                pending = set(futures)
                while pending:  # with pauses: where no signal wakes the thread, it could not be interrupted
                    done, pending = wait(pending, _PAUSE, return_when=FIRST_EXCEPTION)
                    for future in done:
                        future.result()  # raises what went wrong, before others have ended
                return [future.result() for future in futures]
            except BaseException:
                report.stop()  # leaving the pool waits for its threads
                raise
    finally:
        report.resume()
        torch.set_num_threads(cores)
