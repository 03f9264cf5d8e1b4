"""`taxbench completion`: the script for a shell, and what completes the names that options and arguments take."""

from collections.abc import Callable
from glob import escape as glob_escape
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem, get_completion_class

if TYPE_CHECKING:
    from taxbench.tasks.registry import TaskRegistry

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
_DEVICES = ("auto", "cpu", "cuda", "mps")


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script, e.g. for bash: source <(taxbench completion bash)"""
    from taxbench.cli.main import cli

    script = get_completion_class(shell)
    assert script is not None
    click.echo(script(cli, {}, "taxbench", "_TAXBENCH_COMPLETE").source())


def complete_task(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the last of several task names separated by commas."""
    before, comma, _ = incomplete.rpartition(",")
    registry = _registry(ctx)
    said = {name: task.summary for name, task in registry.tasks.items()}
    said |= {name: group.summary for name, group in registry.groups.items()}
    return _beginning(incomplete, {f"{before}{comma}{name}": said[name] for name in sorted(said)})


def complete_tag(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a tag."""
    return _beginning(incomplete, dict.fromkeys(tags_of(_registry(ctx)), ""))


def _alias_of(registry: str) -> Completer:
    """Return what completes the last of several aliases of models; where none begins like that, a directory."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from taxbench.registry import models

        before, comma, _ = incomplete.rpartition(",")
        known = {f"{before}{comma}{name}": spec.summary for name, spec in getattr(models, registry)().items()}
        return _beginning(incomplete, known) or [CompletionItem(incomplete, type="dir")]

    return complete


complete_model, complete_encoder, complete_system = map(_alias_of, ("lms", "encoders", "systems"))


def complete_head(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the last of several heads separated by commas, or `all`."""
    from taxbench.registry.heads import heads
    from taxbench.runs.config import ALL

    before, comma, _ = incomplete.rpartition(",")
    said = {f"{before}{comma}{name}": summary for name, summary in heads().items()}
    return _beginning(incomplete, said | ({} if comma else {ALL: "Every head, in one table."}))


def complete_setting(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the key of a setting of the features, the trainer, or the head that is given."""
    from taxbench.registry.heads import heads
    from taxbench.registry.settings import settings

    head = ctx.params.get("head")
    known = settings(head if head in heads() else None)
    return _beginning(incomplete, {f"{each.name}=": each.summary for each in known})


def complete_dataset(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a dataset, and the folder after its colon."""
    from taxbench.datasets.known import known_datasets

    kind, colon, path = incomplete.partition(":")
    if not colon:
        return _beginning(incomplete, {name: entry.summary for name, entry in known_datasets().items()})
    above, slash, begun = path.rpartition("/")
    folders = sorted(Path(f"{above}{slash}" or ".").expanduser().glob(f"{glob_escape(begun)}*/"))
    return [CompletionItem(f"{kind}:{above}{slash}{folder.name}") for folder in folders]


def complete_device(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a device."""
    return _beginning(incomplete, dict.fromkeys(_DEVICES, ""))


def tags_of(registry: "TaskRegistry") -> list[str]:
    """Return every tag of the registry's tasks and groups, sorted."""
    lists = [*(task.tags for task in registry.tasks.values()), *(group.tags for group in registry.groups.values())]
    return sorted({tag for tags in lists for tag in tags})


def _beginning(incomplete: str, known: dict[str, str]) -> list[CompletionItem]:
    """Return the names that begin as typed as completion items, each with its summary."""
    return [CompletionItem(name, help=known[name] or None) for name in known if name.startswith(incomplete)]


def _registry(ctx: click.Context) -> "TaskRegistry":
    """Return the task registry whose names are completed, with the folders of --include-path."""
    from taxbench.tasks.registry import find_tasks

    return find_tasks(path for path in map(Path, ctx.params.get("include") or ()) if path.is_dir())
