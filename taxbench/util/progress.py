"""How long work reports itself on standard error: bars on a terminal, lines in a log file, notes; or silence."""

import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

_FIRST_LINE, _LINES = 10.0, 60.0  # seconds until a log file's first line about some work, and between lines


class Advance(Protocol):
    """Move a bar on, and say beside it how things stand."""

    def __call__(self, steps: int, note: str = "", /) -> None:
        """Advance by a number of steps.

        Raises:
            KeyboardInterrupt: the work is to stop.
        """


class Reporter:
    """Show bars and notes; a quiet one shows nothing. The library reports only through this."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
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

        done, start = 0, time.monotonic()
        due = start + _FIRST_LINE
        columns = shutil.get_terminal_size().columns  # where a terminal says it has 0, tqdm would draw nothing
        with tqdm(
            total=total, desc=label, unit=unit, ncols=columns, file=sys.stderr, disable=self.quiet or None, leave=False
        ) as bar:

            def advance(steps: int, note: str = "", /) -> None:
                nonlocal done, due
                if self._stopped.is_set():
                    raise KeyboardInterrupt
                if note:
                    bar.set_postfix_str(note, refresh=False)
                bar.update(steps)
                done, now = done + steps, time.monotonic()
                if bar.disable and now >= due:
                    due = now + _LINES
                    self.say(tqdm.format_meter(done, total, now - start, 0, label, unit=unit, postfix=note or None))

            yield advance


QUIET = Reporter(quiet=True)
"""Says nothing."""
