"""Find tasks: every YAML file of a task folder is a task, a curve, a group, or (name begins with `_`) an abstract base.

Task folders are the built-in one, those of `--include-path`, and those that installed packages offer.
"""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

from taxbench.errors import TaskError, UsageError, did_you_mean
from taxbench.registry.findings import Finding, errors
from taxbench.registry.layers import SUFFIXES, Library, builtin_folder
from taxbench.registry.task_files import TaskFile, read_task_file
from taxbench.specs.task import GroupSpec, TaskSpec

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
    findings: dict[Path, tuple[Finding, ...]] = field(default_factory=dict)
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
            for task in self._one(name.strip()):
                if found.setdefault(task.name, task).digest != task.digest:
                    raise UsageError(f"Two different tasks are named '{task.name}': run them in two commands.")
        if not found:
            raise UsageError("No task was named. Type 'taxbench ls tasks' to see them.")
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
            if each.path in self.findings and name in (each.path.stem, each.own_name):
                raise TaskError(f"Task '{name}' cannot be used:\n" + "\n".join(map(str, self.findings[each.path])))
        if Path(name).is_dir():
            raise UsageError(f"'{name}' is a folder. Its tasks can be named with --include-path {name}.")
        hint = did_you_mean(name, self.files)
        raise UsageError(f"There is no task or group '{name}'.{hint} Type 'taxbench ls tasks' to see them.")

    def _one(self, name: str, within: tuple[Path, ...] = ()) -> list[TaskSpec]:
        if name in self.tasks:
            return [self.tasks[name]]
        if name in self.groups:
            return self.resolve(self.groups[name].members)
        file = self.file(name)
        if file.tasks or file.group is None:
            return list(file.tasks)
        members = [self._member(file, index, (*within, file.path)) for index in range(len(file.group.members))]
        return [task for tasks in members for task in tasks]

    def _member(self, file: TaskFile, index: int, within: tuple[Path, ...]) -> list[TaskSpec]:
        """Return the tasks of a member of a group file that was named by its path: registered, or beside it."""
        assert file.group is not None
        name = file.group.members[index]
        beside = [path for suffix in SUFFIXES if (path := file.path.parent / f"{name}{suffix}").is_file()]
        if name in self.files or not beside:
            if name not in self.files:
                raise TaskError(str(_no_member(file, index, self.files)))
            return self._one(name)
        if beside[0] in within:
            raise TaskError(str(_circle(file, index, [path.stem for path in (*within, beside[0])])))
        return self._one(str(beside[0]), within)

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
        if not folder.is_dir():
            raise UsageError(f"The task folder '{folder}' does not exist.")
    findings: dict[Path, tuple[Finding, ...]] = {}
    for point in sorted(entry_points(group=ENTRY_POINTS)):
        try:
            folders += [path for path in _package_folders(point) if path not in folders]
        except (ImportError, ValueError, AttributeError) as error:
            name = f"entry point {point.name}"
            findings[Path(name)] = (Finding(name, 0, 0, f"'{point.value}' is no package with tasks ({error})"),)
    library = Library(tuple(folders))
    registry = TaskRegistry(library, findings=findings)
    seen: set[Path] = set()
    for path in (*(path for folder in folders for path in library.files(folder)), *files):
        if path.resolve() not in seen:
            seen.add(path.resolve())
            _add(registry, read_task_file(path, library))
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
    parts = point.module.split(".")
    spec = find_spec(parts[0])
    for depth in range(2, len(parts) + 1):  # find_spec itself would import the packages around it
        inside = spec.submodule_search_locations if spec else None
        name = ".".join(parts[:depth])
        found = (finder.find_spec(name, inside) for finder in sys.meta_path) if inside else iter(())
        spec = next((each for each in found if each is not None), None)
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


def _check_groups(registry: TaskRegistry) -> None:
    """Find members that are not there, and groups that contain themselves; take such groups out."""
    lists = [file for file in registry.files.values() if file.is_group]
    bad: dict[str, list[Finding]] = {}
    while True:
        for file in lists:
            assert file.group is not None
            if file.group.group not in bad and (found := list(_member_problems(file, registry))):
                bad[file.group.group] = found
        gone = [name for name in bad if name in registry.files]
        for name in gone:
            file = registry.files.pop(name)
            registry.groups.pop(name)
            registry.findings[file.path] = tuple(bad[name])
        if not gone:
            return


def _member_problems(file: TaskFile, registry: TaskRegistry) -> Iterator[Finding]:
    assert file.group is not None
    for index, member in enumerate(file.group.members):
        if member not in registry.files:
            yield _no_member(file, index, registry.files, registry)
        elif path := _path_back(file.group.group, member, registry, ()):
            yield _circle(file, index, [file.group.group, *path])


def _path_back(goal: str, name: str, registry: TaskRegistry, seen: tuple[str, ...]) -> list[str]:
    """Return the members that lead from a group to itself, or nothing."""
    if name == goal:
        return [name]
    if name in seen or name not in registry.groups:
        return []
    for member in registry.groups[name].members:
        if path := _path_back(goal, member, registry, (*seen, name)):
            return [name, *path]
    return []


def _no_member(file: TaskFile, index: int, known: Iterable[str], registry: TaskRegistry | None = None) -> Finding:
    assert file.group is not None
    member = file.group.members[index]
    broken = [path for path in (registry.findings if registry else ()) if path.stem == member]
    why = f"cannot be used, see {broken[0]}." if broken else f"is no task or group.{did_you_mean(member, known)}"
    return file.locate(("members", index), f"members[{index}]: '{member}' {why}")


def _circle(file: TaskFile, index: int, chain: list[str]) -> Finding:
    return file.locate(("members", index), f"members[{index}]: the group contains itself: {' → '.join(chain)}")
