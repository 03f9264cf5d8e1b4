"""`taxbench run`: train heads, ask them, and print the table."""

import json
import shlex
from typing import TYPE_CHECKING

import click

from taxbench.cli.completion import complete_encoder, complete_head, complete_model, complete_setting, complete_task
from taxbench.cli.options import dataset_options, device_option, include_path
from taxbench.runs.config import RunConfig, resolve
from taxbench.runs.run_options import Options
from taxbench.util.progress import Reporter

if TYPE_CHECKING:
    from taxbench.specs.result import Result

_DEFAULT = Options()


@click.command("run")
@click.option("--task", default=_DEFAULT.task, show_default=True, help="Tasks, groups or YAML files, by commas.",
              shell_complete=complete_task)  # fmt: skip
@include_path
@click.option("--model", default=_DEFAULT.model, show_default=True, help="Frozen LM: an alias, a directory, a hub id.",
              shell_complete=complete_model)  # fmt: skip
@click.option("--encoder", default=_DEFAULT.encoder, show_default=True, help="Encoder: alias, directory, hub id.",
              shell_complete=complete_encoder)  # fmt: skip
@dataset_options
@click.option("--head", default=_DEFAULT.head, show_default=True, shell_complete=complete_head,
              help="Mappings by commas, or 'all'; see 'taxbench ls heads'.")  # fmt: skip
@click.option("--seeds", default=_DEFAULT.seeds, show_default=True, help="Seeds, by commas; the paper's: 42,218,7.")
@device_option
@click.option(
    "--cache", type=click.Path(), help="Where features are kept [default: TAXBENCH_CACHE, or a standard place]."
)
@click.option("--out", default=_DEFAULT.out, show_default=True, help="Where results are written.", type=click.Path())
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", shell_complete=complete_setting,
              help="A setting, or several values by commas; see 'taxbench ls settings'.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list of results instead of the table.")
@click.pass_context
def command(ctx: click.Context, /, as_json: bool, **options: str) -> None:
    """Train a head on leaf questions through a frozen LM, ask it hypernyms, and print the scores.

    Features are extracted once and cached. Finished runs are kept in --out and not repeated, so an interrupted command
    goes on where it stopped.
    """
    report = Reporter(quiet=bool(ctx.find_root().params["quiet"]))
    config = resolve(Options(**options))  # type: ignore[arg-type]
    report.say(config.describe())

    from taxbench.runs.runner import run
    from taxbench.specs.result import Result

    results: list[Result] = []
    try:
        for result in run(config, report):
            results.append(result)
    finally:  # what is finished is shown, also when a run failed or the user interrupts
        if as_json and results:
            click.echo(json.dumps([result.model_dump(mode="json") for result in results], indent=1))
        elif results:
            _show(results, config, report)


def _show(results: "list[Result]", config: RunConfig, report: Reporter) -> None:
    """Print the table of results, with intervals from their predictions."""
    from taxbench.board.build import make_board
    from taxbench.board.load import from_results
    from taxbench.board.published import compare_with_published
    from taxbench.board.render.text_table import LEGEND, text_table
    from taxbench.board.resampling import Cached
    from taxbench.util.paths import cache_folder

    out, known = config.out, Cached(cache_folder(config.cache))
    board = make_board(from_results(results, out), config.groups, known, (), report)
    published = compare_with_published(board.rows, {task.name: task for task in config.tasks})
    click.echo(text_table(board.rows, board.groups, published))
    again = "" if str(out) == _DEFAULT.out else f" {shlex.quote(str(out))}"
    report.say(f"{LEGEND}\nResults: {out.resolve()}. In one table: taxbench leaderboard show{again}")
