"""`taxbench new`: a file of a task or of a language to start from."""

from pathlib import Path

import click

from taxbench.cli.completion import complete_task
from taxbench.cli.options import include_path


@click.command("new")
@click.argument("name")
@click.argument("code", required=False)
@click.option("--extends", "parent", default="unseen_hypernym", show_default=True, metavar="TASK",
              shell_complete=complete_task, help="The task to begin from.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), help="The folder to write to  [default: . or ./languages]")
@include_path
def command(name: str, code: str | None, parent: str, out: Path | None, include: tuple[Path, ...]) -> None:
    """Write NAME.yaml, a short commented task that is valid as it stands.

    'taxbench new language CODE' writes a language instead, with blanks for a person who speaks it to fill in.
    """
    from taxbench.tasks.language_files import own_folder
    from taxbench.tasks.registry import find_tasks
    from taxbench.tasks.scaffold import write_new_language, write_new_task

    if name == "language" and code is not None:
        path = write_new_language(code, out or own_folder())
        lines: tuple[str, ...] = ("validate {}", f"run --set language={code}")
    elif code is None:
        path = write_new_task(name, parent, out or Path(), find_tasks(include))
        lines = ("validate {}", "show {}", "run --task {}")
    else:
        raise click.UsageError(f"Unexpected '{code}'. One name makes a task; 'language CODE' makes a language.")
    click.echo(f"Wrote {path}. Edit it, then type:")
    for line in lines:
        click.echo(f"  taxbench {line.format(path)}")
