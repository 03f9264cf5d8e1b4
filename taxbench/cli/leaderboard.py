"""`taxbench leaderboard`: the table of finished results."""

from pathlib import Path

import click

from taxbench.cli.options import include_path
from taxbench.errors import UsageError


@click.command("leaderboard")
@click.argument("folders", nargs=-1, type=click.Path())
@click.option("--format", "form", type=click.Choice(["md", "csv", "json"]), default="md", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@include_path
def command(folders: tuple[str, ...], include: tuple[Path, ...], form: str, as_json: bool) -> None:
    """Make the table from every result.json below FOLDERS (default: results)."""
    from taxbench.board.groups import group_rows
    from taxbench.board.published import compare_with_published
    from taxbench.board.render import csv_text, json_text, markdown
    from taxbench.board.table import make_table
    from taxbench.registry.tasks import find_tasks
    from taxbench.scoring.records import find_results, read_result

    paths = [Path(folder) for folder in folders or ("results",)]
    for path in paths:
        if not path.is_dir():
            raise UsageError(f"There is no folder '{path}'. Make results first: taxbench run --task unseen_hypernym")
    results = [read_result(path) for path in find_results(paths)]
    if not results:
        raise UsageError(f"No result.json below {', '.join(map(str, paths))}. Make one: taxbench run")
    rows, registry = make_table(results), find_tasks(include)
    if as_json or form == "json":
        click.echo(json_text(rows), nl=False)
    elif form == "csv":
        click.echo(csv_text(rows), nl=False)
    else:
        groups = group_rows(rows, registry.groups.values())
        click.echo(markdown(rows, groups, compare_with_published(rows, registry.tasks)), nl=False)
