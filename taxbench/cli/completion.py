"""`taxbench completion`: the script that completes verbs and options in a shell."""

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script, e.g. for bash: source <(taxbench completion bash)"""
    from taxbench.cli.main import cli

    script = get_completion_class(shell)
    assert script is not None
    click.echo(script(cli, {}, "taxbench", "_TAXBENCH_COMPLETE").source())
