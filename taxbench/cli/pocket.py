"""`taxbench pocket`: look at the embedded default, or make its weights anew."""

from pathlib import Path

import click


@click.group("pocket")
def command() -> None:
    """Look at the embedded pictures, or train the embedded encoder and language model again."""


@command.command("sheet")
@click.option("--out", type=click.Path(dir_okay=False), default="pocket.png", show_default=True)
@click.option("--per-concept", type=click.IntRange(1, 40), default=6, show_default=True)
def sheet(out: str, per_concept: int) -> None:
    """Write a contact sheet of the pictures for people to look at."""
    from taxbench.pocket.concepts import CONCEPT_NAMES
    from taxbench.pocket.sheet import contact_sheet

    contact_sheet(CONCEPT_NAMES, per_concept).save(Path(out))
    click.echo(out)
