"""Taxonomies made from WordNet: meanings, the choice of hypernyms, and the file."""

from pathlib import Path

import pytest

from taxbench.taxonomy.from_wordnet import wordnet_taxonomy
from taxbench.taxonomy.taxonomy import TaxonomyFile, read_taxonomy, write_taxonomy
from taxbench.util.errors import DataError

BIRDS = ["crow", "robin", "owl", "finch", "wren"]
MAMMALS = ["tiger", "otter", "whale", "mouse", "dog"]
VEHICLES = ["car", "school bus", "train", "bicycle", "lifeboat"]
LEAVES = [*BIRDS, *MAMMALS, *VEHICLES]


@pytest.fixture(scope="module")
def made() -> TaxonomyFile:
    return wordnet_taxonomy(LEAVES)


def test_hypernyms_are_words_that_people_say(made: TaxonomyFile) -> None:
    assert set(made.taxonomy.hypernyms) == {"animal", "bird", "mammal", "vehicle"}
    assert set(made.taxonomy.leaves_of["bird"]) == set(BIRDS)
    assert set(made.taxonomy.leaves_of["mammal"]) == set(MAMMALS)
    assert set(made.taxonomy.leaves_of["vehicle"]) == set(VEHICLES)
    assert made.leaf_of_folder == {leaf: leaf for leaf in LEAVES}


def test_animals_come_before_fur_flesh_and_people(made: TaxonomyFile) -> None:
    for leaf in ("tiger", "otter", "whale"):
        assert "animal" in made.taxonomy.hypernyms_of[leaf]
    assert any(note.startswith("'otter' was taken as otter.n.02") for note in made.notes)
    people = wordnet_taxonomy(["baby", "girl", "boy", "kid", "woman", "crow"]).taxonomy
    assert people.leaves_of["person"] == ("baby", "boy", "girl", "kid", "woman")


def test_things_come_before_people_who_are_never_called_so() -> None:
    food, tools = ["hot_dog", "brownie", "taco", "smoothie"], ["toaster", "printer", "rake", "screw"]
    table = wordnet_taxonomy([*food, *tools, "pizza", "hammer", "crow", "knight", "king"], min_leaves=2).taxonomy
    assert {"hot dog", *food[1:], "pizza"} <= {*table.leaves_of["food"]}
    assert {"crow", *tools}.isdisjoint(table.leaves_of["person"])
    assert table.leaves_of["person"] == ("king", "knight")  # not pieces of chess


def test_folders_of_known_data_sets_are_read() -> None:
    ancestry = "00000_Animalia_Chordata_Aves_Passeriformes_Corvidae_Corvus_corax"
    given = {
        "001.Black_footed_Albatross": "Black footed Albatross", "n02085620-Chihuahua": "Chihuahua",
        "042_otter": "otter", "n02096585-Boston_bull": "Boston bull", ancestry: "raven", "3-D glasses": "3-D glasses",
        "02123045-n": "tabby", "1. hammer": "hammer",
    }  # fmt: skip
    table = wordnet_taxonomy([*given, "wren", "pug"], min_leaves=2)
    assert {folder: table.leaf_of_folder[folder] for folder in given} == given
    assert table.taxonomy.leaves_of["bird"] == ("Black footed Albatross", "raven", "wren")
    assert {"Chihuahua", "Boston bull", "pug"} <= {*table.taxonomy.leaves_of["animal"]}
    with pytest.raises(DataError, match="no noun 'Corvus nemo'"):
        wordnet_taxonomy([ancestry.replace("corax", "nemo"), "wren"])


def test_names_synsets_and_numbers_mean_the_same() -> None:
    by_number = wordnet_taxonomy(["n01579028", *LEAVES[1:]])
    by_synset = wordnet_taxonomy(["crow.n.01", *LEAVES[1:]])
    assert by_number.taxonomy == by_synset.taxonomy == wordnet_taxonomy(LEAVES).taxonomy
    assert by_number.leaf_of_folder["n01579028"] == by_synset.leaf_of_folder["crow.n.01"] == "crow"


def test_folder_names_are_read_as_names() -> None:
    table = wordnet_taxonomy(["school_bus", "Tench, Tinca tinca", "aquarium_fish", "sunflowers"], min_leaves=1)
    assert table.leaf_of_folder == {
        "school_bus": "school bus", "Tench, Tinca tinca": "Tench", "aquarium_fish": "aquarium fish",
        "sunflowers": "sunflowers",
    }  # fmt: skip
    assert table.taxonomy.hypernyms_of["aquarium fish"] == ("animal",)
    assert any("'aquarium fish' is not in WordNet: taken as a kind of fish.n.01" in note for note in table.notes)


