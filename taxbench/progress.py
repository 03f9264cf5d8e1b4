"""How long work reports itself: bars and notes on standard error, or silence."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int], None]


class Reporter:
    """Show bars and notes; a quiet one shows nothing. The library reports only through this."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet

    def say(self, text: str) -> None:
        """Write one line to standard error."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    @contextmanager
    def bar(self, label: str, total: int, unit: str) -> Iterator[Advance]:
        """Show a progress bar with rate and time left while the block runs; yields what advances it."""
        from tqdm import tqdm

        with tqdm(total=total, desc=label, unit=unit, file=sys.stderr, disable=self.quiet or None, leave=False) as bar:

            def advance(steps: int) -> None:
                bar.update(steps)

            yield advance
