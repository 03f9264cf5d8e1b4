"""`taxbench doctor`: what this machine, and the folders that runs share, can do."""

import json
from dataclasses import asdict
from pathlib import Path

import click

_COLOURS = {"good": "green", "note": "yellow", "bad": "red"}


@click.command("doctor")
@click.option("--shared", type=click.Path(path_type=Path), metavar="DIR",
              help="A folder that several processes or machines are to share [default: the cache].")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(ctx: click.Context, shared: Path | None, as_json: bool) -> None:
    """Say what this machine computes with, and whether a folder may be shared; exit code 1 where it may not."""
    from taxbench.runs.doctor import examine_folder, examine_machine
    from taxbench.util.paths import cache_folder

    found = [*examine_machine(), *examine_folder(cache_folder(shared))]
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found], indent=1))
    else:
        for each in found:
            click.echo(
                f"{click.style(each.state.ljust(4), fg=_COLOURS[each.state])}  {each.what.ljust(12)} {each.text}"
            )
    if any(each.state == "bad" for each in found):
        ctx.exit(1)
