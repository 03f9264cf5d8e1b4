"""Read YAML files so that every later complaint can say file:line:column; `yaml_values.py` says what the words mean."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from taxbench.tasks.diagnostics import Diagnostic, at_file, dotted
from taxbench.tasks.yaml_values import BadValue, Loader, values_of_node
from taxbench.util.errors import TaskError

_MOST_BYTES = 10_000_000

# What older YAML readers take for booleans.
_BARE = frozenset(("yes", "no", "on", "off"))

Position = tuple[int, int]
KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class YamlFile:
    """A parsed file. Where its keys stand is worked out when something is to be said about them."""

    path: Path
    data: dict[str, Any]
    node: yaml.MappingNode | None
    problems: tuple[Diagnostic, ...] = ()
    """What made reading it doubtful: keys given twice, answers that other readers take for booleans."""

    @cached_property
    def positions(self) -> dict[KeyPath, Position]:
        """Return line and column of every key and list item, counted from 1."""
        found: dict[KeyPath, Position] = {}
        for key, at, _ in _walk(self.node):
            found.setdefault(key, _place(at))
        return found

    def place(self, key: KeyPath) -> Position:
        """Return line and column of a key, or of the nearest enclosing key that stands in the file."""
        while key and key not in self.positions:
            key = key[:-1]
        return self.positions.get(key, (1, 1))

    def finding(self, key: KeyPath, message: str) -> Diagnostic:
        """Return an error at a key."""
        return Diagnostic(str(self.path), *self.place(key), message, dotted(key))


def parse_yaml(path: Path) -> YamlFile:
    """Read one YAML mapping. What does not prevent reading is in `problems`.

    Raises:
        BadYaml: the file cannot be read, is no YAML or is no mapping.
    """
    text = _text_of(path)
    try:
        loader = Loader(text)
    except yaml.reader.ReaderError as error:
        raise BadYaml(_reader_problem(path, text, error)) from None
    try:
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise BadYaml(at_file(path, "expected a mapping such as 'name: my_task'"))
        data = values_of_node(node)
        return YamlFile(path, data, node, (*_repeated(path, node), *_bare_answers(path, node)))
    except BadValue as error:
        raise BadYaml(at_file(path, str(error), error.line, error.column)) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise BadYaml(at_file(path, f"not valid YAML: {_in_words(error, text)}", *place)) from None
    except yaml.reader.ReaderError as error:
        raise BadYaml(_reader_problem(path, text, error)) from None
    finally:
        loader.dispose()


def parse_scalar(text: str) -> Any:
    """Return what one value means, such as that of `--set KEY=VALUE`, by the same rules as in a file.

    Raises:
        ValueError: it is no number, word or list; the message says why.
    """
    try:
        loader = Loader(text)
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()
        return None if node is None else values_of_node(node)
    except yaml.MarkedYAMLError as error:
        raise ValueError(_in_words(error, text)) from None
    except yaml.reader.ReaderError as error:
        raise ValueError(error.reason) from None


def _text_of(path: Path) -> str:
    """Read a file that may be anything: a link to itself, a pipe that would keep us waiting, a device without end."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise BadYaml(at_file(path, "is no regular file"))
        if status.st_size > _MOST_BYTES:
            raise BadYaml(at_file(path, f"is larger than {_MOST_BYTES // 10**6} MB, so it is no task file"))
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # what is no UTF-8, and names with a zero byte, are ValueErrors
        why = error.strerror if isinstance(error, OSError) else error
        raise BadYaml(at_file(path, f"cannot be read ({why})")) from None


def _in_words(error: yaml.MarkedYAMLError, text: str) -> str:
    """Return what the parser says, and what most often is behind it."""
    said, mark = str(error.problem or error.context), error.problem_mark
    line = (text.splitlines() or [""])[min(mark.line, len(text.splitlines()) - 1)] if mark else ""
    if mark and "cannot start any token" in said and line[mark.column : mark.column + 1] == "\t":
        return "a tab; indent with spaces"
    if "expected key" in said or "mapping values are not allowed" in said or "expected <block end>" in said:
        return f"{said}; is this line, or the one above, indented as its neighbours are, and are colons in quotes?"
    return said


def read_yaml(path: Path) -> YamlFile:
    """Read one YAML mapping of which nothing is doubtful.

    Raises:
        TaskError: the file cannot be read, is no YAML, repeats a key, or is no mapping.
    """
    found = parse_yaml(path)
    if found.problems:
        raise TaskError("\n".join(map(str, found.problems)))
    return found


class BadYaml(TaskError):
    """A file that is no YAML mapping at all."""

    def __init__(self, finding: Diagnostic) -> None:
        super().__init__(str(finding))
        self.finding = finding


def _walk(root: yaml.Node | None) -> Iterator[tuple[KeyPath, yaml.Node, yaml.Node]]:
    """Yield every key and list item: its path, the node where it stands, and its value. Aliases are not followed."""
    seen: set[int] = set()
    stack: list[tuple[KeyPath, yaml.Node | None]] = [((), root)]
    while stack:
        key, node = stack.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        children: list[tuple[KeyPath, yaml.Node, yaml.Node]] = []
        if isinstance(node, yaml.MappingNode):
            children = [((*key, str(name.value)), name, value) for name, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            children = [((*key, index), item, item) for index, item in enumerate(node.value)]
        yield from children
        stack += [(child, value) for child, _, value in children if not isinstance(value, yaml.ScalarNode)]


def _repeated(path: Path, root: yaml.MappingNode) -> Iterator[Diagnostic]:
    """Find keys that are given twice; construction keeps the last, so the rest can still be checked."""
    nodes: list[tuple[KeyPath, yaml.Node]] = [((), root)]
    nodes += [(key, value) for key, _, value in _walk(root) if isinstance(value, yaml.MappingNode)]
    for key, node in nodes:
        first: dict[str, int] = {}
        if len({str(name.value) for name, _ in node.value}) == len(node.value):
            continue
        for name, _ in node.value:
            line, column = _place(name)
            if str(name.value) in first:
                text = f"'{name.value}' is given twice (first on line {first[str(name.value)]})"
                yield Diagnostic(str(path), line, column, text, dotted((*key, str(name.value))))
            first.setdefault(str(name.value), line)


def _bare_answers(path: Path, root: yaml.MappingNode) -> Iterator[Diagnostic]:
    """Find yes/no answers without quotes."""
    for key, node, value in _walk(_child(_child(root, "questions"), "answers")):
        plain = isinstance(value, yaml.ScalarNode) and value.style in (None, "")
        if plain and str(value.value).lower() in _BARE:
            line, column = _place(node)
            yield Diagnostic(
                str(path), line, column,
                f"questions.answers.{dotted(key)}: other YAML readers take an unquoted {value.value} for a boolean; "
                f'write "{value.value}" in quotes', f"questions.answers.{dotted(key)}",
            )  # fmt: skip


def _child(node: yaml.Node | None, name: str) -> yaml.Node | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    return next((value for key, value in pairs if key.value == name), None)


def _place(node: yaml.Node) -> Position:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _reader_problem(path: Path, text: str, error: "yaml.reader.ReaderError") -> Diagnostic:
    """Say where a character stands that YAML forbids; the reader knows only how far into the text."""
    before = text[: error.position]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return at_file(path, f"not valid YAML: {error.reason} (character {error.character!r})", line, column)
