"""How long work reports itself on standard error: bars on a terminal, lines in a log file, notes; or silence."""

import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

_FIRST_LINE, _LINES = 10.0, 60.0  # seconds until a log file's first line about some work, and between lines


class Advance(Protocol):
    """Move a bar on, and say beside it how things stand."""

    def __call__(self, steps: int, note: str = "", /) -> None:
        """Advance by a number of steps.

        Raises:
            KeyboardInterrupt: the work is to stop.
        """


@dataclass
class Bar:
    """How far some work has come."""

    label: str
    total: int
    unit: str
    done: int = 0
    note: str = ""
    start: float = field(default_factory=lambda: time.monotonic())

    @property
    def seconds_left(self) -> float | None:
        """Return how long the rest takes at the rate so far; None before there is one."""
        spent = time.monotonic() - self.start
        return spent * (self.total - self.done) / self.done if self.done else None


class Reporter:
    """Show bars and notes; a quiet one shows nothing. The library reports only through this."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.bars: list[Bar] = []
        """The work that is under way."""
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Make all work under a bar stop at its next step, whichever thread it runs in."""
        self._stopped.set()

    def resume(self) -> None:
        """Let work under bars begin again."""
        self._stopped.clear()

    def say(self, text: str) -> None:
        """Write one line to standard error."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    @contextmanager
    def bar(self, label: str, total: int, unit: str) -> Iterator[Advance]:
        """Show a progress bar with rate and time left while the block runs; yields what advances it.

        Where standard error is no terminal, a line now and then says the same.
        """
        from tqdm import tqdm

        now = Bar(label, total, unit)
        due = now.start + _FIRST_LINE
        columns = shutil.get_terminal_size().columns  # where a terminal says it has 0, tqdm would draw nothing
        with tqdm(
            total=total, desc=label, unit=unit, ncols=columns, file=sys.stderr, disable=self.quiet or None, leave=False
        ) as bar:

            def advance(steps: int, note: str = "", /) -> None:
                nonlocal due
                if self._stopped.is_set():
                    raise KeyboardInterrupt
                if note:
                    bar.set_postfix_str(note, refresh=False)
                    now.note = note
                bar.update(steps)
                now.done, at = now.done + steps, time.monotonic()
                if bar.disable and at >= due:
                    due = at + _LINES
                    spent, said = at - now.start, now.note or None
                    self.say(tqdm.format_meter(now.done, total, spent, 0, label, unit=unit, postfix=said))

            self.bars.append(now)
            try:
                yield advance
            finally:
                self.bars.remove(now)


QUIET = Reporter(quiet=True)
"""Says nothing."""
