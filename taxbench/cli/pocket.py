"""`taxbench pocket`: look at the embedded default, measure it, or make its weights anew."""

from pathlib import Path

import click

from taxbench.cli.options import VerbGroup


@click.group("pocket", cls=VerbGroup)
def command() -> None:
    """Look at the embedded default, measure it, or train its models again."""


@command.command("sheet")
@click.option("--out", type=click.Path(dir_okay=False), default="pocket.png", show_default=True)
@click.option("--per-concept", type=click.IntRange(1, 40), default=6, show_default=True)
def sheet(out: str, per_concept: int) -> None:
    """Write a contact sheet of the pictures for people to look at, as PNG."""
    from taxbench.pocket.concepts import CONCEPT_NAMES
    from taxbench.pocket.sheet import contact_sheet
    from taxbench.util.paths import replacing

    with replacing(Path(out)) as partial:
        contact_sheet(CONCEPT_NAMES, per_concept).save(partial, "PNG")
    click.echo(out)


@command.command("figures")
@click.argument("part", type=click.Choice(["encoder", "lm"]))
@click.option("--model", default="pocket", show_default=True, help="The language model: an alias, or a folder.")
def figures(part: str, model: str) -> None:
    """Measure the encoder (linear probe) or the language model (text only: hypernyms, then properties)."""
    from taxbench.pocket.train.probe import encoder_figures, lm_figures

    for what, values in encoder_figures() if part == "encoder" else lm_figures(model):
        click.echo(f"{what:<70} " + "  ".join(f"{name} {value:.3f}" for name, value in values.items()))


@command.command("train-encoder")
@click.argument("folder", type=click.Path(file_okay=False))
@click.option("--steps", type=click.IntRange(1), help="Fewer or more steps than the shipped weights had.")
def train_encoder(folder: str, steps: int | None) -> None:
    """Train the encoder on rendered pictures, without labels, and write it to FOLDER."""
    from taxbench.pocket.train.encoder import EncoderTraining
    from taxbench.pocket.train.encoder import train_encoder as train
    from taxbench.util.paths import cache_folder

    click.echo(train(Path(folder), EncoderTraining(steps=steps) if steps else EncoderTraining(), cache_folder()))


@command.command("train-clip")
@click.argument("folder", type=click.Path(file_okay=False))
@click.option("--steps", type=click.IntRange(1), help="Fewer or more steps than the shipped weights had.")
def train_clip(folder: str, steps: int | None) -> None:
    """Train a text tower beside the encoder, on captions of rendered pictures, and write both to FOLDER."""
    from taxbench.pocket.train.clip import ClipTraining
    from taxbench.pocket.train.clip import train_clip as train
    from taxbench.util.paths import cache_folder

    click.echo(train(Path(folder), ClipTraining(steps=steps) if steps else ClipTraining(), cache_folder()))


@command.command("train-lm")
@click.argument("folder", type=click.Path(file_okay=False))
@click.option("--steps", type=click.IntRange(1), help="Fewer or more steps than the shipped weights had.")
@click.option("--language", metavar="CODE", help="Add a second language to known weights, such as de.")
@click.option("--parts", is_flag=True, help="Add what WordNet says of parts, materials and manner to known weights.")
@click.option("--known", metavar="MODEL", help="Those weights: an alias, or a folder.  [default: pocket]")
def train_lm(folder: str, steps: int | None, language: str | None, parts: bool, known: str | None) -> None:
    """Train the language model on WordNet's text and write it to FOLDER; an interrupted training goes on."""
    if language and parts:
        raise click.UsageError("--language and --parts: expected one of them at a time.")
    if known and not (language or parts):
        raise click.UsageError("--known: weights to which --language or --parts adds something. Name one of these.")
    from taxbench.pocket.train.lm import Settings, adding_settings
    from taxbench.pocket.train.lm import train_lm as train

    settings = Settings(steps=steps) if steps else Settings()
    if language or parts:
        settings = adding_settings(language or "", steps, known or "pocket")
    train(Path(folder), settings)
    click.echo(folder)
