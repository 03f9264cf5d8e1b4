"""Check task files, all of them in one go. Nothing here needs a dataset; `protocol/task_checks.py` has what does."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from taxbench.specs.task import TaskSpec
from taxbench.tasks.diagnostics import Diagnostic, errors, in_order
from taxbench.tasks.inheritance import BUILTIN, SUFFIXES, yaml_files
from taxbench.tasks.language_files import check_language, is_language_file, language_paths, read_language
from taxbench.tasks.lock import LOCK, DamagedLock, add_to_lock, changed, read_lock
from taxbench.tasks.registry import TaskRegistry, find_tasks
from taxbench.tasks.task_files import TaskFile
from taxbench.util.errors import UsageError


@dataclass
class Validation:
    """What was checked and what was found."""

    registry: TaskRegistry
    files: list[TaskFile]
    findings: tuple[Diagnostic, ...]
    may_lock: tuple[Path, ...]
    """The folders whose lock may be written: not those of installed packages."""
    languages: int = 0
    """How many files of languages were checked."""

    @property
    def sound(self) -> list[TaskFile]:
        """Return the files whose tasks can be used."""
        return [file for file in self.files if file.tasks and self.registry.files.get(file.tasks[0].name) is file]

    def add(self, more: Iterable[Diagnostic]) -> None:
        """Add findings of further checks."""
        self.findings = in_order([*self.findings, *more])

    def lock(self) -> dict[Path, int]:
        """Add the versions that locks lack, and return how many were added to which lock.

        Raises:
            CacheError: a lock cannot be written.
        """
        added = {}
        for root, files in _by_root(self.sound, self.registry).items():
            if root in self.may_lock:
                with suppress(DamagedLock):  # a damaged lock is among the findings
                    added[root / LOCK] = add_to_lock(root, [task for file in files for task in file.tasks])
        return added

    def summary(self) -> str:
        """Return one line that counts validated files, usable tasks, errors and warnings."""
        wrong, warned = len(errors(self.findings)), len(self.findings) - len(errors(self.findings))
        tasks = sum(len(file.tasks) for file in self.sound)
        problems = f"{_count(wrong, 'error')}, {_count(warned, 'warning')}" if self.findings else "no problem"
        also = f", {_count(self.languages, 'language')}" if self.languages else ""
        return f"{_count(len(self.files) + self.languages, 'file')}, {_count(tasks, 'usable task')}{also}: {problems}."

    def as_json(self) -> dict[str, Any]:
        """Return the validation for `--json`."""
        return {
            "files": len(self.files) + self.languages,
            "tasks": [task.identity for file in self.sound for task in file.tasks],
            "errors": len(errors(self.findings)),
            "warnings": len(self.findings) - len(errors(self.findings)),
            "findings": [finding.as_json() for finding in self.findings],
        }


def validate(paths: Iterable[Path], include: Iterable[Path] = ()) -> Validation:
    """Check files of tasks and languages and those of folders; without any, all that is registered.

    What a language lacks that is valid without it is said where its file is named.

    Raises:
        UsageError: a path does not exist or is no YAML file.
    """
    chosen, include = list(paths), list(include)
    for path in chosen:
        if not os.path.lexists(path):
            raise UsageError(f"No such file or folder: '{path}'.")
        if not path.is_dir() and path.suffix not in SUFFIXES:
            raise UsageError(f"'{path}' is not a task file: expected .yaml or .yml, or a folder.")
        if path.is_dir() and next(yaml_files(path), None) is None:
            raise UsageError(f"No task file (.yaml or .yml) in '{path}'.")
    spoken = _languages_in(chosen) if chosen else {path: [path] for path in language_paths()}
    look, paths_of = (check_language if chosen else read_language), [*chain(*spoken.values())]
    of_languages = [finding for path in paths_of for finding in look(path)[1]]
    if chosen and len(spoken) == len(chosen):
        return Validation(find_tasks(include), [], in_order(of_languages), (), len(paths_of))
    chosen = [path for path in chosen if path not in spoken]
    roots = [Path(os.path.realpath(folder)) for folder in (BUILTIN, *include)]
    inside = {path for path in chosen for root in roots if Path(os.path.realpath(path)).is_relative_to(root)}
    folders = [path for path in chosen if path.is_dir() and path not in inside]
    single = [path for path in chosen if not path.is_dir()]
    registry = find_tasks([*include, *folders], single)
    files = registry.all_files
    if chosen:
        paths = (path for place in chosen for path in (yaml_files(place) if place.is_dir() else [place]))
        wanted = {os.path.realpath(path) for path in paths}
        files = [file for file in files if os.path.realpath(file.path) in wanted]
    findings = [finding for file in files for finding in registry.findings.get(file.path, ())]
    if not chosen:
        findings += [finding for of_file in registry.findings.values() for finding in of_file if not finding.line]
    for root, of_root in _by_root(files, registry).items():
        try:
            locked = read_lock(root)
            findings += [finding for file in of_root for finding in changed(file, locked)]
        except DamagedLock as error:
            findings.append(error.finding)
    may_lock = (BUILTIN, *include, *folders, *(path.parent for path in single))
    return Validation(registry, files, in_order([*findings, *of_languages]), may_lock, len(paths_of))


def _languages_in(places: Iterable[Path]) -> dict[Path, list[Path]]:
    """Return the files of languages, and the folders that hold nothing else, each with its files."""
    files = {place: list(yaml_files(place)) if place.is_dir() else [place] for place in places}
    return {place: paths for place, paths in files.items() if all(map(is_language_file, paths))}


def warnings_for(registry: TaskRegistry, names: Iterable[str], tasks: Iterable[TaskSpec]) -> Iterator[Diagnostic]:
    """Yield what makes named tasks doubtful: other files that claim a name, and content changed under a locked version.

    The tasks are what the names and paths stand for.
    """
    digests = {task.name: task.digest for task in tasks}
    for file in registry.all_files:
        if any(name in digests and registry.files.get(name) is not file for name in file.names):
            yield from registry.findings.get(file.path, ())
    by_path = [registry.file(name.strip()) for name in names if name.strip() not in registry.files]
    for file in {file.path: file for file in (*registry.all_files, *by_path)}.values():
        if meant := tuple(task for task in file.tasks if digests.get(task.name) == task.digest):
            with suppress(DamagedLock):
                locked = read_lock(registry.task_path.root_of(file.path))
                yield from changed(replace(file, tasks=meant), locked)


def _by_root(files: Iterable[TaskFile], registry: TaskRegistry) -> dict[Path, list[TaskFile]]:
    """Return the task folders of validated files, each with its files."""
    groups: dict[Path, list[TaskFile]] = {}
    for file in files:
        groups.setdefault(registry.task_path.root_of(file.path), []).append(file)
    return groups


def _count(n: int, word: str) -> str:
    """Return a number with its noun for the summary of a validation, such as "2 errors"."""
    return f"{n} {word}{'' if n == 1 else 's'}"
