"""`taxbench schema`: the JSON Schema of what is on disk."""

import json

import click


@click.command("schema")
@click.argument("kind", type=click.Choice(["task", "language", "run", "result"]), default="task")
def command(kind: str) -> None:
    """Print the JSON Schema of a task, language or run file, or a result.json; editors complete files by it.

    With the YAML language server, the first line of a task is then: # yaml-language-server: $schema=task.schema.json
    """
    if kind == "task":
        from taxbench.tasks.schema import task_file_schema as schema
    elif kind == "language":
        from taxbench.tasks.language_files import language_schema as schema
    elif kind == "run":
        from taxbench.runs.run_file import run_file_schema as schema
    else:
        from taxbench.specs.result import result_schema as schema

    click.echo(json.dumps(schema(), indent=1))
