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

from taxbench.tasks.diagnostics import Diagnostic, at_file, dotted
from taxbench.util.errors import DataError, TaskError
from taxbench.util.paths import read_text

try:
    from yaml import CSafeLoader as _Base
except ImportError:  # PyYAML built without libyaml
    from yaml import SafeLoader as _Base  # type: ignore[assignment]

Position = tuple[int, int]
KeyPath = tuple[str | int, ...]

_TAG = "tag:yaml.org,2002:"
_TEXT, _LIST, _MAPPING = f"{_TAG}str", f"{_TAG}seq", f"{_TAG}map"
# Tag, what it looks like, with what it begins, and its value; the first that fits counts: whole numbers before others.
_SCALARS: dict[str, tuple[re.Pattern[str], list[str], Callable[[str], Any]]] = {
    f"{_TAG}null": (re.compile(r"(?:null|Null|NULL|~|)\Z"), ["", *"~nN"], lambda text: None),
    f"{_TAG}bool": (
        re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), [*"tTfF"], lambda text: text.lower() == "true"
    ),
    f"{_TAG}int": (  # Python reads no more than some thousand digits
        re.compile(r"(?:[-+]?[0-9]{1,100}|0o[0-7]{1,100}|0x[0-9a-fA-F]{1,100})\Z"), [*"-+0123456789"],
        lambda text: int(text, {"0o": 8, "0x": 16}.get(text[:2], 10)),
    ),
    f"{_TAG}float": (
        re.compile(r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
                   r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"), [*"-+.0123456789"],
        lambda text: float(text if text[-1] in ".0123456789" else text.replace(".", "")),  # .inf, .nan
    ),
    _TEXT: (re.compile(""), [], str),
}  # fmt: skip
# An alias inside what it repeats would be without end, and aliases of aliases soon fill the memory.
_MOST_VALUES, _MOST_LEVELS = 100_000, 50
# What older YAML readers take for booleans.
_BARE = frozenset(("yes", "no", "on", "off"))


class Loader(_Base):
    """A parser whose unquoted words are resolved by the core schema; only its nodes are used."""


Loader.yaml_implicit_resolvers = {}
for _tag, (_pattern, _begins, _) in _SCALARS.items():
    Loader.add_implicit_resolver(_tag, _pattern, _begins)


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
    """A file that is no YAML mapping at all."""

    def __init__(self, finding: Diagnostic) -> None:
        super().__init__(str(finding))
        self.finding = finding


class BadValue(ValueError):
    """A value that cannot stand where it does."""

    def __init__(self, node: yaml.Node, message: str) -> None:
        super().__init__(message)
        self.position = (node.start_mark.line + 1, node.start_mark.column + 1)


def parse_yaml(path: Path) -> YamlFile:
    """Read one YAML mapping. What does not prevent reading is in `problems`.

    Raises:
        BadYaml: the file cannot be read, is no YAML or is no mapping.
    """
    try:
        text = read_text(path)
    except DataError as error:
        raise BadYaml(at_file(path, str(error))) from None
    try:
        root = yaml.compose(text, Loader)
        if not isinstance(root, yaml.MappingNode):
            raise BadYaml(at_file(path, "expected a mapping such as 'name: my_task'"))
        walk = _Walk(path)
        data = walk.value(root, ())
    except BadValue as error:
        raise BadYaml(at_file(path, str(error), *error.position)) from None
    except yaml.reader.ReaderError as error:  # which knows only how far into the text it came
        before = text[: error.position]
        position = before.count("\n") + 1, len(before) - before.rfind("\n")
        said = f"not valid YAML: {error.reason} (character {error.character!r})"
        raise BadYaml(at_file(path, said, *position)) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise BadYaml(at_file(path, f"not valid YAML: {_in_words(error, text)}", *position)) from None
    return YamlFile(path, data, walk.positions, tuple(walk.problems), path.name.startswith("_"))


