"""THINGS as people unpack it, and the published facts about its concepts."""

import pickle
from pathlib import Path

import pytest

from taxbench.datasets.dataset import Dataset, load_dataset
from taxbench.datasets.things import CONCEPTS, published_forms
from taxbench.protocol.words import with_article
from taxbench.taxonomy.taxonomy import read_rows
from taxbench.util.errors import DataError, UsageError
from tests.datasets.things_tree import make_things


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_things(tmp_path_factory.mktemp("data") / "things", lambda concept: 1)


@pytest.fixture(scope="module")
def things(tree: Path) -> Dataset:
    return load_dataset(f"things:{tree}")


def some(root: Path, names: tuple[str, ...] = ("aardvark", "baton2", "baton3", "air_conditioner")) -> tuple[Path, Path]:
    """Make a few concepts and a taxonomy of only these, lines of the package's own."""
    make_things(root, lambda concept: 2, names)
    lines = CONCEPTS.read_text().splitlines()
    listed = root.parent / "few.tsv"
    listed.write_text("\n".join(line for line in lines if line.split("\t")[0] in ("folder", *names)) + "\n")
    return root, listed


def test_the_published_counts_hold(things: Dataset) -> None:
    table = things.taxonomy
    assert len(table.leaves) == 1222
    assert len({table.display_name(leaf) for leaf in table.leaves}) == 1216
    assert len(table.hypernyms) == 53
    assert sum(map(len, table.hypernyms_of.values())) == 2040


def test_concepts_that_share_a_name_keep_their_own_hypernyms(things: Dataset) -> None:
    table = things.taxonomy
    assert [table.display_name(leaf) for leaf in ("baton2", "baton3", "air_conditioner")] == [
        "baton",
        "baton",
        "air conditioner",
    ]
    assert table.hypernyms_of["baton2"] == ("weapon",)
    assert table.hypernyms_of["baton3"] == ("sports equipment",)


def test_every_term_has_its_published_form(things: Dataset) -> None:
    terms = {*things.taxonomy.hypernyms, *map(things.taxonomy.display_name, things.taxonomy.leaves)}
    assert set(things.forms) == terms == set(published_forms())
    assert things.forms["furniture"] == "a furniture" and with_article("furniture") == "furniture"
    assert all(form.removeprefix("an ").removeprefix("a ") == term for term, form in things.forms.items())
    assert {row.form for row in read_rows(CONCEPTS) if row.leaf == "bird"} == {things.forms["bird"]}


def test_images_are_read_in_other_processes(things: Dataset) -> None:
    read = pickle.loads(pickle.dumps(things.read))
    assert read(things.images[0]).size == (2, 2)
    assert things.images[0].id == "aardvark/aardvark_01.bmp"


@pytest.mark.parametrize("nest", ["object_images", "Images/object_images", "", "_images_THINGS/object_images"])
def test_nesting_does_not_matter(tmp_path: Path, nest: str) -> None:
    root, listed = some(tmp_path / "a")
    moved = tmp_path / "b" / nest
    moved.parent.mkdir(parents=True, exist_ok=True)
    (root / "object_images").rename(moved)
    dataset = load_dataset(f"things:{tmp_path / 'b'}", listed)
    assert len(dataset.images) == 8
    assert dataset.images[0].id == "aardvark/aardvark_01.bmp"
    assert dataset.read(dataset.images[-1]).mode == "RGB"


def test_archives_in_parts_are_one_dataset(tmp_path: Path) -> None:
    root, listed = some(tmp_path / "things")
    part = root / "object_images_A-C"
    part.mkdir()
    whole = load_dataset(f"things:{root}", listed).fingerprint
    (root / "object_images" / "baton2").rename(part / "baton2")
    dataset = load_dataset(f"things:{root}", listed)
    assert dataset.fingerprint == whole
    assert all(dataset.read(image).size == (2, 2) for image in dataset.images)


def test_the_data_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, listed = some(tmp_path / "things")
    monkeypatch.setenv("TAXBENCH_DATA", str(tmp_path))
    assert len(load_dataset("things", listed).images) == 8


def test_folders_without_hypernyms_are_left_out_and_counted(tmp_path: Path) -> None:
    root, listed = some(tmp_path / "things")
    make_things(tmp_path / "more", lambda concept: 1, ["ashtray", "zygote"])
    for folder in sorted((tmp_path / "more" / "object_images").iterdir()):
        folder.rename(root / "object_images" / folder.name)
    dataset = load_dataset(f"things:{root}", listed)
    assert len(dataset.images) == 8
    assert any(note.startswith("2 folders of") for note in dataset.notes)


def long_format(rows: list[tuple[str, str]]) -> str:
    return "category\tWord\tuniqueID\n" + "".join(f"{group}\t-\t{concept}\n" for concept, group in rows)


def wide_format(rows: list[tuple[str, str]]) -> str:
    groups = sorted({group for _, group in rows})
    lines = ["\t".join(["uniqueID", "Word", *(group.replace("'", ".").replace(" ", ".") for group in groups)])]
    for concept in sorted({concept for concept, _ in rows}):
        lines.append("\t".join([concept, "-", *("01"[(concept, group) in rows] for group in groups)]))
    return "\n".join(lines)


