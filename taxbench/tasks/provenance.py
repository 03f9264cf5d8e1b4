"""A resolved task as YAML, with the place that each value comes from."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from taxbench.specs.task import TaskSpec
from taxbench.tasks.inheritance import TaskPath
from taxbench.tasks.task_files import TaskFile
from taxbench.tasks.yaml_file import KeyPath

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a task and where it was written: `folder/file.yaml:line`, or `default`."""

    key: KeyPath
    value: Any
    source: str


def values_of(task: TaskSpec, file: TaskFile, task_path: TaskPath) -> list[Value]:
    """Return every value that holds for a task, in the order of the schema."""
    return [Value(key, value, _source(key, task, file, task_path)) for key, value in _leaves(_plain(task), ())]


def as_yaml(values: list[Value]) -> str:
    """Write the values as a task file, each with its source behind it."""
    lines: list[str] = []
    open_keys: KeyPath = ()
    for value in values:
        *above, name = value.key
        indent = "  " * len(above)
        lines += [f"{'  ' * depth}{part}:" for depth, part in enumerate(above)
                  if open_keys[: depth + 1] != value.key[: depth + 1]]  # fmt: skip
        open_keys = value.key[:-1]
        if name == "figures":
            lines.append(f"{indent}{name}:  # {value.source}")
            lines += [f"{indent}  - {_flow(row)}" for row in value.value]
        else:
            lines.append(f"{indent}{name}: {_flow(value.value)}  # {value.source}")
    return "\n".join(lines) + "\n"


def _plain(task: TaskSpec) -> dict[str, Any]:
    """Return the task as plain values, without the published figures' empty cells and what is not given at all."""
    data = task.model_dump(mode="json")
    if task.expected is None:
        del data["expected"]
    else:
        data["expected"]["figures"] = [
            figure.model_dump(mode="json", exclude_defaults=True) for figure in task.expected.figures
        ]
    data["deprivation"] = {key: value for key, value in data["deprivation"].items() if value is not None}
    return data


def _leaves(data: dict[str, Any], under: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    """Yield the innermost values of a task with their keys."""
    for name, value in data.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*under, name))
        else:
            yield (*under, name), value


def _source(key: KeyPath, task: TaskSpec, file: TaskFile, task_path: TaskPath) -> str:
    """Return where a task's value comes from: file and line, or `default`."""
    assert file.resolved is not None
    level = file.level_of(task)
    if level is not None and ".".join(map(str, key)) == level[0]:
        key = level[1]
    source = file.resolved.origin.get(key)
    return DEFAULT if source is None else f"{label(source.path, task_path)}:{source.positions[key][0]}"


def label(path: Path, task_path: TaskPath) -> str:
    """Return a file's name with its task folder in front, short enough for a comment."""
    root = task_path.root_of(path)
    if root not in task_path.roots:
        return path.name
    return f"{root.resolve().name}/{path.resolve().relative_to(root.resolve()).as_posix()}"


def _flow(value: Any) -> str:
    """Return a value as one line of YAML, for the listing of a task with its sources."""
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")
