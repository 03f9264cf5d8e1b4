"""`taxbench analyze`: what generalisation goes with, visual similarity or knowledge from text."""

from pathlib import Path

import click

from taxbench.util.errors import UsageError


@click.command("analyze")
@click.argument("places", nargs=-1, type=click.Path(path_type=Path), metavar="[FOLDERS or CSV]...")
@click.option("--published", is_flag=True, help="The published table of the paper.")
@click.option("--pairing", metavar="NAME",
              help="original, within_category, across_category or all  [default: original, then all]")  # fmt: skip
@click.option("--system", "systems", multiple=True, metavar="NAME", help="Only this system; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print every coefficient as JSON.")
def command(
    places: tuple[Path, ...], published: bool, pairing: str | None, systems: tuple[str, ...], as_json: bool
) -> None:
    """Regress F1 of hypernyms on visual similarity and on what the LM knows from text alone.

    Errors are clustered by hypernym. Read are the results below FOLDERS (default: results) of tasks that deny all
    hypernyms, as unseen_hypernym, counterfactual_high and counterfactual_low do, or a table laid out as the published
    one.
    """
    from taxbench.board.analysis.generalisation import analyse, published_table
    from taxbench.board.analysis.generalisation_text import analysis_text
    from taxbench.util.text import plain_json

    if published and places:
        raise UsageError("--published reads the published table and takes no folders. Leave one of them out.")
    found = analyse([published_table()] if published else list(places) or [Path("results")], pairing, systems)
    click.echo(plain_json(found) if as_json else analysis_text(found), nl=as_json)
