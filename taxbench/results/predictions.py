"""The predictions of a run: every test question, its answer, and the margins, as columns of one `predictions.npz`.

The file is an ordinary archive of NumPy arrays without pickles, so `numpy.load` opens it anywhere. `about` says in
words what the columns are. A stranger's file is read under limits and checked before anything is computed from it.
"""

import hashlib
import io
import json
import sys
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from taxbench.protocol.image_pairs import AND, first_ids, ids_in, shown_as
from taxbench.protocol.questions import QuestionSet
from taxbench.util.errors import DataError, did_you_mean, first_few, first_line
from taxbench.util.paths import read_within

OWN = "none"
"""What stands for the run's own head among the names of controls."""

_MOST_BYTES = 64 * 2**20
"""Of all columns together: THINGS asks about 60,000 questions, which take 2 MB."""
MOST_FILE = 64 * 2**20
"""Bytes of the file."""
_MOST_COLUMNS = 40
_MOST_HEADER = 300
"""Letters that say a column's type and shape, in NumPy's own files about 60; long ones are made to break parsers."""
_LONGEST = 400  # letters of a name
_MARGIN = "margin_"
_BROKEN = (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, NotImplementedError, KeyError, RuntimeError)
_LARGEST = float(np.finfo(np.float16).max)

_ABOUT = {
    "format": "taxbench predictions",
    "version": 1,
    "columns": {
        "splits, images, leaves, terms": "names, sorted or in the order of the task; the codes below index into them",
        "leaf_of": "leaf of every image under the task's pairing of leaves and pictures",
        "split, image, term": "codes of each question",
        "answer": "whether the term is true of the image",
        "margin_none": "log p(Yes) - log p(No) of the run's own head, calibrated; above 0 it answers Yes",
        "margin_NAME": "the same of the control NAME",
    },
}


@dataclass(frozen=True, slots=True)
class Predictions:
    """Every test question of a run, as columns."""

    splits: tuple[str, ...]
    images: tuple[str, ...]
    leaves: tuple[str, ...]
    terms: tuple[str, ...]
    leaf_of: np.ndarray  # (n_images,) index into leaves: the leaf each, of two the first, has under the task's pairing
    split: np.ndarray  # (q,) index into splits
    image: np.ndarray  # (q,) index into images
    term: np.ndarray  # (q,) index into terms
    answer: np.ndarray  # (q,) bool
    margins: dict[str, np.ndarray]  # (q,) float16 each; the run's own head is "none"

    def __len__(self) -> int:
        return len(self.split)

    @property
    def controls(self) -> tuple[str, ...]:
        """Return the names of the controls that were asked."""
        return tuple(name for name in self.margins if name != OWN)

    def rows_of(self, split: str) -> np.ndarray:
        """Return which questions belong to a split.  # (q,) bool"""
        return np.asarray(self.split == self.splits.index(split))

    def leaf_pairs(self) -> np.ndarray:
        """Return the leaves of both images of each question; of a single image its own twice.  # (q, 2) int"""
        if not (first := first_ids(self.images)):  # no pairs: nothing to look up
            return np.repeat(self.leaf_of[self.image][:, None], 2, axis=1)
        last = [first.get(ids_in(name, first)[-1], row) for row, name in enumerate(self.images)]
        return np.asarray(np.stack([self.leaf_of, self.leaf_of[last]], axis=1)[self.image])

    def leaf_names(self) -> np.ndarray:
        """Return what the leaves of each question are called: of two images both.  # (q,) str"""
        first, second = np.array(self.leaves)[self.leaf_pairs()].T
        return np.where(first == second, first, np.char.add(np.char.add(first, AND), second))

    def only(self, rows: np.ndarray) -> "Predictions":
        """Return some of the questions, with their margins.  # (q,) bool"""
        kept = {name: getattr(self, name)[rows] for name in ("split", "image", "term", "answer")}
        return replace(self, **kept, margins={name: margin[rows] for name, margin in self.margins.items()})

    def asked(self, rows: np.ndarray) -> QuestionSet:
        """Return some of the predictions' questions, without their margins."""
        return QuestionSet(self.image[rows].astype(np.int64), self.term[rows].astype(np.int64), self.answer[rows])

    def in_words(self, row: int) -> str:
        """Return one question with its answer."""
        answer = "yes" if self.answer[row] else "no"
        return f"is '{self.images[self.image[row]]}' '{self.terms[self.term[row]]}'? {answer}"

    def questions_digest(self) -> str:
        """Digest what was asked and what is true: the same for all runs of one task, dataset and seed."""
        state = hashlib.sha256()
        codes = (("split", self.splits), ("image", self.images), ("term", self.terms))
        for column, names in codes:
            state.update(json.dumps([column, names]).encode())
            state.update(np.ascontiguousarray(getattr(self, column), dtype="<u4").tobytes())
        state.update(json.dumps(self.leaves).encode() + np.ascontiguousarray(self.leaf_of, dtype="<u4").tobytes())
        state.update(np.packbits(self.answer).tobytes())
        return state.hexdigest()


