"""Language files: strict, complete for the words that the suite promises, and every mistake at its place."""

import csv
import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from taxbench.cli.main import call
from taxbench.datasets.dataset import load_dataset
from taxbench.tasks.language_files import (
    BUILTIN_LANGUAGES,
    check_language,
    find_language,
    hypernyms_asked,
    language_schema,
    languages,
    read_language,
)
from taxbench.tasks.yaml_file import parse_yaml
from taxbench.util.errors import TaskError, UsageError
from taxbench.util.paths import PACKAGE

CODES = ("de", "es", "fr", "zh")
GERMAN = (BUILTIN_LANGUAGES / "de.yaml").read_text(encoding="utf-8")


def written(folder: Path) -> Path:
    """Write the German file as if it were Italian."""
    path = folder / "it.yaml"
    path.write_text(GERMAN.replace("language: de", "language: it", 1), encoding="utf-8")
    return path


def changed(folder: Path, old: str, new: str) -> Path:
    """Write it with one piece of text changed."""
    path = written(folder)
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


def test_the_four_languages_are_valid_by_their_own_reader_and_by_the_schema() -> None:
    schema = Draft202012Validator(language_schema())
    for code in CODES:
        path = BUILTIN_LANGUAGES / f"{code}.yaml"
        assert read_language(path)[1] == []
        assert list(schema.iter_errors(parse_yaml(path).data)) == []


@pytest.mark.parametrize("code", CODES)
def test_every_leaf_and_hypernym_of_pocket_has_a_reviewed_label(code: str) -> None:
    taxonomy, language = load_dataset("pocket").taxonomy, find_language(code)
    names = {taxonomy.display_name(leaf) for leaf in taxonomy.leaves}
    assert [term for term in (*names, *taxonomy.hypernyms) if not language.knows(term)] == []


@pytest.mark.parametrize("code", CODES)
def test_every_hypernym_of_things_has_a_label_and_few_are_in_doubt(code: str) -> None:
    hypernyms, language = hypernyms_asked()["things"], find_language(code)
    assert len(hypernyms) == 53
    assert set(hypernyms) <= language.labels.keys()
    assert sum(not language.knows(term) for term in hypernyms) <= 2


@pytest.mark.parametrize("code", CODES)
def test_different_words_of_pocket_have_different_labels(code: str) -> None:
    taxonomy, language = load_dataset("pocket").taxonomy, find_language(code)
    terms = {*map(taxonomy.display_name, taxonomy.leaves), *taxonomy.hypernyms}
    assert len({language.labels[term].term for term in terms}) == len(terms)


def test_chinese_wordings_have_no_blanks_and_fullwidth_marks() -> None:
    chinese = find_language("zh")
    texts = [*chinese.templates.model_dump().values(), *chinese.frames.model_dump().values()]
    assert not any(" " in text or "?" in text for text in texts)
    assert chinese.templates.presence.endswith("？")


@pytest.mark.parametrize(
    ("old", "new", "place", "said"),
    [
        ("{a_term} zu sehen?", "etwas zu sehen?", "6:3", "expected {a_term} or {term} in it"),
        ("{a_term} zu sehen?", "{aterm} zu sehen?", "6:3", "expected {a_term} or {term} in it"),
        ("{a_term} zu sehen?", "{a_term zu sehen?", "6:3", "is no wording"),
        ("  chat:", "  chatt:", "12:3", "Did you mean 'chat'?"),
        ('  plain: "{image}. {question}"', '  plain: "{question} {image}."', "9:3", "{image} and then {question}"),
        ("{term: Vogel, ", "{", "23:3", "field 'term' is missing"),
        ("term: Vogel,", "term: '',", "23:10", "labels.bird.term: it is blank; expected a word as it stands in a"),
        ("term: Vogel,", "term: 'Vogel ',", "23:10", "labels.bird.term: 'Vogel ': expected a word as it stands in a"),
        ("reviewed: true", "reviewed: yes", "22:42", "expected true or false"),
        ("source:", "licence:", "3:1", "unknown field 'licence'"),
        ("language: it", "language: en", "1:1", "the words of English are those of the datasets"),
        ("language: it", "language: fi", "1:1", "call the file fi.yaml"),
        ("language: it", "language: Italian", "1:1", "such as de or pt_br"),
        ('positive: "Ja", ', "", "4:1", "answers: field 'positive' is missing"),
        (', negative: "Nein"', "", "4:1", "answers: field 'negative' is missing"),
        ('positive: "Ja"', 'positive: "nein"', "4:", "positive and negative answers are the same"),
    ],
)
def test_a_mistake_is_named_with_line_and_column(tmp_path: Path, old: str, new: str, place: str, said: str) -> None:
    path = changed(tmp_path, old, new)
    language, found = read_language(path)
    assert language is None
    assert any(str(each).startswith(f"{path}:{place}") and said in str(each) for each in found), list(map(str, found))


