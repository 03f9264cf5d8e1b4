"""taxbench: does what a frozen language model knows from text carry over to images?

import taxbench
results = taxbench.run(task="unseen_hypernym", model="pocket", seeds="42,218,7")
entries = taxbench.extract(encoder="dinov2", layers="-1,-2")
"""

from typing import TYPE_CHECKING, Any

from taxbench._version import __version__

if TYPE_CHECKING:
    from pandas import DataFrame

    from taxbench.specs.feature_key import EntryInfo
    from taxbench.specs.result import Result

__all__ = ["__version__", "extract", "load_results", "load_table", "run"]


def run(*, quiet: bool = False, **options: Any) -> "list[Result]":
    """Run tasks as `taxbench run` does and return their results.

    Args:
        quiet: No progress and no notes on standard error.
        options: The long options of `taxbench run` by name; `settings` holds the `--set` pairs as strings.

    Raises:
        TaxbenchError: anything a user can mend; the text says how.
    """
    from taxbench.runs.config import resolve
    from taxbench.runs.run_options import Options, options_from
    from taxbench.runs.runner import run as run_all
    from taxbench.util.progress import Reporter

    return list(run_all(resolve(options_from(Options, options)), Reporter(quiet)))


def extract(*, quiet: bool = False, **options: Any) -> "list[EntryInfo]":
    """Put features into the cache as `taxbench extract` does; return what was made.

    Args:
        quiet: No progress and no notes on standard error.
        options: The long options of `taxbench extract` by name.

    Raises:
        TaxbenchError: anything a user can mend; the text says how.
    """
    from taxbench.runs.feature_cache import ExtractOptions
    from taxbench.runs.feature_cache import extract as put
    from taxbench.runs.run_options import options_from
    from taxbench.util.progress import Reporter

    return put(options_from(ExtractOptions, options), Reporter(quiet))


def load_results(*folders: str) -> "list[Result]":
    """Read every `result.json` below the folders (default: `results`)."""
    from pathlib import Path

    from taxbench.results.records import find_results, read_result

    return [read_result(path) for path in find_results([Path(folder) for folder in folders or ("results",)])]


def load_table(*folders: str) -> "DataFrame":
    """Return the table of results below the folders, one line for every task and system (`pip install pandas`).

    Figures are means over seeds in columns of their own, with `_sd` over seeds and `_low` and `_high`, the 95 %
    interval over items.
    """
    import io
    from pathlib import Path

    import pandas

    from taxbench.board.build import make_board
    from taxbench.board.load import load_records
    from taxbench.board.render.exports import csv_text
    from taxbench.board.resampling import Cached
    from taxbench.util.paths import cache_folder
    from taxbench.util.progress import Reporter

    places = [Path(folder) for folder in folders or ("results",)]
    board = make_board(load_records(places), (), Cached(cache_folder()), (), Reporter(quiet=True))
    return pandas.read_csv(io.StringIO(csv_text(board.rows)))
