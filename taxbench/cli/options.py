"""Options that several verbs share, and what completes task names in a shell."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from taxbench.registry.tasks import TaskRegistry


def include_path(command: Any) -> Any:
    """Add --include-path; the value is a tuple of folders named `include`."""
    return click.option(
        "--include-path", "include", multiple=True, type=click.Path(path_type=Path), metavar="DIR",
        help="A folder with more task files; repeatable.",
    )(command)  # fmt: skip


def dataset_options(command: Any) -> Any:
    """Add --dataset and --taxonomy."""
    for option in (
        click.option("--taxonomy", type=click.Path(path_type=Path), metavar="FILE",
                     help="TSV of folder, leaf, hypernyms for folder: and hf:, or 'wordnet'."),
        click.option("--dataset", default="pocket", show_default=True, metavar="NAME",
                     help="pocket, things, cifar100, folder:PATH or hf:NAME; see 'taxbench ls datasets'."),
    ):  # fmt: skip
        command = option(command)
    return command


def seed_option(command: Any) -> Any:
    """Add --seed."""
    return click.option(
        "--seed", type=click.IntRange(0), default=42, show_default=True, help="Seed of splits and draws."
    )(command)


def complete_task(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the last of several task names separated by commas."""
    before, comma, begun = incomplete.rpartition(",")
    registry = _registry(ctx)
    said = {name: task.summary for name, task in registry.tasks.items()}
    said |= {name: group.summary for name, group in registry.groups.items()}
    return [
        CompletionItem(f"{before}{comma}{name}", help=said[name]) for name in sorted(said) if name.startswith(begun)
    ]


def _registry(ctx: click.Context) -> "TaskRegistry":
    from taxbench.registry.tasks import find_tasks

    return find_tasks(path for path in map(Path, ctx.params.get("include") or ()) if path.is_dir())
