"""Find tasks: every YAML file of the built-in folder is a task, a group, or (name begins with `_`) an abstract base."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from taxbench.errors import TaskError, UsageError, did_you_mean
from taxbench.registry.yaml_file import YamlFile, read_yaml
from taxbench.specs.task import GroupSpec, TaskSpec

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class TaskRegistry:
    """All tasks that could be read, all groups, and the first error of every file that could not."""

    tasks: dict[str, TaskSpec]
    groups: dict[str, GroupSpec]
    broken: dict[Path, str]

    def resolve(self, names: Iterable[str]) -> list[TaskSpec]:
        """Return the tasks that task names, group names and paths to YAML files stand for, each once, in order.

        Raises:
            UsageError: a name is unknown.
            TaskError: a file that was named is broken.
        """
        found: dict[str, TaskSpec] = {}
        for name in names:
            for task in self._one(name.strip()):
                found.setdefault(task.name, task)
        if not found:
            raise UsageError("No task was named. Type 'taxbench ls tasks' to see them.")
        return list(found.values())

    def _one(self, name: str) -> list[TaskSpec]:
        if name in self.tasks:
            return [self.tasks[name]]
        if name in self.groups:
            return self.resolve(self.groups[name].members)
        if name.endswith((".yaml", ".yml")):
            return [load_task(Path(name))]
        for path, error in self.broken.items():
            if path.stem == name:
                raise TaskError(f"Task '{name}' cannot be used: {error}")
        known = [*self.tasks, *self.groups]
        hint = did_you_mean(name, known)
        raise UsageError(f"There is no task or group '{name}'.{hint} Type 'taxbench ls tasks' to see all {len(known)}.")


def builtin_folder() -> Path:
    """Return the folder of the default tasks: inside the wheel, or the top-level `tasks/` of a source checkout."""
    package = Path(__file__).resolve().parents[1]
    shipped = package / "_tasks"
    return shipped if shipped.is_dir() else package.parent / "tasks"


def find_tasks(include: Iterable[Path] = ()) -> TaskRegistry:
    """Read every task file. A broken file is listed as broken and hides no other."""
    registry = TaskRegistry({}, {}, {})
    for folder in (builtin_folder(), *include):
        if not folder.is_dir():
            raise UsageError(f"The task folder '{folder}' does not exist.")
        for path in sorted([*folder.rglob("*.yaml"), *folder.rglob("*.yml")]):
            if not path.name.startswith("_"):
                _add(registry, path)
    return registry


def _add(registry: TaskRegistry, path: Path) -> None:
    try:
        spec = _load(path)
        name = spec.group if isinstance(spec, GroupSpec) else spec.name
        if name in registry.tasks or name in registry.groups:
            raise TaskError(f"{path}: the name '{name}' is taken by another file")
        if isinstance(spec, GroupSpec):
            registry.groups[name] = spec
        else:
            registry.tasks[name] = spec
    except TaskError as error:
        registry.broken[path] = str(error).splitlines()[0]


def load_task(path: Path) -> TaskSpec:
    """Read one task file.

    Raises:
        TaskError: with every problem of the file, one a line.
    """
    spec = _load(path)
    if isinstance(spec, GroupSpec):
        raise TaskError(f"{path}: is a group; name it by its group name and --include-path")
    return spec


def _load(path: Path) -> TaskSpec | GroupSpec:
    source = read_yaml(path)
    if "group" in source.data:
        return _validate(GroupSpec, source.data, source)
    return _validate(TaskSpec, _with_parents(source, ()), source)


def _with_parents(source: YamlFile, seen: tuple[Path, ...]) -> dict[str, Any]:
    """Merge a file over the parent it `extends`, deeply; a choice by `kind` replaces the parent's whole choice."""
    data = dict(source.data)
    parent = data.pop("extends", None)
    if parent is None:
        return data
    here = source.path.resolve()
    if here in seen:
        chain = " → ".join(path.name for path in (*seen, here))
        raise TaskError(f"{source.where(('extends',))}: the files extend each other in a circle: {chain}")
    folders = (source.path.parent, builtin_folder())  # a file beside this one, else a default task
    target = next((path for folder in folders if (path := folder / f"{parent}.yaml").is_file()), None)
    if target is None:
        hint = did_you_mean(str(parent), [path.stem for folder in folders for path in folder.glob("*.yaml")])
        raise TaskError(f"{source.where(('extends',))}: extends '{parent}', but there is no {parent}.yaml.{hint}")
    return _merge(_with_parents(read_yaml(target), (*seen, here)), data)


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        deep = isinstance(value, dict) and isinstance(old, dict) and "kind" not in value
        merged[key] = _merge(old, value) if deep and isinstance(old, dict) else value
    return merged


def _validate(model: type[M], data: dict[str, Any], source: YamlFile) -> M:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems = [_explain(model, problem, source) for problem in error.errors(include_url=False)]
        raise TaskError("\n".join(problems)) from None


def _explain(model: type[BaseModel], problem: Any, source: YamlFile) -> str:
    """Turn one pydantic problem into a line: where, what, and the nearest known field."""
    key = tuple(problem["loc"])
    message = str(problem["msg"]).removeprefix("Value error, ")
    hint = ""
    if problem["type"] == "extra_forbidden":
        message = f"unknown field '{key[-1]}'."
        hint = did_you_mean(str(key[-1]), _field_names(model, key[:-1]))
    elif problem["type"] == "missing":
        message = f"field '{key[-1]}' is missing"
    name = ".".join(str(part) for part in key)
    return f"{source.where(key)}: {name + ': ' if name else ''}{message}{hint}"


def _field_names(model: type[BaseModel], key: tuple[Any, ...]) -> list[str]:
    """Return the fields that may stand where `key` leads, following plain nested models."""
    for part in key:
        field = model.model_fields.get(str(part))
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return []
        model = field.annotation
    return list(model.model_fields)
