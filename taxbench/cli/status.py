"""`taxbench status`: how far the runs of a folder of results are."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from taxbench.cli.options import json_option
from taxbench.runs.run_options import Options
from taxbench.util.text import duration, plain_json

if TYPE_CHECKING:
    from taxbench.runs.status import ProcessStatus


@click.command("status")
@click.argument("out", default=Options.out, type=click.Path(path_type=Path))
@json_option
def command(out: Path, as_json: bool) -> None:
    """Say what is done, what runs where, what failed and why, and how long the rest takes.

    OUT is the --out of runs; it is only read, from any terminal or machine that sees it.
    """
    from taxbench.results.records import find_results
    from taxbench.runs.status import grids_of

    grids = grids_of(out)
    records = len(find_results([out]))
    if as_json:
        click.echo(plain_json({"records": records, "grids": grids}))
        return
    click.echo(f"{out}: {records} records, {len(grids)} commands under way or not finished.")
    for grid in grids:
        left = f", about {duration(grid.seconds_left)} left" if grid.seconds_left else ""
        click.secho(f"\n{grid.command}", bold=True)
        click.echo(f"  {grid.done} of {grid.total} runs done{left}")
        for process in grid.processes:
            click.echo(f"  {process.host} process {process.pid}: {_said(process)}")
        for why in grid.failed:
            click.secho(f"  failed: {why}", fg="red")


def _said(process: "ProcessStatus") -> str:
    """Say what a process is doing."""
    import time

    ago = duration(time.time() - process.updated)
    if process.is_silent:
        return f"no sign of life for {ago}; type its command again to go on"
    if process.state != "running":
        return f"{process.state} {ago} ago; its command goes on from there"
    works = [
        f"{work.label} {work.done / work.total:.0%}"
        + (f", {duration(work.seconds_left)} left" if work.seconds_left is not None else "")
        for work in process.now
        if work.total
    ]
    return "; ".join(works) or "at work"
