"""A grid of runs that take a second each: random pictures of four things, a tiny random language model."""

from pathlib import Path

import numpy as np
from PIL import Image

_LEAVES = {"crow": "bird", "gull": "bird", "hammer": "tool", "saw": "tool"}
_TASK = """name: mine
extends: unseen_hypernym
heldout_leaves: 0
evaluate: [unseen]
controls: [chance, random_lm]
"""
_PAIRS = """name: larger
version: 1
summary: Which is larger?
tags: [mine]
extends: _property
heldout_leaves: 0
evaluate: [leaf, unseen]
controls: [chance, text_only]
property_questions:
  column: length_cm
  wordings: ["Is the first larger?"]
  reversed: ["Is the second larger?"]
  images: 2
  partners: 2
"""
_SIZES = """leaf	length_cm
crow	50
gull	40
hammer	30
saw	60
"""


def small_grid(folder: Path, lm: Path) -> dict[str, str]:
    """Write what a grid of six runs and twelve heads needs into a folder; return its options, by their names."""
    draw = np.random.default_rng(0)
    for leaf in _LEAVES:
        (folder / "photos" / leaf).mkdir(parents=True)
        for i in range(8):
            pixels = draw.integers(0, 256, (8, 8, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / leaf / f"{i}.png")
    rows = [f"{leaf}\t{leaf}\t{above}" for leaf, above in _LEAVES.items()]
    (folder / "photos.tsv").write_text("\n".join(["folder\tleaf\thypernyms", *rows]) + "\n")
    (folder / "task.yaml").write_text(_TASK)
    return {"task": str(folder / "task.yaml"), "model": str(lm), "encoder": "pixels", "seeds": "1,2,3",
            "dataset": f"folder:{folder / 'photos'}", "taxonomy": str(folder / "photos.tsv"), "device": "cpu",
            "head": "mlp,linear", "cache": str(folder / "cache"), "out": str(folder / "out")}  # fmt: skip


def asking_of_pairs(options: dict[str, str]) -> dict[str, str]:
    """Return the options of a grid whose questions are about two images each."""
    task = Path(options["task"])
    task.write_text(_PAIRS)
    sizes = task.with_name("sizes.tsv")
    sizes.write_text(_SIZES)
    return {**options, "properties": str(sizes)}


def typed(options: dict[str, str]) -> list[str]:
    """Return options as they are typed."""
    return [word for name, value in options.items() for word in (f"--{name}", value)]
