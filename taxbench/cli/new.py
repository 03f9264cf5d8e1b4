"""`taxbench new`: a task file to start from."""

from pathlib import Path

import click

from taxbench.cli.completion import complete_task
from taxbench.cli.options import include_path


@click.command("new")
@click.argument("name")
@click.option("--extends", "parent", default="unseen_hypernym", show_default=True, metavar="TASK",
              shell_complete=complete_task, help="The task to begin from.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), default=".", show_default=True, help="The folder to write to.")
@include_path
def command(name: str, parent: str, out: Path, include: tuple[Path, ...]) -> None:
    """Write NAME.yaml, a short commented task that is valid as it stands."""
    from taxbench.tasks.registry import find_tasks
    from taxbench.tasks.scaffold import write_new_task

    path = write_new_task(name, parent, out, find_tasks(include))
    click.echo(f"Wrote {path}. Edit it, then type:")
    for line in ("validate {}", "show {}", "run --task {}"):
        click.echo(f"  taxbench {line.format(path)}")
