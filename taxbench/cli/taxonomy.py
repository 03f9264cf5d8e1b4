"""`taxbench taxonomy`: a taxonomy from WordNet, for a person to edit."""

from pathlib import Path

import click

from taxbench.cli.options import json_option
from taxbench.util.errors import UsageError
from taxbench.util.paths import read_text
from taxbench.util.text import plain_json


@click.command("taxonomy")
@click.argument("leaves", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="FILE.tsv", help="The file to write.")
@click.option("--min-leaves", type=click.IntRange(1), default=5, show_default=True, help="Leaves under a hypernym.")
@click.option(
    "--min-depth", type=click.IntRange(0), default=4, show_default=True, help="Steps below 'entity', at least."
)
@click.option("--max-depth", type=click.IntRange(0), default=14, show_default=True, help="Steps below it, at most.")
@click.option("--wordnet", type=click.Path(path_type=Path), help="Folder of WordNet's dict files [default: 3.0].")
@click.option("--force", is_flag=True, help="Write over FILE.tsv if it is there.")
@json_option
def command(leaves: Path, out: Path, force: bool, as_json: bool, **limits: int | Path | None) -> None:
    """Find the hypernyms of LEAVES in WordNet and write them for a person to edit.

    LEAVES is a text file with one leaf a line, or an image folder (class folders, with or without train and test
    above). A leaf is a name, a WordNet name such as crow.n.01, or a number such as n01579028.
    """
    from taxbench.taxonomy.from_wordnet import wordnet_taxonomy
    from taxbench.taxonomy.taxonomy import write_taxonomy

    if out.exists() and leaves.exists() and out.samefile(leaves):
        raise UsageError(f"'{out}' is what the leaves are read from. Choose another --out.")
    if out.exists() and not force:
        raise UsageError(f"'{out}' is there already. Choose another --out, or write over it with --force.")
    if limits["min_depth"] > limits["max_depth"]:  # type: ignore[operator]
        raise UsageError(
            f"No hypernym is at least {limits['min_depth']} and at most {limits['max_depth']} steps below 'entity'. "
            "Lower --min-depth or raise --max-depth."
        )
    made = wordnet_taxonomy(_names(leaves), **limits)  # type: ignore[arg-type]
    write_taxonomy(out, made)
    groups = made.taxonomy.leaves_of
    if as_json:
        found = {"out": out, "leaves": len(made.taxonomy.leaves), "hypernyms": groups, "notes": made.notes}
        click.echo(plain_json(found))
        return
    for note in made.notes:
        click.echo(note)
    for hypernym in sorted(groups, key=lambda name: (-len(groups[name]), name)):
        click.echo(f"{len(groups[hypernym]):5d}  {hypernym}")
    click.echo(
        f"Wrote {out}: {len(made.taxonomy.leaves)} leaves under {len(groups)} hypernyms. Review and correct it, "
        "then type:\n"
        f"  taxbench run --dataset folder:{leaves if leaves.is_dir() else 'PATH'} --taxonomy {out}"
    )


def _names(leaves: Path) -> list[str]:
    """Read the leaves from a text file or the class folders of an image folder."""
    from taxbench.datasets.folder import class_names
    from taxbench.taxonomy.tables import normal

    if leaves.is_dir():
        return class_names(leaves)
    if not leaves.exists():
        raise UsageError(
            f"No such file or folder: '{leaves}'. Expected a text file with one leaf a line, or an image folder."
        )
    lines = normal(read_text(leaves)).splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]
