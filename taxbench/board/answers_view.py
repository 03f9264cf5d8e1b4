"""`taxbench view`: find results, their answers and their pictures, and write the page that shows them."""

from collections.abc import Sequence
from pathlib import Path

from taxbench.board.load import load_predictions
from taxbench.board.notebook import results_in
from taxbench.board.page.answers import AnsweredResult, answers_page
from taxbench.board.pictures import pictures_of
from taxbench.datasets.dataset import Dataset
from taxbench.util.errors import DataError
from taxbench.util.paths import replacing
from taxbench.util.progress import Reporter

Lookup = tuple[str | None, Path | None, Path | None]
"""Where pictures are looked for: `--dataset`, `--taxonomy` and the cache folder."""


def write_view(places: Sequence[Path], out: Path, embed: bool, lookup: Lookup, report: Reporter) -> list[str]:
    """Write a page with the answers of all results at the places; return their folders.

    Where pictures are not found the page is written without them, and why is said.

    Raises:
        UsageError: there is no result at a place.
        DataError: a record, its predictions or a picture is broken.
    """
    known: dict[str, Dataset | None] = {}
    shown = []
    for result in results_in(places):
        assert result.folder is not None
        fingerprint = result.run.dataset.fingerprint
        if fingerprint not in known:
            known[fingerprint] = None
            try:
                known[fingerprint] = pictures_of(result, report, *lookup)
            except DataError as error:
                report.say(f"Shown without pictures. {error}")
        shown.append(AnsweredResult(result, load_predictions(result.folder, result), known[fingerprint]))
    with replacing(out) as partial:
        partial.write_text(answers_page(shown, embed, report), encoding="utf-8")
    return [str(each.result.folder) for each in shown]
