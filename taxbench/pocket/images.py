"""Rendered pictures of 104 everyday concepts; nothing to download.

They are drawn when they are needed and never stored.
"""

from pathlib import Path

from PIL import Image

from taxbench.datasets.dataset import Dataset, ImageRecord, Split
from taxbench.pocket.art import PICTURES, frame_share, render
from taxbench.pocket.concepts import CONCEPTS
from taxbench.taxonomy.properties import read_properties
from taxbench.taxonomy.taxonomy import Taxonomy
from taxbench.util.errors import UsageError

# Pictures of each concept, in the order of their index.
_COUNTS: tuple[tuple[Split, int], ...] = (("train", 40), ("val", 8), ("test", 16))
# The encoder's own training pictures use other seeds, so no picture here was seen by it.
_SEED = 0
_PROPERTIES = Path(__file__).with_name("properties.tsv")


def load(argument: str, taxonomy: Path | None) -> Dataset:
    """Return the dataset `pocket`.

    Raises:
        UsageError: something was asked of it that it does not take.
    """
    if argument or taxonomy is not None:
        raise UsageError(
            "The dataset 'pocket' brings its own pictures and taxonomy: leave the path and --taxonomy out."
        )
    splits = [split for split, count in _COUNTS for _ in range(count)]
    images = [
        ImageRecord(f"{concept.name}/{index:03d}", concept.name, f"{PICTURES}/{concept.name}/{index}", split)
        for concept in CONCEPTS
        for index, split in enumerate(splits)
    ]
    images.sort(key=lambda image: image.id)
    table = Taxonomy({concept.name: tuple(sorted(concept.hypernyms)) for concept in CONCEPTS})
    properties, decoder = read_properties(_PROPERTIES, table.leaves), f"taxbench.pocket.render {PICTURES}"
    return Dataset("pocket", tuple(images), table, decoder, _draw, properties=properties, frame_share=_share)


def _draw(image: ImageRecord) -> Image.Image:
    """Draw the picture of a pocket image from its concept and index."""
    return Image.fromarray(render(image.leaf, _index(image), _SEED))


def _share(image: ImageRecord) -> float:
    """Return which share of a pocket image its object takes."""
    return frame_share(image.leaf, _index(image), _SEED)


def _index(image: ImageRecord) -> int:
    """Return the number of a pocket image among those of its concept."""
    return int(image.id.rpartition("/")[2])
