"""`taxbench validate`: check task files, all mistakes at once."""

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from taxbench.cli.options import dataset_options, include_path, json_option, properties_option, seed_option
from taxbench.util.errors import TaxbenchError
from taxbench.util.text import plain_json


@click.command("validate")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
@click.option("--lock", is_flag=True, help="Add the versions that lock.json of the folders lacks; none is changed.")
@click.option(
    "--data", is_flag=True, help="Check the questions that a dataset makes of them as well; so does naming one."
)
@dataset_options
@properties_option
@seed_option
@include_path
@json_option
def command(paths: tuple[Path, ...], lock: bool, data: bool, as_json: bool, **how: Any) -> None:
    """Check task files and folders of them [default: everything 'taxbench ls tasks' lists].

    Exits with 1 if there is an error. A folder with a lock.json is also checked against it: a task's content may change
    only when its version does.
    """
    from taxbench.tasks.diagnostics import errors
    from taxbench.tasks.validation import validate

    found, no_data = validate(paths, how["include"]), None
    source = click.get_current_context().get_parameter_source
    if data or any(source(name) is ParameterSource.COMMANDLINE for name in ("dataset", "taxonomy", "properties")):
        from taxbench.datasets.dataset import load_dataset
        from taxbench.protocol.task_checks import check_tasks

        try:
            dataset = load_dataset(how["dataset"], how["taxonomy"], how["properties"])
            found.add(check_tasks(found.sound, dataset, how["seed"]))
        except TaxbenchError as error:  # said after what was found in the files
            no_data = error
    added = found.lock() if lock else {}
    if as_json:
        click.echo(plain_json(found.as_json(), locked={str(path): n for path, n in added.items()}))
    else:
        for finding in found.findings:
            click.echo(str(finding))
        for path, n in added.items():
            click.echo(f"{path}: {n} added")
        if no_data is None or found.findings:  # else there is more to say than that there is no problem
            click.echo(found.summary())
    if no_data is not None:
        raise no_data
    if errors(found.findings):
        click.get_current_context().exit(1)
