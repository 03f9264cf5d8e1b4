"""`taxbench leaderboard`: tables of finished results, and the published ones."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from taxbench.cli.options import VerbGroup, include_path, json_option
from taxbench.util.errors import UsageError
from taxbench.util.progress import Reporter
from taxbench.util.text import plain_json

if TYPE_CHECKING:
    from taxbench.board.submit.check import Outcome

_HOME = Path("leaderboard")


class _Group(VerbGroup):
    """Says what to type where a folder stands in place of a verb."""

    def instead_of(self, ctx: click.Context, word: str) -> str:
        """Return the clause that says how the results in a folder are shown, or which verb is near."""
        if Path(word).is_dir():
            return f" To see the results in it: taxbench leaderboard show {word}"
        return super().instead_of(ctx, word)


@click.group("leaderboard", cls=_Group)
def command() -> None:
    """Show results in one table, and keep the published ones.

    A leaderboard is a folder: records and predictions in results/, and the tables that `build` makes of them.
    """


_root = click.option("--board", "root", default=_HOME, show_default=True, type=click.Path(path_type=Path),
                     metavar="DIR", help="The leaderboard's folder.")  # fmt: skip


@command.command("show")
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["table", "md", "csv", "json", "tex", "html"]), default="table",
              show_default=True, help="table: every score of every task; md: a page, one line an entry.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--best-by", type=click.Choice(["validation"]),
              help="Of several settings of a head, only the one that does best on validation leaves.")  # fmt: skip
@click.option("--columns", default="", metavar="NAMES",
              help="Titles of the table's columns, by commas; also: LM, encoder, minutes, date, settings.")  # fmt: skip
@click.option("--sort", default="", metavar="COLUMN", help="Sort the table's lines by a column, the best first.")
@include_path
@click.pass_obj
def show(report: Reporter, /, folders: tuple[Path, ...], form: str, as_json: bool, **given: Any) -> None:
    """Print one table of every result.json below FOLDERS (default: results).

    At a terminal it is as wide as that, and says which columns are left out; a pipe or a file gets all as Markdown.
    """
    from taxbench.board.build import board_text, make_board
    from taxbench.board.load import load_records
    from taxbench.board.published import compare_with_published
    from taxbench.board.render.text_table import LEGEND, check_layout, latex_tables, of_terminal, text_table
    from taxbench.board.resampling import known_resamplings
    from taxbench.tasks.registry import find_tasks

    other = as_json or form != "table"
    chosen = bool(given["columns"] or given["sort"])
    if chosen and (as_json or form not in ("table", "tex")):
        raise UsageError("--columns and --sort are of the table and of tex; other forms have all columns.")
    places, registry = folders or (Path("results"),), find_tasks(given["include"])
    found, layout = load_records(places), of_terminal(given["columns"], given["sort"])
    if chosen:
        check_layout(found.results, layout)
    known = known_resamplings(found)
    board = make_board(found, registry.groups.values(), known, (), report, given["best_by"])
    if chosen and other:
        click.echo(latex_tables(board.rows, layout), nl=False)
    elif other:
        click.echo(board_text(board, "json" if as_json else form), nl=False)
    else:
        published = compare_with_published(board.rows, registry.tasks)
        click.echo(f"{text_table(board.rows, board.groups, published, layout)}\n{LEGEND}")


@command.command("build")
@_root
@include_path
@json_option
@click.pass_obj
def build_command(report: Reporter, root: Path, include: tuple[Path, ...], as_json: bool) -> None:
    """Make README.md, index.html, board.csv, board.json, board.tex and figures/ from the records in results/.

    Building again changes no byte.
    """
    from taxbench.board.build import build
    from taxbench.tasks.registry import find_tasks

    written = build(root, find_tasks(include).groups.values(), report)
    click.echo(plain_json(written) if as_json else "\n".join(map(str, written)))


@command.command("add")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@_root
@include_path
@json_option
@click.pass_obj
def add_command(
    report: Reporter, folders: tuple[Path, ...], root: Path, include: tuple[Path, ...], as_json: bool
) -> None:
    """Check every record below FOLDERS and copy it with its predictions into the leaderboard.

    Exits with 1 if any is refused; the others are added.
    """
    from taxbench.board.submit.publish import add
    from taxbench.tasks.registry import find_tasks

    outcomes = add(folders, root, find_tasks(include), report)
    _tell(outcomes, as_json, f"Now make the tables: taxbench leaderboard build --board {shlex.quote(str(root))}")


@command.command("check")
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path))
@_root
@include_path
@json_option
@click.pass_obj
def check_command(
    report: Reporter, folders: tuple[Path, ...], root: Path, include: tuple[Path, ...], as_json: bool
) -> None:
    """Check records: their form, where they come from, and every score anew from the predictions.

    FOLDERS are a stranger's results or leaderboards (default: --board). Nothing in them is run, and nothing is
    written. Exits with 1 if any is refused.
    """
    from taxbench.board.submit.check import check_all
    from taxbench.tasks.registry import find_tasks

    outcomes = check_all(folders or (root,), find_tasks(include), report)
    _tell(outcomes, as_json)


@command.command("export")
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    required=True,
    type=click.Choice(["parquet", "every-eval-ever", "hub"]),
    help="parquet: rows and all answers; every-eval-ever: a JSON file a system; hub: .eval_results of each LM.",
)
@click.option(
    "--out",
    default=Path("exported"),
    show_default=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where the files are written.",
)
@click.option(
    "--benchmark",
    default="",
    metavar="OWNER/NAME",
    help="hub, which needs it: the dataset repository of the leaderboard.",
)
@click.option("--organization", default="unknown", show_default=True, metavar="NAME",
              help="every-eval-ever: who provides the results.")  # fmt: skip
@json_option
@click.pass_obj
def export_command(report: Reporter, /, folders: tuple[Path, ...], form: str, as_json: bool, **given: Any) -> None:
    """Write the results below FOLDERS (default: results) in the forms of others, to be sent there.

    Nothing is uploaded. Of 'hub', a file is for the repository of a language model, as a pull request, and eval.yaml
    for that of the leaderboard.
    """
    import time

    from taxbench.board.build import make_board
    from taxbench.board.load import load_records
    from taxbench.board.notebook import parquet_files
    from taxbench.board.render.exchange import check_repository, every_eval_ever, hub_results
    from taxbench.board.resampling import known_resamplings
    from taxbench.util.paths import replacing

    if form == "hub":
        check_repository(given["benchmark"])
    places = folders or (Path("results"),)
    found = load_records(places)
    board = make_board(found, (), known_resamplings(found), (), report)
    files: dict[str, bytes]
    if form == "parquet":
        files = parquet_files(board, places)
    elif form == "hub":
        files = {name: text.encode() for name, text in hub_results(board, given["benchmark"]).items()}
    else:
        made = every_eval_ever(board, given["organization"], int(time.time()))
        files = {name: text.encode() for name, text in made.items()}
    for name, content in files.items():
        with replacing(given["out"] / name) as partial:
            partial.write_bytes(content)
    written = [str(given["out"] / name) for name in files]
    click.echo(plain_json(written) if as_json else "\n".join(written))


@command.command("track")
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path))
@click.option("--to", "tracker", required=True, type=click.Choice(["trackio", "wandb"]), help="An experiment tracker.")
@click.option("--project", default="taxbench", show_default=True, metavar="NAME", help="Under which name it has them.")
@json_option
def track_command(folders: tuple[Path, ...], tracker: str, project: str, as_json: bool) -> None:
    """Log the results below FOLDERS (default: results) as runs of an experiment tracker: settings, losses and scores.

    trackio keeps them on this machine ('trackio show' opens them); wandb sends them to its server, if not told
    otherwise by WANDB_MODE=offline. Again logs them again.
    """
    import sys
    from contextlib import redirect_stdout

    from taxbench.board.trackers import send

    with redirect_stdout(sys.stderr):  # trackers talk
        names = send(tracker, project, folders or (Path("results"),))
    click.echo(plain_json(names) if as_json else "\n".join(names))


@command.command("push")
@click.argument("repository", metavar="USER/NAME")
@_root
@click.option("--direct", is_flag=True, help="Commit at once instead of opening a pull request.")
@click.option("--space", is_flag=True, help="To a static Space, which shows the page and has no records.")
def push_command(repository: str, root: Path, direct: bool, space: bool) -> None:
    """Upload the leaderboard to a dataset repository of the Hugging Face hub, or to a Space, as a pull request."""
    from taxbench.board.submit.publish import push, push_space

    click.echo(push_space(root, repository, direct=direct) if space else push(root, repository, direct=direct))


def _tell(outcomes: "list[Outcome]", as_json: bool, then: str = "") -> None:
    """Print what became of each record; end with 1 where any was refused."""
    refused = [each for each in outcomes if each.status == "refused"]
    if as_json:
        click.echo(plain_json(outcomes))
    else:
        for each in refused:
            click.echo(each)
        for status in dict.fromkeys(each.status for each in outcomes):
            click.echo(f"{status}: {sum(each.status == status for each in outcomes)}")
        if then and any(each.status == "added" for each in outcomes):
            click.echo(then)
    if refused:
        click.get_current_context().exit(1)
