"""Find tasks: every YAML file of a task folder is a task, a curve, a group, or (name begins with `_`) an abstract base.

Task folders are the built-in one, those of `--include-path`, and those that installed packages offer.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import entry_points
from pathlib import Path

from taxbench.registry.heads import heads
from taxbench.registry.models import encoders, lms, systems
from taxbench.registry.package_source import package_folders
from taxbench.specs.group import GroupSpec
from taxbench.specs.task import TaskSpec
from taxbench.tasks.diagnostics import Diagnostic
from taxbench.tasks.groups import group_problems
from taxbench.tasks.inheritance import BUILTIN, SUFFIXES, TaskPath, yaml_files
from taxbench.tasks.language_files import language_paths
from taxbench.tasks.task_files import TaskFile, read_task_file
from taxbench.util.errors import TaskError, UsageError, did_you_mean

ENTRY_POINTS = "taxbench.tasks"
"""The group under which installed packages offer tasks; the value is a package whose folder holds the files."""


@dataclass
class TaskRegistry:
    """All tasks that could be read, all groups and curves, and what is wrong with every file that could not."""

    task_path: TaskPath
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
        """Return the first error of every file that cannot be used, of what it says itself where there is one."""
        return {path: str(next((error for error in errors if error.path == str(path)), errors[0]))
                for path, errors in self.findings.items()}  # fmt: skip

    def resolve(self, names: Iterable[str]) -> list[TaskSpec]:
        """Return the tasks that names and paths stand for; as for `select`."""
        return self.select(names)[0]

    def select(self, names: Iterable[str]) -> tuple[list[TaskSpec], list[GroupSpec]]:
        """Return the tasks that task, curve and group names and paths to YAML files stand for, and the groups named.

        Each once, in order; tasks of a group once, even where several groups name them.

        Raises:
            UsageError: a name is unknown, or stands for two different tasks.
            TaskError: a file that was named is broken.
        """
        tasks: dict[str, TaskSpec] = {}
        groups: dict[str, GroupSpec] = {}
        for name in map(str.strip, names):
            named = [self.tasks[name]] if name in self.tasks else []
            if not named:
                file = self.file(name)
                named = [*file.tasks] or self._members(file)
                if file.group is not None:
                    groups.setdefault(file.group.group, file.group)
            for task in named:
                if tasks.setdefault(task.name, task) != task:  # versions, settings and figures may differ as well
                    raise UsageError(f"Two different tasks are named '{task.name}': run them in two commands.")
        if not tasks:
            raise UsageError("No task was named. Type 'taxbench ls tasks' to see them.")
        return list(tasks.values()), list(groups.values())

    def file(self, name: str) -> TaskFile:
        """Return the file that a name or a path stands for.

        Raises:
            UsageError: the name is unknown.
            TaskError: the file is broken; with every problem of it, one a line.
        """
        if name in self.files:
            return self.files[name]
        if name.endswith(SUFFIXES):
            file = read_task_file(Path(name), self.task_path)
            if file.findings:
                raise TaskError("\n".join(map(str, file.findings)))
            if not file.names:
                raise TaskError(f"{file.path}: a file that begins with '_' is not a task; it is there to be extended.")
            return file
        for file in self.all_files:
            own = file.resolved.own.data if file.resolved else {}
            meant = {name, name.rpartition("-")[0]} - {""}
            if file.path in self.findings and meant & {file.path.stem, str(own.get("name", own.get("group")))}:
                raise TaskError(f"Task '{name}' cannot be used:\n" + "\n".join(map(str, self.findings[file.path])))
        if os.path.isdir(name):
            raise UsageError(f"'{name}' is a folder. Its tasks can be named with --include-path {name}.")
        hint = _other_kind(name) or did_you_mean(name, self.files)
        raise UsageError(f"Unknown task or group '{name}'.{hint} Type 'taxbench ls tasks' to see them.")

    def add(self, file: TaskFile) -> None:
        """Add a file. What is wrong with it is noted, also that its name is taken."""
        self.all_files.append(file)
        if file.findings:
            self.findings[file.path] = file.findings
            return
        for name in file.names:
            if name in self.files:
                key = ("group",) if file.is_group else ("name",)
                first = self.files[name].locate(key, "")
                text = f"the name '{name}' is taken by {first.path}:{first.line}; choose another"
                self.findings[file.path] = (file.locate(key, text),)
                return
        self.files |= dict.fromkeys(file.names, file)
        self.tasks |= {task.name: task for task in file.tasks}
        if file.group is not None:
            self.groups[file.group.group] = file.group

    def _members(self, file: TaskFile) -> list[TaskSpec]:
        """Return the tasks of a group, those of a group in it once even where several name it.

        Raises:
            TaskError: it was named by its path, and a member is missing or broken, or it contains itself.
        """
        assert file.group is not None
        registry = self if self.files.get(file.group.group) is file else self._with_members_of(file)
        tasks: list[TaskSpec] = []
        waiting, seen = list(file.group.members[::-1]), set[str]()
        while waiting:
            name = waiting.pop()
            if name in registry.tasks:
                tasks.append(registry.tasks[name])
            elif name not in seen:
                waiting += registry.groups[name].members[::-1]
            seen.add(name)
        return tasks

    def _with_members_of(self, file: TaskFile) -> "TaskRegistry":
        """Return this registry and the members of a group file, named by its path, that lie beside it."""
        more = replace(self, tasks=dict(self.tasks), groups=dict(self.groups), files=dict(self.files),
                       all_files=list(self.all_files), findings=dict(self.findings))  # fmt: skip
        more.add_beside([file])
        groups = [other for other in more.files.values() if other.is_group]
        if problems := group_problems([*groups, file], more.files, more.findings).get(file.path):
            raise TaskError("\n".join(map(str, problems)))
        return more

    def add_beside(self, groups: Iterable[TaskFile]) -> None:
        """Add what group files that were named by their paths call by name and have beside them."""
        waiting, seen = list(groups), {file.path for file in self.all_files}
        for file in waiting:
            for member in file.group.members if file.group and file.is_group else ():
                near = [file.path.with_name(f"{member}{suffix}") for suffix in SUFFIXES]
                path = next((path for path in near if path.is_file()), None)
                if path is not None and path not in seen and member not in self.files:
                    seen.add(path)
                    waiting.append(read_task_file(path, self.task_path))
                    self.add(waiting[-1])


def _other_kind(name: str) -> str:
    """Return a clause that says what a name stands for that is no task; nothing where it is none of these."""
    kinds = {"languages": [path.stem for path in language_paths()], "heads": heads(), "models": lms(),
             "encoders": encoders(), "systems": systems()}  # fmt: skip
    kind = next((kind for kind, names in kinds.items() if name in names), None)
    asks = f", and 'taxbench run --set language={name}' asks in it" if kind == "languages" else ""
    return f" It is one of the {kind}: 'taxbench ls {kind}' shows it{asks}." if kind else ""


def find_tasks(
    include: Iterable[Path] = (), files: Iterable[Path] = (), names: Iterable[str] | None = None
) -> TaskRegistry:
    """Read every task file. A broken file is listed as broken and hides no other.

    Args:
        include: More task folders.
        files: Single files to read as well.
        names: Read only what defines these names, if that is enough to resolve them.

    Raises:
        UsageError: a folder does not exist.
    """
    include, by_path = tuple(include), tuple(files)
    folders = list(dict.fromkeys((BUILTIN, *include)))
    for folder in folders:
        if not os.path.isdir(folder):
            raise UsageError(f"The task folder '{folder}' does not exist.")
    findings: dict[Path, tuple[Diagnostic, ...]] = {}
    for point in sorted(entry_points(group=ENTRY_POINTS)):
        try:
            folders += [path for path in package_folders(point.module) if path not in folders]
        except (ImportError, ValueError, AttributeError) as error:
            name = f"entry point {point.name}"
            findings[Path(name)] = (Diagnostic(name, 0, 0, f"'{point.value}' is not a package with tasks ({error})"),)
    registry = TaskRegistry(TaskPath(tuple(folders)), findings=findings)
    paths: Sequence[Path] = [path for folder in folders for path in yaml_files(folder)]
    wanted = [] if names is None else [name.strip() for name in names]
    if wanted:
        paths = registry.task_path.defining(wanted, paths)
    once: dict[str, Path] = {}
    for path in (*paths, *by_path):
        once.setdefault(os.path.realpath(path), path)
    for path in once.values():
        registry.add(read_task_file(path, registry.task_path))
    if by_path:
        registry.add_beside(file for file in registry.all_files if file.path in by_path)
    groups = [file for name in registry.groups if not (file := registry.files[name]).tasks]
    problems = group_problems(groups, registry.files, registry.findings) if groups else {}
    for file in groups:
        if file.group is not None and file.path in problems:
            del registry.files[file.group.group], registry.groups[file.group.group]
    registry.findings |= problems
    if any(name not in registry.files and not name.endswith(SUFFIXES) for name in wanted):
        return find_tasks(include, by_path)  # to say what is wrong with it, or which name is near
    return registry
