"""The version lock: `lock.json` in a task folder says which content each version of each task had."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from taxbench.specs.task import TaskSpec
from taxbench.tasks.diagnostics import Diagnostic
from taxbench.tasks.task_files import TaskFile
from taxbench.util.errors import TaskError
from taxbench.util.paths import replacing

LOCK = "lock.json"

Versions = dict[str, dict[str, str]]
"""Name, then version, then digest."""
_Pairs = tuple[tuple[Annotated[str, Field(pattern="^[1-9][0-9]*$")], str], ...]
_LOCKED = TypeAdapter(tuple[tuple[str, _Pairs], ...])


class DamagedLock(TaskError):
    """A lock that says nothing certain."""

    def __init__(self, path: Path, message: str, line: int = 1, column: int = 1) -> None:
        self.finding = Diagnostic(str(path), line, column, f"{message}; restore it from version control")
        super().__init__(str(self.finding))


def read_lock(root: Path) -> Versions:
    """Return the lock of a task folder; an empty one where it has none.

    Raises:
        DamagedLock: the file is damaged.
    """
    path = root / LOCK
    if not os.path.lexists(path):
        return {}
    try:
        tasks = _LOCKED.validate_python(json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=tuple))
    except ValidationError:
        raise DamagedLock(path, 'expected {"task": {"1": "digest"}}') from None
    except json.JSONDecodeError as error:
        raise DamagedLock(path, f"not valid JSON: {error.msg}", error.lineno, error.colno) from None
    except (OSError, ValueError) as error:
        raise DamagedLock(path, f"cannot be read ({error})") from None
    for pairs in (tasks, *(versions for _, versions in tasks)):  # after a merge that kept both sides
        for name, n in Counter(name for name, _ in pairs).items():
            if n > 1:
                raise DamagedLock(path, f"'{name}' is given twice")
    return {task: dict(versions) for task, versions in tasks}


def changed(file: TaskFile, locked: Versions) -> Iterator[Diagnostic]:
    """Find tasks of a file whose content is not what the lock has under their version."""
    for task in file.tasks:
        versions = locked.get(task.name, {})
        digest = versions.get(str(task.version))
        if digest is not None and digest != task.digest:
            free = max(map(int, versions)) + 1
            text = (
                f"'{task.name}': content changed but version is still {task.version}: raise version to {free}, or undo "
                f"(content {task.digest}, locked {digest})"
            )
            yield file.locate(("version",), text)


def add_to_lock(root: Path, tasks: Iterable[TaskSpec]) -> int:
    """Write the versions that the lock of a folder lacks, and return how many; none that is there is changed.

    Raises:
        DamagedLock: the lock is damaged.
        CacheError: it cannot be written.
    """
    locked = read_lock(root)
    added = 0
    for task in tasks:
        versions = locked.setdefault(task.name, {})
        if str(task.version) not in versions:
            versions[str(task.version)] = task.digest
            added += 1
    if added:
        with replacing(root / LOCK) as partial:
            partial.write_text(json.dumps(locked, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return added
