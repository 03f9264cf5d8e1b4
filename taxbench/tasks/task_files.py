"""One task file: the tasks it makes, or the group it is, and everything that is wrong with it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from taxbench.registry.settings import SHARED, known_settings, part_of
from taxbench.specs.task import NAME, Expected, GroupSpec, Levels, TaskSpec
from taxbench.tasks.diagnostics import Diagnostic, errors, in_order
from taxbench.tasks.inheritance import Layers, Library, is_abstract, stack
from taxbench.tasks.messages import Locate, explain, field_names
from taxbench.tasks.yaml_file import KeyPath
from taxbench.util.errors import did_you_mean

M = TypeVar("M", bound=BaseModel)
Made = tuple[GroupSpec | None, tuple[TaskSpec, ...]]

# What takes the place of a field that is wrong in itself, so that the others can be checked against each other.
_STAND_INS = {"name": "x", "group": "x", "version": 1, "summary": ""}
_NO_CURVE = "say 'levels: null' to have one task and no curve"
_WITH_LEVEL = re.compile(rf"{NAME}-[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True)
class TaskFile:
    """A file that was read. It is usable where it has no error."""

    path: Path
    layers: Layers | None
    """What it says and where; None where it is no YAML."""
    tasks: tuple[TaskSpec, ...] = ()
    group: GroupSpec | None = None
    """A group, or the curve that `levels` makes of a task."""
    findings: tuple[Diagnostic, ...] = ()

    @property
    def broken(self) -> bool:
        """Say whether it has an error."""
        return bool(errors(self.findings))

    @property
    def is_group(self) -> bool:
        """Say whether it is a list of other tasks."""
        return self.group is not None and not self.tasks

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names that it defines."""
        return (*([self.group.group] if self.group else []), *(task.name for task in self.tasks))

    @property
    def own_name(self) -> Any:
        """Return the name that it gives itself, whatever else is wrong with it."""
        data = self.layers.data if self.layers else {}
        return data.get("name", data.get("group"))

    def locate(self, key: KeyPath, message: str) -> Diagnostic:
        """Return an error at one of its keys."""
        return self.layers.locate(key, message) if self.layers else Diagnostic(str(self.path), 1, 1, message)


def read_task_file(path: Path, library: Library) -> TaskFile:
    """Read one file; whatever is wrong is a finding."""
    layers = stack(path, library)
    if isinstance(layers, Diagnostic):
        return TaskFile(path, None, findings=(layers,))
    found = _Reading(layers, [*layers.problems])
    if is_abstract(path):
        found.abstract()
        return TaskFile(path, layers, findings=in_order(found.findings))
    own = layers.files[0].data
    if "group" in own or ("members" in own and not {"name", "extends"} & set(own)):
        group, tasks = found.group()
    else:
        group, tasks = found.tasks()
    if found.findings:
        return TaskFile(path, layers, findings=in_order(found.findings))
    return TaskFile(path, layers, tasks, group)