def test_all_mistakes_of_a_file_are_named_at_once(tmp_path: Path) -> None:
    path = changed(tmp_path, "{a_term} zu sehen?", "etwas?")
    path.write_text(path.read_text().replace("  qa:", "  qq:").replace("term: Vogel", "term: ''"))
    said = "\n".join(map(str, read_language(path)[1]))
    assert all(word in said for word in ("presence", "'qq'", "bird"))


def test_a_fifth_language_with_half_of_its_words_is_valid_and_says_which_are_missing(tmp_path: Path) -> None:
    path = written(tmp_path)
    lines = path.read_text().splitlines(keepends=True)
    cut = next(place for place, line in enumerate(lines) if line.startswith("  duck:"))
    path.write_text("".join(lines[:cut]))
    language, found = check_language(path)
    assert language is not None
    assert language.knows("bird")
    assert {(each.level, each.line) for each in found} == {("warning", 20)}
    said = {each.message.partition(" ha")[0]: each.message for each in found}
    assert set(said) == {
        "labels: 104 of the 104 leaves that other languages name", "labels: 41 of the 53 hypernyms of things"
    }  # fmt: skip
    assert all(word in "".join(said.values()) for word in ("duck, owl", "body part", "and 90 more"))


def test_missing_hypernyms_are_named_by_dataset_apart_from_leaves(tmp_path: Path) -> None:
    path = written(tmp_path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith(("  bird:", "  fish:", "  toy:", "  owl:"))))
    assert [each.message for each in check_language(path)[1] if each.line == 20] == [
        "labels: 2 of the 14 hypernyms of pocket have no label: bird, fish",
        "labels: 2 of the 53 hypernyms of things have no label: bird, toy",
        "labels: 1 of the 104 leaves that other languages name has no label: owl",
    ]


def test_what_is_missing_is_said_beside_what_is_wrong(tmp_path: Path) -> None:
    path = changed(tmp_path, "source:", "licence:")
    text = path.read_text().replace("a_term: ein Fisch, reviewed: true", "a_term: ein Fisch")
    path.write_text("".join(line for line in text.splitlines(keepends=True) if not line.startswith("  bird:")))
    language, found = check_language(path)
    assert language is None
    said = "\n".join(map(str, found))
    for part in ("unknown field 'licence'", "hypernyms of pocket has no label: bird", "never asked: fish, outerwear"):
        assert part in said
    whole = check_language(changed(tmp_path, "term: Vogel,", ""))[1]
    assert not any("no label" in each.message for each in whole)  # it is there and broken


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("term: Vogel,", "term: tier,", "labels.bird: the same word as for animal; questions about them"),
        ("a_term: ein Vogel", "a_term: ein Tier", "labels.bird: the same word as for animal; questions about them"),
        ("term: Tier,", "term: Spielzeug,", "labels.toy: the same word as for animal"),
        ("term: Vogel,", "term: Eule,", "labels.owl: the same word as for bird"),
        ("a_term: ein Vogel, reviewed: true", "a_term: ein Tier, reviewed: false", ""),  # never asked
        ("term: Kleidung,", "term: Spielzeug,", ""),  # hypernyms of two datasets, which are never asked together
    ],
)
def test_a_word_that_stands_for_two_terms_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    found = [each for each in check_language(changed(tmp_path, old, new))[1] if "the same word" in each.message]
    assert [each.level for each in found] == ["warning"] * bool(said)
    assert all(each.message.startswith(said) and each.line > 20 for each in found)


@pytest.mark.parametrize("code", CODES)
def test_what_the_built_in_languages_lack_are_the_words_in_doubt(code: str) -> None:
    (found,) = check_language(BUILTIN_LANGUAGES / f"{code}.yaml")[1]
    assert found.message.startswith("labels: hypernyms not reviewed, and so never asked: ")


def test_hypernyms_that_languages_are_checked_by_are_those_of_the_datasets() -> None:
    lines = (PACKAGE / "datasets/files/things_hypernyms.tsv").read_text().splitlines()
    rows = csv.DictReader((line for line in lines if not line.startswith("#")), delimiter="\t")
    assert hypernyms_asked() == {
        "pocket": load_dataset("pocket").taxonomy.hypernyms, "things": tuple(sorted(row["hypernym"] for row in rows))
    }  # fmt: skip


@pytest.mark.parametrize("key", ["language", "name", "source", "answers", "templates", "frames", "nonsense", "labels"])
def test_every_piece_that_is_taken_away_is_named_wherever_the_file_lies(
    key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = re.split(r"^(?=\w)", written(tmp_path).read_text(), flags=re.M)
    (tmp_path / "it.yaml").write_text("".join(block for block in blocks if not block.startswith(f"{key}:")))
    assert call(["validate", str(tmp_path / "it.yaml")]) == 1
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if "warning: " not in line][:-1] == [
        f"{tmp_path / 'it.yaml'}:1:1: field '{key}' is missing"
    ]


