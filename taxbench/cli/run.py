"""`taxbench run`: train heads, ask them, and print the table."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from taxbench.cli.completion import (
    complete_device,
    complete_encoder,
    complete_head,
    complete_model,
    complete_setting,
    complete_system,
    complete_task,
)
from taxbench.cli.options import dataset_options, include_path, json_option, properties_option
from taxbench.runs.config import DTYPES, ENGINES, RunConfig, resolve
from taxbench.runs.run_options import Options
from taxbench.util.progress import Reporter
from taxbench.util.text import plain_json

if TYPE_CHECKING:
    from taxbench.specs.result import Result

_DEFAULT = Options()


def run_options(command: Any) -> Any:
    """Add the run file and all options that say what to run."""
    for option in reversed((
        click.argument("file", required=False, metavar="[RUN.yaml]", type=click.Path(path_type=Path)),
        _usual("task", "Tasks, groups or YAML files, by commas.", shell_complete=complete_task),
        include_path,
        _usual("model", "Frozen LMs: aliases, directories, GGUF files, hub ids.", shell_complete=complete_model),
        _usual("encoder", "Encoders: aliases, directories, hub ids.", shell_complete=complete_encoder),
        dataset_options,
        properties_option,
        click.option("--system", default=_DEFAULT.system, shell_complete=complete_system,
                     help="Whole systems, instead of model, encoder and head: aliases, directories, hub ids."),
        _usual("head", "Mappings by commas, or 'all'; see 'taxbench ls heads'.", shell_complete=complete_head),
        _usual("seeds", "Seeds, by commas; the paper's: 42,218,7."),
        _usual("engine", "local, or ray: the cluster at RAY_ADDRESS, else the GPUs of this machine.",
               type=click.Choice(ENGINES)),
        _usual("dtype", "What LMs compute in: auto, float32, bfloat16 or float16.", type=click.Choice(DTYPES)),
        _usual("device", "auto, cpu, cuda, cuda:1 or mps; by commas several.", shell_complete=complete_device),
        click.option("--cache", type=click.Path(),
                     help="Where features are kept [default: TAXBENCH_CACHE, or a standard place]."),
        _usual("out", "Where results are written.", type=click.Path()),
        click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", shell_complete=complete_setting,
                     help="A setting, or several values by commas; see 'taxbench ls settings'."),
        click.option("--limit", type=int, metavar="N", help="Use N images of each leaf and split, for a first look; "
                     "such results are marked, and go on no board."),
    )):  # fmt: skip
        command = option(command)
    return command


def _usual(name: str, text: str, **more: Any) -> Any:
    """Return an option that shows its default."""
    return click.option(f"--{name}", default=getattr(_DEFAULT, name), show_default=True, help=text, **more)


def config_from(file: Path | None, options: dict[str, Any]) -> RunConfig:
    """Return what the options of a command line ask for; of a run file, with those that were typed in their place."""
    if file is None:
        return resolve(Options(**options))
    from taxbench.runs.run_file import resolve_file

    ctx = click.get_current_context()
    typed = {name: value for name, value in options.items()
             if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE}  # fmt: skip
    return resolve_file(file, typed)


@click.command("run")
@run_options
@json_option
@click.pass_obj
def command(report: Reporter, /, file: Path | None, as_json: bool, **options: Any) -> None:
    """Train a head on leaf questions through a frozen LM, ask it hypernyms, and print the scores.

    Features are extracted once and cached. Finished runs are kept in --out and not repeated, so an interrupted command
    goes on where it stopped. RUN.yaml holds the same options, with lists for several values (taxbench schema run);
    what is typed beside it stands in place of its own.
    """
    config = config_from(file, options)
    report.say(config.describe())

    from taxbench.runs.runner import run
    from taxbench.specs.result import Result

    results: list[Result] = []
    try:
        for result in run(config, report):
            results.append(result)
    finally:  # what is finished is shown, also when a run failed or the user interrupts
        if as_json and results:
            click.echo(plain_json(results))
        elif results:
            _show(results, config, report)


def _show(results: "list[Result]", config: RunConfig, report: Reporter) -> None:
    """Print the table of results, with intervals from their predictions."""
    from taxbench.board.analysis.languages import compare_languages
    from taxbench.board.analysis.languages_text import languages_text
    from taxbench.board.build import make_board
    from taxbench.board.load import LoadedResults
    from taxbench.board.published import compare_with_published
    from taxbench.board.render.text_table import LEGEND, of_terminal, text_table
    from taxbench.board.resampling import known_resamplings
    from taxbench.specs.language_pair import LanguagePair

    out, found = config.out, LoadedResults(tuple(results), [config.out])
    board = make_board(found, config.groups, known_resamplings(found, config.cache), (), report)
    published = compare_with_published(board.rows, {task.name: task for task in config.tasks})
    click.echo(text_table(board.rows, board.groups, published, of_terminal()))
    spoken = {each.run.task.questions.language for each in results}
    if len(spoken) > 1 and LanguagePair() in spoken:
        compared = compare_languages(found)
        if compared.findings:  # after an interruption there may be nothing to compare
            click.echo(languages_text(compared))
    again = "" if str(out) == _DEFAULT.out else f" {shlex.quote(str(out))}"
    report.say(f"{LEGEND}\nResults: {out.resolve()}. In one table: taxbench leaderboard show{again}")
