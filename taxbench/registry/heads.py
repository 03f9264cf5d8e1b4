"""Find heads. One file of `taxbench/heads/` is one head, named as the file."""

import ast
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
    found = {}
    for path in sorted(_FOLDER.glob("*.py")):
        if path.stem not in _NO_HEADS:
            found[path.stem] = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").splitlines()[0]
    return found


def head_module(name: str) -> Any:
    """Import a head's file.

    Raises:
        UsageError: there is no such head.
    """
    known = heads()
    if name not in known:
        raise UsageError(f"There is no head '{name}'.{did_you_mean(name, known)} Heads: {', '.join(known)}.")
    return import_module(f"taxbench.heads.{name}")


def head_module_fields(name: str) -> tuple[str, ...]:
    """Return the names of a head's settings.

    Raises:
        UsageError: there is no such head.
    """
    return tuple(head_module(name).Settings.model_fields)


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
