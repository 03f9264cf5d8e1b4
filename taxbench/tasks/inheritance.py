"""A task file and the files it `extends`: what holds in the end, and which file said so."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from taxbench.tasks.diagnostics import Diagnostic
from taxbench.tasks.yaml_file import BadYaml, KeyPath, YamlFile, parse_yaml
from taxbench.util.errors import did_you_mean
from taxbench.util.paths import PACKAGE

SUFFIXES = (".yaml", ".yml")
BUILTIN = shipped if (shipped := PACKAGE / "_tasks").is_dir() else PACKAGE.parent / "tasks"
"""The folder of the default tasks: inside the wheel, or the top-level `tasks/` of a source checkout."""
PLAIN = re.compile(r"[^/\x00-\x1f]{1,200}(?<!\.yaml)(?<!\.yml)")
"""What the name of a file beside another looks like: no folder, no suffix."""


def yaml_files(root: Path) -> Iterator[Path]:
    """Yield the YAML files below a folder, sorted; what is hidden, or a folder of languages in it, is left alone."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")) and name != "languages")
        for name in sorted(files):
            if name.endswith(SUFFIXES) and not name.startswith("."):
                yield Path(folder, name)


@dataclass
class TaskPath:
    """The task folders, in the order in which names are looked for in them. Each file is parsed once."""

    roots: tuple[Path, ...]
    _parsed: dict[str, YamlFile | Diagnostic] = field(default_factory=dict)
    _parents: dict[tuple[str, Path], Path] = field(default_factory=dict)

    def parsed(self, path: Path) -> YamlFile | Diagnostic:
        """Return a parsed file, or why it is none."""
        key = os.path.realpath(path)
        if key not in self._parsed:
            try:
                self._parsed[key] = parse_yaml(path)
            except BadYaml as error:
                self._parsed[key] = error.finding
        return self._parsed[key]

    def root_of(self, path: Path) -> Path:
        """Return the task folder that a file belongs to; its own where it is in none."""
        here = Path(os.path.realpath(path))
        return next((root for root in self.roots if here.is_relative_to(os.path.realpath(root))), path.parent)

    def parent(self, name: Any, child: Path) -> Path | None:
        """Find NAME.yaml: beside the file, then outward to its task folder and anywhere in it, then among the defaults.

        A file that extends its own name means the next one of that name, and itself only where there is no other.
        """
        if not isinstance(name, str) or not PLAIN.fullmatch(name):
            return None
        if (name, child) in self._parents:
            return self._parents[name, child]
        folders, root, itself = [child.parent], self.root_of(child), None
        if root in self.roots:
            inside = Path(os.path.realpath(child)).parent.relative_to(os.path.realpath(root))
            folders += [root / folder for folder in (inside, *inside.parents)]
        for folder in (*folders, BUILTIN):
            near = (folder / f"{name}{suffix}" for suffix in SUFFIXES)
            below = yaml_files(folder) if folder in self.roots and name != child.stem else ()
            for path in chain(near, (path for path in below if path.stem == name)):
                if path.is_file() and os.path.realpath(path) != os.path.realpath(child):
                    self._parents[name, child] = path
                    return path
                itself = path if path.is_file() else itself
        return itself

    def parents(self, child: Path) -> list[str]:
        """Return what a file could extend."""
        files = [path for path in sorted(child.parent.glob("*")) if path.suffix in SUFFIXES]
        files += [*yaml_files(self.root_of(child)), *yaml_files(BUILTIN)]
        own = os.path.realpath(child)
        return list(dict.fromkeys(path.stem for path in files if os.path.realpath(path) != own))

    def defining(self, names: Iterable[str], paths: Sequence[Path]) -> Sequence[Path]:
        """Return those of some files that define names, or members of groups among them; or all, where only that tells.

        Few files are parsed for that: the text of a file that defines a name says so, and levels of a curve are defined
        by the file of the curve. A file that is named by its path may take the name of another one.
        """
        texts = {}
        for path in paths:
            with suppress(OSError):
                texts[path] = path.read_bytes().replace(b"\0", b"").decode(errors="replace")  # UTF-16 has zeros
        given = {name: self.parsed(Path(name)) for name in names if name.endswith(SUFFIXES)}
        own = [file.data for file in given.values() if isinstance(file, YamlFile)]
        if any("members" in data for data in own):
            return paths
        waiting, found = [*(str(data.get("name")) for data in own), *(set(names) - given.keys())], set[Path]()
        for name in waiting:
            says_so = re.compile(rf"\b(?:name|group)[\"']?\s*:\s*[\"']?{re.escape(name.partition('-')[0])}\b")
            for path in {path for path, text in texts.items() if says_so.search(text)} - found:
                found.add(path)
                members = file.data.get("members") if isinstance(file := self.parsed(path), YamlFile) else ()
                waiting += map(str, members) if isinstance(members, list) else ()
        return [path for path in paths if path in found]