def test_a_word_that_looks_like_a_missing_one_is_named(tmp_path: Path) -> None:
    found = {each.line: each.message for each in check_language(changed(tmp_path, "  bird:", "  brid:"))[1]}
    assert found[23] == "labels.brid: no other language has this word. Did you mean 'bird'?"
    found = {each.line: each.message for each in check_language(changed(tmp_path, "  bird:", "  capybara:"))[1]}
    assert 23 not in found and "of the 53 hypernyms of things has no label: bird" in found[20]


def test_what_is_not_reviewed_is_named_and_not_known(tmp_path: Path) -> None:
    path = changed(tmp_path, "a_term: ein Vogel, reviewed: true", "a_term: ein Vogel, reviewed: false")
    language, found = check_language(path)
    assert language is not None
    assert not language.knows("bird")
    assert any("not reviewed, and so never asked: bird" in each.message for each in found)


def test_a_language_of_ones_own_is_found_and_cannot_take_a_known_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAXBENCH_LANGUAGES", str(tmp_path))
    written(tmp_path)
    assert find_language("it").labels["bird"].phrase == "ein Vogel"
    changed(tmp_path, "a_term: ein Vogel", "a_term: ein Piepmatz")
    assert find_language("it").labels["bird"].phrase == languages()["it"].labels["bird"].phrase == "ein Piepmatz"
    changed(tmp_path, "Vogel", "Uccello").rename(tmp_path / "de.yaml")
    assert languages()["de"].labels["bird"].phrase == "ein Vogel"


def test_an_unknown_language_is_one_sentence_with_the_nearest_code() -> None:
    with pytest.raises(UsageError, match=r"Unknown language 'ge'.*Languages: en, de, es, fr, zh"):
        find_language("ge")


@pytest.mark.parametrize(("name", "kind"), [("it", "languages"), ("zh", "languages"), ("mlp", "heads"),
                                            ("smollm2-135m", "models"), ("dinov2", "encoders")])  # fmt: skip
def test_what_is_no_task_but_of_another_kind_is_shown_where_that_is(
    name: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAXBENCH_LANGUAGES", str(tmp_path))
    changed(tmp_path, "{a_term} zu sehen?", "etwas?")  # broken, and one all the same
    assert call(["show", name]) == 2
    said = capsys.readouterr().err
    assert f"'taxbench ls {kind}' shows it" in said
    assert (f"'taxbench run --set language={name}' asks in it" in said) == (kind == "languages")


def test_a_broken_language_is_refused_with_its_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAXBENCH_LANGUAGES", str(tmp_path))
    changed(tmp_path, "{a_term} zu sehen?", "etwas?")
    with pytest.raises(TaskError, match=r"it\.yaml:6:3: templates\.presence"):
        find_language("it")


def test_ls_validate_and_schema_know_languages(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert call(["ls", "languages", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == ["en", *CODES]
    assert rows[1]["hypernyms"] == "pocket 14/14, things 51/53"
    assert call(["validate", str(BUILTIN_LANGUAGES / "de.yaml")]) == 0
    assert "1 language" in capsys.readouterr().out
    assert call(["validate", str(changed(tmp_path, "{a_term} zu sehen?", "etwas?"))]) == 1
    assert "it.yaml:6:3" in capsys.readouterr().out
    assert call(["schema", "language"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "taxbench language file"


def test_a_new_language_names_every_blank_and_is_whole_once_they_are_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAXBENCH_LANGUAGES", str(tmp_path / "mine"))
    assert call(["new", "language", "it"]) == 0
    path = tmp_path / "mine" / "it.yaml"
    assert str(path) in capsys.readouterr().out
    assert call(["validate", str(path)]) == 1
    said = capsys.readouterr().out
    places = ("name", "source", "templates.presence", "frames.chat", "nonsense[1].term", "answers.positive[0]")
    assert all(f"{place}: " in said for place in (*places, "labels.watercraft.term", "labels.bird.a_term"))
    text = path.read_text(encoding="utf-8")
    for key, filled in (
        ("name", "italiano"), ("source", "myself"), ("positive", "Sì"), ("negative", "No"),
        ("presence", "C'è {a_term} in questa immagine?"), ("statement", "In questa immagine c'è {a_term}."),
        ("caption", "Qui c'è {image}. {question} Risposta:"), ("qa", "Qui c'è {image}. {question}"),
        ("chat", "Qui c'è {image}. {question} Rispondi Sì o No."),
    ):  # fmt: skip
        text = text.replace(f'{key}: ""', f'{key}: "{filled}"', 1)
    text = text.replace('term: "", a_term: ""', "term: parola, a_term: una parola").replace("false", "true")
    path.write_text(text, encoding="utf-8")
    assert call(["validate", str(path)]) == 0
    assert "104 of the 104 leaves that other languages name have no label" in capsys.readouterr().out
    assert call(["new", "language", "it"]) == 2
    assert "there already" in capsys.readouterr().err


@pytest.mark.parametrize("code", ["en", "de", "Italian", "../it"])
def test_a_new_language_takes_no_known_code_and_no_path(
    code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["new", "language", code, "--out", str(tmp_path)]) == 2
    assert list(tmp_path.iterdir()) == []
