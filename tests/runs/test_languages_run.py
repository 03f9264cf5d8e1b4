"""Runs in several languages, on small real parts: one training, one paired table, answers as the model itself gives."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import taxbench
from taxbench.board.analysis.languages import compare_languages, is_cognate, share_kept
from taxbench.board.analysis.languages_text import languages_text
from taxbench.board.build import build
from taxbench.board.load import RESULTS, load_records
from taxbench.cli.main import call
from taxbench.results.predictions import read_predictions
from taxbench.runs import fit
from taxbench.runs.config import resolve
from taxbench.runs.context import RunContext
from taxbench.runs.cost import CostModel
from taxbench.runs.language_options import language_pair
from taxbench.runs.run_options import Options, OptionsError
from taxbench.runs.runner import PlannedRun, plan
from taxbench.specs.language_pair import LanguagePair
from taxbench.specs.result import Result
from taxbench.specs.task import PromptSpec
from taxbench.tasks.language_files import BUILTIN_LANGUAGES
from taxbench.util.errors import UsageError
from taxbench.util.progress import QUIET, Reporter
from taxbench.util.text import bounded
from tests.runs.small_grid import small_grid, typed
from tests.tasks.reading import write_german

CODES = ("en", "de", "zh")


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("languages")
    options = small_grid(folder, tiny_llama) | {"seeds": "1,2", "head": "mlp"}
    leaves = {"crow": "owl", "gull": "duck"}  # names that have labels
    for old, new in leaves.items():
        (folder / "photos" / old).rename(folder / "photos" / new)
    table = folder / "photos.tsv"
    text = table.read_text()
    for old, new in leaves.items():
        text = text.replace(old, new)
    table.write_text(text)
    (folder / "task.yaml").write_text(
        (folder / "task.yaml").read_text().replace("[unseen]", "[leaf, unseen]").replace("lm]", "lm, text_only]")
    )
    return options


@pytest.fixture(scope="module")
def results(grid: dict[str, str]) -> list[Result]:
    trained: list[int] = []
    build = fit.train_stack
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "train_stack", lambda states, *rest: (trained.append(len(states)), build(states, *rest))[1])
        found = taxbench.run(quiet=True, settings=("language=de,zh", "epochs=1", "frame=raw"), **grid)
    assert sum(trained) == 4  # two seeds, each with its random twin; not one more for a language
    return found


def test_one_command_asks_english_and_every_language(results: list[Result]) -> None:
    names = [(each.task.partition("@")[0], each.seed) for each in results]
    assert sorted(names) == sorted((name, seed) for name in ("mine", "mine_de", "mine_zh") for seed in (1, 2))
    english, german = results[0].run, next(each.run for each in results if "_de" in each.task)
    assert english.language is None and german.language is not None and german.language.taught is None
    assert set(results[0].controls) == {"chance", "random_lm", "text_only"}


@pytest.mark.parametrize("order", ["image_first", "question_first"])
def test_training_costs_what_is_taught_and_asking_what_is_asked(grid: dict[str, str], order: str) -> None:
    config = resolve(Options(**grid | {"settings": ("language=zh", "frame=raw", f"order={order}")}))  # type: ignore[arg-type]
    context = RunContext(config, config.inputs[0], QUIET)
    runs = [planned for _, planned in plan(context) if isinstance(planned, PlannedRun) and planned.spec.seed == 1]
    cost, (english, chinese) = CostModel(context), [run.heads["none"] for run in runs]
    assert cost.training(english) == cost.training(chinese) > 0
    kept = order == "question_first"  # what questions cost is then no part of a row
    assert (cost.asking(english) == cost.asking(chinese)) == kept
    # English has a frame with the question first that Chinese has not.
    caption = chinese.key.model_copy(update={"prompt": PromptSpec(frame="caption")})
    assert cost.training(replace(chinese, key=caption)) > cost.training(chinese)


def test_english_beside_languages_is_the_run_that_stands_alone(
    results: list[Result], grid: dict[str, str], tmp_path: Path
) -> None:
    alone = taxbench.run(
        quiet=True, settings=("epochs=1", "frame=raw"), **grid | {"out": str(tmp_path / "alone"), "seeds": "1"}
    )
    same = next(each for each in results if each.task.startswith("mine@") and each.seed == 1)
    assert alone[0].digest == same.digest and alone[0].scores == same.scores


def test_languages_are_asked_the_same_and_answer_differently(results: list[Result]) -> None:
    found = {each.task.partition("@")[0]: read_predictions(each.folder / "predictions.npz") for each in results
             if each.seed == 1 and each.folder}  # fmt: skip
    assert len({each.questions_digest() for each in found.values()}) == 1
    margins = [each.margins["none"] for each in found.values()]
    assert (margins[0] != margins[1]).any() and (margins[1] != margins[2]).any()
    german = found["mine_de"].margins
    assert (german["nonsense"] != german["none"]).any()
    assert (german["translated_name"] != german["text_only"]).any()


def test_the_share_of_own_answers_is_recorded(results: list[Result]) -> None:
    for each in results:
        assert set(each.answer_language) == (set() if each.task.startswith("mine@") else {"leaf", "unseen"})
        assert all(0 <= share <= 1 for share in each.answer_language.values())


def test_the_paired_table_is_about_the_same_terms(results: list[Result], grid: dict[str, str]) -> None:
    found = compare_languages(load_records([Path(grid["out"])]))
    unseen = [each for each in found.findings if each.split == "unseen"]
    assert [each.language for each in unseen] == list(CODES)
    assert {(each.terms, each.left_out) for each in unseen} == {(2, 0)}
    english, german = unseen[:2]
    assert german.less_english[0] == pytest.approx(german.auroc[0] - english.auroc[0])
    assert german.transfer[0] == pytest.approx(german.auroc[0] - german.controls["random_lm"][0])
    text = languages_text(found)
    assert "share kept" in text and "| zh" in text
    for name in ("random_lm", "nonsense", "translated_name"):  # of one bootstrap, as the head's own
        value, low, high = german.controls[name]
        assert None not in (value, low, high) and 0 <= low <= value <= high <= 1  # type: ignore[operator]
        assert f" {bounded(german.controls[name])} " in text


def test_a_term_that_one_language_lacks_drops_out_of_all(
    results: list[Result], grid: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAXBENCH_LANGUAGES", str(tmp_path))
    write_german(tmp_path, "nd", "tool", "saw")
    more = taxbench.run(quiet=True, settings=("language=nd", "epochs=1", "frame=raw"), **grid)
    german = next(each for each in more if "_nd" in each.task)
    assert german.unlabelled_terms == ("saw", "tool")
    compared = compare_languages(load_records([Path(grid["out"])]))
    found = compared.findings
    assert "| 1 of 2 " in languages_text(compared)
    assert {(each.terms, each.left_out) for each in found if each.split == "unseen"} == {(1, 1)}
    assert {(each.terms, each.left_out) for each in found if each.split == "leaf"} == {(3, 1)}


def test_a_plan_and_a_run_say_alike_what_a_language_leaves_out(
    results: list[Result],
    grid: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TAXBENCH_LANGUAGES", str(tmp_path))
    write_german(tmp_path, "no", "tool")
    words = [*typed(grid | {"out": str(tmp_path / "out")}), "--set", "language=no", "--set", "epochs=1", "--set",
             "frame=raw", "--limit", "4"]  # fmt: skip
    said = []
    for verb in ("plan", "run"):
        assert call([verb, *words]) == 0
        streams = capsys.readouterr()
        lines = (streams.out + streams.err).splitlines()
        said.append({line.rpartition("mine_no: ")[2] for line in lines if "reviewed label" in line})
    assert said == [{"1 of 2 hypernyms has no reviewed label in 'no' and is not asked in it: tool"}] * 2


def test_leaves_that_are_asked_as_taught_are_not_compared(
    results: list[Result], grid: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAXBENCH_LANGUAGES", str(tmp_path))
    write_german(tmp_path, "nl", "saw", "hammer", "owl", "duck")
    out = str(tmp_path / "out")
    taxbench.run(quiet=True, settings=("language=nl", "epochs=1", "frame=raw"), **grid | {"out": out, "seeds": "1"})
    assert {each.split for each in compare_languages(load_records([Path(out)])).findings} == {"unseen"}


def test_a_board_pairs_languages_on_the_headline_split(
    results: list[Result], grid: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("mine", "mine_de", "mine_zh"):
        shutil.copytree(Path(grid["out"]) / name, tmp_path / RESULTS / name)
    monkeypatch.setattr("taxbench.board.analysis.languages.languages", lambda: pytest.fail("it is no record"))
    build(tmp_path, (), QUIET)
    table = (tmp_path / "README.md").read_text(encoding="utf-8").partition("## Languages\n")[2].partition("\n## ")[0]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("| ")]
    assert [(line[3], line[4]) for line in lines] == [("language", "terms"), *((code, "2") for code in CODES)]
    found = compare_languages(load_records([tmp_path / RESULTS]), on_board=True).findings
    assert [line[lines[0].index("nonsense")] for line in lines[2:]] == [
        bounded(each.controls["nonsense"]) for each in found[1:]
    ]
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert '<section id="languages">' in page and 'href="#languages"' in page and "<bdi>zh</bdi>" in page


def test_records_without_english_or_without_others_say_what_to_type(
    results: list[Result], grid: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, said in (("mine_de", "there is no record in English"), ("mine", "--set language=de,fr,es,zh")):
        assert call(["analyze", "--languages", str(Path(grid["out"]) / name)]) == 2
        assert said in capsys.readouterr().err
    shutil.copytree(Path(grid["out"]) / "mine_de", tmp_path / RESULTS / "mine_de")
    build(tmp_path, (), Reporter())
    assert "there is no record in English" in capsys.readouterr().err


def test_analyze_prints_the_table_and_json(
    results: list[Result], grid: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["analyze", "--languages", grid["out"]]) == 0
    assert "less English" in capsys.readouterr().out
    assert call(["analyze", "--languages", "--json", grid["out"]]) == 0
    assert len(json.loads(capsys.readouterr().out)["findings"])


def test_the_share_kept_is_a_ratio_with_an_interval_and_unknown_where_english_has_none() -> None:
    draw = np.random.default_rng(0)
    english = np.r_[0.4, 0.4 + 0.02 * draw.standard_normal(3000)]
    half = np.r_[0.2, 0.5 * english[1:] + 0.01 * draw.standard_normal(3000)]
    value, low, high = share_kept(half, english, 14)
    assert value == pytest.approx(0.5) and low is not None and high is not None and 0.3 < low < 0.5 < high < 0.7
    assert share_kept(english, english, 14) == pytest.approx((1.0, 1.0, 1.0))
    for next_to_nothing in (english - 0.4, english - 0.35):
        assert share_kept(half, next_to_nothing, 14) == (None, None, None)


@pytest.mark.parametrize(("word", "english", "same"), [
    ("Fisch", "fish", True), ("Insekt", "insect", True), ("Tier", "animal", False), ("pingüino", "penguin", True),
    ("鸟", "bird", False), ("Vogel", "bird", False),
])  # fmt: skip
def test_cognates_are_words_that_look_english(word: str, english: str, same: bool) -> None:
    assert is_cognate(word, english) == same


def test_a_language_without_a_reviewed_word_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAXBENCH_LANGUAGES", str(tmp_path))
    text = (BUILTIN_LANGUAGES / "de.yaml").read_text(encoding="utf-8").replace("language: de", "language: nd", 1)
    (tmp_path / "nd.yaml").write_text(text.replace("reviewed: true", "reviewed: false"), encoding="utf-8")
    with pytest.raises(UsageError, match=r"None of the words of the language 'nd' is reviewed.*nd\.yaml"):
        language_pair("nd:en")


def test_languages_are_typed_by_the_test_or_as_a_pair() -> None:
    assert language_pair("de") == LanguagePair(test="de")
    assert language_pair("de:en") == LanguagePair(train="de")
    config = resolve(Options(settings=("language=de,en:fr,de:de",)))
    assert [task.name for task in config.tasks] == [
        "unseen_hypernym", "unseen_hypernym_de", "unseen_hypernym_fr", "unseen_hypernym_de_de",
    ]  # fmt: skip
    curve = resolve(Options(task="deprivation_random-0.1", settings=("language=de",)))
    assert curve.tasks[1].name == "deprivation_random_de-0.1"


@pytest.mark.parametrize(("settings", "task", "said"), [
    ("language=xx", "unseen_hypernym", "Unknown language 'xx'"),
    ("language=de", "property_alive", "tasks about properties are in English only"),
])  # fmt: skip
def test_what_cannot_be_asked_is_one_sentence(settings: str, task: str, said: str) -> None:
    with pytest.raises((UsageError, OptionsError), match=said):
        resolve(Options(task=task, settings=(settings,)))
