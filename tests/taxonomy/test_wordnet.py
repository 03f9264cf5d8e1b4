"""WordNet's nouns come from the package's table, which is what nltk's reader makes of WordNet."""

from pathlib import Path

import pytest

from taxbench.taxonomy.wordnet import Nouns, read_nouns
from taxbench.util.errors import DataError

DEBIAN = Path("/usr/share/wordnet")


def test_wordnet_has_all_its_noun_synsets(wordnet: Nouns) -> None:
    assert len(wordnet.synsets) == 82115
    assert len({synset.key for synset in wordnet.synsets}) == 82115


def test_the_table_is_what_nltk_reads_from_wordnet(wordnet: Nouns) -> None:
    if not (DEBIAN / "data.noun").is_file():
        pytest.skip("WordNet is not installed: apt-get install wordnet-base")
    assert read_nouns(DEBIAN) == wordnet


def test_senses_come_in_wordnet_order(wordnet: Nouns) -> None:
    keys = [wordnet.synsets[index].key for index in wordnet.senses["table"]]
    assert keys[:3] == ["table.n.01", "table.n.02", "table.n.03"]
    assert wordnet.synsets[wordnet.position("crow.n.01")].gloss == "black birds having a raucous call"


def test_hypernyms_lead_from_crow_to_animal(wordnet: Nouns) -> None:
    above, reached = wordnet.position("crow.n.01"), set()
    while wordnet.synsets[above].hypernyms:
        above = wordnet.synsets[above].hypernyms[0]
        reached.add(wordnet.synsets[above].key)
    assert {"bird.n.01", "animal.n.01", "entity.n.01"} <= reached


def test_instances_are_kept_apart_from_kinds(wordnet: Nouns) -> None:
    rome = wordnet.synsets[wordnet.senses["rome"][0]]
    assert rome.instance_of and not rome.hypernyms


def test_counts_are_those_of_semcor(wordnet: Nouns) -> None:
    mouse = wordnet.synsets[wordnet.position("mouse.n.01")]
    assert mouse.counts[mouse.lemmas.index("mouse")] == 14
    assert wordnet.other_uses["small"] > 100


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


def test_synsets_are_found_by_the_numbers_of_imagenet(wordnet: Nouns) -> None:
    assert wordnet.synsets[wordnet.at_offset[1443537]].key == "goldfish.n.01"
    assert len(wordnet.at_offset) == len(wordnet.synsets)


def test_unknown_synset_names_the_expected_form(wordnet: Nouns) -> None:
    with pytest.raises(DataError, match=r"crow\.n\.01"):
        wordnet.position("crow.n.99")
