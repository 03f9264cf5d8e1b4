"""`taxbench compare`: two systems on the same questions."""

import shlex
from pathlib import Path
from typing import Any

import click

from taxbench.cli.completion import complete_task
from taxbench.cli.options import json_option
from taxbench.util.progress import Reporter


@click.command("compare")
@click.argument("a")
@click.argument("b")
@click.option("--results", multiple=True, type=click.Path(path_type=Path), metavar="DIR",
              help="Where KEY=VALUE is looked up; repeatable  [default: results]")  # fmt: skip
@click.option("--task", help="Tasks, by commas  [default: all that both have]", shell_complete=complete_task)
@click.option("--split", help="Which questions  [default: each task's headline split]")
@click.option("--terms", type=click.IntRange(0), default=5, show_default=True, help="Terms to show of each task.")
@json_option
@click.pass_obj
def command(report: Reporter, /, a: str, b: str, results: tuple[Path, ...], as_json: bool, **chosen: Any) -> None:
    """Say how far apart two systems are, how surely, and on which terms.

    A and B are folders with results, or say by names which of the results are meant:

    \b
    taxbench compare results-old results-new
    taxbench compare head=mlp head=ridge_token
    taxbench compare head=mlp,lm=llama head=mlp,lm=qwen3 --results leaderboard/results

    Names are dataset, encoder, lm, head, features, every setting, dtype, device, numerics and others.
    """
    from taxbench.board.analysis.comparison_text import LEGEND, comparison_text
    from taxbench.board.analysis.systems import compare_systems, find_sides
    from taxbench.util.text import plain_json

    folders = list(results) or [Path("results")]
    tasks = [name.strip() for name in (chosen["task"] or "").split(",") if name.strip()]
    also = "".join(f" --{name} {shlex.quote(chosen[name])}" for name in ("task", "split") if chosen[name])
    found = compare_systems(*find_sides(a, b, folders, also), tasks, chosen["split"])
    if as_json:
        click.echo(plain_json(found))
    else:
        click.echo(comparison_text(found, chosen["terms"]), nl=False)
        report.say(LEGEND)
