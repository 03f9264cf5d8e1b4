"""Write and read the record of a run: result.json, its predictions, and wall times and losses beside it."""

import errno
import hashlib
import json
import math
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from taxbench.results.migrations import migrate
from taxbench.specs.result import PredictionsFile, Result, Versions
from taxbench.specs.run import RunSpec
from taxbench.specs.side_files import Timing, TrainingLosses
from taxbench.specs.spec import Spec
from taxbench.util.errors import DataError, first_line, unwritable
from taxbench.util.paths import PARTIAL, beside, read_within, replacing, sync_folder

S = TypeVar("S", bound=Spec)

RESULT = "result.json"
TIMING = "timing.json"
LOSSES = "losses.json"
MOST_BYTES = 32 * 2**20
"""Of one record; those of THINGS have 300 kB."""


def result_folder(out: Path, run: RunSpec) -> Path:
    """Return the folder of a run's record: readable, and unique by the run's digest."""
    words = [run.lm.name, run.encoder.name, run.head.name, run.dataset.name, f"seed{run.seed}", run.digest[:8]]
    return out / run.task.name / "-".join(re.sub(r"[^A-Za-z0-9._]+", "_", word)[-60:] for word in words)


def predictions_file(content: bytes, questions: str, n_questions: int) -> PredictionsFile:
    """Return what a record says of its predictions."""
    return PredictionsFile(sha256=hashlib.sha256(content).hexdigest(), questions=questions, n_questions=n_questions)


def write_result(
    folder: Path, result: Result, predictions: bytes, timing: Timing, losses: TrainingLosses | None = None
) -> None:
    """Write a record, whole or not at all: beside its place, and then moved there in one step.

    Of processes that make the same record the first wins, and what the others made is dropped, so that one believed
    dead cannot spoil what another finished. An unfinished record, or one of other versions, is replaced.

    Raises:
        CacheError: the folder cannot be written, or the disk is full.
    """
    assert result.predictions is not None
    made = beside(folder)
    files = {result.predictions.file: predictions, TIMING: result_bytes(timing)}
    if losses is not None:
        files[LOSSES] = result_bytes(losses)
    try:
        for name, content in (files | {RESULT: result_bytes(result)}).items():
            with replacing(made / name, folder / name) as partial:
                partial.write_bytes(content)
        while not _moved(made, folder):
            with suppress(DataError):
                if finished(folder, result.digest, result.versions):
                    break
            with suppress(FileNotFoundError):  # another process was faster
                folder.rename(old := beside(folder))
                shutil.rmtree(old, ignore_errors=True)
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _moved(made: Path, folder: Path) -> bool:
    """Move a folder to its place unless a folder with files is there; say whether it was."""
    try:
        made.rename(folder)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise unwritable(error, f"'{folder}' cannot be written ({error.strerror}). Type the same again.") from None
        return False
    return True


def finished(folder: Path, digest: str, versions: Versions) -> Result | None:
    """Return the record of a run that a folder has already, made by versions that give the same numbers; else None.

    Raises:
        DataError: there is a record, and it cannot be read or its predictions are not those it was written with.
    """
    if not (path := folder / RESULT).is_file():
        return None
    stored = read_result(path)
    if stored.digest != digest or stored.versions.computing != versions.computing:
        return None
    said = stored.predictions
    with suppress(OSError):
        if said is None or hashlib.sha256((folder / said.file).read_bytes()).hexdigest() == said.sha256:
            return stored
    raise DataError(f"The predictions beside '{path}' are missing or damaged.")


def result_bytes(record: Spec) -> bytes:
    """Return a record, or what lies beside it, as it is written."""
    return (record.model_dump_json(indent=1) + "\n").encode()


def read_result(path: Path) -> Result:
    """Read one `result.json`, of this form or an older one.

    Raises:
        DataError: it cannot be read, or is no record.
    """
    return parse_result(read_within(path, MOST_BYTES, "a record has at most"), str(path)).lies_in(path.parent)


def read_beside(path: Path, kind: type[S]) -> S | None:
    """Return what lies beside a record; None where it is missing or of another form, since no score rests on it."""
    with suppress(OSError, ValueError, DataError):
        return kind.model_validate_json(read_within(path, MOST_BYTES, "a file beside a record has at most"))
    return None


def parse_result(content: bytes, name: str) -> Result:
    """Read a record from the bytes of a file; `name` is what errors call it.

    Raises:
        DataError: as `read_result`.
    """
    record = parse_json(content, name)
    try:
        return Result.model_validate_json(json.dumps(migrate(record)))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where, value = ".".join(map(str, first["loc"])) or "the file", first["input"]
        given = "" if isinstance(value, dict | list) else f" (given {value!r:.60})"
        raise DataError(f"'{name}' is not a result of this version: {where}: {first['msg']}{given}.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"'{name}' is not a result: {first_line(error)}.") from None


def parse_json(content: bytes, name: str) -> dict[str, Any]:
    """Return a JSON object as it stands there; keys given twice and numbers that JSON does not know are errors.

    Raises:
        DataError: it is something else.
    """
    again = " If it was cut off, copy it again."
    try:
        text = content.decode("utf-8")
        found = json.loads(text, object_pairs_hook=_each_once, parse_constant=_finite, parse_float=_finite)
        if not isinstance(found, dict):
            raise ValueError("expected a JSON object")
        return found
    except UnicodeDecodeError as error:
        problem, again = f"not UTF-8 at byte {error.start:,}", ""
    except json.JSONDecodeError as error:
        problem = f"not JSON at line {error.lineno} ({error.msg})"
    except (ValueError, RecursionError) as error:
        problem, again = first_line(error), ""
    raise DataError(f"'{name}' is not a result: {problem}.{again}")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object of a record as a dict; raise where a key is given twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise ValueError(f"the key {counts.most_common(1)[0][0]!r} is given twice")
    return found


def _finite(text: str) -> float:
    """Return a number of a record's JSON as a float; raise for NaN and Infinity, which JSON does not know."""
    number = float(text)
    if not math.isfinite(number):
        is_word = text.lstrip("-").isalpha()
        raise ValueError(f"{text} is not a JSON number" if is_word else f"{text[:40]} is too large a number")
    return number


def find_results(folders: Iterable[Path], onerror: Callable[[OSError], None] | None = None) -> list[Path]:
    """Return every `result.json` below the folders, sorted; none of a record that is being written.

    Folders that cannot be read are told `onerror`; without it they are passed over.
    """
    walks = (walk for folder in folders for walk in os.walk(folder, onerror=onerror))
    return sorted({Path(base, RESULT) for base, _, files in walks if RESULT in files and not base.endswith(PARTIAL)})
