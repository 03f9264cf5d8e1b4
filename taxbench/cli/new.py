"""`taxbench new`: a file of a task or of a language to start from."""

from pathlib import Path
from typing import Any

import click

from taxbench.cli.completion import complete_task
from taxbench.cli.options import dataset_options, include_path


@click.command("new")
@click.argument("name")
@click.argument("code", required=False)
@click.option("--extends", "parent", default="unseen_hypernym", show_default=True, metavar="TASK",
              shell_complete=complete_task, help="The task to begin from.")  # fmt: skip
@click.option("--words", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="TAB",
              help="Of a language: a table of the Open Multilingual Wordnet; repeatable.")  # fmt: skip
@dataset_options
@click.option("--out", type=click.Path(path_type=Path), help="The folder to write to  [default: . or ./languages]")
@include_path
def command(
    name: str, code: str | None, parent: str, out: Path | None, include: tuple[Path, ...], **of_language: Any
) -> None:
    """Write NAME.yaml, a short commented task that is valid as it stands.

    'taxbench new language CODE' writes a language instead, with blanks for a person who speaks it to fill in. With
    --words it has what all of these tables call the leaves of the dataset, not reviewed, and fr_CODE all of fr beside
    it. Two tables agree better than one.
    """
    from taxbench.tasks.language_files import own_folder
    from taxbench.tasks.registry import find_tasks
    from taxbench.tasks.scaffold import check_code, write_new_language, write_new_task

    if name == "language" and code is not None:
        check_code(code, out or own_folder())
        words, source = _words(**of_language)
        path = write_new_language(code, out or own_folder(), words, source)
        lines: tuple[str, ...] = ("validate {}", f"run --set language={code}")
    elif code is None:
        if of_language["words"]:
            raise click.UsageError("--words are of a language: taxbench new language CODE --words TAB")
        path = write_new_task(name, parent, out or Path(), find_tasks(include))
        lines = ("validate {}", "show {}", "run --task {}")
    else:
        raise click.UsageError(f"Unexpected '{code}'. One name makes a task; 'language CODE' makes a language.")
    click.echo(f"Wrote {path}. Edit it, then type:")
    for line in lines:
        click.echo(f"  taxbench {line.format(path)}")


def _words(words: tuple[Path, ...], dataset: str, taxonomy: Path | None) -> tuple[dict[str, tuple[str, ...]], str]:
    """Return what tables call the leaves and hypernyms of a dataset, and what the tables are; nothing without any."""
    if not words:
        return {}, ""
    from taxbench.datasets.dataset import load_dataset
    from taxbench.taxonomy.multilingual import agreed_words

    table = load_dataset(dataset, taxonomy).taxonomy
    terms = dict.fromkeys((*table.hypernyms, *map(table.display_name, table.leaves)))
    found = agreed_words(terms, words)
    of_tables = f"all {len(words)} tables" if len(words) > 1 else "the table"
    click.echo(f"{len(found.words)} of {len(terms)} terms have a word in {of_tables}; none is reviewed.")
    return found.words, found.source