@dataclass
class _Reading:
    """Checks of one file, gathering what they find."""

    layers: Layers
    findings: list[Diagnostic]

    def checked(self, model: type[M], data: Any, under: KeyPath = (), locate: Locate | None = None) -> M | None:
        """Validate; `under` is where the data stands in the file, `locate` makes findings of keys."""
        locate, complete = locate or self.layers.locate, self.layers.complete
        try:
            return model.model_validate(data)
        except ValidationError as error:
            self._add(explain(model, data, error, locate, complete, under))
            faulty = {problem["loc"][0] for problem in error.errors(include_url=False) if problem["loc"]}
        if isinstance(data, dict) and faulty:
            self._fit(model, {key: value for key, value in data.items() if key not in faulty}, locate)
        return None

    def _fit(self, model: type[BaseModel], data: dict[str, Any], locate: Locate) -> None:
        """Check how fields fit together, which pydantic does only where each is in order, without the faulty ones."""
        rest = {key: value for key, value in _STAND_INS.items() if key in model.model_fields} | data
        try:
            model.model_validate(rest)
        except ValidationError as error:
            self._add(explain(model, rest, error, locate, missing=False))

    def abstract(self) -> None:
        """Check what stands in a file that is there to be extended; what is not there may be added."""
        data = dict(self.layers.data)
        self._settings(data)
        parts: list[tuple[type[BaseModel], KeyPath, Any]] = [(TaskSpec, (), data)]
        if "levels" in data:
            parts.append((Levels, ("levels",), data.pop("levels")))
        for model, under, value in parts:
            try:
                model.model_validate(value)
            except ValidationError as error:
                self._add(explain(model, value, error, self.layers.locate, missing=False, under=under))

    def group(self) -> Made:
        """Return the group that the file is."""
        return self.checked(GroupSpec, self.layers.files[0].data), ()

    def tasks(self) -> Made:
        """Return the tasks that the file makes, and the curve they are where it has levels."""
        data = dict(self.layers.data)
        name = data.get("name")
        if isinstance(name, str) and _WITH_LEVEL.fullmatch(name):
            self._at(("name",), f"name: '{name}' ends in a level; levels: makes such names, a file has none")
        self._settings(data)
        if "levels" not in data:
            task = self.checked(TaskSpec, data, locate=self._without_levels)
            return None, (task,) if task and not self.findings else ()
        levels = self.checked(Levels, data.pop("levels"), ("levels",))
        field = levels.field if levels else self.layers.data["levels"]
        field = field.get("field") if isinstance(field, dict) else field
        known = isinstance(field, str) and "." in field and self._known(field, data)
        if levels is None or not known:
            self._fit(TaskSpec, data, self.layers.locate)
            return None, ()
        return self._curve(levels, data)

    def _without_levels(self, key: KeyPath, message: str) -> Diagnostic:
        """Return an error of a task that is no curve; what a curve gave is missing where it is switched off."""
        own = self.layers.files[0]
        if "levels" in own.data and len(key) > 1 and self.layers.origin(key) is None:
            return own.finding(("levels",), f"{message}; the curve gave it, and 'levels: null' takes it away")
        return self.layers.locate(key, message)

    def _curve(self, levels: Levels, data: dict[str, Any]) -> Made:
        self._varies_alone(levels)
        expected = None
        if "expected" in data:
            expected = self.checked(Expected, data.pop("expected"), ("expected",))
        made: dict[str, TaskSpec] = {}
        for index, value in enumerate(levels.values):
            here = ("levels", "values", index)
            task = self._level(data, levels.field, value, here)
            if task is not None and task.name in made:
                self._at(here, f"levels.values[{index}]: {value:g} stands there twice")
            elif task is not None:
                made[task.name] = task.model_copy(update={"expected": _of_level(expected, value)})
        if expected is not None:
            self._figures_fit(expected, levels)
        if self.findings or not made:
            return None, ()
        first = next(iter(made.values()))
        group = GroupSpec(
            group=data["name"], summary=first.summary, tags=first.tags, members=tuple(made), weights="equal"
        )
        return group, tuple(made.values())

    def _level(self, data: dict[str, Any], field: str, value: float, here: KeyPath) -> TaskSpec | None:
        """Return the task of one level; what is wrong with its value is reported where the value stands."""
        path = tuple(field.split("."))
        # A whole level may fill a field of whole numbers.
        whole = value.is_integer() and abs(value) < 2**53
        filled = _with_value(data, path, int(value) if whole else value)
        named = isinstance(data.get("name"), str) and re.fullmatch(NAME, data["name"])
        if named:
            filled["name"] = f"{data['name']}-{value:g}"

        def locate(key: KeyPath, message: str) -> Diagnostic:
            if key == path:
                return self.layers.locate(here, message)
            if key == ("name",) and named:
                return self.layers.locate(here, f"levels: {value:g} cannot stand in a name; give a plain number")
            return self.layers.locate(key, message)

        return self.checked(TaskSpec, filled, locate=locate)

    def _varies_alone(self, levels: Levels) -> None:
        """Check that nobody gives the field that varies a value of its own, which would have no effect."""
        path = tuple(levels.field.split("."))
        if where := self._nearer_than_levels(path):
            text = f"{levels.field}: no effect, since levels ({where}) vary this field; leave it out, or {_NO_CURVE}"
            self._at(path, text)

    def _nearer_than_levels(self, key: KeyPath) -> str:
        """Say where the levels stand, if a value is given in the same file or in one that extends theirs."""
        varies, given = self.layers.origin(("levels", "values")), self.layers.origin(key)
        if varies and given and self.layers.files.index(given[0]) <= self.layers.files.index(varies[0]):
            return f"{varies[0].path.name}:{varies[0].place(('levels',))[0]}"
        return ""

    def _settings(self, data: dict[str, Any]) -> None:
        """Check the settings that the task gives to features, trainer and head."""
        given = data.get("settings")
        if not isinstance(given, dict):  # said elsewhere
            return
        for model in SHARED.values():
            try:
                model.model_validate(part_of(model, given))
            except ValidationError as error:
                self._add(explain(model, given, error, self.layers.locate, under=("settings",)))
        known = known_settings()
        for name in given:
            if name not in known:
                hint = did_you_mean(name, known)
                text = f"settings: nothing has the setting '{name}'.{hint} Known: {', '.join(known)}"
                self._at(("settings", name), text)

    def _known(self, field: str, data: dict[str, Any]) -> bool:
        """Check that there is the field which varies."""
        path = tuple(field.split("."))
        if path[0] == "settings":
            self._at(("levels", "field"), "levels.field: settings are no part of a task and cannot vary; use --set")
            return False
        for depth, part in enumerate(path):
            known = field_names(TaskSpec, path[:depth], data)
            if part in known:
                continue
            where = self._nearer_than_levels(path[:1])
            if depth and where and not where.startswith(f"{self.layers.path.name}:"):
                self._at(path[:1], f"{path[0]}: has no '{part}', which levels ({where}) vary; {_NO_CURVE}")
            else:
                hint = did_you_mean(part, known)
                self._at(("levels", "field"), f"levels.field: '{field}': there is no '{part}' here.{hint}")
            return False
        return True

    def _figures_fit(self, expected: Expected, levels: Levels) -> None:
        known = {f"{value:g}" for value in levels.values}
        for index, figure in enumerate(expected.figures):
            if figure.level is not None and f"{figure.level:g}" not in known:
                key = ("expected", "figures", index, "level")
                self._at(key, f"expected.figures[{index}].level: {figure.level:g} is none of levels.values")

    def _add(self, found: Iterable[Diagnostic]) -> None:
        self.findings += [each for each in found if each not in self.findings]

    def _at(self, key: KeyPath, message: str) -> None:
        self._add([self.layers.locate(key, message)])


def _of_level(expected: Expected | None, value: float) -> Expected | None:
    """Keep the published figures of one level."""
    if expected is None:
        return None
    kept = tuple(each for each in expected.figures if each.level is None or f"{each.level:g}" == f"{value:g}")
    return expected.model_copy(update={"figures": kept})


def _with_value(data: dict[str, Any], path: tuple[str, ...], value: float) -> dict[str, Any]:
    """Return the data with one nested value set; what was given stays as it is."""
    old = data.get(path[0])
    inner = old if isinstance(old, dict) else {}
    return {**data, path[0]: _with_value(inner, path[1:], value) if len(path) > 1 else value}


def level_of(task: TaskSpec, levels: Levels) -> int | None:
    """Return which of the levels a task is, or None."""
    wanted = {f"{value:g}": index for index, value in enumerate(levels.values)}
    return wanted.get(task.name.rpartition("-")[2])


def levels_of(layers: Layers) -> Levels | None:
    """Return the levels of a file that is in order."""
    given = layers.data.get("levels")
    return Levels.model_validate(given) if given is not None else None
