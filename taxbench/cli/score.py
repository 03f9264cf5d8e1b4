"""`taxbench score`: every score of a record anew from its predictions."""

import json
from pathlib import Path

import click


@click.command("score")
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
@click.pass_context
def command(ctx: click.Context, folders: tuple[Path, ...], as_json: bool) -> None:
    """Compute every score of the records below FOLDERS (default: results) anew from their predictions.

    Needs no model and writes nothing. Exits with 1 if a score differs or a record cannot be scored.
    """
    from taxbench.board.analysis.rescored import rescore_all, score_json, score_table

    records = rescore_all(folders or (Path("results"),))
    click.echo(json.dumps(score_json(records), indent=1) if as_json else score_table(records))
    if not all(record.same for record in records):
        ctx.exit(1)
