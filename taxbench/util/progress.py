"""How long work reports itself: bars and notes on standard error, or silence."""

import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


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
        """Show a progress bar with rate and time left while the block runs; yields what advances it."""
        from tqdm import tqdm

        columns = shutil.get_terminal_size().columns  # where a terminal says it has 0, tqdm would draw nothing
        with tqdm(
            total=total, desc=label, unit=unit, ncols=columns, file=sys.stderr, disable=self.quiet or None, leave=False
        ) as bar:

            def advance(steps: int, note: str = "", /) -> None:
                if self._stopped.is_set():
                    raise KeyboardInterrupt
                if note:
                    bar.set_postfix_str(note, refresh=False)
                bar.update(steps)

            yield advance


QUIET = Reporter(quiet=True)
"""Says nothing."""
