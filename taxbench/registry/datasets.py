"""Datasets by the name that stands before the colon of --dataset."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """What loads a dataset: `module:function`, called with what stands after the colon and the taxonomy's path."""

    loader: str
    summary: str


# Strings, so that a dataset costs nothing until it is asked for.
DATASETS = {
    "pocket": DatasetEntry(
        "taxbench.pocket.images:load", "Rendered pictures of 104 everyday concepts; nothing to download."
    ),
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
        "taxbench.datasets.folder:load", "folder:PATH, an image folder with --taxonomy FILE.tsv or --taxonomy wordnet."
    ),
}
