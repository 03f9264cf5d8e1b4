"""A folder laid out like THINGS, of tiny pictures, quickly written."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from taxbench.datasets.things import CONCEPTS
from taxbench.taxonomy.taxonomy import read_rows

# A bitmap of 2 x 2 pixels: both headers, then two rows of six bytes, each filled up to eight.
_BMP = bytes.fromhex(
    "424d46000000000000003600000028000000020000000200000001001800000000001000000000000000000000000000000000000000"
)


def concepts() -> list[str]:
    return [row.folder for row in read_rows(CONCEPTS)]


def make_things(root: Path, images_per_concept: Callable[[str], int], names: Iterable[str] | None = None) -> Path:
    """Write `root/object_images/CONCEPT/CONCEPT_01.bmp` and so on, every picture another one; return `root`."""
    number = 0
    for concept in names if names is not None else concepts():
        folder = f"{root}/object_images/{concept}"
        os.makedirs(folder)
        for index in range(images_per_concept(concept)):
            number += 1
            pixel = number.to_bytes(3, "little")
            with open(f"{folder}/{concept}_{index + 1:02d}.bmp", "wb", buffering=0) as file:
                file.write(_BMP + (pixel + b"\x10\x20\x30\0\0") * 2)
    return root
