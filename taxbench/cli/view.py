"""`taxbench view`: right and wrong answers with their pictures, on a page to open in a browser."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from taxbench.cli.completion import complete_dataset, complete_encoder, complete_model
from taxbench.cli.options import json_option, properties_option
from taxbench.util.progress import Reporter
from taxbench.util.text import plain_json


@click.command("view")
@click.argument("places", nargs=-1, required=True, metavar="RESULT...", type=click.Path(path_type=Path))
@click.option("--out", default=Path("view.html"), show_default=True, type=click.Path(path_type=Path), metavar="FILE",
              help="The page to write.")  # fmt: skip
@click.option("--embed", is_flag=True, help="Put pictures that are files into the page, and not links to them.")
@click.option(
    "--inside",
    is_flag=True,
    help="Load the trained heads, and show which words their soft tokens are near to and where they look.",
)
@click.option("--dataset", metavar="NAME", shell_complete=complete_dataset,
              help="Where the pictures are, if they have moved; as for run.")  # fmt: skip
@click.option("--taxonomy", type=click.Path(path_type=Path), metavar="FILE", help="As for run.")
@click.option(
    "--model",
    metavar="NAME",
    shell_complete=complete_model,
    help="With --inside, what the LM, or the system, is called here, if it is a directory.",
)
@click.option("--encoder", metavar="NAME", shell_complete=complete_encoder, help="The same of the encoder.")
@click.option("--device", metavar="NAME", help="With --inside, as for run [default: the kind that the record names].")
@properties_option
@click.option("--cache", type=click.Path(path_type=Path), metavar="DIR", help="The cache that the runs used.")
@json_option
@click.pass_obj
def command(report: Reporter, /, places: tuple[Path, ...], out: Path, as_json: bool, **given: Any) -> None:
    """Write one HTML page with every answer of RESULT..., folders or result.json files, and open it in a browser.

    It works offline and filters by split, term, leaf, margin, and right or wrong; it puts two results, or a head and a
    control, side by side; and it counts which leaves are confused with which terms. Pictures that are files are linked
    where they lie; others, such as the drawings of pocket, are in the page. How losses fell in training is drawn where
    the record has it; with --inside the heads are loaded from the cache of the runs, through their language models.
    """
    from taxbench.board.answers_view import write_view
    from taxbench.runs.run_options import NamesHere

    here = NamesHere(**{each.name: given[each.name] for each in fields(NamesHere)})
    written = write_view(places, out, given["embed"], given["inside"], here, report)
    said = {"page": str(out), "results": written, "bytes": out.stat().st_size}
    click.echo(plain_json(said) if as_json else out.resolve().as_uri())
