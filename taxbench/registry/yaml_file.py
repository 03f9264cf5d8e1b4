"""Read YAML so that every later complaint can say file:line:column.

Differences from plain PyYAML: duplicate keys are errors, and only true/false are booleans (YAML 1.2), because a task
about yes/no questions that reads `yes` as a boolean is a trap.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from taxbench.errors import TaskError

try:
    from yaml import CSafeLoader as _Base
except ImportError:  # PyYAML built without libyaml
    from yaml import SafeLoader as _Base  # type: ignore[assignment]


class _Loader(_Base):
    """A safe loader with YAML 1.2 booleans."""


_BOOL = "tag:yaml.org,2002:bool"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if tag != _BOOL]
    for first, pairs in _Base.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_BOOL, re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))

Position = tuple[int, int]
KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class YamlFile:
    """A parsed file: its data and where each key stands."""

    path: Path
    data: dict[str, Any]
    positions: dict[KeyPath, Position]

    def where(self, key: KeyPath) -> str:
        """Return `file:line:col` of a key, or of the nearest enclosing key that stands in the file."""
        while key and key not in self.positions:
            key = key[:-1]
        line, column = self.positions.get(key, (1, 1))
        return f"{self.path}:{line}:{column}"


def read_yaml(path: Path) -> YamlFile:
    """Read one YAML mapping.

    Raises:
        TaskError: the file cannot be read, is no YAML, repeats a key, or is no mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TaskError(f"{path}: cannot be read ({error})") from None
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise TaskError(f"{path}:1:1: expected a mapping such as 'name: my_task'")
        positions: dict[KeyPath, Position] = {}
        _walk(node, (), positions, path)
        data = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise TaskError(f"{place}: not valid YAML: {error.problem or error.context}") from None
    finally:
        loader.dispose()
    return YamlFile(path, data, positions)


def _walk(node: yaml.Node, key: KeyPath, positions: dict[KeyPath, Position], path: Path) -> None:
    """Record the position of every key and item; refuse a key given twice."""
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            child = (*key, str(key_node.value))
            line, column = key_node.start_mark.line + 1, key_node.start_mark.column + 1
            if child in positions:
                first = positions[child][0]
                raise TaskError(f"{path}:{line}:{column}: '{key_node.value}' is given twice (first on line {first})")
            positions[child] = (line, column)
            _walk(value_node, child, positions, path)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            child_key = (*key, index)
            positions[child_key] = (item.start_mark.line + 1, item.start_mark.column + 1)
            _walk(item, child_key, positions, path)
