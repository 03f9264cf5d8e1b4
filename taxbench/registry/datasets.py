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
        "taxbench.pocket.dataset:load", "Rendered pictures of 104 everyday concepts; nothing to download."
    ),
    "folder": DatasetEntry("taxbench.data.folder:load", "folder:PATH, an image folder with --taxonomy FILE.tsv."),
}
