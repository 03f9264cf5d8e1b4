"""A grid on a Ray cluster: a worker for each GPU, or for each machine without any, which share it as processes do.

Ray places workers and notices when they die; what is done is what has a record. Locks come from a `LockTable` in the
place of the shared file system, which may have none, or only some that other machines do not see.
"""

import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from taxbench.results.records import RESULT, read_result, result_folder
from taxbench.runs.config import RunConfig
from taxbench.runs.environment import versions
from taxbench.runs.several_devices import STOP, Run
from taxbench.specs.result import Result
from taxbench.util.errors import TaxbenchError, UsageError, first_line
from taxbench.util.locks import take_locks_from
from taxbench.util.paths import cache_folder, check_writable
from taxbench.util.progress import QUIET, Reporter

_LOOK = 1.0
"""Seconds between looks at what workers have done."""
_ANSWER = 10.0
"""Seconds that the head of a cluster has to answer."""
_SOON = 10.0
"""Seconds that workers have to notice that all is done."""
_DEATHS = 10
"""So many workers, or twice as many as there are, may die without a run being finished; then it is no accident."""
_PASSED_ON = ("HF_", "TAXBENCH_", "TRANSFORMERS_", "TMPDIR", "PYTHONPATH")
"""How the environment variables begin that workers see as the command does; but secrets, which Ray would show."""
_SECRET = "TOKEN"


class LockTable:
    """Who holds which lock, and which records are there: an actor, asked by all workers. It need not be kept."""

    def __init__(self) -> None:
        self._holders: dict[str, tuple[str, str]] = {}
        self._gone: set[str] = set()
        self._records: dict[str, None] = {}

    def take(self, lock: str, worker: str, holder: str) -> bool:
        """Give a lock to a holder in a worker, and say whether it has it now."""
        return worker not in self._gone and self._holders.setdefault(lock, (worker, holder)) == (worker, holder)

    def release(self, lock: str, worker: str, holder: str) -> None:
        """Take a lock back from its holder."""
        if self._holders.get(lock) == (worker, holder):
            del self._holders[lock]

    def forget(self, worker: str) -> None:
        """Free what a dead worker held; if it lives after all, it gets nothing more."""
        self._gone.add(worker)
        self._holders = {lock: by for lock, by in self._holders.items() if by[0] != worker}

    def tell(self, folder: str) -> None:
        """Note that a record is there."""
        self._records[folder] = None

    def records(self) -> list[str]:
        """Return the folders of all records that workers have told of, in that order."""
        return list(self._records)


@dataclass(frozen=True)
class _Locks:
    """A worker's door to the lock table; see `LockServer`."""

    table: Any
    worker: str

    def take(self, lock: str, holder: str) -> bool:
        """Ask for a lock, and say whether it was given."""
        import ray

        return bool(ray.get(self.table.take.remote(lock, self.worker, holder)))

    def release(self, lock: str, holder: str) -> None:
        """Give a lock back."""
        import ray

        ray.get(self.table.release.remote(lock, self.worker, holder))


@dataclass(frozen=True)
class _Job:
    """What every worker is told."""

    config: RunConfig
    run: Run
    computing: dict[str, str | None]
    """The versions that numbers depend on, of the command; workers of others would give other numbers."""
    argv: list[str]
    place: str
    """Where the command was typed; paths may begin there."""
    token: str
    """Names a file in the folders that machines must share."""


def _work(job: _Job, table: Any, worker: str) -> str | None:
    """Do what is left of a grid, in a process of the cluster.

    Returns:
        Why runs failed; None where all are done.
    """
    import ray

    try:
        _check_machine(job)
        sys.argv = job.argv
        take_locks_from(_Locks(table, worker))
        for result in job.run(job.config, QUIET):
            ray.get(table.tell.remote(str(result_folder(job.config.out, result.run))))
    except TaxbenchError as error:
        return str(error)
    return None


def _check_machine(job: _Job) -> None:
    """Go where the command was typed; raise TaxbenchError on a machine that cannot help it."""
    host, mine = socket.gethostname(), versions().computing
    other = [f"{name} {mine.get(name)} and not {version}" for name, version in job.computing.items()
             if mine.get(name) != version]  # fmt: skip
    if other:
        raise TaxbenchError(f"{host} has {', '.join(other)}: its numbers would be others. Install the same on all.")
    for folder in _shared(job.config):
        if not (folder / job.token).exists():
            raise TaxbenchError(f"{host} does not see the folder '{folder}' of the command. Workers share --out and "
                                "--cache: name folders that all machines have.")  # fmt: skip
    with suppress(OSError):
        os.chdir(job.place)


