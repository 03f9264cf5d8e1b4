"""`taxbench score`: every score of a record anew from its predictions."""

from pathlib import Path

import click

from taxbench.cli.options import json_option


@click.command("score")
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path))
@json_option
@click.pass_context
def command(ctx: click.Context, folders: tuple[Path, ...], as_json: bool) -> None:
    """Compute every score of the records below FOLDERS (default: results) anew from their predictions.

    Needs no model and writes nothing. Exits with 1 if a score differs or a record cannot be scored.
    """
    from taxbench.board.analysis.rescored import rescore_all, score_json, score_table
    from taxbench.util.text import plain_json

    records = rescore_all(folders or (Path("results"),))
    click.echo(plain_json(score_json(records)) if as_json else score_table(records))
    if not all(record.same for record in records):
        ctx.exit(1)
