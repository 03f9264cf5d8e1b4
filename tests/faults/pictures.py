"""A folder of small pictures, some of which are no pictures, and the dataset over it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from taxbench.datasets.dataset import Dataset, load_dataset

_TSV = "folder\tleaf\thypernyms\ncrow\tcrow\tbird\nhammer\thammer\ttool\n"
_SIDE = 12


@dataclass(frozen=True, slots=True)
class Broken:
    """Which pictures cannot be decoded, by their place in the dataset."""

    garbage: tuple[int, ...] = ()
    empty: tuple[int, ...] = ()


def make_pictures(root: Path, n: int, broken: Broken | None = None, seed: int = 0) -> Dataset:
    """Write n pictures of noise into two class folders and load them as `folder:PATH`."""
    broken = broken or Broken()
    rng = np.random.default_rng(seed)
    for i in range(n):
        path = root / "photos" / ("crow" if i < n // 2 else "hammer") / f"{i:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (_SIDE, _SIDE, 3), np.uint8)).save(path)
        if i in broken.garbage:
            path.write_bytes(path.read_bytes()[:40] + b"no picture")
        if i in broken.empty:
            path.write_bytes(b"")
    taxonomy = root / "taxonomy.tsv"
    taxonomy.write_text(_TSV)
    return load_dataset(f"folder:{root / 'photos'}", taxonomy)
