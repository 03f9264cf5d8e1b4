"""The version of the code that made a number: the release and a digest of its own source."""

import hashlib
from functools import cache
from pathlib import Path

from taxbench import __version__


@cache
def source_version() -> str:
    """Return `release+digest`, so that a stale result is never taken for a fresh one.

    Any edit to the package's code or word lists changes it.
    """
    root = Path(__file__).parent
    state = hashlib.sha256()
    for path in sorted([*root.rglob("*.py"), *(root / "data" / "files").glob("*.*")]):
        state.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return f"{__version__}+{state.hexdigest()[:8]}"
