"""`taxbench schema`: the JSON Schema of a task file."""

import json

import click


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of a task file, so that an editor completes and checks its fields.

    With the YAML language server, the first line of a task is then: # yaml-language-server: $schema=task.schema.json
    """
    from taxbench.registry.schema import task_file_schema

    click.echo(json.dumps(task_file_schema(), indent=1))
