"""Measure store, extraction and training side by side with other ways; write a dated JSON that names the hardware.

python -m tests.bench                                     # everything, on generated photos
python -m tests.bench --photos DIR --taxonomy FILE.tsv    # on your own
python -m tests.bench --only store --rounds 9
python -m tests.bench --only large                        # a GPU, random weights in the shapes of real models
python -m tests.bench --only real --model gemma-3-270m-q4 --model ./my-lm
"""

import json
import os
import platform
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from pathlib import Path

import click
import numpy as np
import torch
import transformers
from PIL import Image

from taxbench._version import NUMERICS, __version__
from taxbench.util.devices import pick_device
from tests.bench.asking_systems import bench_systems
from tests.bench.extraction import SIZES, Setting, bench_extraction
from tests.bench.grids import bench_grids
from tests.bench.large import bench_large
from tests.bench.memory import bench_memory
from tests.bench.real import bench_real
from tests.bench.rounds import Ratio
from tests.bench.stack import bench_stack
from tests.bench.store import bench_store
from tests.bench.training import bench_training

_RESULTS = Path(__file__).with_name("results")


@click.command()
@click.option(
    "--only",
    type=click.Choice(["store", "extraction", "memory", "training", "stack", "systems", "grids", "large", "real"]),
    help="One part.",
)
@click.option("--model", "models", multiple=True, help="A language model for `--only real`.")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1))
@click.option(
    "--photos", type=click.Path(path_type=Path, exists=True), help="An image folder; else photos are generated."
)
@click.option("--taxonomy", type=click.Path(path_type=Path, exists=True), help="Its taxonomy.")
@click.option("--size", default="small", show_default=True, help=f"The encoder: {', '.join(SIZES)}, or a directory.")
@click.option("--device", default="auto", show_default=True)
@click.option("--batch", default=64, show_default=True)
@click.option("--images", default=512, show_default=True, help="Generated photos.")
@click.option("--thingsvision", type=click.Path(path_type=Path, exists=True), help="A Python that has thingsvision.")
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), help="Where to work; default: a temporary one."
)
@click.option("--out", type=click.Path(path_type=Path), default=_RESULTS, help="Where the JSON goes.")
def main(only: str | None, models: tuple[str, ...], rounds: int, folder: Path | None, out: Path, **how: object) -> None:
    """Measure and print; the JSON holds medians, spreads and the machine."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        work = Path(scratch)
        photos, taxonomy = how["photos"], how["taxonomy"]
        if photos is None:
            photos, taxonomy = generate_photos(work / "photos", int(str(how["images"])))
        setting = Setting(
            work,
            Path(str(photos)),
            Path(str(taxonomy)),
            str(how["size"]),
            pick_device(str(how["device"])),
            int(str(how["batch"])),
            rounds,
            Path(str(how["thingsvision"])) if how["thingsvision"] else None,
        )
        found = []
        for ratio in _parts(only, setting, models):
            click.echo(ratio.line())
            found.append(ratio)
    out.mkdir(parents=True, exist_ok=True)
    name = f"extraction-{Path(setting.size).name}" if only == "extraction" else only or "all"
    path = out / f"{date.today()}-{name}-{setting.device.type}.json"
    said = {"only": only, "rounds": rounds, "size": Path(setting.size).name, "batch": setting.batch}
    record = {"date": str(date.today()), "options": said, "machine": machine(setting.device)}
    path.write_text(json.dumps({**record, "ratios": [asdict(ratio) for ratio in found]}, indent=1) + "\n")
    click.echo(path)


def _parts(only: str | None, setting: Setting, models: tuple[str, ...]) -> Iterator[Ratio]:
    if only in (None, "store"):
        yield from bench_store(setting.folder, setting.rounds)
    if only in (None, "extraction"):
        yield from bench_extraction(setting)
    if only in (None, "training"):
        yield from bench_training(setting.device, setting.folder, setting.rounds)
    if only in (None, "stack"):
        yield from bench_stack(setting.device, setting.folder, setting.rounds)
    if only in (None, "systems"):
        yield from bench_systems(setting.device, setting.folder, setting.rounds)
    if only == "grids":
        yield from bench_grids(setting.folder, setting.rounds)
    if only == "large":
        yield from bench_large(setting.device, setting.folder, setting.rounds)
    if only == "real":
        yield from bench_real(models, setting.device, setting.folder, setting.rounds)
    if only in (None, "memory"):
        yield bench_memory(setting.folder)


def generate_photos(folder: Path, n: int) -> tuple[Path, Path]:
    """Write smooth random pictures as 64-pixel JPEGs, the size of the photos that figures are given for."""
    rng = np.random.default_rng(0)
    (folder / "thing").mkdir(parents=True)
    for i in range(n):
        small = Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8))
        small.resize((64, 64), Image.Resampling.BICUBIC).save(folder / "thing" / f"{i:06d}.jpg", quality=90)
    taxonomy = folder.with_suffix(".tsv")
    taxonomy.write_text("folder\tleaf\thypernyms\nthing\tcup\tcontainer\n")
    return folder, taxonomy


def machine(device: torch.device) -> dict[str, object]:
    """Name the hardware and the versions."""
    info = Path("/proc/cpuinfo")
    names = [line.partition(": ")[2] for line in info.read_text().splitlines() if line.startswith("model name")]
    capability = torch.backends.cpu.get_cpu_capability()
    return {
        "cpu": f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores, {capability}",
        "bfloat16": {"amx": torch.cpu._is_amx_tile_supported(), "avx512": torch.cpu._is_avx512_bf16_supported()},
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "taxbench": __version__,
        "numerics": NUMERICS,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    main()