def collected(
    parts: Mapping[Any, tuple[QuestionSet, dict[str, np.ndarray]]],
    images: Sequence[str],
    leaf_of: np.ndarray,
    leaves: Sequence[str],
    terms: Sequence[str],
) -> Predictions:
    """Return the predictions of a run; margins are in half precision, and scores are computed from these.

    Args:
        parts: By split its questions, with the margins of the run's own head and of each control.  # each (q,)
        images: Names that questions index, as are those of leaves and terms.
        leaf_of: The leaf of every image.  # (n,) int
    """
    asked = QuestionSet.concat([part for part, _ in parts.values()])
    shown, image = np.unique(asked.image, return_inverse=True)
    # By their words: a leaf and a hypernym of the same name are asked in different splits.
    words, term = np.unique(np.array(terms)[asked.term], return_inverse=True)
    looks, look_of = np.unique(np.asarray(leaves)[leaf_of[shown % len(images)]], return_inverse=True)
    split = np.repeat(np.arange(len(parts)), [len(part) for part, _ in parts.values()])
    names = next(iter(parts.values()))[1]
    return Predictions(
        splits=tuple(parts),
        images=tuple(shown_as(images, int(each)) for each in shown),
        leaves=tuple(map(str, looks)),
        terms=tuple(map(str, words)),
        leaf_of=_codes(look_of, len(looks)),
        split=_codes(split, len(parts)),
        image=_codes(image, len(shown)),
        term=_codes(term, len(words)),
        answer=asked.answer.astype(bool),
        margins={name: half(np.concatenate([margins[name] for _, margins in parts.values()])) for name in names},
    )


def write_predictions(predictions: Predictions) -> bytes:
    """Return the file of predictions; NumPy writes no time into it, so equal runs give equal bytes."""
    columns: dict[str, Any] = {"about": np.array(json.dumps(_ABOUT, indent=1))}
    for each in fields(predictions):
        value = getattr(predictions, each.name)
        if each.name == "margins":
            columns |= {f"{_MARGIN}{name}": margin for name, margin in value.items()}
        else:
            columns[each.name] = value if isinstance(value, np.ndarray) else np.array(value, dtype=np.str_)
    file = io.BytesIO()
    np.savez_compressed(file, **columns)
    return file.getvalue()


def read_predictions(path: Path) -> Predictions:
    """Read a file of predictions.

    Raises:
        DataError: it cannot be read, is larger than any honest one, or its columns do not fit together.
    """
    return parse_predictions(read_within(path, MOST_FILE, "predictions have at most"), str(path))


def parse_predictions(content: bytes, name: str) -> Predictions:
    """Read predictions from the bytes of a file; `name` is what errors call it.

    Raises:
        DataError: as `read_predictions`.
    """
    # Counted before the archive is opened, which alone sets aside half a kilobyte for each; chance finds a few more.
    if content.count(zipfile.stringCentralDir) > 2 * _MOST_COLUMNS:  # type: ignore[attr-defined]
        raise DataError(f"'{name}' holds too many columns; expected at most {_MOST_COLUMNS}.")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _checked(dict(_columns(archive, name)), name)
    except _BROKEN as error:
        raise DataError(f"'{name}' is not a file of predictions, or is damaged ({first_line(error)}).") from None


