"""One task file: the tasks it makes, or the group it is, and everything that is wrong with it."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from taxbench.registry.settings import SHARED, known_settings, part_of
from taxbench.specs.group import GroupSpec
from taxbench.specs.language_pair import CODE, ENGLISH
from taxbench.specs.task import NAME, Expected, Levels, TaskSpec
from taxbench.tasks.diagnostics import Diagnostic, in_order
from taxbench.tasks.inheritance import ResolvedFile, TaskPath, resolve_extends
from taxbench.tasks.language_files import languages, no_language
from taxbench.tasks.messages import M, check, field_names
from taxbench.tasks.yaml_file import KeyPath, Locate
from taxbench.util.errors import did_you_mean

# What takes the place of required fields that are missing or wrong, so that the others can be checked.
_TASK = {"name": "x", "version": 1, "summary": "", "deprivation": {"kind": "full"}, "evaluate": ["leaf"]}
_STAND_INS: dict[type[BaseModel], dict[str, Any]] = {
    TaskSpec: _TASK,
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
    reading, own, data = _Reading(resolved, [*resolved.problems]), resolved.own, dict(resolved.data)
    group: GroupSpec | None = None
    tasks: tuple[TaskSpec, ...] = ()
    levels, name = data.pop("levels", None), data.get("name")
    if not own.abstract and ("group" in own.data or ("members" in own.data and not {"name", "extends"} & {*own.data})):
        group = reading.valid(GroupSpec, own.data)
    else:
        if isinstance(data.get("settings"), dict):
            reading.settings(data["settings"])
        if own.abstract:
            reading.valid(TaskSpec, data, partial=True)
            reading.valid(Levels, {} if levels is None else levels, ("levels",), partial=True)
        elif levels is not None:
            group, tasks = reading.curve(levels, data)
        else:
            task, found = check(TaskSpec, data, reading.without_levels, fill=_TASK, partial=not resolved.complete)
            reading.findings += found
            tasks = () if task is None else (task,)
        if isinstance(data.get("questions"), dict) and "language" in data["questions"]:
            reading.languages(data["questions"]["language"])
        if not own.abstract and isinstance(name, str) and _WITH_LEVEL.fullmatch(name):
            reading.at(("name",), f"name: '{name}' ends in a level; levels: makes such names, a file has none")
    if reading.findings:
        return TaskFile(path, resolved, findings=in_order(reading.findings))
    names = (*([group.group] if group else []), *(task.name for task in tasks))
    return TaskFile(path, resolved, tasks, group, names)


@dataclass
class _Reading:
    """Make the tasks of one file, gathering what is wrong with it."""

    resolved: ResolvedFile
    findings: list[Diagnostic]

    def valid(
        self, model: type[M], data: Any, under: KeyPath = (), locate: Locate | None = None, partial: bool = False
    ) -> M | None:
        """Validate what stands under a key; where something is wrong, find all that is."""
        partial = partial or not self.resolved.complete
        locate, fill = locate or self.resolved.locate, _STAND_INS.get(model)
        made, found = check(model, data, locate, under, fill=fill, partial=partial)
        self.findings += found
        return made

    def at(self, key: KeyPath, message: str) -> None:
        """Note that something is wrong at a key."""
        self.findings.append(self.resolved.locate(key, message))

    def settings(self, given: dict[str, Any]) -> None:
        """Check the settings that the task gives to features, trainer, scoring and head."""
        for model in SHARED.values():
            self.valid(model, part_of(model, given), ("settings",))
        known = known_settings()
        for name in given:
            if name not in known:
                hint = did_you_mean(name, known)
                text = f"settings: nothing has the setting '{name}'.{hint} Known: {', '.join(known)}"
                self.at(("settings", name), text)

    def languages(self, given: Any) -> None:
        """Check that the languages of questions are there."""
        for side, code in given.items() if isinstance(given, dict) else ():
            key = ("questions", "language", side)
            if isinstance(code, str) and re.fullmatch(CODE, code) and code != ENGLISH and code not in languages():
                self.at(key, f"questions.language.{side}: {no_language(code)}")

    def without_levels(self, key: KeyPath, message: str) -> Diagnostic:
        """Return an error of a task that is no curve; what a curve gave is missing where it is switched off."""
        own = self.resolved.own
        if "levels" in own.data and len(key) > 1 and key not in self.resolved.origin:
            return own.error(("levels",), f"{message}; the curve gave it, and 'levels: null' takes it away")
        return self.resolved.locate(key, message)

    def curve(self, given: Any, data: dict[str, Any]) -> tuple[GroupSpec | None, tuple[TaskSpec, ...]]:
        """Return the curve that a task with levels is, and the task of each level."""
        levels = self.valid(Levels, given, ("levels",))
        if levels is None or not self.resolved.complete or not self.is_known(levels.field, data):
            self.valid(TaskSpec, data, partial=True)
            return None, ()
        path, expected = tuple(levels.field.split(".")), None
        if where := self.nearer_than_levels(path):
            text = f"{levels.field}: no effect, since levels ({where}) vary this field; leave it out, or {_NO_CURVE}"
            self.at(path, text)
        if "expected" in data and (expected := self.valid(Expected, data.pop("expected"), ("expected",))):
            for index, figure in enumerate(expected.figures):
                if figure.level is not None and figure.level not in levels.values:
                    text = f"expected.figures[{index}].level: {figure.level:g} is not one of levels.values"
                    self.at(("expected", "figures", index, "level"), text)
        tasks: dict[str, TaskSpec] = {}
        for index, value in enumerate(levels.values):
            task = self.level(("levels", "values", index), value, path, data)
            if task is not None and task.name in tasks:
                self.at(("levels", "values", index), f"levels.values[{index}]: {value:g} is duplicated")
            elif task is not None and expected:
                rows = tuple(row for row in expected.figures if row.level in (None, value))
                task = task.model_copy(update={"expected": expected.model_copy(update={"figures": rows})})
            if task is not None:
                tasks.setdefault(task.name, task)
        if self.findings:
            return None, ()
        first, *_ = tasks.values()
        group = GroupSpec(
            group=data["name"], summary=first.summary, tags=first.tags, members=tuple(tasks), weights="equal"
        )
        return group, tuple(tasks.values())

    def level(self, here: KeyPath, value: float, path: tuple[str, ...], data: dict[str, Any]) -> TaskSpec | None:
        """Return the task of one level; what is wrong with the level is said where it stands."""
        named = isinstance(data.get("name"), str) and re.fullmatch(NAME, data["name"])
        made_of_it = {path, ("name",)} if named else {path}
        if named:
            data = data | {"name": f"{data['name']}-{value:g}"}
        whole = value.is_integer() and abs(value) < 2**53  # a whole level may fill a field of whole numbers
        filled = _with_value(data, path, int(value) if whole else value)
        return self.valid(
            TaskSpec, filled, locate=lambda key, said: self.resolved.locate(here if key in made_of_it else key, said)
        )

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
            if depth and where and self.resolved.origin["levels", "values"] is not self.resolved.own:
                self.at(path[:1], f"{path[0]}: has no '{part}', which levels ({where}) vary; {_NO_CURVE}")
            else:
                hint = did_you_mean(part, known)
                self.at(("levels", "field"), f"levels.field: '{field}': there is no '{part}' here.{hint}")
            return False
        return True

    def nearer_than_levels(self, key: KeyPath) -> str:
        """Say where the levels stand, if a value is given in the same file or in one that extends theirs."""
        files, origin = [file for file, _ in self.resolved.chain], self.resolved.origin
        levels, given = origin.get(("levels", "values")), origin.get(key)
        if levels and given and files.index(given) <= files.index(levels):
            return f"{levels.path.name}:{levels.positions['levels',][0]}"
        return ""


def _with_value(data: dict[str, Any], path: tuple[str, ...], value: float) -> dict[str, Any]:
    """Return the data with one nested value set; what was given stays as it is."""
    old = data.get(path[0])
    inner = old if isinstance(old, dict) else {}
    return {**data, path[0]: _with_value(inner, path[1:], value) if len(path) > 1 else value}
