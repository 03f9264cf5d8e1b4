"""WordNet is read the same from either home, and its absence is explained."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from nltk.corpus.reader.wordnet import WordNetCorpusReader
from nltk.data import SeekableUnicodeStreamReader

from taxbench.taxonomy.wordnet import DEBIAN_FOLDER, Nouns, find_wordnet, read_nouns
from taxbench.util.errors import DataError


@pytest.fixture(scope="module")
def nouns() -> Nouns:
    try:
        return read_nouns()
    except DataError as problem:
        pytest.skip(str(problem))


def test_wordnet_has_all_its_noun_synsets(nouns: Nouns) -> None:
    assert len(nouns.synsets) == 82115
    assert len({synset.key for synset in nouns.synsets}) == 82115


@pytest.mark.filterwarnings("ignore:The multilingual functions")
def test_synsets_are_those_of_nltk_s_reader(nouns: Nouns, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = find_wordnet()

    class Reader(WordNetCorpusReader):
        """Reads Debian's folder too: the names of lexicographers' files stand in for themselves."""

        def open(self, file: str) -> Any:
            if file == "lexnames":
                return StringIO("".join(f"{number:02d}\tnone\t1\n" for number in range(45)))
            return SeekableUnicodeStreamReader((folder / file).open("rb"), "utf8")

        def map_wn(self, version: str = "wordnet") -> None:
            """Other versions of WordNet are not looked up."""

    monkeypatch.setattr("nltk.data.path", [str(folder)])
    reader = Reader(str(folder), None)
    names = set(reader.all_lemma_names("n"))
    assert {name.replace("_", " ") for name in names} == nouns.senses.keys()
    glosses = []
    for offset, index in list(nouns.at_offset.items())[::50]:
        mine, theirs = nouns.synsets[index], reader.synset_from_pos_and_offset("n", offset)
        assert mine.key == theirs.name()
        assert mine.lemmas == tuple(name.replace("_", " ") for name in theirs.lemma_names())
        assert mine.counts == tuple(lemma.count() for lemma in theirs.lemmas())
        above, instance_of = theirs.hypernyms(), theirs.instance_hypernyms()
        assert {nouns.synsets[each].key for each in mine.hypernyms} == {each.name() for each in above}
        assert {nouns.synsets[each].key for each in mine.instance_of} == {each.name() for each in instance_of}
        glosses.append((mine.gloss, theirs.definition()))
    assert sum(mine != theirs for mine, theirs in glosses) < len(glosses) / 100  # it loses what a gloss quotes


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


def test_both_homes_agree(nouns: Nouns) -> None:
    if find_wordnet() == DEBIAN_FOLDER or not (DEBIAN_FOLDER / "data.noun").is_file():
        pytest.skip("only one copy of WordNet is installed")
    assert read_nouns(DEBIAN_FOLDER).synsets == nouns.synsets


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


def test_nothing_is_downloaded_when_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taxbench.taxonomy.wordnet.DEBIAN_FOLDER", tmp_path / "debian")
    monkeypatch.setattr("taxbench.taxonomy.wordnet.nltk_search_path", [str(tmp_path)])
    fetched: list[str] = []
    monkeypatch.setattr("nltk.download", lambda name, quiet: fetched.append(name))
    for switch in ("TAXBENCH_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv("TAXBENCH_OFFLINE", raising=False)
        monkeypatch.setenv(switch, "1")
        with pytest.raises(DataError, match=r"apt-get install wordnet-base.*nltk\.downloader wordnet"):
            find_wordnet()
    assert not fetched
    monkeypatch.delenv("HF_HUB_OFFLINE")
    with pytest.raises(DataError, match="WordNet is not installed"):
        find_wordnet()
    assert fetched == ["wordnet"]


def test_synsets_are_found_by_the_numbers_of_imagenet(nouns: Nouns) -> None:
    assert nouns.synsets[nouns.at_offset[1443537]].key == "goldfish.n.01"
    assert len(nouns.at_offset) == len(nouns.synsets)


def test_unknown_synset_names_the_expected_form(nouns: Nouns) -> None:
    with pytest.raises(DataError, match=r"crow\.n\.01"):
        nouns.position("crow.n.99")
