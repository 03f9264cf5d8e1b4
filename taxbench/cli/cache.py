"""`taxbench cache`: look at cached features, check them, clean up, and exchange them with other programs."""

import shlex
from pathlib import Path
from typing import Any

import click

from taxbench.cli.options import VerbGroup, dataset_options, json_option
from taxbench.util.paths import cache_folder
from taxbench.util.progress import Reporter
from taxbench.util.text import plain_json

_cache = click.option("--cache", type=click.Path(path_type=Path), help="The cache folder.")


@click.group("cache", cls=VerbGroup)
def command() -> None:
    """Look at, verify, clean, import and export cached features.

    KEY is the beginning of an entry's name, as 'taxbench cache ls' shows it, or imported:NAME.
    """


@command.command("ls")
@_cache
@json_option
def ls(cache: Path | None, as_json: bool) -> None:
    """List the entries."""
    from taxbench.features.store.index import describe, entries

    folder = cache_folder(cache)
    found = [describe(entry) for entry in entries(folder)]
    if as_json:
        click.echo(plain_json(found))
        return
    for entry in found:
        click.echo(entry.line())
    if found:
        click.echo(f"In {folder}", err=True)
    else:
        click.echo(f"No features in '{folder}'. 'taxbench extract' puts some there.")


@command.command("info")
@click.argument("key")
@_cache
@json_option
def info(key: str, cache: Path | None, as_json: bool) -> None:
    """Show everything that is known of an entry: its key, layout, origin, and images without features."""
    from taxbench.features.store.index import describe, find_entry
    from taxbench.specs.feature_key import flatten

    entry = find_entry(cache_folder(cache), key)
    found, manifest = describe(entry), entry.manifest.model_dump(mode="json")
    if as_json:
        click.echo(plain_json(found, manifest=manifest))
        return
    for name, value in flatten({**found.model_dump(mode="json"), **manifest}).items():
        click.echo(f"{name:<28} {value}")


@command.command("verify")
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("--sample", type=click.IntRange(0), default=32, show_default=True, help="Images to encode again.")
@click.option("--device", default="auto", show_default=True, help="Where to encode them.")
@_cache
@json_option
def verify(keys: tuple[str, ...], sample: int, device: str, cache: Path | None, as_json: bool) -> None:
    """Check every block of entries (default: all), then encode a sample of images again and compare.

    Exits with 1 if anything is damaged or differs by more than rounding.
    """
    from taxbench.features.store.index import entries, find_entry
    from taxbench.runs.feature_cache import verify as check

    folder = cache_folder(cache)
    chosen = [find_entry(folder, key) for key in keys] or [entry for entry in entries(folder) if entry.complete]
    found = [check(entry, device, sample) for entry in chosen]
    lines = [each.line() for each in found] or [f"No features in '{folder}'."]
    click.echo(plain_json(found) if as_json else "\n".join(lines))
    if not all(each.good for each in found):
        click.get_current_context().exit(1)


@command.command("gc")
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("--incomplete", is_flag=True, help="Remove unfinished extractions too, though they could be resumed.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@_cache
@json_option
def gc(keys: tuple[str, ...], incomplete: bool, dry_run: bool, cache: Path | None, as_json: bool) -> None:
    """Remove the entries named; without KEY, only what no run can use."""
    from taxbench.features.store.index import collect

    found = collect(cache_folder(cache), keys, incomplete, dry_run)
    if as_json:
        click.echo(plain_json(found))
        return
    for stray in found:
        click.echo(f"{'would remove' if dry_run else 'removed'} {stray.path} ({stray.reason})")
    click.echo(f"{sum(stray.size for stray in found) / 2**20:.1f} MB {'to free' if dry_run else 'freed'}")


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="They are then found as --encoder imported:NAME.")
@dataset_options
@click.option("--ids", type=click.Path(path_type=Path), help="One image id a line, if the file holds no 'ids'.")
@click.option("--storage", type=click.Choice(["float16", "bfloat16"]), default="float16", show_default=True)
@_cache
@json_option
@click.pass_obj
def import_(report: Reporter, /, file: Path, ids: Path | None, cache: Path | None, as_json: bool, **how: Any) -> None:
    """Import features from FILE: npy, npz, pt, safetensors or HDF5, rows (n, f) or (n, t, f)."""
    from taxbench.datasets.dataset import load_dataset
    from taxbench.features.formats import FeatureFile
    from taxbench.features.imported import ImportAs, import_features
    from taxbench.features.store.index import describe
    from taxbench.runs.inputs import origin_of

    where = how["dataset"], how["taxonomy"]
    dataset, options = load_dataset(*where), ImportAs(how["name"], how["storage"], origin_of(*where))
    found = describe(import_features(FeatureFile(file, ids), options, dataset, cache_folder(cache), report))
    words = ["--encoder", f"imported:{how['name']}", "--dataset", where[0]]
    words += ["--taxonomy", str(where[1])] if where[1] else []
    then = f"Run with it: taxbench run {shlex.join(words)}"
    click.echo(plain_json([found]) if as_json else f"{found.line()}\n{then}")


@command.command("export")
@click.argument("key")
@click.argument("file", type=click.Path(path_type=Path))
@_cache
@json_option
def export(key: str, file: Path, cache: Path | None, as_json: bool) -> None:
    """Write an entry to FILE: .npy (ids in a text file beside it) or .safetensors."""
    from taxbench.features.formats import write_features
    from taxbench.features.store.index import find_entry, open_entry

    written = write_features(open_entry(find_entry(cache_folder(cache), key)), file)
    click.echo(plain_json(written) if as_json else "\n".join(map(str, written)))
