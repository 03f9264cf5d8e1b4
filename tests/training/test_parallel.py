"""Jobs side by side: their order, their share of the cores, and that none goes on when one fails."""

import os
import signal
import threading
import time
from functools import partial

import pytest
import torch

from taxbench.training.parallel import side_by_side, threads_of_a_job
from taxbench.util.progress import Reporter

CPU = torch.device("cpu")


def work(report: Reporter, seconds: float, ended: list[float]) -> None:
    """Advance a bar for a while, in small steps, and say when it ended."""
    start = time.perf_counter()
    try:
        with report.bar("work", 100, "step") as advance:
            while time.perf_counter() - start < seconds:
                time.sleep(0.01)
                advance(1)
    finally:
        ended.append(time.perf_counter() - start)


def test_results_keep_the_order_of_the_jobs_and_threads_are_given_back() -> None:
    cores = torch.get_num_threads()
    assert side_by_side([partial(int, text) for text in "312"], CPU, Reporter(quiet=True)) == [3, 1, 2]
    assert torch.get_num_threads() == cores


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_job_computes_with_as_many_threads_alone_as_beside_another(jobs: int) -> None:
    used = side_by_side([torch.get_num_threads] * jobs, CPU, Reporter(quiet=True))
    assert used == [threads_of_a_job(CPU)] * jobs


@pytest.mark.skipif(torch.get_num_threads() < 2, reason="one core does one job at a time")
def test_the_failure_of_one_job_stops_the_others_and_not_the_next_ones() -> None:
    report, ended = Reporter(quiet=True), list[float]()

    def fail() -> None:
        time.sleep(0.1)
        raise ValueError("of this one")

    with pytest.raises(ValueError, match="of this one"):
        side_by_side([partial(work, report, 30, ended), fail], CPU, report)
    assert ended[0] < 5
    side_by_side([partial(work, report, 0.1, ended)], CPU, report)
    assert len(ended) == 2


def test_an_interrupt_stops_jobs_in_their_threads(request: pytest.FixtureRequest) -> None:
    report, ended = Reporter(quiet=True), list[float]()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # shells have jobs in the background ignore it
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    threading.Timer(0.3, os.kill, [os.getpid(), signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        side_by_side([partial(work, report, 30, ended)] * 2, CPU, report)
    assert len(ended) >= 1 and max(ended) < 5
