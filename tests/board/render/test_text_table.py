"""The table that commands print: what is said, what is left out, and names that cannot break it."""

import re
from dataclasses import replace

import pytest

from taxbench.board.board import NOTHING, Estimate, GroupAverage
from taxbench.board.published import BesidePublished
from taxbench.board.render.cells import in_letters, is_latin, markdown_table, markdown_text
from taxbench.board.render.text_table import TableLayout, _order_of, text_table
from taxbench.specs.task import PublishedFigure
from taxbench.util.errors import UsageError
from taxbench.util.text import short
from taxbench.util.text import width as columns
from tests.board.boards import chinese_board, hostile_board, row

NAMES = {
    "dataset": "pocket",
    "lm": "wordnet-lm",
    "encoder": "pocket-conv",
    "head": "mlp",
    "features": "pooled",
    "setting": "",
}


def cells(line: str) -> list[str]:
    """Split a line of a Markdown table at the pipes that are not escaped."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def table(text: str) -> list[dict[str, str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [dict(zip(cells(lines[0]), cells(line), strict=True)) for line in lines[2:]]


def test_figures_stand_with_both_uncertainties_and_controls_with_their_mean() -> None:
    one = replace(row("unseen_hypernym", NAMES), f1=Estimate(0.7, 0.1, 0.61, 0.789), metrics=("macro_f1",))
    text = text_table([one])
    assert text.startswith("**LM wordnet-lm ← head mlp ← encoder pocket-conv · dataset pocket · seeds 7, 42, 218**\n")
    (line,) = table(text)
    assert (
        line["task"] == "unseen_hypernym@2" and line["F1"] == "0.700 ± 0.100 [0.61, 0.79]" and line["chance"] == "0.492"
    )
    assert list(line)[5:9] == ["chance", "random LM", "no image", "shuffled"]


def test_a_narrow_terminal_gets_the_columns_that_tell_most_and_the_titles_of_the_others() -> None:
    one = row("unseen_hypernym", NAMES)
    whole = text_table([one])
    for width in (60, 100, 140):
        text = text_table([one], layout=TableLayout(width=width))
        lines = [line for line in text.splitlines() if line.startswith("|")]
        assert max(map(len, lines)) <= max(width, 66) and "F1" in cells(lines[0])
        left = re.findall(r"Not shown at this width: (.*?)\. Name", text)[0].split(", ")
        assert {*left, *cells(lines[0])} == set(table(whole)[0]) and not {*left} & {*cells(lines[0])}
    assert "transfer" in cells(lines[0]) and text_table([one], layout=TableLayout(width=999)) == whole


def test_columns_are_chosen_and_lines_sorted_by_any_of_them() -> None:
    rows = [replace(row("leaf", NAMES | {"head": head}), f1=figure, auroc=other) for head, figure, other in
            (("blank", NOTHING, NOTHING), ("weak", Estimate(0.1), Estimate(0.9)), ("strong", Estimate(0.9, 0.1),
             Estimate(0.2)))]  # fmt: skip
    text = text_table(rows, layout=TableLayout(("head", "auroc", "F1"), "auroc", 20))
    assert list(table(text)[0]) == ["head", "AUROC", "F1"]
    assert [line["head"] for line in table(text)] == ["weak", "strong", "blank"]
    assert [line["head"] for line in table(text_table(rows, layout=TableLayout(sort="head")))] == [
        "blank", "strong", "weak"]  # fmt: skip
    for values in (("2026-12-01", "2027-01-05", "2027-03-01"), ("3e-05", "1e-05"), ("0.01", "3e-05")):
        assert sorted(values[::-1], key=_order_of) == list(values)
    both = [*rows, row("leaf", NAMES | {"lm": "alone"})]  # whose table has no column of heads
    assert text_table(both, layout=TableLayout(("head", "F1"))).count("| F1") == 2
    with pytest.raises(UsageError, match=r"There is no column 'aurroc'. Did you mean 'auroc'\? Columns: head, "):
        text_table(rows, layout=TableLayout(sort="aurroc"))


def test_models_as_columns_stand_in_one_table_of_their_dataset() -> None:
    rows = [row("leaf", NAMES | {"lm": lm, "head": head}) for lm, head in (("one", "mlp"), ("two", "mlp"))]
    rows.append(row("leaf", NAMES | {"dataset": "other"}))
    assert text_table(rows).count("| task") == 3
    text = text_table(rows, layout=TableLayout(("LM", "encoder", "head", "F1")))
    assert re.findall(r"\*\*(.*)\*\*", text) == [f"Dataset {name} · seeds 7, 42, 218" for name in ("pocket", "other")]
    assert {line["LM"] for line in table(text.split("**Dataset other")[0])} == {"one", "two"}
    rows = [row("leaf", NAMES | {"encoder": encoder}) for encoder in ("eye", "lens")]
    text = text_table(
        rows, [GroupAverage("both", each.place, NOTHING, "") for each in rows], (), TableLayout(sort="LM")
    )
    assert {line["encoder"] for line in table(text)} == {"eye", "lens"}  # nothing that tells lines apart is lost
    assert "both, wordnet-lm, eye, mlp, average: –" in text and "both, wordnet-lm, lens, mlp, average: –" in text


def test_what_runs_cost_and_their_settings_are_columns_where_they_are_named() -> None:
    settings = {"epochs": 5, "hidden": [8, 16]}
    rows = [replace(row("unseen_hypernym", NAMES), settings=settings, seconds=90.0, finished="2026-11-30")]
    rows.append(replace(row("unseen_hypernym", NAMES | {"head": "linear"}), settings={"epochs": 9}))
    assert {"minutes", "date", "epochs"}.isdisjoint(table(text_table(rows))[0])
    found = table(text_table(rows, layout=TableLayout(("head", "epochs", "hidden", "minutes", "date"), "epochs")))
    assert found == [
        {"head": "linear", "epochs": "9", "hidden": "–", "minutes": "–", "date": "–"},
        {"head": "mlp", "epochs": "5", "hidden": r"\[8, 16\]", "minutes": "1.5", "date": "2026-11-30"},
    ]
    with pytest.raises(UsageError, match=r"no column 'epoch'\. Did you mean 'epochs'"):
        text_table(rows, layout=TableLayout(("epoch",)))


def test_columns_that_say_nothing_are_left_out_but_never_the_score() -> None:
    one = replace(
        row("leaf", NAMES), f1=NOTHING, transfer=NOTHING, controls={"random_lm": NOTHING}, metrics=("macro_f1",)
    )
    (line,) = table(text_table([one]))
    assert line["F1"] == "–" and not {"transfer", "random LM", "held-out F1", "accuracy", "text only"} & set(line)
    assert "accuracy" in table(text_table([row("leaf", NAMES)]))[0]


def test_columns_stand_under_each_other_in_a_terminal_whatever_letters_they_have() -> None:
    text = text_table(chinese_board().rows)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) > 8 and "照片：动物（第二版）" in text
    mixed = markdown_table([["语言", "ab"], ["ü", "a"], ["u\u0308", "鸟类"]])
    for block in [mixed, *text.split("**")[2::2]]:
        assert len({columns(line) for line in block.splitlines() if line.startswith("|")}) == 1


def test_names_are_cut_to_columns_of_a_terminal() -> None:
    assert (short("鸟" * 40), short("鸟" * 30)) == ("鸟" * 29 + "…", "鸟" * 30)
    assert (short("a" * 61), short("a" * 60)) == ("a" * 59 + "…", "a" * 60)
    assert len(short("e" + "\u0301" * 500)) == 60 and columns("ｂ鸟\u0301e") == 5


def test_several_heads_share_a_table_the_best_first() -> None:
    rows = [replace(row("leaf", NAMES | {"head": head}), f1=figure) for head, figure in
            (("blank", NOTHING), ("weak", Estimate(0.1)), ("strong", Estimate(0.9)))]  # fmt: skip
    averages = [GroupAverage("both", rows[0].place, NOTHING, "1 of 2 members missing: unseen_hypernym")]
    text = text_table(rows, averages)
    assert text.startswith("**LM wordnet-lm ← encoder pocket-conv · dataset pocket · seeds")
    assert [line["head"] for line in table(text)] == ["strong", "weak", "blank"]
    assert "both, blank, average: – (1 of 2 members missing: unseen\\_hypernym)" not in text
    assert "both, blank, average: – (1 of 2 members missing: unseen_hypernym)" in text


def test_settings_versions_and_hashes_are_shown_where_they_tell_rows_apart() -> None:
    changed = row("leaf", NAMES | {"setting": "epochs=3"})
    assert "seeds 7, 42, 218 · epochs=3**" in text_table([changed])
    one = row("leaf", NAMES)
    other = replace(one, task=one.task.model_copy(update={"leaks": "keep"}))
    shown = [line["task"] for line in table(text_table([one, other]))]
    assert shown == [one.task.identity, other.task.identity] and shown[0][:7] == shown[1][:7] == "leaf@2#"


def test_published_figures_stand_beside_ours() -> None:
    cell = PublishedFigure(encoder="e", lm="l", split="unseen", macro_f1=0.8, sd=0.01, two_class=0.75)
    found = [BesidePublished("paper_full", "l, e", "unseen", "none", Estimate(0.7), cell, "arXiv 2603.07474")]
    text = text_table([], (), found)
    assert "(arXiv 2603.07474)" in text
    assert table(text)[0] | {"published": "0.750", "difference": "-0.050", "F1 here": "0.700"} == table(text)[0]


def test_hostile_names_break_no_table_and_no_terminal() -> None:
    text = text_table(hostile_board().rows, hostile_board().groups)
    table_lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(cells(line)) for line in table_lines}) <= 3 and max(map(len, table_lines)) < 600
    assert not re.search(r"(?<!\\)[<>`]|[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", text)
    text.encode("utf-8")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a_b@1 c", "a_b@1 c"),
        ("_a_ *b* [c](d) `e` ~f~", r"\_a\_ \*b\* \[c\](d) \`e\` \~f\~"),
        ("<b> & $x$ |", r"\<b\> \& \$x\$ \|"),
        ("https://x.org www.x.org a@x.org", r"https\://x.org www\.x.org a\@x.org"),
        ("a\n\tb\u202ec\ud800", "a b\ufffdc\ufffd"),
        ("x" * 99, "x" * 59 + "…"),
    ],
)
def test_markdown_shows_names_as_they_are(text: str, shown: str) -> None:
    assert markdown_text(text) == shown


def test_names_for_papers_are_in_latin_letters() -> None:
    assert in_letters("Ærø “x” שלום…", is_latin) == "Ærø ?x? ????..." and in_letters("ŋ\u0301", is_latin) == "?"
    assert in_letters("Ka\u0308se Łódź 鸟类", is_latin) == "Käse ?ódz ??"
