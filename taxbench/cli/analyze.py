"""`taxbench analyze`: what generalisation goes with, and what property tasks say of leaves, names and pictures."""

from pathlib import Path
from typing import Any

import click

from taxbench.cli.options import dataset_options, properties_option
from taxbench.util.errors import UsageError


@click.command("analyze")
@click.argument("places", nargs=-1, type=click.Path(path_type=Path), metavar="[FOLDERS or CSV]...")
@click.option("--published", is_flag=True, help="The published table of the paper.")
@click.option("--pairing", metavar="NAME",
              help="original, within_category, across_category or all  [default: original, then all]")  # fmt: skip
@click.option("--system", "systems", multiple=True, metavar="NAME", help="Only this system; repeatable.")
@click.option("--physical", is_flag=True, help="What property tasks say, in the place of the regressions.")
@click.option(
    "--languages", is_flag=True, help="How much is there in other languages, in the place of the regressions."
)
@dataset_options
@properties_option
@click.option("--json", "as_json", is_flag=True, help="Print every coefficient as JSON.")
def command(
    places: tuple[Path, ...], published: bool, pairing: str | None, systems: tuple[str, ...], physical: bool,
    as_json: bool, **how: Any,
) -> None:  # fmt: skip
    """Regress F1 of hypernyms on visual similarity and on what the LM knows from text alone.

    Errors are clustered by hypernym. Read are the results below FOLDERS (default: results) of tasks that deny all
    hypernyms, as unseen_hypernym, counterfactual_high and counterfactual_low do, or a table laid out as the published
    one.

    With --physical, of tasks about properties: AUROC and transfer by wording, correlations with numbers, and whether
    answers follow the name or the picture after a re-pairing. Datasets are loaded for that: 'pocket' always, and the
    one that --dataset names.

    With --languages, of runs that differ in their languages: AUROC paired with that in English, and the share of its
    transfer that each keeps.
    """
    if physical:
        _physical(places, how, as_json)
        return
    if how["languages"]:
        _languages(places, as_json)
        return
    from taxbench.board.analysis.generalisation import analyse, published_table
    from taxbench.board.analysis.generalisation_text import analysis_text
    from taxbench.util.text import plain_json

    if published and places:
        raise UsageError("--published reads the published table and takes no folders. Leave one of them out.")
    found = analyse([published_table()] if published else list(places) or [Path("results")], pairing, systems)
    click.echo(plain_json(found) if as_json else analysis_text(found), nl=as_json)


def _physical(places: tuple[Path, ...], how: dict[str, Any], as_json: bool) -> None:
    """Print what property tasks say."""
    from taxbench.board.analysis.physical import physical
    from taxbench.board.analysis.physical_text import physical_text
    from taxbench.board.load import load_records
    from taxbench.datasets.dataset import Dataset, load_dataset
    from taxbench.util.text import plain_json

    def load(name: str) -> Dataset:
        if name == "pocket" and how["dataset"] == name:
            return load_dataset(name, None, how["properties"])
        dataset = load_dataset(how["dataset"], how["taxonomy"], how["properties"])
        if dataset.name != name:
            raise UsageError(f"the dataset '{name}' is not at hand. Name it: --dataset {name.partition(':')[0]}:PATH")
        return dataset

    found = physical(load_records(list(places) or [Path("results")]), load)
    click.echo(plain_json(found) if as_json else physical_text(found), nl=as_json)


def _languages(places: tuple[Path, ...], as_json: bool) -> None:
    """Print how much is there in other languages."""
    from taxbench.board.analysis.languages import compare_languages
    from taxbench.board.analysis.languages_text import languages_text
    from taxbench.board.load import load_records
    from taxbench.util.text import plain_json

    found = compare_languages(load_records(list(places) or [Path("results")]))
    click.echo(plain_json(found) if as_json else languages_text(found), nl=as_json)
