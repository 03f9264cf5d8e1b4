"""Predictions: what goes in comes out, the digest knows what was asked, and no file can do harm."""

import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxbench.protocol.questions import QuestionSet
from taxbench.results.predictions import (
    OWN,
    Predictions,
    collected,
    parse_predictions,
    read_predictions,
    write_predictions,
)
from taxbench.util.errors import DataError
from tests.board.hostile import array, promised

LEAVES, TERMS = ("crow", "gull", "saw"), ("crow", "gull", "saw", "bird", "tool", "never asked")


def made(n: int = 12) -> Predictions:
    draw = np.random.default_rng(0)
    parts = {}
    for split, first, last in (("leaf", 0, 3), ("unseen", 3, 5)):
        asked = QuestionSet(draw.integers(0, 9, n), draw.integers(first, last, n), draw.integers(0, 2, n).astype(bool))
        parts[split] = asked, {OWN: draw.normal(size=n), "random_lm": draw.normal(size=n)}
    return collected(parts, [f"{i}.png" for i in range(9)], np.repeat(np.arange(3), 3), LEAVES, TERMS)


def equal(one: Predictions, other: Predictions) -> bool:
    return write_predictions(one) == write_predictions(other)


def test_what_is_written_is_read() -> None:
    before = made()
    after = parse_predictions(write_predictions(before), "p")
    assert equal(before, after) and after.controls == ("random_lm",) and len(after) == 24
    assert after.splits == ("leaf", "unseen") and "never asked" not in after.terms
    asked = after.asked(after.rows_of("unseen"))
    assert {after.terms[term] for term in asked.term} == {"bird", "tool"}
    with np.load(io.BytesIO(write_predictions(before))) as file:  # by anybody, without this package
        assert "margin_none" in str(file["about"]) and file["margin_none"].dtype == np.float16


@given(st.floats(allow_nan=False))
def test_half_precision_keeps_every_answer(margin: float) -> None:
    asked = QuestionSet(np.array([0]), np.array([0]), np.array([True])), {OWN: np.array([margin])}
    (half,) = collected({"leaf": asked}, ["a"], np.array([0]), ("crow",), ("crow",)).margins[OWN]
    assert (half > 0) == (margin > 0) and np.isfinite(half)


@pytest.mark.parametrize("change", [
    {"answer": ~made().answer}, {"term": made().term[::-1].copy()}, {"image": made().image[::-1].copy()},
    {"leaf_of": made().leaf_of[::-1].copy()}, {"splits": ("leaf", "seen")}, {"images": made().images[::-1]},
])  # fmt: skip
def test_the_digest_knows_what_was_asked_and_not_what_was_answered(change: dict[str, object]) -> None:
    own = made()
    assert replace(own, **change).questions_digest() != own.questions_digest()  # type: ignore[arg-type]
    assert replace(own, margins={OWN: own.margins[OWN] * 0}).questions_digest() == own.questions_digest()
    assert replace(own, term=own.term.astype(np.uint32)).questions_digest() == own.questions_digest()


def test_files_that_cannot_be_predictions_are_not_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_predictions(tmp_path / "p.npz")
    with (tmp_path / "p.npz").open("wb") as file:
        file.truncate(2**26 + 1)
    with pytest.raises(DataError, match="has 67,108,865 bytes"):
        read_predictions(tmp_path / "p.npz")


@pytest.mark.parametrize("cut", [0, 1, 50, 500, -1, -30])
def test_a_damaged_file_is_an_error_that_names_it(cut: int) -> None:
    with pytest.raises(DataError, match=r"'p\.npz' is not a file of predictions, or is damaged"):
        parse_predictions(write_predictions(made())[:cut], "p.npz")


def test_turned_bits_are_an_error_or_change_nothing() -> None:
    whole = write_predictions(made())
    # A length in the archive's list of columns is where one turned bit once hid the next column.
    listed = whole.index(b"PK\x01\x02")
    for place in [*np.random.default_rng(1).integers(0, listed, 200), *range(listed, len(whole))]:
        broken = bytearray(whole)
        broken[place] ^= 0x10
        try:
            found = parse_predictions(bytes(broken), "p.npz")
        except DataError:
            continue
        assert equal(found, made())  # a time, or other words of the archive that mean nothing


