"""`taxbench doctor`: what this machine, and the folders that runs share, can do."""

from pathlib import Path

import click

from taxbench.cli.options import json_option

_COLOURS = {"good": "green", "note": "yellow", "bad": "red"}


@click.command("doctor")
@click.option("--shared", type=click.Path(path_type=Path), metavar="DIR",
              help="A folder that several processes or machines are to share [default: the cache].")  # fmt: skip
@json_option
@click.pass_context
def command(ctx: click.Context, shared: Path | None, as_json: bool) -> None:
    """Say what this machine computes with, and whether a folder may be shared; exit code 1 where it may not."""
    from taxbench.runs.doctor import examine_folder, examine_machine
    from taxbench.util.paths import cache_folder
    from taxbench.util.text import plain_json

    found = [*examine_machine(), *examine_folder(cache_folder(shared))]
    if as_json:
        click.echo(plain_json(found))
    for each in found if not as_json else ():
        click.echo(f"{click.style(f'{each.state:4}', fg=_COLOURS[each.state])}  {each.what:12} {each.text}")
    if any(each.state == "bad" for each in found):
        ctx.exit(1)
