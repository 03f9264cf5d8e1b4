"""One task file: the tasks it makes, or the group it is, and everything that is wrong with it."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from taxbench.registry.settings import SHARED, known_settings, part_of
from taxbench.specs.task import NAME, Expected, GroupSpec, Levels, TaskSpec
from taxbench.tasks.diagnostics import Diagnostic, in_order
from taxbench.tasks.inheritance import ResolvedFile, TaskPath, resolve_extends
from taxbench.tasks.messages import Locate, explain, field_names
from taxbench.tasks.yaml_file import KeyPath
from taxbench.util.errors import did_you_mean

M = TypeVar("M", bound=BaseModel)
Made = tuple[GroupSpec | None, tuple[TaskSpec, ...]]

# What takes the place of required fields that are missing or wrong, so that the others can be checked.
_STAND_INS: dict[type[BaseModel], dict[str, Any]] = {
    TaskSpec: {"name": "x", "version": 1, "summary": "", "deprivation": {"kind": "full"}, "evaluate": ["leaf"]},
    GroupSpec: {"group": "x", "summary": "", "members": ["x"]},
    Levels: {"field": "x.x", "values": [0]},
}
_NO_CURVE = "say 'levels: null' to have one task and no curve"
_WITH_LEVEL = re.compile(rf"{NAME}-[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True)
class TaskFile:
    """A file that was read. It is usable where nothing is wrong with it."""

    path: Path
    resolved: ResolvedFile | None
    """What it says and where; None where it is no YAML."""
    tasks: tuple[TaskSpec, ...] = ()
    group: GroupSpec | None = None
    """A group, or the curve that `levels` makes of a task."""
    names: tuple[str, ...] = ()
    """The names that it defines: of the group or curve, and of the tasks."""
    findings: tuple[Diagnostic, ...] = ()

    @property
    def is_group(self) -> bool:
        """Say whether the task file is a group, a list of other tasks."""
        return self.group is not None and not self.tasks

    def level_of(self, task: TaskSpec) -> tuple[str, KeyPath] | None:
        """Return which field varies in a curve, and the key of the level that makes one of its tasks."""
        if self.resolved is None or self.group is None:
            return None
        index = [other.name for other in self.tasks].index(task.name)
        return self.resolved.data["levels"]["field"], ("levels", "values", index)

    def locate(self, key: KeyPath, message: str) -> Diagnostic:
        """Return an error at one of the task file's keys."""
        return self.resolved.locate(key, message) if self.resolved else Diagnostic(str(self.path), 1, 1, message)


def read_task_file(path: Path, task_path: TaskPath) -> TaskFile:
    """Read one file; whatever is wrong is a finding."""
    resolved = resolve_extends(path, task_path)
    if isinstance(resolved, Diagnostic):
        return TaskFile(path, None, findings=(resolved,))
    check, own, data = _Check(resolved, [*resolved.problems]), resolved.own, dict(resolved.data)
    levels = data.pop("levels", None)
    group: GroupSpec | None = None
    tasks: tuple[TaskSpec, ...] = ()
    if not own.abstract and ("group" in own.data or ("members" in own.data and not {"name", "extends"} & {*own.data})):
        group = check.valid(GroupSpec, own.data)
    else:
        if isinstance(data.get("settings"), dict):
            check.settings(data["settings"])
        if own.abstract:
            check.given(TaskSpec, data)
            check.given(Levels, {} if levels is None else levels, ("levels",))
        elif levels is not None:
            group, tasks = check.curve(levels, data)
        elif task := check.valid(TaskSpec, data, locate=check.without_levels):
            tasks = (task,)
        if not own.abstract and isinstance(data.get("name"), str) and _WITH_LEVEL.fullmatch(data["name"]):
            check.at(("name",), f"name: '{data['name']}' ends in a level; levels: makes such names, a file has none")
    if check.findings:
        return TaskFile(path, resolved, findings=in_order(check.findings))
    names = (*([group.group] if group else []), *(task.name for task in tasks))
    return TaskFile(path, resolved, tasks, group, names)


