"""taxbench: does what a frozen language model knows from text carry over to images?

import taxbench
results = taxbench.run(task="unseen_hypernym", model="pocket", seeds="42,218,7")
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taxbench.specs.result import Result

__version__ = "0.1.0"
__all__ = ["__version__", "load_results", "run"]


def run(*, quiet: bool = False, **options: Any) -> "list[Result]":
    """Run tasks as `taxbench run` does and return their results.

    Args:
        quiet: No progress and no notes on standard error.
        options: The long options of `taxbench run` by name; `settings` holds the `--set` pairs as strings.

    Raises:
        TaxbenchError: anything a user can mend; the text says how.
    """
    from taxbench.progress import Reporter
    from taxbench.request import options_from, resolve
    from taxbench.suite import Suite

    return list(Suite(resolve(options_from(options)), Reporter(quiet)).results())


def load_results(*folders: str) -> "list[Result]":
    """Read every `result.json` below the folders (default: `results`)."""
    from pathlib import Path

    from taxbench.scoring.records import find_results, read_result

    return [read_result(path) for path in find_results([Path(folder) for folder in folders or ("results",)])]
