"""Write and read the record of a run: result.json, its predictions, and the wall times beside it."""

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from taxbench.errors import DataError
from taxbench.paths import replacing
from taxbench.specs.result import PredictionsFile, Result, Timing
from taxbench.specs.result_migrations import migrate
from taxbench.specs.run import RunSpec

RESULT = "result.json"
TIMING = "timing.json"
_MOST_BYTES = 32 * 2**20
"""Of one record; those of THINGS have 300 kB."""


def result_folder(out: Path, run: RunSpec) -> Path:
    """Return the folder of a run's record: readable, and unique by the run's digest."""
    words = [run.lm.name, run.encoder.name, run.head.name, run.dataset.name, f"seed{run.seed}", run.digest[:8]]
    return out / run.task.name / "-".join(re.sub(r"[^A-Za-z0-9._]+", "_", word)[-60:] for word in words)


def predictions_file(content: bytes, questions: str, n_questions: int) -> PredictionsFile:
    """Return what a record says of its predictions."""
    return PredictionsFile(sha256=hashlib.sha256(content).hexdigest(), questions=questions, n_questions=n_questions)


def write_result(folder: Path, result: Result, predictions: bytes, timing: Timing) -> None:
    """Write a record; `result.json` comes last, so a folder that has one is complete."""
    assert result.predictions is not None
    for name, content in (
        (result.predictions.file, predictions),
        (TIMING, (timing.model_dump_json(indent=1) + "\n").encode()),
        (RESULT, result_bytes(result)),
    ):
        with replacing(folder / name) as partial:
            partial.write_bytes(content)


def result_bytes(result: Result) -> bytes:
    """Return the record as it is written."""
    return (result.model_dump_json(indent=1) + "\n").encode()


def read_result(path: Path) -> Result:
    """Read one `result.json`, of this form or an older one.

    Raises:
        DataError: it cannot be read, or is no record.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DataError(f"'{path}' has {path.stat().st_size:,} bytes; a record has at most {_MOST_BYTES:,}.")
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"The result '{path}' cannot be read ({error.strerror}).") from None
    try:
        return Result.model_validate_json(json.dumps(migrate(_json(content))))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise DataError(f"'{path}' is no result of this version: {where}: {first['msg']}.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"'{path}' is no result: {error}.") from None


def _json(content: bytes) -> dict[str, Any]:
    """Return a JSON object; keys given twice and numbers that JSON does not know are errors."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a key is given twice")
        return found

    def constant(text: str) -> Any:
        raise ValueError(f"{text} is no number of JSON")

    found = json.loads(content.decode("utf-8"), object_pairs_hook=unique, parse_constant=constant)
    if not isinstance(found, dict):
        raise ValueError("expected a JSON object")
    return found


def find_results(folders: Iterable[Path]) -> list[Path]:
    """Return every `result.json` below the folders, sorted."""
    return sorted({path for folder in folders for path in folder.rglob(RESULT)})
