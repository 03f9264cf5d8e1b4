"""What several verbs share: options, and groups that say what to type in place of an unknown verb."""

from pathlib import Path
from typing import Any

import click

from taxbench.cli.completion import complete_dataset, complete_device
from taxbench.util.errors import did_you_mean


class _Folder(click.Path):
    """A folder that has a name: click would read an empty one, of a shell variable that is not set, as the current."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse the empty name as an option's folder."""
        if value == "":
            self.fail("the name of a folder is empty", param, ctx)
        return super().convert(value, param, ctx)


class VerbGroup(click.Group):
    """A group of verbs that names the nearest one where an unknown one is typed."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb that is typed; fail with what to type where it is unknown."""
        verbs = self.list_commands(ctx)
        if args[0] not in verbs and not args[0].startswith("-"):
            typed = " ".join([*ctx.command_path.split()[1:], args[0]])
            ctx.fail(f"Unknown verb '{typed}'.{self.instead_of(ctx, args[0])} Verbs: {', '.join(verbs)}.")
        return super().resolve_command(ctx, args)

    def instead_of(self, ctx: click.Context, word: str) -> str:
        """Return the clause that says what to type in place of a word that is no verb."""
        return did_you_mean(word, self.list_commands(ctx))


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

include_path = click.option("--include-path", "include", multiple=True, type=_Folder(path_type=Path), metavar="DIR",
                            help="A folder with more task files; repeatable.")  # fmt: skip

taxonomy_option = click.option("--taxonomy", type=click.Path(path_type=Path), metavar="FILE",
                               help="TSV of folder, leaf, hypernyms for folder: and hf:, or 'wordnet'.")  # fmt: skip

properties_option = click.option(
    "--properties", type=click.Path(path_type=Path), metavar="FILE",
    help="TSV of leaf and a column a property, for property tasks; or lancaster, thingsplus:FILE, coda:FOLDER.",
)  # fmt: skip

device_option = click.option("--device", default="auto", show_default=True, shell_complete=complete_device,
                             help="auto, cpu, cuda, cuda:1 or mps.")  # fmt: skip

seed_option = click.option("--seed", type=click.IntRange(0), default=42, show_default=True,
                           help="Seed of splits and draws.")  # fmt: skip


def dataset_options(command: Any) -> Any:
    """Add --dataset and --taxonomy."""
    dataset = click.option(
        "--dataset", default="pocket", show_default=True, metavar="NAME", shell_complete=complete_dataset,
        help="pocket, things, cifar100, folder:PATH or hf:NAME; see 'taxbench ls datasets'.",
    )  # fmt: skip
    return dataset(taxonomy_option(command))
