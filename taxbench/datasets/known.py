"""Datasets by the name that stands before the colon of --dataset: the built-in ones and those of other packages."""

import ast
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points

from taxbench.registry.package_source import module_source

ENTRY_POINTS = "taxbench.datasets"
"""The group under which installed packages offer datasets; what they name: `module:function`, as for a loader below.
The embedded `pocket` comes in by this door too."""


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """What loads a dataset: `module:function`, called with what stands after the colon and the taxonomy's path."""

    loader: str
    text: str = ""

    @property
    def summary(self) -> str:
        """Return one sentence for `taxbench ls`: of a package's dataset, the first of its module's docstring."""
        if self.text:
            return self.text
        module = self.loader.partition(":")[0]
        try:
            text = ast.get_docstring(ast.parse(module_source(module))) or ""
        except (ImportError, SyntaxError, ValueError, AttributeError) as error:
            return f"Broken: {error}"
        return " ".join(text.partition("\n\n")[0].split())


# Strings, so that a dataset costs nothing until it is asked for.
_BUILT_IN = {
    "things": DatasetEntry(
        "taxbench.datasets.things:load", "things[:PATH], THINGS as downloaded from OSF; 1,222 concepts, 53 hypernyms."
    ),
    "cifar100": DatasetEntry(
        "taxbench.datasets.cifar100:load",
        "cifar100[:PATH], the standard archive or from the hub; 100 leaves, 19 hypernyms.",
    ),
    "hf": DatasetEntry(
        "taxbench.datasets.hub_images:load", "hf:NAME, a labelled image dataset of the Hugging Face hub or a local one."
    ),
    "folder": DatasetEntry(
        "taxbench.datasets.folder:load",
        "folder:PATH, an image folder with --taxonomy FILE.tsv or --taxonomy wordnet.",
    ),
}


@cache
def known_datasets() -> dict[str, DatasetEntry]:
    """Return every dataset by name, those of packages first; nothing is imported. A built-in name cannot be taken."""
    offered = {point.name: point for point in sorted(entry_points(group=ENTRY_POINTS))}
    return {name: DatasetEntry(point.value) for name, point in offered.items()} | _BUILT_IN
