"""Find heads: the files of `taxbench/heads/` that define `Settings`, and modules that installed packages offer."""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from taxbench.registry.head_source import HeadInfo, HeadSetting, read_head
from taxbench.registry.package_source import module_source
from taxbench.util.errors import UsageError, did_you_mean, first_line
from taxbench.util.paths import PACKAGE

ENTRY_POINTS = "taxbench.heads"
"""The group under which installed packages offer heads; what they name: a module as `heads/base.py` describes it."""
MISTAKES = (ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, NameError, OSError, RuntimeError,
            TypeError, ValueError)  # fmt: skip
"""What the code of another package may raise; it must not stop the others."""
_FOLDER = PACKAGE / "heads"


def heads() -> dict[str, str]:
    """Return every head's name and summary: the built-in ones, then those of installed packages.

    Nothing is imported, so a broken package cannot hide the others. A built-in name cannot be taken.
    """
    return {name: info.summary for name, info in _found().known.items()}


def broken_heads() -> dict[str, str]:
    """Return what is wrong with every head that cannot be used."""
    return dict(_found().broken)


def head_info(name: str) -> HeadInfo:
    """Return what is known of a head without importing it.

    Raises:
        UsageError: there is no such head, or it is broken.
    """
    found = _found()
    if name in found.known:
        return found.known[name]
    if name in found.broken:
        raise UsageError(f"The head '{name}' cannot be used: {found.broken[name]}")
    raise UsageError(f"There is no head '{name}'.{did_you_mean(name, found.known)} Heads: {', '.join(found.known)}.")


def settings_defaults(name: str) -> dict[str, Any]:
    """Return a head's settings and their defaults; as for `head_info`."""
    return {setting: default for setting, default, _ in head_info(name).settings}


def head_settings(name: str) -> list[HeadSetting]:
    """Return name, default and docstring of a head's settings; as for `head_info`."""
    return list(head_info(name).settings)


@dataclass
class _Heads:
    known: dict[str, HeadInfo] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, module: str, source: Callable[[], str], origin: str = "") -> None:
        """Read a head and say where it comes from; what is wrong with one is noted and stops nothing."""
        try:
            info = read_head(name, module, source())
        except (ImportError, AttributeError, ValueError, SyntaxError) as error:
            self.broken[name] = f"{first_line(error)}. {origin}".strip()
        else:
            self.known[name] = replace(info, summary=f"{info.summary} {origin}".strip())


def _found() -> _Heads:
    return _find(tuple(sys.path))


@cache
def _find(path: tuple[str, ...]) -> _Heads:
    """Return all heads. `path` is where Python looks for packages: elsewhere there are other heads."""
    found = _Heads()
    for file in sorted(_FOLDER.glob("*.py")):
        read = partial(file.read_text, encoding="utf-8")
        if "\nclass Settings(" in read():  # the others help heads
            found.add(file.stem, f"taxbench.heads.{file.stem}", read)
    for point in sorted(entry_points(group=ENTRY_POINTS)):
        package = f"From the package {point.dist.name} {point.dist.version}." if point.dist else "From a package."
        if point.name in found.known:
            found.broken[f"{point.name} of {point.value}"] = f"the name is taken; choose another. {package}"
        else:
            found.add(point.name, point.module, partial(_source, point), package)
    return found


def _source(point: EntryPoint) -> str:
    if point.attr:
        raise ValueError(f"expected the name of a module, found '{point.value}'")
    if not re.fullmatch(r"\w[\w.-]*", point.name) or point.name == "all":
        raise ValueError(f"'{point.name}' cannot be the name of a head; choose another")
    return module_source(point.module)