@dataclass
class _Check:
    """Checks of one file, gathering what they find."""

    resolved: ResolvedFile
    findings: list[Diagnostic]

    def valid(self, model: type[M], data: Any, under: KeyPath = (), locate: Locate | None = None) -> M | None:
        """Validate what stands under a key; where something is wrong, find all that is."""
        locate = locate or self.resolved.locate
        try:
            return model.model_validate(data)
        except ValidationError as error:
            self.findings += explain(model, data, error, locate, under, missing=self.resolved.complete)
            wrong = {problem["loc"][0] for problem in error.errors(include_url=False) if problem["loc"]}
        if isinstance(data, dict) and wrong:  # pydantic checks how fields fit together only where each is in order
            self.given(model, {key: value for key, value in data.items() if key not in wrong}, under, locate)
        return None

    def given(self, model: type[BaseModel], data: Any, under: KeyPath = (), locate: Locate | None = None) -> None:
        """Find what is wrong with what is given, whatever is missing."""
        try:
            model.model_validate(_STAND_INS.get(model, {}) | data if isinstance(data, dict) else data)
        except ValidationError as error:
            self.findings += explain(model, data, error, locate or self.resolved.locate, under, missing=False)

    def at(self, key: KeyPath, message: str) -> None:
        """Note that something is wrong at a key."""
        self.findings.append(self.resolved.locate(key, message))

    def settings(self, given: dict[str, Any]) -> None:
        """Check the settings that the task gives to features, trainer, scoring and head."""
        for model in SHARED.values():
            try:
                model.model_validate(part_of(model, given))
            except ValidationError as error:
                self.findings += explain(model, given, error, self.resolved.locate, ("settings",))
        known = known_settings()
        for name in given:
            if name not in known:
                hint = did_you_mean(name, known)
                text = f"settings: nothing has the setting '{name}'.{hint} Known: {', '.join(known)}"
                self.at(("settings", name), text)

    def without_levels(self, key: KeyPath, message: str) -> Diagnostic:
        """Return an error of a task that is no curve; what a curve gave is missing where it is switched off."""
        own = self.resolved.own
        if "levels" in own.data and len(key) > 1 and self.resolved.origin(key) is None:
            return own.error(("levels",), f"{message}; the curve gave it, and 'levels: null' takes it away")
        return self.resolved.locate(key, message)

    def curve(self, given: Any, data: dict[str, Any]) -> tuple[GroupSpec | None, tuple[TaskSpec, ...]]:
        """Return the curve that a task with levels is, and the task of each level."""
        levels = self.valid(Levels, given, ("levels",))
        field = given.get("field") if isinstance(given, dict) else None
        of_levels = _Check(self.resolved, [])
        tasks = of_levels.tasks(levels, data) if levels else []
        if levels is None or of_levels.findings or levels.field.startswith("settings."):
            known = isinstance(field, str) and "." in field and self.is_known(field, data)
            if levels is None or not known:
                self.given(TaskSpec, data)
                return None, ()
        self.findings += of_levels.findings
        path = tuple(levels.field.split("."))
        if where := self.nearer_than_levels(path):
            text = f"{levels.field}: no effect, since levels ({where}) vary this field; leave it out, or {_NO_CURVE}"
            self.at(path, text)
        if "expected" in data and (expected := self.valid(Expected, data["expected"], ("expected",))):
            values = [f"{value:g}" for value in levels.values]
            for index, figure in enumerate(expected.figures):
                if figure.level is not None and f"{figure.level:g}" not in values:
                    text = f"expected.figures[{index}].level: {figure.level:g} is not one of levels.values"
                    self.at(("expected", "figures", index, "level"), text)
            tasks = [_with_figures(task, expected) for task in tasks]
        if self.findings:
            return None, ()
        members = tuple(task.name for task in tasks)
        group = GroupSpec(
            group=data["name"], summary=tasks[0].summary, tags=tasks[0].tags, members=members, weights="equal"
        )
        return group, tuple(tasks)

    def tasks(self, levels: Levels, data: dict[str, Any]) -> list[TaskSpec]:
        """Return the task of each level, without published figures; what is wrong with a value is said where it is."""
        path, name = tuple(levels.field.split(".")), data.get("name")
        named = isinstance(name, str) and re.fullmatch(NAME, name)
        data = {key: value for key, value in data.items() if key != "expected"}
        tasks: list[TaskSpec] = []
        for index, value in enumerate(levels.values):
            here: KeyPath = ("levels", "values", index)

            def locate(key: KeyPath, message: str, here: KeyPath = here, value: float = value) -> Diagnostic:
                if key == ("name",) and named:
                    message = f"levels: {value:g} cannot stand in a name; give a plain number"
                return self.resolved.locate(here if key == path or (key == ("name",) and named) else key, message)

            filled = data | ({"name": f"{name}-{value:g}"} if named else {})
            whole = value.is_integer() and abs(value) < 2**53  # a whole level may fill a field of whole numbers
            task = self.valid(TaskSpec, _with_value(filled, path, int(value) if whole else value), locate=locate)
            if task is not None and task.name in [other.name for other in tasks]:
                self.at(here, f"levels.values[{index}]: {value:g} is duplicated")
            elif task is not None:
                tasks.append(task)
        return tasks

    def is_known(self, field: str, data: dict[str, Any]) -> bool:
        """Check that the field which levels vary is there."""
        path = tuple(field.split("."))
        if path[0] == "settings":
            self.at(("levels", "field"), "levels.field: settings are not part of a task and cannot vary; use --set")
            return False
        for depth, part in enumerate(path):
            known = field_names(TaskSpec, path[:depth], data)
            if part in known:
                continue
            where = self.nearer_than_levels(path[:1])
            if depth and where and not where.startswith(f"{self.resolved.own.path.name}:"):
                self.at(path[:1], f"{path[0]}: has no '{part}', which levels ({where}) vary; {_NO_CURVE}")
            else:
                hint = did_you_mean(part, known)
                self.at(("levels", "field"), f"levels.field: '{field}': there is no '{part}' here.{hint}")
            return False
        return True

    def nearer_than_levels(self, key: KeyPath) -> str:
        """Say where the levels stand, if a value is given in the same file or in one that extends theirs."""
        files = [file for file, _ in self.resolved.chain]
        levels, given = self.resolved.origin(("levels", "values")), self.resolved.origin(key)
        if levels and given and files.index(given) <= files.index(levels):
            return f"{levels.path.name}:{levels.positions['levels',][0]}"
        return ""


def _with_value(data: dict[str, Any], path: tuple[str, ...], value: float) -> dict[str, Any]:
    """Return the data with one nested value set; what was given stays as it is."""
    old = data.get(path[0])
    inner = old if isinstance(old, dict) else {}
    return {**data, path[0]: _with_value(inner, path[1:], value) if len(path) > 1 else value}


def _with_figures(task: TaskSpec, expected: Expected) -> TaskSpec:
    """Give a task of a curve the published figures of its level and of no level."""
    level = task.name.rpartition("-")[2]
    figures = tuple(row for row in expected.figures if row.level is None or f"{row.level:g}" == level)
    return task.model_copy(update={"expected": expected.model_copy(update={"figures": figures})})
