"""Options that several verbs share, and what completes task names in a shell."""

from glob import escape as glob_escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from taxbench.tasks.registry import TaskRegistry

_DEVICES = ("auto", "cpu", "cuda", "mps")


class _Folder(click.Path):
    """A folder that has a name: click would read an empty one, of a shell variable that is not set, as the current."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse the empty name."""
        if value == "":
            self.fail("the name of a folder is empty", param, ctx)
        return super().convert(value, param, ctx)


def include_path(command: Any) -> Any:
    """Add --include-path; the value is a tuple of folders named `include`."""
    return click.option(
        "--include-path", "include", multiple=True, type=_Folder(path_type=Path), metavar="DIR",
        help="A folder with more task files; repeatable.",
    )(command)  # fmt: skip


def dataset_options(command: Any) -> Any:
    """Add --dataset and --taxonomy."""
    for option in (
        click.option("--taxonomy", type=click.Path(path_type=Path), metavar="FILE",
                     help="TSV of folder, leaf, hypernyms for folder: and hf:, or 'wordnet'."),
        click.option("--dataset", default="pocket", show_default=True, metavar="NAME",
                     help="pocket, things, cifar100, folder:PATH or hf:NAME; see 'taxbench ls datasets'.",
                     shell_complete=complete_dataset),
    ):  # fmt: skip
        command = option(command)
    return command


def device_option(command: Any) -> Any:
    """Add --device."""
    return click.option(
        "--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 or mps.",
        shell_complete=lambda ctx, param, incomplete: _beginning(incomplete, dict.fromkeys(_DEVICES, "")),
    )(command)  # fmt: skip


def seed_option(command: Any) -> Any:
    """Add --seed."""
    return click.option(
        "--seed", type=click.IntRange(0), default=42, show_default=True, help="Seed of splits and draws."
    )(command)


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


def complete_model(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the alias of a language model; else a directory."""
    from taxbench.registry.models import lms

    return _beginning(incomplete, {name: spec.summary for name, spec in lms().items()}) or _directory(incomplete)


def complete_encoder(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the alias of an encoder; else a directory."""
    from taxbench.registry.models import encoders

    return _beginning(incomplete, {name: spec.summary for name, spec in encoders().items()}) or _directory(incomplete)


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


def tags_of(registry: "TaskRegistry") -> list[str]:
    """Return every tag, sorted."""
    lists = [*(task.tags for task in registry.tasks.values()), *(group.tags for group in registry.groups.values())]
    return sorted({tag for tags in lists for tag in tags})


def _beginning(incomplete: str, known: dict[str, str]) -> list[CompletionItem]:
    """Return the names that begin as typed as completion items, each with its summary."""
    return [CompletionItem(name, help=known[name] or None) for name in known if name.startswith(incomplete)]


def _directory(incomplete: str) -> list[CompletionItem]:
    """Return the completion item that has the shell complete a directory."""
    return [CompletionItem(incomplete, type="dir")]


def _registry(ctx: click.Context) -> "TaskRegistry":
    """Return the task registry whose names are completed, with the folders of --include-path."""
    from taxbench.tasks.registry import find_tasks

    return find_tasks(path for path in map(Path, ctx.params.get("include") or ()) if path.is_dir())
