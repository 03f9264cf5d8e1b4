"""The repository's page of the board: what a first-time reader needs, and nothing that a name could smuggle in."""

import re
from dataclasses import replace

from taxbench.board.analysis.language_findings import LanguageFindings
from taxbench.board.analysis.languages_text import languages_text, paired_table
from taxbench.board.plots import plots
from taxbench.board.references import references
from taxbench.board.render.readme import readme
from tests.board.boards import board, empty_board, hostile_board, spoken
from tests.board.render.test_text_table import cells


def section(text: str, title: str) -> list[list[str]]:
    """Return the first table under a heading."""
    lines = text.partition(f"## {title}\n")[2].splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("|"))
    end = next(i for i, line in enumerate([*lines, ""]) if i > start and not line.startswith("|"))
    return [cells(line) for line in lines[start:end] if not line.startswith("|--")]


def test_every_entry_is_a_line_with_rank_band_and_intervals() -> None:
    one = board()
    text = readme(one)
    head, *lines = section(text, "Dataset pocket")
    entries = [entry for entry in one.entries if entry.dataset == "pocket"]
    assert len(lines) == len(entries) and head[:2] == ["rank", "band"]
    first, entry = dict(zip(head, lines[0], strict=True)), entries[0]
    f1 = entry.rows["unseen"].f1
    assert (
        entry.rank and first["rank"] == f"1 [1–{entry.rank.high}]" and first["band"] == "1" and first["LM"] == entry.lm
    )
    assert first["unseen F1"] == f"{f1.mean:.3f} [{f1.low:.2f}, {f1.high:.2f}]" and first["± seeds"] == f"{f1.sd:.3f}"
    states = [line[0] for line in lines if not line[0][:1].isdigit()]
    assert states == ["other seeds", "–", "control", "control"]
    assert "- llama-3.2-1b · dinov2-reg-large · mlp · 256 patch tokens: counterfactual_low" in text


def test_features_and_settings_are_columns_only_where_they_differ() -> None:
    text = readme(board())
    assert "setting" in section(text, "Dataset pocket")[0] and "features" not in section(text, "Dataset things")[0]


def test_it_explains_links_and_says_how_to_add_a_row() -> None:
    one = replace(board(), references=references())
    text = readme(one)
    for link in ("index.html", "board.csv", "board.json", "board.tex", "results", "published/README.md"):
        assert f"]({link})" in text
    assert all(f"](figures/{plot.stem}.png)" in text for plot in plots(one))
    for command in (
        "taxbench run --model",
        "taxbench leaderboard add results",
        "leaderboard check",
        "leaderboard build",
    ):
        assert command in text
    for word in ("transfer", "coherence effect", "band", "± seeds", "held-out AUROC", "random LM"):
        assert word in text.partition("## How to read this")[2].partition("\n## ")[0]
    assert "There are no results yet." in readme(empty_board())


def test_published_figures_are_marked_and_name_their_source() -> None:
    text = readme(replace(board(), references=references()))
    head, *lines = section(text, "Published figures: reported, not re-run")
    assert len(lines) == 7 and "arXiv 2603.07474" in text and "All 420 cells" in text
    line = dict(zip(head, next(each for each in lines if each[:3] == ["things", "Qwen3-1.7B", "DINOv2"]), strict=True))
    assert line["unseen F1"] == "0.746 ± 0.035" and line["swapped across categories"] == "0.482 ± 0.009"
    assert line["random LM, unseen F1"] == "0.453 ± 0.008"


def test_languages_are_paired_with_english_where_there_are_several() -> None:
    head, *lines = section(readme(board()), "Languages")
    assert head[:4] == ["dataset", "LM ← head ← encoder", "task", "language"] and "own answers" not in head
    english, german, chinese = (dict(zip(head, line, strict=True)) for line in lines)
    assert (english["language"], english["less English"], chinese["language"]) == ("en", "–", "zh")
    assert (german["less English"], german["nonsense"]) == ("-0.018 [-0.04, +0.00]", "0.568 [0.46, 0.67]")
    assert "## Languages" not in readme(replace(board(), languages=()))
    assert "no cognates" not in head  # files of languages say which they are


def test_systems_of_one_name_are_told_apart_by_their_settings() -> None:
    both = spoken("a", "pocket", "de") + spoken("a", "pocket", "de", setting="epochs=2")
    names = [line[1] for line in paired_table(both)[1:]]
    assert names == ["a", "a", "a (epochs=2)", "a (epochs=2)"]
    assert [line[1] for line in paired_table(both[2:])[1:]] == ["a", "a"]
    assert "**a (epochs=2)**" in languages_text(LanguageFindings(both, ()))


def test_hostile_names_are_inert() -> None:
    text = readme(hostile_board())
    own = re.sub(r"</?(details|summary)>|<!-- Made by .*? -->", "", text)
    assert not re.search(r"(?<!\\)[<>]", own)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", text)
    table = [line for line in text.splitlines() if line.startswith("|")]
    blocks = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert len(table) > 20 and all(len({len(cells(line)) for line in block.splitlines()}) == 1 for block in blocks)
    assert all(re.fullmatch(r"figures/[a-z0-9-]+\.png", path) for path in re.findall(r"\]\((figures/[^)]*)\)", text))
