"""The TSV of a taxonomy: nothing in it is lost or taken for something else without a word."""

from pathlib import Path

import pytest

from taxbench.taxonomy.taxonomy import Taxonomy, TaxonomyFile, read_rows, read_taxonomy, write_taxonomy
from taxbench.util.errors import DataError

HEADER = "folder\tleaf\thypernyms\n"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "taxonomy.tsv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('n1\t"crow\tbird\nn2\towl\tbird\n', ":2: the cell '\"crow' begins with a quote"),
        ("n1\tcrow\tbird\tanimal\n", r":2: expected 3 cells between tabs, found 4; hypernyms are separated by '\|'"),
        ("\nn1\tcrow\n", r":3: expected 3 cells between tabs, found 2"),
        ("n1\tCrow\tbird\nn2\tcrow\tbird\n", ":3: the leaf 'crow' differs only by case from 'Crow' in line 2"),
        ("n1\tcrow\tBird\nn2\towl\tbird\n", ":3: the hypernym 'bird' differs only by case from 'Bird' in line 2"),
        ("n1\tcrow\tbird|Bird\n", ":2: the hypernym 'bird' differs only by case"),
        ("n1\t____\tbird\n", ":2: the leaf '____' is not a word"),
        ("n1\tcrow\t!?|bird\n", r":2: the hypernym '!\?' is not a word"),
        (f"n1\t{'x' * 200_000}\tbird\n", ":2: the leaf 'x+...' has 200000 letters"),
        ("n1\tcr\x1bow\tbird\n", r":2: the leaf 'cr\\x1bow' has a control character"),
        ("n1\tcaf\u00e9\tbird\nn1\tcafe\u0301\tbird\n", ":3: the folder 'n1' is listed twice"),
    ],
)
def test_a_row_that_would_be_misread_is_refused_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DataError, match=r"taxonomy\.tsv" + words):
        read_rows(written(tmp_path, HEADER + text))


@pytest.mark.parametrize("header", ["folder\tleaf\thypernyms\thypernyms", "folder\tfolder\thypernyms", "n1\tn1\tbird"])
def test_a_column_is_named_once(tmp_path: Path, header: str) -> None:
    with pytest.raises(DataError, match=r"taxonomy\.tsv:2: expected a header that names every column once"):
        read_rows(written(tmp_path, f"# a comment\n{header}\n"))


@pytest.mark.parametrize(
    ("text", "leaf"),
    [
        ('n1\t12" ruler\ttool\n', '12" ruler'),
        ('"n1"\t"12"" ruler"\t"tool"\n', '12" ruler'),
        ("n1\tcafe\u0301\ttool\n", "caf\u00e9"),
        ("\t\t\nn1\t crow \ttool| \n\t\t\n", "crow"),
    ],
)
def test_cells_are_read_as_they_are_meant(tmp_path: Path, text: str, leaf: str) -> None:
    (row,) = read_rows(written(tmp_path, (HEADER + text).replace("\n", "\r\n")))
    assert (row.folder, row.leaf, row.hypernyms) == ("n1", leaf, ("tool",))


def test_a_table_that_a_spreadsheet_saved_as_unicode_text_is_read(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text(f"{HEADER}n1\tgr\u00e8be\tbird\n".replace("\n", "\r\n"), encoding="utf-16")
    (row,) = read_rows(tmp_path / "t.tsv")
    assert (row.folder, row.leaf, row.hypernyms) == ("n1", "gr\u00e8be", ("bird",))


@pytest.mark.parametrize("leaf", ['"odd" crow', '12" crow', '"', "caf\u00e9", "#crow"])
def test_what_is_written_reads_back(tmp_path: Path, leaf: str) -> None:
    listed = TaxonomyFile(Taxonomy({f"a{leaf}": ("bird", '"tool"')}), {leaf: f"a{leaf}"})
    write_taxonomy(tmp_path / "made.tsv", listed)
    again = read_taxonomy(tmp_path / "made.tsv")
    assert again.leaf_of_folder == listed.leaf_of_folder and set(again.taxonomy.hypernyms) == {"bird", '"tool"'}


@pytest.mark.parametrize("leaf", ["cr\tow", "cr\now", " crow", "cr\udcffow"])
def test_what_would_not_read_back_is_not_written(tmp_path: Path, leaf: str) -> None:
    with pytest.raises(DataError, match=r"made\.tsv' cannot hold .*ow', which"):
        write_taxonomy(tmp_path / "made.tsv", TaxonomyFile(Taxonomy({"crow": ()}), {leaf: "crow"}))
    assert not (tmp_path / "made.tsv").exists()


def test_names_that_nobody_says_are_noted_with_their_line(tmp_path: Path) -> None:
    odd = {
        "black stork, Ciconia nigra": "several names",
        "black_stork": "an underscore",
        "stork.n.01": "a synset of WordNet",
        "001.Albatross": "a number in front",
        "black\u00a0stork": "an invisible letter",
        "st\u200bork": "an invisible letter",
        "n01855672": "a number of WordNet",
        "goose (n01855672)": "a number of WordNet",
        "goose.jpg": "the name of a file",
        "snow%20goose": "a sign",
        "goose/duck": "a sign",
        "<b>goose</b>": "a sign",
        "a goose": "an article",
        "NaN": "an empty cell",
    }
    path = tmp_path / "t.tsv"
    for name, what in odd.items():
        path.write_text(f"folder\tleaf\thypernyms\na\tcrow\tbird\nb\t{name}\tbird\n")
        (note,) = read_taxonomy(path).notes
        assert f"nobody says {name!r} in line 3 ({what})" in note
    for name in (
        "hot dog",
        "T-shirt",
        "jack-o'-lantern",
        "café",
        "Mt. Fuji",
        "iPod",
        "theatre",
        "anise",
        "naan",
        "V8 engine",
    ):
        path.write_text(f"folder\tleaf\thypernyms\na\t{name}\tthing\n")
        assert not read_taxonomy(path).notes