@pytest.mark.parametrize(("column", "said"), [
    (array(promised("(1000000000000,)")), "promises 1,000,000,000,000 values"),
    (array(promised("(-1,)")), "promises -1 values"),
    (array(promised("(1,)", "'|O'"), b"cos\nsystem\n."), "holds object"),
    (array(promised("(1000000000000,)", "'<U0'")), "is damaged"),
    (array(promised("(" + "-" * 9000 + "1,)")), "is damaged"), (array(promised("(" * 3000 + ")" * 3000)), "is damaged"),
    (array(promised("(" + "-" * 200 + "1,)")), "promises|damaged"),
    (array(promised("(2, 2)"), bytes(16)), r"of shape \(2, 2\)"),
    (array(promised("(1,)", "'<c8'"), bytes(8)), "holds complex64"), (array(promised("(1,)", "'<q99'")), "is damaged"),
    (b"\x93NUMPY\x02\x00" + bytes(64), "version"), (b"", "is damaged"), (b"\x93NUMPY", "is damaged"),
])  # fmt: skip
def test_no_header_can_do_harm(column: bytes, said: str) -> None:
    file = io.BytesIO(write_predictions(made()))
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("margin_evil.npy", column)
    with pytest.raises(DataError, match=said):
        parse_predictions(file.getvalue(), "p.npz")


@pytest.mark.parametrize(
    ("kind", "said"), [(zipfile.ZIP_LZMA, "not a column as NumPy packs"), (zipfile.ZIP_BZIP2, "not a column")]
)
def test_other_packings_are_not_unpacked(kind: int, said: str) -> None:
    file = io.BytesIO(write_predictions(made()))
    with zipfile.ZipFile(file, "a", kind) as archive:
        archive.writestr("margin_other.npy", bytes(100))
    with pytest.raises(DataError, match=said):
        parse_predictions(file.getvalue(), "p.npz")


Columns = dict[str, np.ndarray]


@pytest.mark.parametrize(("change", "said"), [
    (lambda own: {"splits": np.array(["leaf", "leaf"])}, "empty or is duplicated"),
    (lambda own: {"terms": np.array([*own["terms"][:-1], ""])}, "empty or is duplicated"),
    (lambda own: {"terms": own["terms"].astype("<U401")}, "longer than 400 letters"),
    (lambda own: {"terms": np.frombuffer(b"\xff\xff\xff\x7f" * 5, "<U1")}, "an invalid character"),
    (lambda own: {"images": np.arange(100).astype(str)}, "100 names for 24 questions"),
    (lambda own: {"terms": np.arange(5)}, "holds int64|must be a row of text"),
    (lambda own: {"term": own["term"].astype(np.int64)}, "holds int64|as unsigned integers"),
    (lambda own: {"term": own["term"] + np.uint8(5)}, "must index 5 terms"),
    (lambda own: {"term": own["term"][:-1]}, r"has the shape \(23,\), not \(24,\)"),
    (lambda own: {"leaf_of": own["leaf_of"][:1]}, "the column 'leaf_of' has the shape"),
    (lambda own: {"answer": own["answer"].astype(np.uint8)}, "something else than booleans"),
    (lambda own: {"answer": (own["answer"].astype(np.uint8) * 2).view(bool)}, "something else than booleans"),
    (lambda own: {"margin_none": own["margin_none"].astype(np.float32)}, "finite numbers, float16"),
    (lambda own: {"margin_none": own["margin_none"].astype(">f2")}, "finite numbers, float16"),
    (lambda own: {"margin_none": own["margin_none"] + np.float16(np.inf)}, "finite numbers, float16"),
    (lambda own: {"margn_none": own["margin_none"]}, "'margn_none' that means nothing"),
])  # fmt: skip
def test_columns_that_do_not_fit_together_are_refused(change: Callable[[Columns], Columns], said: str) -> None:
    with np.load(io.BytesIO(write_predictions(made()))) as file:
        columns = {name: file[name] for name in file.files}
    changed = io.BytesIO()
    np.savez_compressed(changed, **(columns | change(columns)))
    with pytest.raises(DataError, match=said):
        parse_predictions(changed.getvalue(), "p.npz")


@pytest.mark.parametrize("name", ["split", "images", "margin_none"])
def test_a_missing_column_is_named(name: str) -> None:
    with np.load(io.BytesIO(write_predictions(made()))) as file:
        columns = {each: file[each] for each in file.files if each != name}
    changed = io.BytesIO()
    np.savez_compressed(changed, **columns)
    with pytest.raises(DataError, match=f"has no column '{name}'"):
        parse_predictions(changed.getvalue(), "p.npz")
