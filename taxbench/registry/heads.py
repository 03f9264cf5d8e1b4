"""Find heads: the files of `taxbench/heads/` that define `Settings`, and modules that installed packages offer."""

import re
import sys
from dataclasses import replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, NamedTuple

from taxbench.registry.head_source import HeadInfo, read_head
from taxbench.registry.package_source import module_source
from taxbench.util.errors import UsageError, did_you_mean, first_line
from taxbench.util.paths import PACKAGE

ENTRY_POINTS = "taxbench.heads"
"""The group under which installed packages offer heads; what they name: a module as `heads/base.py` describes it."""
MISTAKES = (ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, NameError, OSError, RuntimeError,
            TypeError, ValueError)  # fmt: skip
"""What the code of another package may raise; it must not stop the others."""
_FOLDER = PACKAGE / "heads"
_BROKEN = "The head '{}' cannot be used: "


class _Offer(NamedTuple):
    """A module that may be a head."""

    module: str
    source: str
    problem: str = ""
    """Why there is no source, or it may not be used."""
    origin: str = ""
    """The package it comes from, in words, where that is another one."""


def heads() -> dict[str, str]:
    """Return every head's name and summary: the built-in ones, then those of installed packages.

    Nothing is imported, so a broken package cannot hide the others. A built-in name cannot be taken.
    """
    broken = broken_heads()
    return {name: head_info(name).summary for name in _offers(tuple(sys.path)) if name not in broken}


def broken_heads() -> dict[str, str]:
    """Return what is wrong with every head that cannot be used."""
    broken = {}
    for name in _offers(tuple(sys.path)):
        try:
            head_info(name)
        except UsageError as error:
            broken[name] = str(error).removeprefix(_BROKEN.format(name))
    return broken


def head_info(name: str) -> HeadInfo:
    """Return what is known of a head without importing it.

    Raises:
        UsageError: there is no such head, or it is broken.
    """
    offers = _offers(tuple(sys.path))
    if name not in offers:
        known = heads()
        raise UsageError(f"Unknown head '{name}'.{did_you_mean(name, known)} Heads: {', '.join(known)}.")
    module, source, problem, origin = offers[name]
    try:
        if problem:
            raise ValueError(problem)
        info = read_head(name, module, source)
    except (ValueError, SyntaxError) as error:
        raise UsageError(f"{_BROKEN.format(name)}{first_line(error)}. {origin}".strip()) from None
    return replace(info, summary=f"{info.summary} {origin}".strip())


def settings_defaults(name: str) -> dict[str, Any]:
    """Return a head's settings and their defaults; as for `head_info`."""
    return {setting: default for setting, default, _ in head_info(name).settings}


@cache
def _offers(path: tuple[str, ...]) -> dict[str, _Offer]:
    """Return all heads by name. `path` is where Python looks for packages: elsewhere there are other heads."""
    sources = {file.stem: file.read_text(encoding="utf-8") for file in sorted(_FOLDER.glob("*.py"))}
    offers = {name: _Offer(f"taxbench.heads.{name}", source) for name, source in sources.items()
              if "\nclass Settings(" in source}  # the others help heads  # fmt: skip
    for point in sorted(entry_points(group=ENTRY_POINTS)):
        origin = f"From the package {point.dist.name} {point.dist.version}." if point.dist else "From a package."
        name, source, problem = point.name, "", ""
        if name in offers:
            name, problem = f"{point.name} of {point.value}", "the name is taken; choose another"
        else:
            try:
                source = _source(point)
            except (ImportError, AttributeError, ValueError, SyntaxError) as error:
                problem = first_line(error)
        offers[name] = _Offer(point.module, source, problem, origin)
    return offers


def _source(point: EntryPoint) -> str:
    if point.attr:
        raise ValueError(f"expected the name of a module, found '{point.value}'")
    if not re.fullmatch(r"\w[\w.-]*", point.name) or point.name == "all":
        raise ValueError(f"'{point.name}' cannot be the name of a head; choose another")
    return module_source(point.module)
