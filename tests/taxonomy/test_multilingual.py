"""Words of other languages from tables of the Open Multilingual Wordnet: agreed, and for a speaker to review."""

from pathlib import Path

import pytest

from taxbench.cli.main import call
from taxbench.tasks.language_files import find_language, read_language
from taxbench.taxonomy.from_wordnet import meaning_of
from taxbench.taxonomy.multilingual import agreed_words
from taxbench.taxonomy.wordnet import Nouns
from taxbench.util.errors import DataError

TABLES = (
    "# MultiWordNet\tita\thttp://multiwordnet.fbk.eu\tCC BY 3.0 \n"
    "01621127-n\tita:lemma\tcivetta\n01621127-n\tita:lemma\tgufo\n01621127-n\tita:def\t0\tuccello notturno\n"
    "02084071-n\tita:lemma\tcane\n02121808-n\tita:lemma\tgatto_domestico\n",
    "# Wiktionary\tita\thttp://wiktionary.org/\tCC BY-SA\n"
    "01621127-n\tita:lemma\tgufo\n01621127-n\tita:lemma\tcivetta\n01621127-v\tita:lemma\tabbaiare\n"
    "02084071-n\tita:lemma\tsegugio\n",
)


@pytest.fixture
def tables(tmp_path: Path) -> list[Path]:
    """Write tables with owls, a dog on which they do not agree, and a cat that only one of them has."""
    paths = [tmp_path / f"{number}.tab" for number in range(len(TABLES))]
    for path, text in zip(paths, TABLES, strict=True):
        path.write_text(text, encoding="utf-8")
    return paths


def test_the_meaning_of_a_name_is_that_of_taxonomies(wordnet: Nouns) -> None:
    offsets = {name: meaning_of(name) for name in ("owl", "owls", "tiger", "aquarium fish", "blorf")}
    keys = {name: offset and wordnet.synsets[wordnet.at_offset[offset]].key for name, offset in offsets.items()}
    assert keys == {
        "owl": "owl.n.01", "owls": "owl.n.01", "tiger": "tiger.n.02", "aquarium fish": None, "blorf": None
    }  # fmt: skip


def test_words_count_where_all_tables_have_them(tables: list[Path]) -> None:
    found = agreed_words(["owl", "dog", "domestic cat", "blorf"], tables)
    assert found.words == {"owl": ("civetta", "gufo")}
    assert found.source == "MultiWordNet (CC BY 3.0); Wiktionary (CC BY-SA)"
    assert agreed_words(["domestic cat"], tables[:1]).words == {"domestic cat": ("gatto domestico",)}


def test_what_is_no_such_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "words.tab").write_text("# mine\nowl\tgufo\n")
    with pytest.raises(DataError, match=r"words\.tab' is no table of the Open Multilingual Wordnet: expected"):
        agreed_words(["owl"], [tmp_path / "words.tab"])


def test_a_language_begins_with_words_that_nobody_has_reviewed(
    tables: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAXBENCH_LANGUAGES", str(tmp_path / "mine"))
    words = [part for path in tables for part in ("--words", str(path))]
    assert call(["new", "language", "it", *words]) == 0
    assert "1 of 118 terms have a word in all 2 tables; none is reviewed." in capsys.readouterr().out
    made = tmp_path / "mine" / "it.yaml"
    text = made.read_text(encoding="utf-8")
    assert '  "owl": {term: "civetta", reviewed: false, source: "MultiWordNet (CC BY 3.0); ' in text
    assert text.endswith('(CC BY-SA)"}  # or gufo\n') and "labels.owl" not in str(read_language(made))


def test_a_variant_begins_as_a_copy_and_keeps_what_is_reviewed(
    tables: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAXBENCH_LANGUAGES", str(tmp_path / "mine"))
    (tmp_path / "leaves.tsv").write_text("folder\tleaf\thypernyms\nowl\towl\tbird\nhound\tdog\tmammal\n")
    for name in ("owl", "hound"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(3):
            (tmp_path / "photos" / name / f"{number}.png").write_bytes(bytes([number]) + name.encode())
    words = ["--words", str(tables[0]), "--dataset", f"folder:{tmp_path / 'photos'}"]
    assert call(["new", "language", "fr_ph", *words, "--taxonomy", str(tmp_path / "leaves.tsv")]) == 0
    made, french = find_language("fr_ph"), find_language("fr")
    assert made.labels["owl"] == french.labels["owl"] and made.frames == french.frames
    assert made.labels["dog"].term == "cane" and not made.knows("dog")
