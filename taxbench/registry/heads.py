"""Find heads. One file of `taxbench/heads/` is one head, named as the file."""

import ast
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from taxbench.errors import UsageError, did_you_mean
from taxbench.specs.run import HeadSpec

_FOLDER = Path(__file__).resolve().parents[1] / "heads"
_NO_HEADS = {"__init__", "base"}


def heads() -> dict[str, str]:
    """Return every head's name and the first line of its file's docstring, without importing it."""
    return {name: (ast.get_docstring(tree) or "").splitlines()[0] for name, tree in _sources().items()}


def settings_defaults(name: str) -> dict[str, Any]:
    """Return a head's settings and their defaults, without importing it.

    Raises:
        UsageError: there is no such head.
    """
    return {setting: default for setting, default, _ in head_settings(name)}


def head_settings(name: str) -> list[tuple[str, Any, str]]:
    """Return name, default and docstring of a head's settings: the fields of its `Settings`, read without importing it.

    Defaults must be literals, alone or in `Field(default=...)`.

    Raises:
        UsageError: there is no such head.
    """
    lines = [line for node in _source(name).body if isinstance(node, ast.ClassDef) and node.name == "Settings"
             for line in node.body]  # fmt: skip
    found: list[tuple[str, Any, str]] = []
    for line, below in zip(lines, [*lines[1:], None], strict=True):
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            said = below.value if isinstance(below, ast.Expr) else None
            text = str(said.value) if isinstance(said, ast.Constant) else ""
            found.append((line.target.id, _default(line.value), " ".join(text.split())))
    return found


def _default(value: ast.expr | None) -> Any:
    """Return the literal that `= 1` or `= Field(default=1, ...)` gives; None where there is none."""
    if isinstance(value, ast.Call):
        value = next((each.value for each in value.keywords if each.arg == "default"), None)
    return None if value is None else ast.literal_eval(value)


@cache
def _sources() -> dict[str, ast.Module]:
    paths = [path for path in sorted(_FOLDER.glob("*.py")) if path.stem not in _NO_HEADS]
    return {path.stem: ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def _source(name: str) -> ast.Module:
    known = _sources()
    if name not in known:
        raise UsageError(f"There is no head '{name}'.{did_you_mean(name, known)} Heads: {', '.join(known)}.")
    return known[name]


def head_module(name: str) -> Any:
    """Import a head's file.

    Raises:
        UsageError: there is no such head.
    """
    _source(name)
    return import_module(f"taxbench.heads.{name}")


def head_spec(name: str, settings: dict[str, Any]) -> HeadSpec:
    """Return a head with all its settings, defaults filled in.

    Raises:
        UsageError: the head or a setting is unknown, or a value does not fit.
    """
    try:
        return HeadSpec(name=name, settings=head_module(name).Settings.model_validate(settings).model_dump(mode="json"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UsageError(f"Setting '{first['loc'][0]}' of the head '{name}': {first['msg']}.") from None
