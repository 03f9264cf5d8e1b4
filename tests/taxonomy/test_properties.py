"""Tables of properties: what a column holds, and every mistake with its place."""

from pathlib import Path

import pytest

from taxbench.taxonomy.properties import PropertyTable, read_properties
from taxbench.util.errors import DataError, UsageError

LEAVES = ("ant", "bee", "cat", "elk")


def read(folder: Path, *lines: str) -> PropertyTable:
    path = folder / "properties.tsv"
    path.write_text("".join(line.replace(" ", "\t") + "\n" for line in lines), encoding="utf-8")
    return read_properties(path, LEAVES)


def test_columns_hold_numbers_answers_or_words(tmp_path: Path) -> None:
    table = read(tmp_path, "# ours", "leaf length_cm alive colour", "ant 0.6 yes black|red", "cat 7.5e1 Yes ",
                 "bee  no yellow|black")  # fmt: skip
    assert {name: column.kind for name, column in table.columns.items()} == {
        "length_cm": "numbers", "alive": "yes or no", "colour": "words",
    }  # fmt: skip
    assert table.columns["length_cm"].values == {"ant": 0.6, "cat": 75.0}
    assert table.columns["alive"].values == {"ant": True, "cat": True, "bee": False}
    assert table.columns["colour"].values == {"ant": {"black", "red"}, "bee": {"black", "yellow"}}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("leaf a", "ant 1", "cow 2"), ":3: the data set has no leaf 'cow'"),
        (("leaf a", "ant 1", "bees 2"), "'bees'. Did you mean 'bee'?"),
        (("leaf a", "ant 1", "bee 2", "ant 3"), ":4: the leaf 'ant' is listed in line 2 already"),
        (("leaf a", "ant 1", "bee tall", "cat 3"), ":3: column 'a': expected a number, or nothing where it is unknown"),
        (("leaf a", "ant 1", "bee 3cm", "cat 3"), ":3: column 'a': expected a number. Write numbers only, all in one"),
        (("leaf a", "ant 1m", "bee 3cm", "cat 30mm"), ":2: column 'a': expected a number. Write numbers only, all in"),
        (("leaf a", "ant yes", "bee no", "cat maybe"), ":4: column 'a': expected yes, no or nothing"),
        (("leaf a b", "ant 1 2", "bee 2 2"), ":1: the column 'b' says '2' of every leaf: there is nothing to tell"),
        (("leaf a b", "ant 1 ", "bee 2 "), ":1: the column 'b' is empty"),
        (("concept a", "ant 1"), ":1: expected a tab-separated header 'leaf<TAB>PROPERTY...', found ['concept', 'a']"),
        (("leaf", "ant"), ":1: expected a tab-separated header"),
    ],
)
def test_a_mistake_is_one_sentence_with_its_place(tmp_path: Path, lines: tuple[str, ...], said: str) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, *lines)
    assert str(tmp_path / "properties.tsv") + said in str(caught.value) or said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_table_is_named() -> None:
    with pytest.raises(UsageError, match=r"No such property file: 'none.tsv'. Give one with --properties FILE.tsv"):
        read_properties(Path("none.tsv"), LEAVES)
