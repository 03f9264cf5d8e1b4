"""Options that several verbs share."""

from pathlib import Path
from typing import Any

import click

from taxbench.cli.completion import complete_dataset, complete_device


class _Folder(click.Path):
    """A folder that has a name: click would read an empty one, of a shell variable that is not set, as the current."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse the empty name as an option's folder."""
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


def properties_option(command: Any) -> Any:
    """Add --properties."""
    return click.option(
        "--properties", type=click.Path(path_type=Path), metavar="FILE",
        help="TSV of leaf and a column a property, for property tasks; or lancaster, thingsplus:FILE, coda:FOLDER.",
    )(command)  # fmt: skip


def device_option(command: Any) -> Any:
    """Add --device."""
    return click.option(
        "--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 or mps.",
        shell_complete=complete_device,
    )(command)  # fmt: skip


def seed_option(command: Any) -> Any:
    """Add --seed."""
    return click.option(
        "--seed", type=click.IntRange(0), default=42, show_default=True, help="Seed of splits and draws."
    )(command)
