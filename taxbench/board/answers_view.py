"""`taxbench view`: find results, their answers and their pictures, and write the page that shows them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from taxbench.board.load import folder_of, load_predictions
from taxbench.board.notebook import results_in
from taxbench.board.page.answers import AnsweredResult, answers_page
from taxbench.board.pictures import pictures_of
from taxbench.datasets.dataset import Dataset
from taxbench.results.predictions import Predictions
from taxbench.results.records import LOSSES, read_beside
from taxbench.runs.run_options import NamesHere
from taxbench.specs.result import Result
from taxbench.specs.side_files import TrainingLosses
from taxbench.util.errors import DataError, TaxbenchError
from taxbench.util.paths import replacing
from taxbench.util.progress import Reporter

if TYPE_CHECKING:
    from taxbench.board.inside import InsideHead


def write_view(
    places: Sequence[Path], out: Path, embed: bool, inside: bool, here: NamesHere, report: Reporter
) -> list[str]:
    """Write a page with the answers of all results at the places; return their folders.

    Where pictures, or trained heads, are not found the page is written without them, and why is said.

    Args:
        embed: Whether pictures that are files are put into it, and not linked.
        inside: Whether trained heads are loaded to see what their soft tokens are near to, and where they look.

    Raises:
        UsageError: there is no result at a place.
        DataError: a record, its predictions or a picture is broken.
    """
    known: dict[str, Dataset | None] = {}
    shown = []
    for result in results_in(places):
        fingerprint = result.run.dataset.fingerprint
        if fingerprint not in known:
            known[fingerprint] = None
            try:
                known[fingerprint] = pictures_of(result, report, here.dataset, here.taxonomy, here.cache)
            except DataError as error:
                report.say(f"Shown without pictures. {error}")
        answers = load_predictions(result)
        head = _inside(result, answers, here, report) if inside else None
        losses = read_beside(folder_of(result) / LOSSES, TrainingLosses)
        shown.append(AnsweredResult(result, answers, known[fingerprint], losses, head))
    with replacing(out) as partial:
        partial.write_text(answers_page(shown, embed, report), encoding="utf-8")
    return [str(each.result.folder) for each in shown]


def _inside(result: Result, answers: Predictions, here: NamesHere, report: Reporter) -> "InsideHead | None":
    """Return what is inside the head of a result; say why where it cannot be seen."""
    from taxbench.board.inside import inside_of  # loads torch, and a language model

    try:
        return inside_of(result, answers, here, report)
    except TaxbenchError as error:
        report.say(f"Shown without the inside of the head of {result!r}. {error}")
        return None
