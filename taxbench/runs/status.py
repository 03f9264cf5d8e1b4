"""How far the runs of a folder of results are: a small file for each process at work, and what `taxbench status` reads.

Nothing depends on these files: what is done is what has a record, whoever made it.
"""

import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from pydantic import ValidationError

from taxbench.results.records import RESULT
from taxbench.runs.config import RunConfig
from taxbench.specs.spec import Spec
from taxbench.util.errors import CacheError, TaxbenchError, UsageError, first_line
from taxbench.util.paths import replacing
from taxbench.util.progress import Reporter

STATUS = ".status"
"""The folder of status files in a folder of results."""
_SECONDS = 5.0  # between signs of life
_SILENT = 60.0
"""After so many seconds without a sign of life a process is taken for dead."""


@dataclass
class Tally:
    """How far a command has come."""

    total: int
    done: int = 0
    """Runs that ended, one way or the other."""
    failed: dict[str, list[str]] = field(default_factory=dict)
    """Those that failed, by why."""
    folders: dict[str, Path] = field(default_factory=dict)
    """Where the records of runs lie, or will lie, by name; of those that are planned."""

    def fail(self, name: str, error: TaxbenchError) -> bool:
        """Note that a run failed, and why; say whether others did likewise."""
        alike = self.failed.setdefault(str(error), [])
        alike.append(name)
        return len(alike) > 1

    @property
    def reasons(self) -> list[str]:
        """Return why runs failed, each reason once, after the runs that it stopped."""
        return [f"{', '.join(names)}: {why}" for why, names in list(self.failed.items())]


State = Literal["running", "failed", "interrupted"]


class Work(Spec):
    """Something that takes time."""

    label: str
    done: int
    total: int
    unit: str
    seconds_left: float | None


class ProcessStatus(Spec):
    """How far one command is, by its own words."""

    host: str
    pid: int
    command: str
    started: float
    """Seconds since 1970, as all times here."""
    updated: float
    state: State
    total: int
    """How many runs it was given."""
    folders: dict[str, str]
    """Where the records of its runs lie, or will lie, by name; of those that are planned."""
    failed: tuple[str, ...]
    now: tuple[Work, ...]

    @property
    def is_silent(self) -> bool:
        """Say whether a process that should run gives no sign of life: it was killed, or its machine was lost."""
        return self.state == "running" and time.time() - self.updated > _SILENT


class StatusFile:
    """Write down how far a command is, every few seconds, until it ends.

    A command that ended well leaves nothing behind; one that failed or was interrupted says so until it is typed again.
    """

    def __init__(self, config: RunConfig, tally: Tally, report: Reporter) -> None:
        self._tally, self._report = tally, report
        name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}.json"  # containers share process numbers
        self._path = config.out / STATUS / name
        self._command = " ".join(["taxbench", *sys.argv[1:]])
        self._started = time.time()
        self._ended = threading.Event()
        self._writer = threading.Thread(target=self._write_now_and_then, daemon=True)
        for path, old in _status_files(config.out):
            if old.command == self._command and (old.state != "running" or old.is_silent):
                with suppress(OSError):
                    path.unlink()

    def __enter__(self) -> Self:
        self._write("running")
        self._writer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._writer.join()
        if error is not None and not isinstance(error, GeneratorExit):
            self._write("failed" if isinstance(error, Exception) else "interrupted", first_line(error))
        elif self._tally.failed:
            self._write("failed")
        else:
            with suppress(OSError):
                self._path.unlink()

    def _write_now_and_then(self) -> None:
        """Write until the command ends."""
        while not self._ended.wait(_SECONDS):
            self._write("running")

    def _write(self, state: State, why: str = "") -> None:
        """Write how things stand; where the disk is full, nothing: the runs will say so."""
        now = tuple(
            Work(label=bar.label, done=bar.done, total=bar.total, unit=bar.unit, seconds_left=bar.seconds_left)
            for bar in list(self._report.bars)
        )
        status = ProcessStatus(
            host=socket.gethostname(),
            pid=os.getpid(),
            command=self._command,
            started=self._started,
            updated=time.time(),
            state=state,
            total=self._tally.total,
            folders={name: str(folder) for name, folder in list(self._tally.folders.items())},
            failed=(*self._tally.reasons, *([why] if why else [])),
            now=now,
        )
        with suppress(CacheError), replacing(self._path) as partial:
            partial.write_text(status.model_dump_json(), encoding="utf-8")


@dataclass(frozen=True, slots=True)
class GridStatus:
    """How far the runs of one command are, which several processes may share."""

    command: str
    processes: tuple[ProcessStatus, ...]
    total: int
    done: int
    failed: tuple[str, ...]
    seconds_left: float | None
    """At the rate since the first of the processes began; None before any run is done."""


def grids_of(out: Path) -> list[GridStatus]:
    """Return how far each command is that writes, or wrote, to a folder of results.

    Raises:
        UsageError: there is no such folder.
    """
    if not out.is_dir():
        raise UsageError(f"There is no folder '{out}'. Name the --out of a run: taxbench status DIR.")
    by_command: dict[str, list[ProcessStatus]] = {}
    for _, status in _status_files(out):
        by_command.setdefault(status.command, []).append(status)
    return [_grid(command, processes) for command, processes in sorted(by_command.items())]


def _grid(command: str, processes: list[ProcessStatus]) -> GridStatus:
    """Return how far the runs of one command are."""
    folders = {folder for process in processes for folder in process.folders.values()}
    total, start = max(process.total for process in processes), min(process.started for process in processes)
    ended = [when for folder in folders if (when := _when(Path(folder) / RESULT)) is not None]
    lately = sum(when >= start for when in ended)
    left = total - len(ended)
    failed = tuple(dict.fromkeys(why for process in processes for why in process.failed))
    spent = max(process.updated for process in processes) - start
    alive = any(process.state == "running" and not process.is_silent for process in processes)
    seconds = spent * left / lately if lately and alive else None
    return GridStatus(command, tuple(processes), total, len(ended), failed, seconds)


def processes_at_work(out: Path) -> int:
    """Return how many processes write to a folder of results now, or seem to."""
    return sum(status.state == "running" and not status.is_silent for _, status in _status_files(out))


def _when(path: Path) -> float | None:
    """Return when a file was written; None where there is none."""
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def _status_files(out: Path) -> Iterable[tuple[Path, ProcessStatus]]:
    """Yield the status files of a folder of results; one that is being replaced is left out."""
    for path in sorted((out / STATUS).glob("*.json")):
        with suppress(OSError, ValidationError):
            yield path, ProcessStatus.model_validate_json(path.read_text())
