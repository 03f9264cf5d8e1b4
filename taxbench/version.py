"""The version of the code that made a number: the release and a digest of its own source."""

import hashlib
from functools import cache
from pathlib import Path

from taxbench import __version__

_ROOT = Path(__file__).parent
NO_PART = frozenset({
    "__init__.py", "board", "cli", "reproduce.py",
    "scoring/bootstrap.py", "scoring/comparison.py", "scoring/regression.py", "scoring/rescore.py",
})  # fmt: skip
"""What only shows or compares finished results, and the doors to the rest; no run goes by it."""


@cache
def source_version() -> str:
    """Return `release+digest`, so that a stale result is never taken for a fresh one.

    Any edit changes it to code or word lists that a run can touch.
    """
    state = hashlib.sha256()
    for path in sorted([*_ROOT.rglob("*.py"), *(_ROOT / "data" / "files").glob("*.*")]):
        name = path.relative_to(_ROOT).as_posix()
        if NO_PART.isdisjoint((name, name.partition("/")[0])):
            state.update(name.encode() + b"\0" + path.read_bytes())
    return f"{__version__}+{state.hexdigest()[:8]}"
