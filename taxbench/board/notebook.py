"""Results for notebooks: lists that show themselves as tables, tables and answers as DataFrames, and pictures."""

import io
from collections.abc import Iterable, Mapping
from functools import lru_cache
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from taxbench.board.board import Board
from taxbench.board.build import make_board
from taxbench.board.load import LoadedResults, folder_of, load_predictions, load_records
from taxbench.board.pictures import as_one, pictures_of
from taxbench.board.render.exports import csv_text
from taxbench.board.resampling import known_resamplings
from taxbench.board.rows import make_table, record_key, settings_of
from taxbench.protocol.image_pairs import ids_in
from taxbench.results.predictions import OWN
from taxbench.results.records import RESULT, find_results, read_result
from taxbench.specs.controls import control_title, in_order
from taxbench.specs.prompt_view import html_table
from taxbench.specs.result import Result
from taxbench.util.errors import DataError, UsageError
from taxbench.util.progress import QUIET, Reporter
from taxbench.util.text import number

if TYPE_CHECKING:
    from pandas import DataFrame
    from PIL.Image import Image

    from taxbench.datasets.dataset import Dataset, ImageRecord

Place = str | Path | Result
"""A folder with results somewhere below it, a `result.json`, or a result that lies in a folder."""
_TEXTS = ("task", "dataset", "encoder", "lm", "head", "features", "setting", "split", "note", "seeds", "records")
"""The columns of the CSV that are names."""


class Results(list[Result]):
    """A list of results that shows itself as a table in a notebook."""

    def _repr_html_(self) -> str:
        """Return the headline scores, a line a result."""
        controls = in_order(name for each in self for name in each.controls)
        names = ["task", "dataset", "model", "encoder", "head", "seed", "split", "F1", "AUROC"]
        lines = [[*names, *map(control_title, controls)]]
        for each in self:
            split = each.run.task.headline
            own, beside = each.scores.get(split), [each.controls.get(name, {}).get(split) for name in controls]
            lines.append([each.run.task.name, each.run.dataset.label, each.lm, each.encoder, each.head, str(each.seed),
                          split, number(own.macro_f1 if own else None), number(own.auroc if own else None),
                          *(number(score.macro_f1 if score else None) for score in beside)])  # fmt: skip
        return html_table(lines)


def results_in(places: Iterable[Place]) -> Results:
    """Return the results of places, in their order; below one folder, sorted by path.

    Raises:
        UsageError: there is none at a place, or a result lies in no folder.
        DataError: a record is broken.
    """
    found = Results()
    for place in places:
        if isinstance(place, Result):
            if place.folder is None:
                raise UsageError(f"{place!r} lies in no folder, so its answers are not known.")
            found.append(place)
        elif (path := Path(place).expanduser()).is_file() or path.suffix == ".json":
            found.append(read_result(path))
        else:
            found += load_records([path]).results
    return found


def load_results(places: Iterable[str | Path]) -> Results:
    """Read every record below the folders; there may be none."""
    return Results(map(read_result, find_results([Path(place) for place in places])))


def load_table(places: Iterable[Place], per_seed: bool, report: Reporter) -> "DataFrame":
    """Return what `taxbench.load_table` does."""
    import pandas

    results = results_in(places)
    of = {record_key(each): each for each in results}
    if per_seed:
        rows = [row for each in results for row in make_table([each])]
    else:
        found = LoadedResults(tuple(results), [Path(Path.cwd().anchor)])
        rows = list(make_board(found, (), known_resamplings(found), (), report).rows)
    firsts = [of[f"{row.records[0].digest} {row.records[0].predictions}"] for row in rows]
    scores = pandas.read_csv(io.StringIO(csv_text(rows)), dtype=dict.fromkeys(_TEXTS, str))
    scores[list(_TEXTS)] = scores[list(_TEXTS)].fillna("")
    settings = pandas.DataFrame([settings_of(each) for each in firsts])
    fixed = [name for name in scores if name not in settings or name in _TEXTS]
    scores, settings = scores[fixed], settings[[name for name in settings if name not in fixed]]
    if per_seed:
        scores = scores.drop(columns=[name for name in scores if name.endswith(("_sd", "_low", "_high"))])
        scores = scores.rename(columns={"seeds": "seed", "records": "record"}).astype({"seed": int})
        scores["folder"] = [str(folder_of(each).absolute()) for each in firsts]
    return pandas.concat([scores[list(scores)[:11]], settings, scores[list(scores)[11:]]], axis=1)


def load_answers(places: Iterable[Place]) -> "DataFrame":
    """Return what `taxbench.load_answers` does."""
    import pandas

    blocks = []
    for result in results_in(places):
        folder = folder_of(result).absolute()
        found, run = load_predictions(result), result.run
        names = {"task": run.task.name, "dataset": run.dataset.label, "encoder": run.encoder.name, "lm": run.lm.name,
                 "head": run.head.name, "seed": run.seed}  # fmt: skip
        own = found.margins[OWN].astype("float32")
        columns = {
            **names,
            "split": np.array(found.splits)[found.split],
            "image": np.array(found.images)[found.image],
            "leaf": found.leaf_names(),
            "term": np.array(found.terms)[found.term],
            "answer": found.answer,
            "said": own > 0,
            "right": (own > 0) == found.answer,
            "margin": own,
            **{f"margin_{name}": found.margins[name].astype("float32") for name in in_order(found.controls)},
            "folder": str(folder),
        }
        blocks.append(pandas.DataFrame(columns))
    return pandas.concat(blocks, ignore_index=True)


def picture(row: Any, dataset: str | None, taxonomy: Path | None) -> "Image":
    """Return what `taxbench.picture` does."""
    try:
        get = attrgetter if isinstance(row, tuple) else itemgetter
        folder, name = get("folder", "image")(row)
    except (AttributeError, KeyError, TypeError, IndexError):
        raise UsageError("picture(row): expected a row of load_answers, with its columns folder and image.") from None
    found, images = _opened(str(folder), dataset, taxonomy)
    ids = ids_in(name, images)
    if unknown := [each for each in ids if each not in images]:
        raise DataError(f"'{found.name}' has no picture '{unknown[0]}'.")
    return as_one([found.read(images[each]) for each in ids])


@lru_cache(maxsize=4)
def _opened(folder: str, dataset: str | None, taxonomy: Path | None) -> "tuple[Dataset, Mapping[str, ImageRecord]]":
    """Return the dataset of the record in a folder, and its pictures by id."""
    found = pictures_of(read_result(Path(folder) / RESULT), QUIET, dataset, taxonomy)
    return found, {image.id: image for image in found.images}


def parquet_files(board: Board, places: Iterable[Place]) -> dict[str, bytes]:
    """Return the rows of a board and all answers of results as Parquet, by the names of the files.

    Raises:
        UsageError: pyarrow is not installed.
    """
    import pandas

    rows = pandas.read_csv(io.StringIO(csv_text(board.rows)), dtype=dict.fromkeys(_TEXTS, str))
    tables = {"board.parquet": rows, "answers.parquet": load_answers(places).drop(columns="folder")}
    try:
        return {name: table.to_parquet(index=False) for name, table in tables.items()}
    except ImportError:
        raise UsageError('Parquet needs pyarrow. Type: pip install "taxbench[parquet]"') from None
