"""Kill writers with SIGKILL at random moments, again and again, until an entry is whole; look after every kill."""

import multiprocessing
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np

from taxbench.util.errors import CacheError
from tests.faults.logged import Logged
from tests.faults.truth import Survey, Truth
from tests.faults.writer import MARK, Job, run, warm_up

_FORK = multiprocessing.get_context("forkserver")
_FORK.set_forkserver_preload(["tests.faults.writer"])
_MOST_ROUNDS = 12  # of one cache, before it is left to finish
_LOOK = 0.01  # seconds between a reader's looks at a cache that is being written
# Spans that a writer has decoded and not yet written: one at the decoder, one at the encoder, two queued for the disk.
_IN_FLIGHT = 4


@dataclass(frozen=True, slots=True)
class Variant:
    """How a cache is written."""

    name: str
    writers: int
    job: Job


@dataclass(slots=True)
class Tally:
    """What a campaign of kills found."""

    kills: int = 0
    caches: int = 0
    runs: int = 0
    kills_of: dict[str, int] = field(default_factory=dict)
    rows_compared: int = 0
    wrong_rows: int = 0
    rows_encoded: int = 0
    rows_recomputed: int = 0
    """Rows that were encoded, lost in a kill and encoded again."""
    most_spans_lost: int = 0
    """In one kill."""
    problems: list[str] = field(default_factory=list)


def variants(job: Job) -> list[Variant]:
    """Return the ways in which a campaign writes: geometries, concurrent writers, decoding processes."""
    both = ("pooled", "grid2")
    return [
        Variant("one writer", 1, job),
        Variant("two writers", 2, job),
        Variant("one writer, spans of three blocks", 1, replace(job, batch=48)),
        Variant("three writers, two entries", 3, replace(job, pools=both)),
        Variant("one writer, two entries", 1, replace(job, pools=both)),
        Variant("two writers, one decoding process each", 2, replace(job, workers=1)),
        Variant("one writer, one large shard, manifest unwritten", 1, replace(job, small=None, batch=64)),
        Variant("three writers", 3, job),
    ]


