"""What tests put on disk: photos of six leaves, packages that offer things. And what commands load."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

LEAVES = {"crow": "bird", "gull": "bird", "hammer": "tool", "saw": "tool", "trout": "fish", "shark": "fish"}


def make_photos(
    folder: Path,
    each: int,
    resample: Image.Resampling = Image.Resampling.BICUBIC,
    leaves: Mapping[str, str] = LEAVES,
) -> None:
    """Write so many photos of each leaf, of colours of its own, and photos.tsv with their hypernyms."""
    draw = np.random.default_rng(0)
    for leaf in leaves:
        (folder / "photos" / leaf).mkdir(parents=True)
        colours = draw.integers(0, 256, (4, 4, 3))
        for i in range(each):
            pixels = np.clip(colours + draw.normal(0, 20, (4, 4, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).resize((32, 32), resample).save(folder / "photos" / leaf / f"{i:02d}.png")
    rows = [f"{leaf}\t{leaf}\t{above}" for leaf, above in leaves.items()]
    (folder / "photos.tsv").write_text("\n".join(["folder\tleaf\thypernyms", *rows]) + "\n")


def offer(root: Path, group: str, points: str) -> None:
    """Install a package 'plugged' that has entry points, as pip would leave it."""
    info = root / "plugged-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{points}")


def assert_light(heavy: Sequence[str], lines: Sequence[str]) -> None:
    """Run command lines one after the other in one process, none of which may load a heavy package."""
    code = (
        "import json, sys\n"
        "from taxbench.cli.main import call\n"
        "heavy, lines = map(json.loads, sys.argv[1:])\n"
        "for line in lines:\n"
        "    assert call(line.split()) == 0, line\n"
        "    loaded = [name for name in heavy if name in sys.modules]\n"
        "    assert not loaded, (line, loaded)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(json.dumps, [heavy, lines])], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