@dataclass(frozen=True)
class ResolvedFile:
    """A file with all that it inherits."""

    own: YamlFile
    """The file itself."""
    chain: tuple[tuple[YamlFile, dict[str, Any]], ...]
    """The file and those it extends, nearest first, each with what it may give to the file."""
    data: dict[str, Any]
    """What holds in the end: a mapping adds to the parent's, a choice by `kind` replaces it whole."""
    problems: tuple[Diagnostic, ...]
    """What is wrong with the files as YAML and with `extends`."""
    complete: bool
    """Whether every file that is extended could be read; else fields may seem missing that are not."""

    @cached_property
    def origin(self) -> dict[KeyPath, YamlFile]:
        """Return the file that each key and list item of the data comes from."""
        return {key: file for file, given in reversed(self.chain) for key in file.positions
                if key[0] in given and _is_in(self.data, key)}  # fmt: skip

    def locate(self, key: KeyPath, message: str) -> Diagnostic:
        """Return an error about a value, in the file it comes from."""
        files = (self.origin.get(key[:end]) for end in range(len(key), 0, -1))
        return next(filter(None, files), self.own).error(key, message)


def resolve_extends(path: Path, task_path: TaskPath) -> ResolvedFile | Diagnostic:
    """Read a file and all that it extends.

    Returns:
        The file, or what is wrong where it is no YAML itself.
    """
    own = task_path.parsed(path)
    if isinstance(own, Diagnostic):
        return own
    files, problems, complete = [own], list(own.problems), True
    while complete and (name := files[-1].data.get("extends")) is not None:
        place = task_path.parent(name, files[-1].path)
        parent = None if place is None else task_path.parsed(place)
        if isinstance(parent, YamlFile) and "group" not in parent.data and not any(parent is file for file in files):
            files.append(parent)
            problems += parent.problems
        else:
            problems.append(_why_not(files, parent, task_path))
            complete = False
    layers, data = [(own, own.data)], dict[str, Any]()
    for file in files[1:]:  # a name is never inherited, nor are published figures of a task that a child changes
        left_out = {"name", "extends"} | (set() if file.abstract else {"expected"})
        layers.append((file, {key: value for key, value in file.data.items() if key not in left_out}))
    for _, given in reversed(layers):
        data = _merge(data, given)
    data.pop("extends", None)
    if data.get("levels") is None:  # left out, or an inherited curve switched off
        data.pop("levels", None)
    return ResolvedFile(own, tuple(layers), data, tuple(problems), complete)


def _why_not(files: list[YamlFile], parent: YamlFile | Diagnostic | None, task_path: TaskPath) -> Diagnostic:
    """Say why the last of some files cannot extend what it names."""
    child, key, name = files[-1], ("extends",), files[-1].data["extends"]
    if not isinstance(name, str):
        return child.error(key, "extends: expected the name of one file, without .yaml")
    if not PLAIN.fullmatch(name):
        hint = did_you_mean(Path(name[:200]).stem, task_path.parents(child.path))
        return child.error(key, f"extends: expected a name without folder or .yaml, found {name[:200]!r}.{hint}")
    if parent is None:
        hint = did_you_mean(name, task_path.parents(child.path))
        return child.error(key, f"extends '{name}', but there is no {name}.yaml.{hint}")
    if isinstance(parent, Diagnostic):
        return child.error(key, f"extends '{name}', which cannot be read: {parent}")
    if "group" in parent.data:
        return child.error(key, f"extends '{name}', which is a group; only a task can be extended")
    circle = " → ".join([*(file.path.stem for file in files), parent.path.stem])
    return files[0].error(key, f"the files extend each other in a circle: {circle}")


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return a parent task's data with the child's over it, mappings merged but for choices by `kind`."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        deep = isinstance(value, dict) and isinstance(old, dict) and "kind" not in value
        merged[key] = _merge(old, value) if deep and isinstance(old, dict) else value
    return merged


def _is_in(data: Any, key: KeyPath) -> bool:
    """Say whether a key leads to something, and is not one that a child has replaced."""
    for part in key:
        if isinstance(data, list):
            data = dict(enumerate(data))
        if not isinstance(data, dict) or part not in data:
            return False
        data = data[part]
    return True
