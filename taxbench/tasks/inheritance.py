"""A task file over the files it `extends`: what holds in the end, and which file said so."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from taxbench.tasks.diagnostics import Diagnostic, dotted, in_short
from taxbench.tasks.yaml_file import BadYaml, KeyPath, YamlFile, parse_yaml
from taxbench.util.errors import did_you_mean
from taxbench.util.paths import PACKAGE

SUFFIXES = (".yaml", ".yml")
_LONGEST = 200
_OWN = frozenset(("name", "extends"))


def builtin_folder() -> Path:
    """Return the folder of the default tasks: inside the wheel, or the top-level `tasks/` of a source checkout."""
    shipped = PACKAGE / "_tasks"
    return shipped if shipped.is_dir() else PACKAGE.parent / "tasks"


def is_abstract(path: Path) -> bool:
    """Say whether a file is there to be extended only."""
    return path.name.startswith("_")


def is_plain(name: str) -> bool:
    """Say whether a name could be that of a file beside another, with no folder and no suffix."""
    return "/" not in name and not name.endswith(SUFFIXES) and 0 < len(name) <= _LONGEST and name.isprintable()


def real(path: Path) -> Path:
    """Follow links. Unlike `Path.resolve`, this gives up quietly on a link to itself."""
    return Path(os.path.realpath(path))


def yaml_files(root: Path) -> Iterator[Path]:
    """Yield the YAML files below a folder, sorted; what is hidden is left alone."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        for name in sorted(files):
            if name.endswith(SUFFIXES) and not name.startswith("."):
                yield Path(folder, name)


@dataclass
class Library:
    """Where files look for what they extend. Each file is read once."""

    roots: tuple[Path, ...]
    _read: dict[Path, YamlFile | Diagnostic] = field(default_factory=dict)
    _listed: dict[Path, list[Path]] = field(default_factory=dict)
    _real: dict[Path, Path] = field(default_factory=dict)
    _extended: dict[Path, YamlFile | Diagnostic] = field(default_factory=dict)

    def files(self, root: Path) -> list[Path]:
        """Return the YAML files below a folder, in a fixed order."""
        if root not in self._listed:
            self._listed[root] = list(yaml_files(root))
        return self._listed[root]

    def real(self, path: Path) -> Path:
        """Follow links, once for each path."""
        if path not in self._real:
            self._real[path] = real(path)
        return self._real[path]

    def read(self, path: Path) -> YamlFile | Diagnostic:
        """Return a parsed file, or why it is none."""
        key = self.real(path)
        if key not in self._read:
            try:
                self._read[key] = parse_yaml(path)
            except BadYaml as error:
                self._read[key] = error.finding
        return self._read[key]

    def extended(self, child: YamlFile) -> YamlFile | Diagnostic:
        """Return the file that a file extends, or why there is none."""
        if child.path not in self._extended:
            self._extended[child.path] = _next(child, child.data["extends"], self)
        return self._extended[child.path]

    def root_of(self, path: Path) -> Path:
        """Return the task folder that a file belongs to; its own where it is in none."""
        here = self.real(path)
        return next((root for root in self.roots if here.is_relative_to(self.real(root))), path.parent)

    def beside(self, path: Path, name: str) -> Path | None:
        """Find NAME.yaml in a file's own folder."""
        near = [path.parent / f"{name}{suffix}" for suffix in SUFFIXES] if is_plain(name) else []
        return next((each for each in near if os.path.isfile(each)), None)

    def parent(self, name: str, child: Path) -> Path | None:
        """Find NAME.yaml: beside the file, then outward to its task folder and anywhere in it, then among the defaults.

        A file that extends its own name means the next one of that name, and itself only where there is no other.
        """
        itself = None
        for path in self._places(name, child):
            if os.path.isfile(path):
                if self.real(path) != self.real(child):
                    return path
                itself = path
        return itself

    def parents(self, child: Path) -> list[str]:
        """Return what a file could extend."""
        found = [path for path in sorted(child.parent.glob("*")) if path.suffix in SUFFIXES]
        found += [*self.files(self.root_of(child)), *self.files(builtin_folder())]
        return list(dict.fromkeys(path.stem for path in found if self.real(path) != self.real(child)))

    def _places(self, name: str, child: Path) -> Iterator[Path]:
        outward = [child.parent]
        if (root := self.root_of(child)) in self.roots:
            inside = self.real(child).parent.relative_to(self.real(root)).parts
            outward += [root.joinpath(*inside[:depth]) for depth in range(len(inside) - 1, -1, -1)]
            outward += [root] if not inside else []
        for folder in (*outward, builtin_folder()):
            yield from (folder / f"{name}{suffix}" for suffix in SUFFIXES)
            if folder in self.roots and name != child.stem:
                yield from (path for path in self.files(folder) if path.stem == name)