@pytest.mark.parametrize("make", [long_format, wide_format])
@pytest.mark.parametrize("place", [".", "..", "03_category-level", "../THINGSplus/Metadata/Concept-specific"])
def test_a_category_file_of_thingsplus_is_used(tmp_path: Path, make: object, place: str) -> None:
    root, _ = some(tmp_path / "data" / "things")
    rows = [("aardvark", "animal"), ("aardvark", "mammal"), ("baton2", "weapon"), ("baton3", "women's clothing")]
    (root / place).mkdir(parents=True, exist_ok=True)
    assert callable(make)
    (root / place / f"category53_{make.__name__}.tsv").write_text(make(rows))
    dataset = load_dataset(f"things:{root}")
    assert dict(dataset.taxonomy.hypernyms_of) == {
        "aardvark": ("animal", "mammal"), "baton2": ("weapon",), "baton3": ("piece of women's clothing",),
    }  # fmt: skip
    assert dataset.taxonomy.display_name("baton2") == "baton"
    assert "category53_" in dataset.notes[0] and "1 folders" in dataset.notes[1]


def test_the_packages_design_survives_a_category_file(tree: Path, things: Dataset, tmp_path: Path) -> None:
    (tmp_path / "things").mkdir()
    (tmp_path / "things" / "object_images").symlink_to(tree / "object_images")
    rows = [(leaf, group) for leaf, groups in things.taxonomy.hypernyms_of.items() for group in groups]
    (tmp_path / "category53_longFormat.tsv").write_text(long_format(rows))
    assert load_dataset(f"things:{tmp_path / 'things'}").fingerprint == things.fingerprint


def test_what_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAXBENCH_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match=r"(?s)images_THINGS\.zip.*osf\.io/jum2f.*unzip.*things:"):
        load_dataset("things")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no concept of THINGS"):
        load_dataset(f"things:{tmp_path / 'empty'}")
    root, listed = some(tmp_path / "things")
    with pytest.raises(DataError, match=r"1218 of 1222 concepts of THINGS have no image in .*: accordion"):
        load_dataset(f"things:{root}")
    for path in (root / "object_images" / "baton2").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"1 of 4 concepts of THINGS have no image in .*: baton2"):
        load_dataset(f"things:{root}", listed)
    with pytest.raises(UsageError, match="brings its own taxonomy"):
        load_dataset(f"things:{root}", Path("wordnet"))


def test_a_concept_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    root, listed = some(tmp_path / "things")
    make_things(root / "copy", lambda concept: 1, ["aardvark"])
    with pytest.raises(DataError, match="'aardvark' is duplicated"):
        load_dataset(f"things:{root}", listed)


@pytest.mark.parametrize("text", ["", "a\tb\n1\t2\n", "uniqueID\tcategory\n"])
def test_a_broken_category_file_is_named(tmp_path: Path, text: str) -> None:
    root, _ = some(tmp_path / "things")
    (root / "category53_longFormat.tsv").write_text(text)
    with pytest.raises(DataError, match="category53_longFormat"):
        load_dataset(f"things:{root}")


@pytest.mark.parametrize(
    ("cell", "words"),
    [("x", r":3: expected 0 or 1 in the column 'mammal', found 'x'"), ("", "found ''"), (None, "expected 5 cells")],
)
def test_a_bad_cell_does_not_lose_a_column(tmp_path: Path, cell: str | None, words: str) -> None:
    root, _ = some(tmp_path / "things")
    rows = [["uniqueID", "Word", "rank", "animal", "mammal"], ["aardvark", "-", "1", "1", "1"],
            ["baton2", "-", "2", "0", "0"], ["baton3", "-", "3", "0", "0"]]  # fmt: skip
    path = root / "category53_wideFormat.tsv"
    path.write_text("\n".join(map("\t".join, rows)))
    assert load_dataset(f"things:{root}").taxonomy.hypernyms == ("animal", "mammal")
    rows[2][4:] = [] if cell is None else [cell]
    path.write_text("\n".join(map("\t".join, rows)))
    with pytest.raises(DataError, match=words):
        load_dataset(f"things:{root}")


def test_a_stray_quote_swallows_no_row(tmp_path: Path) -> None:
    root, _ = some(tmp_path / "things")
    rows = [("aardvark", "animal"), ("baton2", "weapon"), ("baton3", "sports equipment")]
    path = root / "category53_longFormat.tsv"
    path.write_text(long_format(rows).replace("\t-\taardvark", '\t12" -\taardvark'))
    assert set(load_dataset(f"things:{root}").taxonomy.leaves) == {"aardvark", "baton2", "baton3"}
    path.write_text(long_format(rows).replace("\t-\taardvark", '\t"-\taardvark'))
    with pytest.raises(DataError, match=":2: the cell '\"-' begins with a quote"):
        load_dataset(f"things:{root}")
