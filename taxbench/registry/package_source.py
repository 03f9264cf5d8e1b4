"""Find modules and folders of packages without running any code, theirs or that of the packages around them."""

import sys
from importlib.abc import InspectLoader
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

from taxbench.util.errors import UsageError, first_line

MISTAKES = (ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, NameError, OSError, RuntimeError,
            TypeError, ValueError)  # fmt: skip
"""What the code of another package may raise; it must not stop the others."""


def package_failure(what: str, error: Exception) -> UsageError:
    """Return the error that names a part of another package, and how its code failed."""
    return UsageError(f"The {what}, of another package, fails ({type(error).__name__}: {first_line(error)}).")


def module_spec(module: str) -> ModuleSpec | None:
    """Return where a module is, or nothing where there is none.

    Raises:
        ImportError: or ValueError or AttributeError, where what is installed is broken.
    """
    parts = module.split(".")
    spec = find_spec(parts[0])
    for depth in range(2, len(parts) + 1):  # find_spec itself would import the packages around it
        inside = spec.submodule_search_locations if spec else None
        if not inside:
            return None
        specs = (finder.find_spec(".".join(parts[:depth]), inside) for finder in sys.meta_path)
        spec = next((spec for spec in specs if spec is not None), None)
    return spec


def module_source(module: str) -> str:
    """Return a module's source.

    Raises:
        ImportError: there is none, or it is not Python; as for `module_spec`.
    """
    spec = module_spec(module)
    source = spec.loader.get_source(spec.name) if spec and isinstance(spec.loader, InspectLoader) else None
    if source is None:
        raise ImportError(f"no module '{module}' in Python was found")
    return source


def package_folders(package: str) -> list[Path]:
    """Return the folders of a package; of a namespace package there may be several.

    Raises:
        ImportError: there is none; as for `module_spec`.
    """
    spec = module_spec(package)
    folders = [Path(place) for place in (spec.submodule_search_locations if spec else None) or ()]
    if not any(folder.is_dir() for folder in folders):
        raise ImportError(f"no folder of a package '{package}' was found")
    return [folder for folder in folders if folder.is_dir()]