def _columns(archive: zipfile.ZipFile, name: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the columns in a file of predictions, none before all their sizes are known to be sane."""
    members = archive.infolist()
    if len(members) > _MOST_COLUMNS or len(archive.NameToInfo) < len(members):
        raise DataError(f"'{name}' holds {len(members)} columns, or one twice; expected each once.")
    for member in members:
        usual = member.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        # One damaged byte can turn the next column into a comment, and NumPy writes none.
        if not member.filename.endswith(".npy") or not usual or member.comment:
            raise DataError(f"'{name}' holds {member.filename!r}, which is not a column as NumPy packs them.")
    if (total := sum(member.file_size for member in members)) > _MOST_BYTES:
        raise DataError(f"'{name}' unpacks to {total:,} bytes; predictions have at most {_MOST_BYTES:,}.")
    for member in members:
        with archive.open(member) as file:
            content = file.read(member.file_size + 1)
        if len(content) != member.file_size:
            raise DataError(f"'{name}': the column '{member.filename}' is not as long as the archive says.")
        yield member.filename.removesuffix(".npy"), _array(content, f"'{name}': the column '{member.filename}'")


def _array(content: bytes, what: str) -> np.ndarray:
    """Return one column; its header may not promise more than its bytes hold, which NumPy would set aside unseen."""
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise DataError(f"{what} is in version {version} of NumPy's format; expected 1.0.")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file, max_header_size=_MOST_HEADER)
    if dtype.hasobject or dtype.kind not in "Ubuf" or len(shape) > 1:
        raise DataError(f"{what} holds {dtype} of shape {shape}; expected one row of numbers, booleans or text.")
    count = shape[0] if shape else 1
    if count * dtype.itemsize != len(content) - file.tell() or count < 0:
        raise DataError(f"{what} promises {count:,} values of {dtype}, which are not there.")
    return np.frombuffer(content, dtype=dtype, offset=file.tell()).reshape(shape) if count else np.zeros(0, dtype)


def _checked(columns: dict[str, np.ndarray], name: str) -> Predictions:
    """Return the columns as predictions, once they fit together."""
    known = [each.name for each in fields(Predictions) if each.name != "margins"]
    margins = {key.removeprefix(_MARGIN): value for key, value in columns.items() if key.startswith(_MARGIN)}
    for key in (*known, f"{_MARGIN}{OWN}"):
        if key not in columns:
            close, there = did_you_mean(key, columns), first_few(columns, 20)
            raise DataError(f"'{name}' has no column '{key}'.{close} Columns: {there}.")
    for key in columns:
        if key not in (*known, "about") and not key.startswith(_MARGIN):
            raise DataError(f"'{name}' has a column '{key}' that means nothing.{did_you_mean(key, known)}")
    n_questions = columns["split"].size
    names: dict[str, Any] = {key: _names(columns[key], f"'{name}': {key}", n_questions) for key in known[:4]}
    indexed = {"leaf_of": "leaves", "split": "splits", "image": "images", "term": "terms", "answer": ""}
    for key, of in indexed.items():
        column, what = columns[key], f"'{name}': the column '{key}'"
        length = len(names["images"]) if key == "leaf_of" else n_questions
        if column.shape != (length,):
            raise DataError(f"{what} has the shape {column.shape}, not ({length},).")
        if of and (column.dtype.kind != "u" or column.max(initial=0) >= max(1, len(names[of]))):
            raise DataError(f"{what} must index {len(names[of])} {of}, as unsigned integers.")
        if not of and (column.dtype != bool or column.view(np.uint8).max(initial=0) > 1):  # 2 would count twice
            raise DataError(f"{what} holds something else than booleans ({column.dtype}).")
    for key, margin in margins.items():
        if margin.dtype != np.float16 or margin.shape != (n_questions,) or not np.isfinite(margin).all():
            raise DataError(f"'{name}': the column '{_MARGIN}{key}' must hold {n_questions} finite numbers, float16.")
    return Predictions(**names | {key: columns[key] for key in indexed}, margins=margins)


def _names(column: np.ndarray, what: str, n_questions: int) -> tuple[str, ...]:
    """Return a column of names in predictions as text; raise where it is damaged or repeats one."""
    problem, names = "", tuple[str, ...]()
    if column.dtype.kind != "U" or column.ndim != 1:
        problem = " must be a row of text"
    elif column.dtype.itemsize > 4 * _LONGEST:
        problem = f": a name is longer than {_LONGEST} letters"
    elif len(column) > n_questions:
        problem = f": {len(column):,} names for {n_questions:,} questions; each stands in one at least"
    elif column.view(f"{column.dtype.byteorder}u4").max(initial=0) > sys.maxunicode:
        problem = ": a name holds an invalid character"
    else:
        names = tuple(map(str, column))
        problem = ": a name is empty or is duplicated" if len({*names, ""}) <= len(names) else ""
    if problem:
        raise DataError(f"{what}{problem}.")
    return names


def _codes(values: np.ndarray, n: int) -> np.ndarray:
    """Return a column of predictions' codes in the smallest unsigned type that holds n of them."""
    return np.asarray(values.astype(np.min_scalar_type(max(0, n - 1))))


def half(margin: np.ndarray) -> np.ndarray:
    """Round to half precision, more than a language model's own answers carry; a sign is never lost."""
    half = np.clip(margin, -_LARGEST, _LARGEST).astype(np.float16)
    tiny = np.copysign(np.finfo(np.float16).smallest_subnormal, margin).astype(np.float16)
    return np.asarray(np.where((half == 0) & (margin != 0), tiny, half))
