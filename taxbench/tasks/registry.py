"""Find tasks: every YAML file of a task folder is a task, a curve, a group, or (name begins with `_`) an abstract base.

Task folders are the built-in one, those of `--include-path`, and those that installed packages offer.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from taxbench.registry.package_source import module_spec
from taxbench.specs.task import GroupSpec, TaskSpec
from taxbench.tasks.diagnostics import Diagnostic, errors
from taxbench.tasks.groups import group_problems
from taxbench.tasks.inheritance import SUFFIXES, Library, builtin_folder
from taxbench.tasks.task_files import TaskFile, read_task_file
from taxbench.util.errors import TaskError, UsageError, did_you_mean

ENTRY_POINTS = "taxbench.tasks"
"""The group under which installed packages offer tasks; the value is a package whose folder holds the files."""


@dataclass
class TaskRegistry:
    """All tasks that could be read, all groups and curves, and what is wrong with every file that could not."""

    library: Library
    tasks: dict[str, TaskSpec] = field(default_factory=dict)
    groups: dict[str, GroupSpec] = field(default_factory=dict)
    files: dict[str, TaskFile] = field(default_factory=dict)
    """The file of every name."""
    all_files: list[TaskFile] = field(default_factory=list)
    """Every file, in the order in which it was found, abstract and broken ones too."""
    findings: dict[Path, tuple[Diagnostic, ...]] = field(default_factory=dict)
    """What is wrong, by file."""

    @property
    def broken(self) -> dict[Path, str]:
        """Return the first error of every file that cannot be used."""
        found = {path: errors(each) for path, each in self.findings.items()}
        own = {path: [each for each in some if each.path == str(path)] for path, some in found.items()}
        return {path: str((own[path] or some)[0]) for path, some in found.items() if some}

    def resolve(self, names: Iterable[str]) -> list[TaskSpec]:
        """Return the tasks that task, curve and group names and paths to YAML files stand for, each once, in order.

        Raises:
            UsageError: a name is unknown, or stands for two different tasks.
            TaskError: a file that was named is broken.
        """
        found: dict[str, TaskSpec] = {}
        for name in names:
            for task in self._tasks_of(name.strip()):
                if found.setdefault(task.name, task) != task:  # versions, settings and figures may differ as well
                    raise UsageError(f"Two different tasks are named '{task.name}': run them in two commands.")
        if not found:
            raise UsageError("No task was named. Type 'taxbench ls tasks' to see them.")
        return list(found.values())

    def named_groups(self, names: Iterable[str]) -> list[GroupSpec]:
        """Return the groups and curves among some names and paths, each once, in order.

        Raises:
            UsageError: a name is unknown.
            TaskError: a file that was named is broken.
        """
        found: dict[str, GroupSpec] = {}
        for name in map(str.strip, names):
            group = None if name in self.tasks else self.groups.get(name) or self.file(name).group
            if group is not None:
                found.setdefault(group.group, group)
        return list(found.values())

    def file(self, name: str) -> TaskFile:
        """Return the file that a name or a path stands for.

        Raises:
            UsageError: the name is unknown.
            TaskError: the file is broken; with every problem of it, one a line.
        """
        if name in self.files:
            return self.files[name]
        if name.endswith(SUFFIXES):
            return self._sound(read_task_file(Path(name), self.library))
        for each in self.all_files:
            said = {name, name.rpartition("-")[0]} - {""}
            if each.path in self.findings and said & {each.path.stem, str(each.own_name)}:
                raise TaskError(f"Task '{name}' cannot be used:\n" + "\n".join(map(str, self.findings[each.path])))
        if os.path.isdir(name):
            raise UsageError(f"'{name}' is a folder. Its tasks can be named with --include-path {name}.")
        hint = did_you_mean(name, self.files)
        raise UsageError(f"There is no task or group '{name}'.{hint} Type 'taxbench ls tasks' to see them.")

    def _tasks_of(self, name: str) -> Iterator[TaskSpec]:
        if name in self.files:
            yield from self._unfolded([name])
            return
        file = self.file(name)
        if file.is_group and file.group is not None:
            yield from self._with_members_of(file)._unfolded(file.group.members)
        yield from file.tasks

    def _unfolded(self, names: Iterable[str]) -> Iterator[TaskSpec]:
        """Yield the tasks that names stand for, those of a group once even where several groups name it."""
        waiting, seen = list(names)[::-1], set()
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            if name in self.tasks:
                yield self.tasks[name]
            else:
                waiting += self.groups[name].members[::-1]

    def _with_members_of(self, file: TaskFile) -> "TaskRegistry":
        """Return this registry and the members of a group file, named by its path, that lie beside it.

        Raises:
            TaskError: a member is missing or broken, or the group contains itself.
        """
        more = replace(self, tasks=dict(self.tasks), groups=dict(self.groups), files=dict(self.files),
                       all_files=list(self.all_files), findings=dict(self.findings))  # fmt: skip
        _add_beside(more, [file])
        lists = [each for each in more.files.values() if each.is_group]
        if problems := group_problems([*lists, file], more.files, more.findings).get(file.path):
            raise TaskError("\n".join(map(str, problems)))
        return more

    def _sound(self, file: TaskFile) -> TaskFile:
        if file.broken:
            raise TaskError("\n".join(map(str, file.findings)))
        if not file.names:
            raise TaskError(f"{file.path}: a file that begins with '_' is no task; it is there to be extended.")
        return file


def find_tasks(include: Iterable[Path] = (), files: Iterable[Path] = ()) -> TaskRegistry:
    """Read every task file. A broken file is listed as broken and hides no other.

    Args:
        include: More task folders.
        files: Single files to read as well.

    Raises:
        UsageError: a folder does not exist.
    """
    folders = list(dict.fromkeys((builtin_folder(), *include)))
    for folder in folders:
        if not os.path.isdir(folder):
            raise UsageError(f"The task folder '{folder}' does not exist.")
    findings: dict[Path, tuple[Diagnostic, ...]] = {}
    for point in sorted(entry_points(group=ENTRY_POINTS)):
        try:
            folders += [path for path in _package_folders(point) if path not in folders]
        except (ImportError, ValueError, AttributeError) as error:
            name = f"entry point {point.name}"
            findings[Path(name)] = (Diagnostic(name, 0, 0, f"'{point.value}' is no package with tasks ({error})"),)
    library = Library(tuple(folders))
    registry = TaskRegistry(library, findings=findings)
    seen: set[Path] = set()
    named = list(files)
    for path in (*(path for folder in folders for path in library.files(folder)), *named):
        if library.real(path) not in seen:
            seen.add(library.real(path))
            _add(registry, read_task_file(path, library))
    _add_beside(registry, (file for file in registry.all_files if file.path in named))
    _check_groups(registry)
    return registry


def load_task(path: Path) -> TaskSpec:
    """Read one task file.

    Raises:
        TaskError: with every problem of the file, one a line.
    """
    file = TaskRegistry(Library((builtin_folder(),))).file(str(path))
    if file.group is not None:
        kind = "a curve" if file.tasks else "a group"
        raise TaskError(f"{path}: is {kind} of several tasks: {', '.join(file.group.members)}")
    return file.tasks[0]


def _package_folders(point: EntryPoint) -> Iterator[Path]:
    """Yield the folders of the package that an entry point names. None of its code is run."""
    spec = module_spec(point.module)
    places = (spec.submodule_search_locations if spec else None) or ()
    folders = [path for place in places if (path := Path(place)).is_dir()]
    if not folders:
        raise ImportError(f"no folder of a package '{point.module}' was found")
    yield from folders


def _add(registry: TaskRegistry, file: TaskFile) -> None:
    registry.all_files.append(file)
    if file.findings:
        registry.findings[file.path] = file.findings
    if file.broken:
        return
    for name in file.names:
        if name in registry.files:
            key = ("group",) if file.is_group else ("name",)
            first = registry.files[name].locate(key, "")
            text = f"the name '{name}' is taken by {first.path}:{first.line}; choose another"
            registry.findings[file.path] = (*file.findings, file.locate(key, text))
            return
    registry.files |= dict.fromkeys(file.names, file)
    registry.tasks |= {task.name: task for task in file.tasks}
    if file.group is not None:
        registry.groups[file.group.group] = file.group


def _add_beside(registry: TaskRegistry, named: Iterable[TaskFile]) -> None:
    """Add what group files, named by their paths, call by name and have beside them."""
    waiting = [file for file in named if file.is_group]
    seen = {file.path for file in registry.all_files}
    for file in waiting:
        for member in file.group.members if file.group else ():
            path = None if member in registry.files else registry.library.beside(file.path, member)
            if path is not None and path not in seen:
                seen.add(path)
                _add(registry, found := read_task_file(path, registry.library))
                waiting += [found] if found.is_group else []


def _check_groups(registry: TaskRegistry) -> None:
    """Take out the groups that cannot be used."""
    lists = [file for file in registry.files.values() if file.is_group]
    problems = group_problems(lists, registry.files, registry.findings)
    registry.findings |= problems
    for file in lists:
        if file.group is not None and file.path in problems:
            del registry.files[file.group.group], registry.groups[file.group.group]
