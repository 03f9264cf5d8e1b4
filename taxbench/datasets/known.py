"""Datasets by the name that stands before the colon of --dataset: the built-in ones and those of other packages."""

import ast
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from taxbench.registry.package_source import MISTAKES, module_source
from taxbench.util.errors import UsageError, did_you_mean, first_line

ENTRY_POINTS = "taxbench.datasets"
"""The group under which installed packages offer datasets; what they name: `module:function`, as for a loader below.
The embedded `pocket` comes in by this door too."""


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """What loads a dataset: `module:function`, called with what stands after the colon and the taxonomy's path."""

    loader: str
    typed: str = ""
    """How it is typed, such as `folder:PATH`; empty: by its name."""
    text: str = ""
    """What it is; empty: what the module says, the first paragraph of its docstring."""
    wrong: str = ""
    """Why it cannot be used, as far as that is known without a look at its module."""

    @property
    def summary(self) -> str:
        """Return one sentence for `taxbench ls`: how it is typed and what it is, or why its package is broken."""
        about, why = self._said
        return f"Broken: {why}" if why else ", ".join(filter(None, (self.typed, about)))

    @property
    def about(self) -> str:
        """Return what the dataset is, to stand alone; nothing where its package is broken."""
        return self._said[0][:1].upper() + self._said[0][1:]

    @property
    def _said(self) -> tuple[str, str]:
        """What the dataset is, and why that cannot be read."""
        if self.text or self.wrong:
            return self.text, self.wrong
        module = self.loader.partition(":")[0]
        try:
            text = ast.get_docstring(ast.parse(module_source(module))) or ""
        except (ImportError, SyntaxError, ValueError, AttributeError) as error:
            return "", str(error)
        return " ".join(text.partition("\n\n")[0].split()), ""


# Strings, so that a dataset costs nothing until it is asked for.
_BUILT_IN = {
    name: DatasetEntry(f"taxbench.datasets.{module}:load", typed, text)
    for name, module, typed, text in (
        ("things", "things", "things[:PATH]", "THINGS as downloaded from OSF; 1,222 concepts, 53 hypernyms."),
        ("cifar100", "cifar100", "cifar100[:PATH]", "the standard archive or from the hub; 100 leaves, 19 hypernyms."),
        ("hf", "hub_images", "hf:NAME", "a labelled image dataset of the Hugging Face hub or a local one."),
        ("folder", "folder", "folder:PATH", "an image folder with --taxonomy FILE.tsv or --taxonomy wordnet."),
    )
}


@cache
def known_datasets() -> dict[str, DatasetEntry]:
    """Return every dataset by name, this package's first; nothing is imported, and no name is taken twice."""
    points = sorted(
        entry_points(group=ENTRY_POINTS), key=lambda point: (not point.value.startswith("taxbench."), point)
    )
    known: dict[str, DatasetEntry] = {}
    for point in points:
        if point.name in known | _BUILT_IN:
            taken = "the name is taken; choose another."
            known[f"{point.name} of {point.value}"] = DatasetEntry(point.value, wrong=taken)
        else:
            known[point.name] = DatasetEntry(point.value)
    return known | _BUILT_IN


def about_dataset(name: str) -> str:
    """Return what a dataset is; nothing of one that is not known here, or broken."""
    known = known_datasets()
    return known[name].about if name in known else ""


def check_dataset(name: str) -> str:
    """Return the name of a dataset as it stands; raise UsageError where there is none of its kind."""
    known, kind = known_datasets(), name.partition(":")[0]
    if kind not in known:
        again = "" if known.keys() - _BUILT_IN else " Datasets of packages are not found: pip install -e . again."
        raise UsageError(
            f"Unknown dataset '{name}'.{did_you_mean(kind, known)} Datasets: {', '.join(known)}; see 'taxbench ls "
            f"datasets'.{again}"
        )
    return name


def dataset_loader(name: str) -> Callable[[str, Path | None], Any]:
    """Return what loads datasets of a kind.

    Raises:
        UsageError: no dataset has that name, or the package that offers it is broken.
    """
    known, kind = known_datasets(), check_dataset(name).partition(":")[0]
    module, _, function = known[kind].loader.partition(":")
    try:
        loader: Callable[[str, Path | None], Any] = getattr(import_module(module), function)
    except (*MISTAKES, SyntaxError, SystemExit) as error:
        raise UsageError(f"The dataset '{kind}' cannot be used: importing {module}: {first_line(error)}") from error
    return loader


def data_home(dataset: str) -> Path:
    """Return the folder of a downloaded dataset: in TAXBENCH_DATA, else in the user's data folder."""
    if named := os.environ.get("TAXBENCH_DATA"):
        return Path(named).expanduser() / dataset
    import platformdirs

    return Path(platformdirs.user_data_dir("taxbench")) / dataset
