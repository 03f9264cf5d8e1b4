"""The version lock: `lock.json` in a task folder says which content each version of each task had."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from taxbench.errors import TaskError
from taxbench.paths import replacing
from taxbench.registry.findings import Finding, at_file
from taxbench.registry.task_files import TaskFile
from taxbench.specs.task import TaskSpec

LOCK = "lock.json"

Versions = dict[str, dict[str, str]]
"""Name, then version, then digest."""


def read_lock(root: Path) -> Versions:
    """Return the lock of a task folder; an empty one where it has none.

    Raises:
        TaskError: the file is damaged.
    """
    path = root / LOCK
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise TaskError(f"{path}: cannot be read ({error})") from None
    except json.JSONDecodeError as error:
        raise TaskError(f"{path}:{error.lineno}:{error.colno}: not valid JSON: {error.msg}") from None
    digests = found.values() if isinstance(found, dict) else [None]
    if not all(isinstance(each, dict) and all(isinstance(text, str) for text in each.values()) for each in digests):
        raise TaskError(f'{path}:1:1: expected {{"task": {{"1": "digest"}}}}; restore it from version control')
    return dict(found)


def changed(file: TaskFile, locked: Versions) -> Iterator[Finding]:
    """Find tasks of a file whose content is not what the lock has under their version."""
    for task in file.tasks:
        known = locked.get(task.name, {})
        digest = known.get(str(task.version))
        if digest is not None and digest != task.digest:
            free = max(int(version) for version in known if version.isdigit()) + 1
            text = (
                f"'{task.name}': content changed but version is still {task.version}: raise version to {free}, or undo "
                f"(content {task.digest}, locked {digest})"
            )
            yield file.locate(("version",), text)


def lock_problems(root: Path, files: Iterable[TaskFile]) -> list[Finding]:
    """Compare files of a task folder with its lock."""
    try:
        locked = read_lock(root)
    except TaskError as error:
        return [at_file(root / LOCK, str(error).removeprefix(f"{root / LOCK}").lstrip("0123456789: "))]
    return [finding for file in files for finding in changed(file, locked)]


def add_to_lock(root: Path, tasks: Iterable[TaskSpec]) -> int:
    """Write the versions that the lock of a folder lacks, and return how many; none that is there is changed.

    Raises:
        TaskError: the lock is damaged.
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
