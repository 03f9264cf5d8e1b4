"""Do independent jobs side by side on a CPU."""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TypeVar

import torch

from taxbench.progress import Reporter

T = TypeVar("T")


def side_by_side(jobs: Sequence[Callable[[], T]], device: torch.device, report: Reporter) -> list[T]:
    """Run jobs at the same time, each with its share of the cores; on an accelerator one after the other.

    When one fails, or the user interrupts, the others are stopped through the reporter, under whose bars they run.

    A small language model does not fill two cores with one job (its matrices are too small to split), but two jobs do.
    Jobs must not draw from torch's global random state.
    """
    if device.type != "cpu" or len(jobs) < 2:
        return [job() for job in jobs]
    cores = torch.get_num_threads()
    share = max(1, cores // len(jobs))
    try:
        # The number of threads is a property of the calling thread under OpenMP, so each worker sets its own.
        with ThreadPoolExecutor(min(len(jobs), cores), "job", torch.set_num_threads, (share,)) as pool:
            futures = [pool.submit(job) for job in jobs]
            try:
                done, _ = wait(futures, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()  # raises what went wrong, before others have ended
                return [future.result() for future in futures]
            except BaseException:
                report.stop()  # leaving the pool waits for its threads
                raise
    finally:
        report.resume()
        torch.set_num_threads(cores)