@pytest.mark.parametrize("limits", [{}, {"min_leaves": 2}, {"min_depth": 7, "min_leaves": 2}, {"max_depth": 9}])
def test_every_hypernym_keeps_to_the_limits(limits: dict[str, int]) -> None:
    table = wordnet_taxonomy(LEAVES, **limits).taxonomy  # type: ignore[arg-type]
    groups = list(table.leaves_of.values())
    assert all(limits.get("min_leaves", 5) <= len(group) < len(LEAVES) for group in groups)
    assert len(set(groups)) == len(groups)
    assert ("animal" in table.hypernyms) == (limits.get("min_depth", 4) < 7)
    assert not {"entity", "object", "whole", "organism", "placental"} & set(table.hypernyms)


def test_leaves_of_one_name_are_told_apart() -> None:
    table = wordnet_taxonomy(["crane.n.04", "crane.n.05", *LEAVES]).leaf_of_folder
    assert table["crane.n.04"] != table["crane.n.05"]
    assert table["crane.n.05"] == "crane (wading bird)"


def test_the_file_reads_back(made: TaxonomyFile, tmp_path: Path) -> None:
    write_taxonomy(tmp_path / "taxonomy.tsv", made)
    again = read_taxonomy(tmp_path / "taxonomy.tsv")
    assert again.taxonomy == made.taxonomy and again.leaf_of_folder == made.leaf_of_folder


def test_order_and_repetition_of_leaves_do_not_matter(made: TaxonomyFile) -> None:
    assert wordnet_taxonomy([*reversed(LEAVES), "crow"]) == made


@pytest.mark.parametrize(
    ("leaf", "words"),
    [("crowd of", "no noun"), ("hamer", "Did you mean 'hamper'|Did you mean 'hammer'"), ("crow.n.99", "no noun synset"),
     ("n00000001", "no noun synset 'n00000001'")],
)  # fmt: skip
def test_an_unknown_leaf_is_named(leaf: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        wordnet_taxonomy([leaf])


def test_all_unknown_leaves_are_named_at_once() -> None:
    with pytest.raises(DataError, match=r"(?s)no noun '____'.*no noun 'grfx'.*no noun 'zzq'.*Give the WordNet name"):
        wordnet_taxonomy([*LEAVES, "zzq", "grfx", "____"])


def test_no_hypernym_at_all_is_an_error() -> None:
    with pytest.raises(DataError, match=r"No hypernym that people say has 5 of the 3 leaves .*'--min-leaves 2'"):
        wordnet_taxonomy(["crow", "CROW", "hammer", "apple"])


def test_a_word_given_plainly_keeps_its_name() -> None:
    given = ["crane", "crane.n.04", "crane.n.05", *LEAVES]
    names = wordnet_taxonomy(given).leaf_of_folder
    assert names["crane"] == "crane" and len({names[leaf] for leaf in given[:3]}) == 3


def test_the_meaning_of_a_leaf_without_hypernyms_is_noted() -> None:
    notes = wordnet_taxonomy([*BIRDS, "hammer"]).notes
    assert any(note.startswith("'hammer' was taken as hammer.n.0") for note in notes)
    assert "'hammer' has no hypernym: it is only asked by its own name." in notes


def test_case_makes_no_other_leaf(made: TaxonomyFile, tmp_path: Path) -> None:
    table = wordnet_taxonomy([*LEAVES, "CROW", "Crow"])
    assert table.taxonomy == made.taxonomy
    assert table.leaf_of_folder["CROW"] == table.leaf_of_folder["Crow"] == "crow"
    assert table.notes.count("'CROW', 'Crow', 'crow' are one leaf: 'crow'.") == 1
    dog_and_coat = wordnet_taxonomy([*LEAVES, "n02113186", "n02963159"])  # Cardigan and cardigan
    write_taxonomy(tmp_path / "taxonomy.tsv", dog_and_coat)
    assert len(read_taxonomy(tmp_path / "taxonomy.tsv").taxonomy.leaves) == len(LEAVES) + 2


def test_nothing_to_do_is_said() -> None:
    with pytest.raises(DataError, match="no leaves"):
        wordnet_taxonomy([])