@dataclass(frozen=True)
class Layers:
    """A file and those it extends, nearest first."""

    files: tuple[YamlFile, ...]
    problems: tuple[Diagnostic, ...] = ()
    """What is wrong with the files as YAML and with `extends`."""
    complete: bool = True
    """Whether every file that is extended could be read; else fields may seem missing that are not."""

    @property
    def path(self) -> Path:
        """Return the file itself."""
        return self.files[0].path

    @cached_property
    def data(self) -> dict[str, Any]:
        """Return what holds in the end: a mapping adds to the parent's, a choice by `kind` replaces it whole."""
        merged: dict[str, Any] = {}
        for file in reversed(self.files):
            merged = _merge(merged, {key: value for key, value in file.data.items() if self._counts(file, key)})
        merged.pop("extends", None)
        if merged.get("levels") is None:  # left out, or an inherited curve switched off
            merged.pop("levels", None)
        return merged

    def origin(self, key: KeyPath) -> tuple[YamlFile, KeyPath] | None:
        """Return the file that a value comes from and its key there; None where no file gives it."""
        layers = [file for file in self.files if not key or self._counts(file, key[0])]
        for depth in range(1, len(key) + 1):
            layers = [file for file in layers if key[:depth] in file.positions]
            if not layers:
                return None
            layers = layers[: _reach([_value(file.data, key[:depth]) for file in layers])]
        return layers[0], key

    def locate(self, key: KeyPath, message: str) -> Diagnostic:
        """Return an error about a value, in the file it comes from."""
        for end in range(len(key), 0, -1):
            if found := self.origin(key[:end]):
                line, column = found[0].place(key[:end])
                return Diagnostic(str(found[0].path), line, column, message, dotted(key))
        return self.files[0].finding(key, message)

    def _counts(self, file: YamlFile, key: Any) -> bool:
        """Say whether a file's top-level value may hold.

        A name is never inherited, nor are published figures of a task that a child changes.
        """
        return file is self.files[0] or not (key in _OWN or (key == "expected" and not is_abstract(file.path)))


def stack(path: Path, library: Library) -> Layers | Diagnostic:
    """Read a file and all that it extends.

    Returns:
        The layers, or what is wrong where the file itself is no YAML.
    """
    first = library.read(path)
    if isinstance(first, Diagnostic):
        return first
    files, seen, problems = [first], {library.real(first.path)}, list(first.problems)
    while files[-1].data.get("extends") is not None:
        parent = library.extended(files[-1])
        if isinstance(parent, YamlFile) and library.real(parent.path) in seen:
            chain = in_short([*(file.path.stem for file in files), parent.path.stem])
            parent = first.finding(("extends",), f"the files extend each other in a circle: {chain}")
        if isinstance(parent, Diagnostic):
            return Layers(tuple(files), tuple([*problems, parent]), complete=False)
        files.append(parent)
        seen.add(library.real(parent.path))
        problems += parent.problems
    return Layers(tuple(files), tuple(problems))


def _next(child: YamlFile, name: Any, library: Library) -> YamlFile | Diagnostic:
    if not isinstance(name, str):
        return child.finding(("extends",), "extends: expected the name of one file, without .yaml")
    if not is_plain(name):
        hint = did_you_mean(Path(name[:_LONGEST]).stem, library.parents(child.path))
        text = f"extends: expected a name without folder or .yaml, found {name[:_LONGEST]!r}.{hint}"
        return child.finding(("extends",), text)
    path = library.parent(name, child.path)
    if path is None:
        hint = did_you_mean(name, library.parents(child.path))
        return child.finding(("extends",), f"extends '{name}', but there is no {name}.yaml.{hint}")
    parent = library.read(path)
    if isinstance(parent, Diagnostic):
        return child.finding(("extends",), f"extends '{name}', which cannot be read: {parent}")
    if "group" in parent.data:
        return child.finding(("extends",), f"extends '{name}', which is a group; only a task can be extended")
    return parent


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        deep = isinstance(value, dict) and isinstance(old, dict) and "kind" not in value
        merged[key] = _merge(old, value) if deep and isinstance(old, dict) else value
    return merged


def _reach(values: list[Any]) -> int:
    """Return how many layers, nearest first, one value is merged from."""
    for index, value in enumerate(values):
        if not isinstance(value, dict):
            return max(1, index)
        if "kind" in value:
            return index + 1
    return len(values)


def _value(data: Any, key: KeyPath) -> Any:
    for part in key:
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int):
            data = data[part]
    return data
