"""WordNet's nouns come from the package's table, which is what nltk's reader makes of WordNet."""

from pathlib import Path

import pytest

from taxbench.taxonomy.wordnet import Nouns, read_nouns
from taxbench.util.errors import DataError

DEBIAN = Path("/usr/share/wordnet")


@pytest.fixture(scope="module")
def nouns() -> Nouns:
    return read_nouns()


def test_wordnet_has_all_its_noun_synsets(nouns: Nouns) -> None:
    assert len(nouns.synsets) == 82115
    assert len({synset.key for synset in nouns.synsets}) == 82115


def test_the_table_is_what_nltk_reads_from_wordnet(nouns: Nouns) -> None:
    if not (DEBIAN / "data.noun").is_file():
        pytest.skip("WordNet is not installed: apt-get install wordnet-base")
    assert read_nouns(DEBIAN) == nouns


def test_senses_come_in_wordnet_order(nouns: Nouns) -> None:
    keys = [nouns.synsets[index].key for index in nouns.senses["table"]]
    assert keys[:3] == ["table.n.01", "table.n.02", "table.n.03"]
    assert nouns.synsets[nouns.position("crow.n.01")].gloss == "black birds having a raucous call"


def test_hypernyms_lead_from_crow_to_animal(nouns: Nouns) -> None:
    above, reached = nouns.position("crow.n.01"), set()
    while nouns.synsets[above].hypernyms:
        above = nouns.synsets[above].hypernyms[0]
        reached.add(nouns.synsets[above].key)
    assert {"bird.n.01", "animal.n.01", "entity.n.01"} <= reached


def test_instances_are_kept_apart_from_kinds(nouns: Nouns) -> None:
    rome = nouns.synsets[nouns.senses["rome"][0]]
    assert rome.instance_of and not rome.hypernyms


def test_counts_are_those_of_semcor(nouns: Nouns) -> None:
    mouse = nouns.synsets[nouns.position("mouse.n.01")]
    assert mouse.counts[mouse.lemmas.index("mouse")] == 14
    assert nouns.other_uses["small"] > 100


def test_absence_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="apt-get install wordnet-base"):
        read_nouns(tmp_path)


@pytest.mark.parametrize(
    "files",
    [{"data.noun": "hello world\n"}, {"data.noun": "00001740 03 n 01 entity 0 003 ~ 00001930 n 0000 | cut"},
     {"data.noun": "00001740 03 n 01 entity 0 000 | a thing\n"}, {"data.noun": "", "index.noun": "a b c"}],
)  # fmt: skip
def test_a_damaged_wordnet_is_named(tmp_path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=f"WordNet in '{tmp_path}' cannot be read .*missing or damaged"):
        read_nouns(tmp_path)


def test_synsets_are_found_by_the_numbers_of_imagenet(nouns: Nouns) -> None:
    assert nouns.synsets[nouns.at_offset[1443537]].key == "goldfish.n.01"
    assert len(nouns.at_offset) == len(nouns.synsets)


def test_unknown_synset_names_the_expected_form(nouns: Nouns) -> None:
    with pytest.raises(DataError, match=r"crow\.n\.01"):
        nouns.position("crow.n.99")
