"""Turn YAML text into plain values: text, numbers, true and false, null, lists and mappings, and nothing else.

What an unquoted word is follows the core schema of YAML 1.2. PyYAML follows 1.1, where `yes` is a boolean, 1:30 is 90,
0777 is 511, 1_0 is 10, 1e-3 is text, a date is an object: traps in files about yes/no questions and shares.
"""

import re
from typing import Any

import yaml

try:
    from yaml import CSafeLoader as _Base
except ImportError:  # PyYAML built without libyaml
    from yaml import SafeLoader as _Base  # type: ignore[assignment]

_TAG = "tag:yaml.org,2002:"
_TEXT, _LIST, _MAPPING = f"{_TAG}str", f"{_TAG}seq", f"{_TAG}map"
# Tag, what it looks like, and with what it begins; the first that fits counts, so whole numbers stand before others.
_CORE = {
    f"{_TAG}null": (re.compile(r"(?:null|Null|NULL|~|)\Z"), ["", *"~nN"]),
    f"{_TAG}bool": (re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), [*"tTfF"]),
    f"{_TAG}int": (re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z"), [*"-+0123456789"]),
    f"{_TAG}float": (
        re.compile(r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
                   r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"), [*"-+.0123456789"],
    ),
}  # fmt: skip
_MOST_VALUES = 100_000
_MOST_LEVELS = 50
_MOST_DIGITS = 100


class Loader(_Base):
    """A parser whose unquoted words are resolved by the core schema; only its nodes are used."""


Loader.yaml_implicit_resolvers = {}
for _tag, (_pattern, _first) in _CORE.items():
    Loader.add_implicit_resolver(_tag, _pattern, _first)


class BadValue(ValueError):
    """A value that cannot stand where it does."""

    def __init__(self, node: yaml.Node, message: str) -> None:
        super().__init__(message)
        self.line, self.column = node.start_mark.line + 1, node.start_mark.column + 1


def values_of_node(root: yaml.Node) -> Any:
    """Return the value of a node, with every alias filled in.

    Raises:
        BadValue: a tag or a key is not one of those above, a number is none, or there is far too much of anything.
    """
    return _Building().value(root, 0)


class _Building:
    def __init__(self) -> None:
        self.left = _MOST_VALUES

    def value(self, node: yaml.Node, level: int) -> Any:
        """Return the value of a node that stands `level` deep."""
        self.left -= 1
        if self.left < 0:
            raise BadValue(node, f"more than {_MOST_VALUES} values, counted with what aliases repeat")
        if level > _MOST_LEVELS:
            raise BadValue(node, f"nested more than {_MOST_LEVELS} deep, or an alias stands inside what it repeats")
        if isinstance(node, yaml.SequenceNode) and node.tag == _LIST:
            return [self.value(item, level + 1) for item in node.value]
        if isinstance(node, yaml.MappingNode) and node.tag == _MAPPING:
            return {_key(name): self.value(item, level + 1) for name, item in node.value}
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        raise _unknown_tag(node)


def _key(node: yaml.Node) -> str:
    key = _scalar(node) if isinstance(node, yaml.ScalarNode) else None
    if isinstance(key, str):
        return key
    if isinstance(node, yaml.ScalarNode) and node.value:
        raise BadValue(node, f'the key {_short(node.value)} is no text; write "{_short(node.value)}" in quotes')
    raise BadValue(
        node, f"a key {'is missing' if isinstance(node, yaml.ScalarNode) else 'is no text'} before the colon"
    )


def _scalar(node: yaml.ScalarNode) -> Any:
    text, kind = node.value, node.tag.removeprefix(_TAG)
    if node.tag == _TEXT:
        return text
    if node.tag not in _CORE:
        raise _unknown_tag(node)
    if not _CORE[node.tag][0].match(text):
        raise BadValue(node, f"'{_short(text)}' is no value of the tag !!{kind}")
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if len(text) > _MOST_DIGITS:
        raise BadValue(node, f"a number of {len(text)} characters; at most {_MOST_DIGITS} are read")
    if kind == "int":
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    return float(text if text[-1].isdigit() or text[-1] == "." else text.replace(".", ""))  # .inf, .nan


def _unknown_tag(node: yaml.Node) -> BadValue:
    shown = _short(node.tag).replace(_TAG, "!!")
    return BadValue(node, f"the tag {shown} is not used here; leave it out (known: !!str, !!int, !!float, !!bool)")


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