class Campaign:
    """Cache after cache is begun, attacked until it is whole, and compared.

    Args:
        job: The pictures; its cache is not used.
        folder: For caches and logs.
    """

    def __init__(self, job: Job, folder: Path, rng: np.random.Generator) -> None:
        self.tally = Tally()
        self._folder, self._rng = folder, rng
        self._variants = variants(job)
        self._truths: dict[Job, Truth] = {}
        self._seconds: dict[str, float] = {}
        server = _FORK.Process(target=warm_up)
        server.start()
        server.join()

    def kill(self, kills: int) -> Tally:
        """Attack caches until so many writers have been killed."""
        while self.tally.kills < kills:
            variant = self._variants[self.tally.caches % len(self._variants)]
            self._attack(variant, min(_MOST_ROUNDS, kills - self.tally.kills))
        return self.tally

    def _attack(self, variant: Variant, rounds: int) -> None:
        """Kill the writers of one cache in several rounds, let the last one finish, and compare everything."""
        plain = replace(variant.job, workers=0)
        if plain not in self._truths:
            self._truths[plain] = Truth(plain, self._folder / f"truth-{len(self._truths)}")
        if variant.name not in self._seconds:
            begun = self._begin(variant, "measure")
            self._seconds[variant.name] = _timed(begun)
        survey = Survey(self._begin(variant, f"cache-{self.tally.caches}"), self._truths[plain])
        self.tally.caches += 1
        whole = len(survey.missing_spans())
        for _ in range(rounds):
            left = len(survey.missing_spans()) / whole
            # Most early, so that a cache survives several; the share is for the start of a writer.
            reach = self._seconds[variant.name] * (0.3 + 0.7 * left)
            deadlines = reach * self._rng.uniform(0, 1, variant.writers) ** 2
            if not left or not self._round(survey, variant, list(deadlines)):
                break
        self._round(survey, variant, [None] * variant.writers)
        for place, table in enumerate(survey.tables()):
            if table is None:
                self._problem(survey, "is not complete after an undisturbed run")
                continue
            self.tally.wrong_rows += survey.truth.wrong_rows(place, table)
            self.tally.rows_compared += len(table)

    def _begin(self, variant: Variant, name: str) -> Job:
        job = variant.job.elsewhere(self._folder / f"{name}-{len(list(self._folder.iterdir()))}")
        job.cache.mkdir()
        job.begin()
        return job

    def _round(self, survey: Survey, variant: Variant, deadlines: list[float | None]) -> bool:
        """Start writers, kill each at its deadline, and look at what they leave; say whether one was killed."""
        before = survey.missing_spans()
        cache, number = survey.job.cache, self.tally.runs
        logs = [Logged(survey.job.photos, cache / f"log-{number}-{i}") for i in range(len(deadlines))]
        errors = cache / f"errors-{number}"
        processes = [_FORK.Process(target=run, args=(survey.job, log.log, errors)) for log in logs]
        self._run(survey, processes, deadlines)
        codes = [process.exitcode for process in processes]
        killed = codes.count(-signal.SIGKILL)
        self.tally.runs += len(codes)
        self.tally.kills += killed
        self.tally.kills_of[variant.name] = self.tally.kills_of.get(variant.name, 0) + killed
        if set(codes) - {0, -signal.SIGKILL}:
            self._problem(survey, f"writers ended with {codes}: {errors.read_text() if errors.is_file() else ''}")
        self._account(survey, before, [log.read() for log in logs], killed)
        compared, wrong, problems = survey.wrong()
        self.tally.rows_compared += compared
        self.tally.wrong_rows += wrong
        self.tally.problems += problems
        if killed and survey.job.workers and (left := _left_behind(survey.job.cache)):
            self._problem(survey, f"helpers outlive their writer: {left}")
        return killed > 0

    def _run(self, survey: Survey, processes: Sequence[BaseProcess], deadlines: list[float | None]) -> None:
        """Run writers until each has ended or met its deadline, while a reader opens the entries over and over."""
        start = time.perf_counter()
        for process in processes:
            process.start()
        while any(process.is_alive() for process in processes):
            for process, deadline in zip(processes, deadlines, strict=True):
                if deadline is not None and time.perf_counter() - start > deadline:
                    process.kill()
            try:
                for place, table in enumerate(survey.tables()):
                    self.tally.wrong_rows += survey.truth.wrong_rows(place, table) if table else 0
            except CacheError as error:
                self._problem(survey, f"a reader met: {error}")
            time.sleep(_LOOK)
        for process in processes:
            process.join()

    def _account(self, survey: Survey, before: set[int], logs: list[list[str]], killed: int) -> None:
        """Check that nothing was encoded that was whole before, and count what was encoded and lost."""
        row_of = {image.id: row for row, image in enumerate(survey.job.images)}
        encoded = [{survey.span_of(row_of[name]) for name in log} for log in logs]
        missing = survey.missing_spans()
        if again := set().union(*encoded) - before:
            self._problem(survey, f"spans {sorted(again)} were whole and were encoded again")
        total = sum(len(spans) for spans in encoded)
        if not killed and total != len(before):
            self._problem(survey, f"{len(before)} spans were missing and {total} were encoded")
        most = _IN_FLIGHT + (survey.job.workers + 1 if survey.job.workers else 0)
        lost = [len(spans & missing) for spans in encoded]
        if max(lost) > most:
            self._problem(survey, f"a kill lost {max(lost)} spans, more than the {most} in flight")
        self.tally.most_spans_lost = max(self.tally.most_spans_lost, *lost)
        self.tally.rows_encoded += sum(len(log) for log in logs)
        self.tally.rows_recomputed += sum(survey.span_of(row_of[name]) in missing for log in logs for name in log)

    def _problem(self, survey: Survey, words: str) -> None:
        self.tally.problems.append(f"{survey.job.cache.name}: {words}")


def _timed(job: Job) -> float:
    """Return the seconds that an undisturbed writer takes from its start to its end."""
    process = _FORK.Process(target=run, args=(job, job.cache / "log", job.cache / "errors"))
    start = time.perf_counter()
    process.start()
    process.join()
    return time.perf_counter() - start


def _left_behind(cache: Path, patience: float = 5.0) -> list[int]:
    """Return the helpers of a cache's writers that do not end by themselves."""
    end = time.perf_counter() + patience
    while (left := list(_marked(f"{MARK}={cache}".encode()))) and time.perf_counter() < end:
        time.sleep(0.05)
    return left


def _marked(mark: bytes) -> Iterator[int]:
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in path.read_bytes().split(b"\0"):
                yield int(path.parent.name)
        except OSError:
            continue  # it ended, or belongs to somebody else