def parse_scalar(text: str) -> Any:
    """Return what one value means, such as that of `--set KEY=VALUE`, by the same rules as in a file.

    Raises:
        ValueError: it is no number, word or list; the message says why.
    """
    try:
        node = yaml.compose(text, Loader)
        return None if node is None else _Walk(Path()).value(node, ())
    except yaml.MarkedYAMLError as error:
        raise ValueError(_in_words(error, text)) from None
    except yaml.reader.ReaderError as error:
        raise ValueError(error.reason) from None


@dataclass
class _Walk:
    """One walk over the nodes of a file: values with every alias filled in, where keys stand, what is doubtful."""

    path: Path
    positions: dict[KeyPath, Position] = field(default_factory=dict)
    problems: list[Diagnostic] = field(default_factory=list)
    values: int = 0

    def value(self, node: yaml.Node, key: KeyPath) -> Any:
        """Return the value of the node at a key.

        Raises:
            BadValue: it has a tag or a key that no task file has, is no number, or there is far too much of anything.
        """
        self.values += 1
        if self.values > _MOST_VALUES:
            raise BadValue(node, f"more than {_MOST_VALUES} values, counted with what aliases repeat")
        if len(key) > _MOST_LEVELS:
            raise BadValue(node, f"nested more than {_MOST_LEVELS} deep, or an alias stands inside what it repeats")
        if isinstance(node, yaml.ScalarNode) and node.tag in _SCALARS:
            pattern, _, make = _SCALARS[node.tag]
            if not pattern.match(node.value):
                raise BadValue(
                    node, f"'{_short(node.value)}' is not a value of the tag !!{node.tag.removeprefix(_TAG)}"
                )
            if key[:2] == ("questions", "answers") and key[2:] and not node.style and node.value.lower() in _BARE:
                text = f'other YAML readers take an unquoted {node.value} for a boolean; write "{node.value}" in quotes'
                self._doubt(self.positions[key], key, f"{dotted(key)}: {text}")
            return make(node.value)
        if isinstance(node, yaml.SequenceNode) and node.tag == _LIST:
            children = [(index, item, item) for index, item in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode) and node.tag == _MAPPING:
            children = [(name.value, name, item) for name, item in node.value]
            if wrong := [name for _, name, _ in children if name.tag != _TEXT]:
                raise _bad_name(wrong[0])
        else:
            shown = _short(node.tag).replace(_TAG, "!!")
            known = "!!str, !!int, !!float, !!bool"
            raise BadValue(node, f"the tag {shown} is not used here; leave it out (known: {known})")
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

    def _doubt(self, position: Position, key: KeyPath, message: str) -> None:
        """Note a problem at a place of the YAML file that does not prevent reading it."""
        self.problems.append(Diagnostic(str(self.path), *position, message, dotted(key)))


def _bad_name(node: yaml.Node) -> BadValue:
    """Return the error that a key of a YAML mapping is missing or no text."""
    if isinstance(node, yaml.ScalarNode) and node.value:
        return BadValue(node, f'the key {_short(node.value)} is not text; write "{_short(node.value)}" in quotes')
    lacks = "is missing" if isinstance(node, yaml.ScalarNode) else "is not text"
    return BadValue(node, f"a key {lacks} before the colon")


def _short(text: str) -> str:
    """Return a text of a YAML file cut to 60 letters, for messages."""
    return text if len(text) <= 60 else f"{text[:57]}..."


def _in_words(error: yaml.MarkedYAMLError, text: str) -> str:
    """Return what the parser says, and what most often is behind it."""
    said, mark = str(error.problem or error.context), error.problem_mark
    line = (text.splitlines() or [""])[min(mark.line, len(text.splitlines()) - 1)] if mark else ""
    if mark and "cannot start any token" in said and line[mark.column : mark.column + 1] == "\t":
        return "a tab; indent with spaces"
    if "expected key" in said or "mapping values are not allowed" in said or "expected <block end>" in said:
        return f"{said}; is this line, or the one above, indented as its neighbours are, and are colons in quotes?"
    return said