def _shared(config: RunConfig) -> tuple[Path, Path]:
    """Return the folders that all machines must see."""
    return config.out, cache_folder(config.cache)


@dataclass(frozen=True)
class _Seat:
    """What a worker has of a machine; the same for all, since numbers depend on it."""

    resource: str
    each: int

    @classmethod
    def of(cls, machines: list[dict[str, float]], device: str) -> "_Seat":
        """Return a GPU, where the cluster has any and the device may be one; else the cores that it computes with.

        They are as many as OMP_NUM_THREADS says, or as the smallest machine has.
        """
        if device != "cpu" and any(each.get("GPU", 0) for each in machines):
            return cls("GPU", 1)
        cores = min((int(each["CPU"]) for each in machines if each.get("CPU", 0) >= 1), default=1)
        said = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
        return cls("CPU", min(int(said), cores) if said.isdigit() and int(said) else cores)

    def count(self, machines: list[dict[str, float]]) -> int:
        """Return how many of them machines have."""
        return sum(int(each.get(self.resource, 0)) // self.each for each in machines)

    @property
    def needs(self) -> dict[str, int]:
        """Return what Ray is asked for."""
        return {"num_gpus": 1, "num_cpus": 0} if self.resource == "GPU" else {"num_cpus": self.each}

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment variables of a worker."""
        kept = {name: value for name, value in os.environ.items()
                if name.startswith(_PASSED_ON) and not name.endswith(_SECRET)}  # fmt: skip
        return kept if self.resource == "GPU" else {**kept, "OMP_NUM_THREADS": str(self.each)}


def _machines() -> list[dict[str, float]]:
    """Return the resources of every machine of the cluster."""
    import ray

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


@dataclass
class _Workers:
    """The workers of a cluster; those that die are started again."""

    job: _Job
    table: Any
    seat: _Seat
    running: dict[Any, str] = field(default_factory=dict)
    """Names of workers by what Ray promises of them."""
    deaths: int = 0
    """Since the last record."""
    why: str = ""
    started: int = 0
    failed: list[str] = field(default_factory=list)
    """What workers say that came to the end of the grid and could not do all of it, or nothing."""
    done: bool = False
    """Whether a worker came to the end of the grid with all runs there."""

    def fill(self) -> None:
        """Start as many workers as the cluster has places for; none in the place of one that could not do it all."""
        import ray

        places = self.seat.count(_machines())
        environment = {"env_vars": self.seat.environment}
        work = ray.remote(**self.seat.needs, max_retries=0, runtime_env=environment)(_work)
        job = replace(self.job, config=replace(self.job.config, workers=places))
        while len(self.running) + len(self.failed) < places:
            self.started += 1
            name = f"worker {self.started}"
            self.running[work.remote(job, self.table, name)] = name

    def look(self) -> None:
        """Note which workers came to the end of the grid, and which died.

        Raises:
            TaxbenchError: they die again and again.
        """
        import ray

        if not self.running:
            time.sleep(_LOOK)
            return
        ready, _ = ray.wait(list(self.running), num_returns=1, timeout=_LOOK)
        for promise in ready:
            worker = self.running.pop(promise)
            try:
                why = ray.get(promise)
                self.done = self.done or why is None
                self.failed += [why] if why else []
            except ray.exceptions.RayTaskError as error:
                raise error.cause or error from None
            except ray.exceptions.RayError as error:  # killed, out of memory, or its machine was lost
                ray.get(self.table.forget.remote(worker))
                self.deaths, self.why = self.deaths + 1, first_line(error)
        if self.deaths >= max(_DEATHS, 2 * self.seat.count(_machines())):
            raise TaxbenchError(f"{self.deaths} workers died without finishing a run, the last one so: {self.why}\n"
                                "What is done is kept; the same command goes on.")  # fmt: skip

    def stop(self) -> None:
        """Interrupt all workers as Ctrl-C would, and give them time to write down how far they are."""
        import ray

        with suppress(Exception):  # the cluster may be what was lost
            if self.done and self.running:  # they see in a moment that all is done
                ray.wait(list(self.running), num_returns=len(self.running), timeout=_SOON)
            for promise in self.running:
                ray.cancel(promise)
            ray.wait(list(self.running), num_returns=len(self.running), timeout=STOP)


@contextmanager
def _cluster() -> Iterator[None]:
    """Connect to the cluster at RAY_ADDRESS, or make this machine one.

    Raises:
        UsageError: Ray is not installed, of another version than the cluster's, or cannot be reached.
    """
    try:
        import ray
    except ImportError:
        raise UsageError("--engine ray wants Ray. To install it, type: pip install 'taxbench[ray]'") from None
    address = os.environ.get("RAY_ADDRESS")
    where = f"the Ray cluster at RAY_ADDRESS={address}" if address else "a Ray cluster on this machine"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    on_term = signal.getsignal(signal.SIGTERM)
    try:
        host, _, port = (address or "").rpartition("/")[2].rpartition(":")
        if port.isdigit():  # Ray itself would try for minutes
            socket.create_connection((host, int(port)), _ANSWER).close()
        ray.init(address=address, log_to_driver=False, include_dashboard=None if address else False,
                 logging_level="ERROR")  # fmt: skip
    except (OSError, RuntimeError, ValueError) as error:
        other = "ersion mismatch" in str(error)  # which Ray says in several lines
        hint = " Start one with 'ray start --head', or unset RAY_ADDRESS." if address else ""
        hint = " Install the same Ray and Python on all machines." if other else hint
        said = f"{where[0].upper()}{where[1:]} cannot be used: {first_line(error, all_lines=other)}.{hint}"
        raise UsageError(said) from None
    with suppress(ValueError):  # Ray's own would kill the workers; only the main thread may have one
        signal.signal(signal.SIGTERM, on_term)
    try:
        yield
    finally:
        ray.shutdown()


def run_on_ray(config: RunConfig, run: Run, report: Reporter) -> Iterator[Result]:
    """Do what a configuration asks for on a cluster; yield its results as they are there.

    Args:
        run: Does it in one process, which leaves to others what they have taken on.

    Raises:
        TaxbenchError: runs failed, as in one process; workers die again and again; the cluster cannot be used.
    """
    if "," in config.device or ":" in config.device:
        raise UsageError(f"--device {config.device}: Ray gives each worker its GPU. Leave --device out, or type cpu.")
    config = replace(config, out=config.out.resolve(), cache=cache_folder(config.cache).resolve())
    for note in config.notes:
        report.say(note)
    for folder in _shared(config):
        check_writable(folder)
        folder.mkdir(parents=True, exist_ok=True)
    token = f".ray-{secrets.token_hex(4)}"
    job = _Job(config, run, versions().computing, sys.argv, os.getcwd(), token)
    signs = [folder / token for folder in _shared(config)]
    try:
        for sign in signs:
            sign.touch()
        with _cluster():
            yield from _results(job, report)
    finally:
        for sign in signs:
            sign.unlink(missing_ok=True)


def _results(job: _Job, report: Reporter) -> Iterator[Result]:
    """Start workers, and yield results as they are there, until one of them came to the end of the grid."""
    import ray

    here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
        ray.get_runtime_context().get_node_id(), soft=True
    )
    table = ray.remote(LockTable).options(num_cpus=0, scheduling_strategy=here, max_restarts=-1,
                                          max_task_retries=-1).remote()  # fmt: skip
    workers, seen = _Workers(job, table, _Seat.of(_machines(), job.config.device)), set[str]()
    try:
        workers.fill()
        report.say(f"Ray: {len(workers.running)} workers. How far they are: taxbench status {job.config.out}")
        while not workers.done and (workers.running or not workers.failed):
            workers.fill()
            workers.look()
            for folder in ray.get(table.records.remote()):
                if folder not in seen:
                    seen.add(folder)
                    workers.deaths = 0
                    result = read_result(Path(folder) / RESULT)
                    report.say(f"[{len(seen)}/{job.config.size}] {Path(folder).relative_to(job.config.out)}")
                    yield result
    finally:
        workers.stop()
    if not workers.done:
        raise TaxbenchError("\n".join(dict.fromkeys(workers.failed)))
    for why in dict.fromkeys(workers.failed):
        report.say(f"A worker did not help: {why}")
