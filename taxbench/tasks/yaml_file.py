"""Read YAML files in one walk over their nodes, so that every later complaint can say file:line:column.

What an unquoted word is follows the core schema of YAML 1.2. PyYAML follows 1.1, where `yes` is a boolean, 1:30 is 90,
0777 is 511, 1_0 is 10, 1e-3 is text, a date is an object: traps in files about yes/no questions and shares.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from taxbench.tasks.diagnostics import Diagnostic, dotted
from taxbench.util.errors import DataError, TaskError
from taxbench.util.paths import read_text

try:
    from yaml import CSafeLoader as _Base
except ImportError:  # PyYAML built without libyaml
    from yaml import SafeLoader as _Base  # type: ignore[assignment]

Position = tuple[int, int]
KeyPath = tuple[str | int, ...]
Locate = Callable[[KeyPath, str], Diagnostic]
"""Makes an error of a key and a message, such as `YamlFile.error`."""

_TAG = "tag:yaml.org,2002:"
_TEXT, _LIST, _MAPPING = f"{_TAG}str", f"{_TAG}seq", f"{_TAG}map"
_BOOLEANS = {"true": True, "false": False}
# Tag, what it looks like, with what it begins, and its value; the first that fits counts: whole numbers before others.
_SCALARS: dict[str, tuple[str, list[str], Callable[[str], Any]]] = {
    f"{_TAG}null": ("null|Null|NULL|~|", ["", *"~nN"], dict.fromkeys(("null", "Null", "NULL", "~", "")).__getitem__),
    f"{_TAG}bool": ("true|True|TRUE|false|False|FALSE", [*"tTfF"], lambda text: _BOOLEANS[text.lower()]),
    f"{_TAG}int": (
        "[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", [*"-+0123456789"],
        lambda text: int(text, {"0o": 8, "0x": 16}.get(text[:2], 10)),
    ),
    f"{_TAG}float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        [*"-+.0123456789"],
        lambda text: float(text if text[-1] in ".0123456789" else text.replace(".", "")),  # .inf, .nan
    ),
    _TEXT: ("", [], str),
}  # fmt: skip
# Nobody nests deeper, and an alias inside what it repeats would be without end.
_MOST_LEVELS = 50
# What older YAML readers take for booleans.
_BARE = frozenset(("yes", "no", "on", "off"))


class Loader(_Base):
    """A parser whose unquoted words are resolved by the core schema; only its nodes are used."""


Loader.yaml_implicit_resolvers = {}
for _tag, (_pattern, _begins, _) in _SCALARS.items():
    Loader.add_implicit_resolver(_tag, re.compile(rf"(?:{_pattern})\Z"), _begins)


@dataclass(frozen=True)
class YamlFile:
    """A parsed file."""

    path: Path
    data: dict[str, Any]
    positions: dict[KeyPath, Position]
    """Line and column of every key and list item, counted from 1."""
    problems: tuple[Diagnostic, ...]
    """What made reading it doubtful: keys given twice, answers that other readers take for booleans."""
    abstract: bool
    """Whether it is there to be extended only: its name begins with `_`."""

    def error(self, key: KeyPath, message: str) -> Diagnostic:
        """Return an error at a key, or at the nearest enclosing key that stands in the file."""
        place = key
        while place and place not in self.positions:
            place = place[:-1]
        return Diagnostic(str(self.path), *self.positions.get(place, (1, 1)), message, dotted(key))


class BadYaml(TaskError):
    """A file that is no YAML mapping at all, or has what cannot stand in one."""

    def __init__(self, finding: Diagnostic) -> None:
        super().__init__(str(finding))
        self.finding = finding


def parse_yaml(path: Path) -> YamlFile:
    """Read one YAML mapping. What does not prevent reading is in `problems`.

    Raises:
        BadYaml: the file cannot be read, is no YAML or is no mapping.
    """
    text, walk = "", _Walk(path)
    try:
        text = read_text(path)
        root = yaml.compose(text, Loader)
        if not isinstance(root, yaml.MappingNode):
            raise BadYaml(Diagnostic(str(path), 1, 1, "expected a mapping such as 'name: my_task'"))
        data = walk.value(root, ())
    except yaml.YAMLError as error:
        said, line, column = _in_words(error, text)
        raise BadYaml(Diagnostic(str(path), line, column, f"not valid YAML: {said}")) from None
    except (DataError, ValueError) as error:  # a name with a zero byte is a ValueError
        raise BadYaml(Diagnostic(str(path), 1, 1, str(error))) from None
    return YamlFile(path, data, walk.positions, tuple(walk.problems), path.name.startswith("_"))


def parse_scalar(text: str) -> Any:
    """Return what one value means, such as that of `--set KEY=VALUE`, by the same rules as in a file.

    Raises:
        ValueError: it is no number, word or list; the message says why.
    """
    try:
        node = yaml.compose(text, Loader)
        return None if node is None else _Walk(Path()).value(node, ())
    except yaml.YAMLError as error:
        raise ValueError(_in_words(error, text)[0]) from None
    except BadYaml as error:
        raise ValueError(error.finding.message) from None


def _in_words(error: yaml.YAMLError, text: str) -> tuple[str, int, int]:
    """Return what the parser says, and what most often is behind it, with line and column."""
    if isinstance(error, yaml.reader.ReaderError):  # which knows only how far into the text it came
        before = text[: error.position]
        said = f"{error.reason} (character {error.character!r})"
        return said, before.count("\n") + 1, len(before) - before.rfind("\n")
    assert isinstance(error, yaml.MarkedYAMLError)
    said, mark = str(error.problem or error.context), error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    if "cannot start any token" in said and text.split("\n")[line][column : column + 1] == "\t":
        said = "a tab; indent with spaces"
    elif any(words in said for words in ("expected key", "mapping values are not", "expected <block end>")):
        said += "; is this line, or the one above, indented as its neighbours are, and are colons in quotes?"
    return said, line + 1, column + 1


@dataclass
class _Walk:
    """One walk over the nodes of a file: values with every alias filled in, where keys stand, what is doubtful."""

    path: Path
    positions: dict[KeyPath, Position] = field(default_factory=dict)
    problems: list[Diagnostic] = field(default_factory=list)

    def value(self, node: yaml.Node, key: KeyPath) -> Any:
        """Return the value of the node at a key.

        Raises:
            BadYaml: it has a tag or a key that no task file has, is no number, or is nested far too deep.
        """
        if len(key) > _MOST_LEVELS:
            raise self._bad(node, f"nested more than {_MOST_LEVELS} deep, or an alias stands inside what it repeats")
        if isinstance(node, yaml.ScalarNode) and node.tag in _SCALARS:
            text = str(node.value)
            if key[:2] == ("questions", "answers") and key[2:] and not node.style and text.lower() in _BARE:
                said = f'other YAML readers take an unquoted {text} for a boolean; write "{text}" in quotes'
                self._doubt(self.positions[key], key, f"{dotted(key)}: {said}")
            try:
                return _SCALARS[node.tag][2](text)
            except (ValueError, LookupError):
                said = f"'{text[:60]}' is not a value of the tag !!{node.tag.removeprefix(_TAG)}"
                raise self._bad(node, said) from None
        if isinstance(node, yaml.SequenceNode) and node.tag == _LIST:
            children = [(index, item, item) for index, item in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode) and node.tag == _MAPPING:
            children = [(name.value, name, item) for name, item in node.value]
            for name in (name for _, name, _ in children if name.tag != _TEXT):
                said = f'the key {name.value} is not text; write "{name.value}" in quotes'
                known = isinstance(name.value, str) and name.value
                raise self._bad(name, said if known else "a key before a colon is missing or not text")
        else:
            shown = node.tag.replace(_TAG, "!!")
            known = "!!str, !!int, !!float, !!bool"
            raise self._bad(node, f"the tag {shown} is not used here; leave it out (known: {known})")
        values: dict[Any, Any] = {}
        for part, place, item in children:
            inside, position = (*key, part), (place.start_mark.line + 1, place.start_mark.column + 1)
            if part in values:  # the last one counts, so that the rest can still be checked
                text = f"'{part}' is given twice (first on line {self.positions[inside][0]})"
                self._doubt(position, inside, text)
            else:
                self.positions[inside] = position
            values[part] = self.value(item, inside)
        return values if node.tag == _MAPPING else list(values.values())

    def _bad(self, node: yaml.Node, message: str) -> BadYaml:
        """Return the error that a node cannot stand where it does."""
        return BadYaml(Diagnostic(str(self.path), node.start_mark.line + 1, node.start_mark.column + 1, message))

    def _doubt(self, position: Position, key: KeyPath, message: str) -> None:
        """Note a problem at a place of the YAML file that does not prevent reading it."""
        self.problems.append(Diagnostic(str(self.path), *position, message, dotted(key)))
