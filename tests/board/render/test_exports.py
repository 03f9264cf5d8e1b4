"""CSV, JSON, LaTeX and README: the same figures, always the same bytes, and nothing that another program would run."""

import csv
import io
import json
import shutil
import subprocess
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest

from taxbench.board.board import Estimate
from taxbench.board.render.exports import csv_text, json_text, latex_text, tex
from taxbench.board.render.readme import readme
from taxbench.board.render.text_table import TableLayout, latex_tables
from tests.board.boards import HOSTILE, board, chinese_board, empty_board, hostile_board, large_board
from tests.board.boards import row as made_row

BOARDS = {"board": board, "hostile": hostile_board, "large": large_board, "empty": empty_board, "zh": chinese_board}
ENGINES = {
    "pdflatex": r"\usepackage[T1]{fontenc}",
    "xelatex": r"\usepackage[scheme=plain]{ctex}",
}
"""What sets the tables, with the package that the first line of the file names for it."""


def lines(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_csv_has_a_line_a_row_and_four_columns_a_figure() -> None:
    rows = board().rows
    found = lines(csv_text(rows))
    assert len(found) == len(rows)
    for line, row in zip(found, rows, strict=True):
        assert (line["task"], line["lm"], line["seeds"]) == (row.task.identity, row.lm, " ".join(map(str, row.seeds)))
        for title, figure in {"f1": row.f1, "transfer": row.transfer, "control_no_image": row.controls["no_image"],
                              f"split_{row.split}": row.split_f1[row.split]}.items():  # fmt: skip
            read = [float(line[title + part]) if line[title + part] else None for part in ("", "_sd", "_low", "_high")]
            assert read == pytest.approx([figure.mean, figure.sd, figure.low, figure.high], abs=1e-6)


def test_csv_has_settings_that_tell_rows_apart_and_what_runs_cost_where_it_is_known() -> None:
    rows = list(board().rows[:3])
    assert "seconds" not in lines(csv_text(rows))[0] and "epochs" not in lines(csv_text(rows))[0]
    settings = [
        {"epochs": 5, "same": 1, "note": "n"},
        {"epochs": -9, "same": 1, "note": "m"},
        {"same": 1, "said": "=1"},
    ]
    rows = [replace(each, settings=mine) for each, mine in zip(rows, settings, strict=True)]
    rows[0] = replace(rows[0], seconds=61.26, finished="2026-11-30")
    found = lines(csv_text(rows))
    assert [line["epochs"] for line in found] == ["5", "-9", ""] and [line["said"] for line in found] == ["", "", "'=1"]
    assert [line["seconds"] for line in found] == ["61.3", "", ""] and found[0]["finished"] == "2026-11-30"
    assert "same" not in found[0] and found[0]["note"] == rows[0].note  # a setting takes no other column's name


def test_csv_carries_no_formula_and_no_line_break() -> None:
    board = hostile_board()
    names = ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "\u0000-2"]
    rows = [replace(board.rows[0], lm=name, note=name) for name in names]
    found = lines(csv_text([*rows, *board.rows]))
    assert [line["lm"] for line in found[: len(names)]] == ["'=1+1", "'+1", "'-1", "'@SUM(A1)", "'=1", "'=1", "'-2"]
    assert len(csv_text(board.rows).splitlines()) == len(board.rows) + 1
    assert not any(cell.startswith(("=", "+", "@")) for line in found for cell in line.values())


def test_json_is_the_board_with_its_rows_once() -> None:
    one = board()
    read = json.loads(json_text(one))
    assert read.pop("schema_version") == 1 and list(read) == [field.name for field in fields(one)]
    own = [field.name for field in fields(one.rows[0]) if field.name not in ("is_control", "settings")]
    assert list(read["rows"][0]) == own and read["rows"][0]["task"] == one.rows[0].task.identity
    assert read["rows"][0]["f1"] == asdict(one.rows[0].f1)
    assert read["rows"][0]["evidence"]["removed_fraction"] == one.rows[0].evidence.removed_fraction  # type: ignore[union-attr]
    names = ("dataset", "lm", "encoder", "head", "setting")
    there = {(each["task"], *(each[name] for name in names)) for each in read["rows"]}
    for entry in read["entries"]:
        assert {(task, *(entry[name] for name in names)) for task in entry["rows"].values()} <= there


def test_json_refuses_what_json_has_not() -> None:
    one = board()
    bad = replace(one, rows=(replace(one.rows[0], f1=Estimate(float("nan"))),))
    with pytest.raises(ValueError, match="JSON compliant"):
        json_text(bad)


@pytest.mark.parametrize("name", BOARDS)
def test_the_same_board_gives_the_same_bytes(name: str) -> None:
    first, second = BOARDS[name](), BOARDS[name]()
    for make in (lambda b: csv_text(b.rows), json_text, latex_text, readme):
        assert make(first) == make(second)
        make(first).encode("utf-8")


def test_latex_escapes_what_latex_would_obey() -> None:
    assert tex(r"\input{x} $_^~%&#<>|" + '"`') == (
        r"\textbackslash{}input\{x\} \$\_\textasciicircum{}\textasciitilde{}\%\&\#\textless{}\textgreater{}\textbar{}"
        r"\textquotedbl{}\textasciigrave{}"
    )
    assert tex("--- [a] *") == "-{}-{}- {[}a] {*}"
    assert tex("café? שלום_") == r"café? \ifdefined\Umathcode שלום\else ????\fi{}\_"
    assert tex("Ka\u0308se ｂ") == r"Käse \ifdefined\Umathcode ｂ\else b\fi{}"
    assert "\n" not in "".join(map(tex, HOSTILE))


def test_latex_has_the_columns_that_are_named() -> None:
    names = {"dataset": "d_1", "lm": "l", "encoder": "e", "features": "", "setting": ""}
    rows = [
        replace(made_row("unseen_hypernym", names | {"head": head}), f1=Estimate(mean, 0.02, 0.5, 0.8), settings=given)
        for head, mean, given in (("a_b", 0.6, {"epochs": 5}), ("c", 0.7, {}))
    ]
    text = latex_tables(rows, TableLayout(("head", "F1", "epochs"), "F1"))
    body = [line for line in text.splitlines() if "&" in line]
    assert body == [
        r"head & F1 & epochs \\",
        r"c & 0.700$\pm$0.020 {[}0.50, 0.80] & -- \\",
        r"a\_b & 0.600$\pm$0.020 {[}0.50, 0.80] & 5 \\",
    ]
    assert r"\caption{LM l, encoder e, dataset d\_1, seeds 7, 42, 218}" in text and r"\begin{tabular}{lrr}" in text
    assert r"\label{tab:taxbench-1}" in text and latex_tables(rows, TableLayout(("head", "F1", "epochs"), "F1")) == text
    for made in (hostile_board(), large_board()):
        assert "\\input" not in latex_tables(made.rows, TableLayout()).replace("\\textbackslash{}input", "")


def test_latex_has_a_table_a_dataset_and_the_best_band_in_bold() -> None:
    text = latex_text(board())
    assert text.count(r"\toprule") == 2 == text.count(r"\end{table*}")
    assert text.count(r"\textbf") == sum(entry.rank is not None and entry.rank.band == 1 for entry in board().entries)
    assert "–" not in text and "other seeds & llama-3.2-1b" in text
    for block in text.split(r"\begin{tabular}{")[1:]:
        columns = len(block.partition("}")[0])
        body = block.partition(r"\end{tabular}")[0]
        assert {line.replace(r"\&", "").count("&") + 1 for line in body.splitlines() if line.endswith(r"\\")} == {
            columns
        }


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", BOARDS)
def test_latex_compiles(name: str, engine: str, tmp_path: Path) -> None:
    if shutil.which(engine) is None:
        pytest.skip(f"there is no {engine} here")
    if engine == "xelatex" and subprocess.run(["kpsewhich", "ctex.sty"], check=False).returncode:
        pytest.skip("there is no ctex here (apt-get install texlive-lang-chinese)")
    made = BOARDS[name]()
    layout = TableLayout(("F1", "transfer") if made.rows else ())
    whole = "\n".join([latex_text(made), latex_tables(made.rows, layout)])
    (tmp_path / "board.tex").write_text(whole, encoding="utf-8")
    (tmp_path / "paper.tex").write_text(
        rf"\documentclass[a4paper,landscape]{{article}}{ENGINES[engine]}\usepackage{{booktabs,graphicx,textcomp}}"
        r"\begin{document}x\input{board.tex}\end{document}"
    )
    command = [engine, "-halt-on-error", "-interaction=nonstopmode", "-no-shell-escape", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    missing = "Missing character" in (tmp_path / "paper.log").read_text(errors="replace")
    assert missing == (name == "hostile" and engine == "xelatex")  # its fonts have no Hebrew


def test_chinese_and_accents_stand_in_every_form_as_they_are() -> None:
    made = chinese_board()
    for text in (csv_text(made.rows), json_text(made), readme(made), latex_text(made)):
        assert "照片：动物（第二版）" in text and "très gros" in text
        assert "\\u" not in text.replace("\\usepackage", "").replace("\\usebox", "")
    assert lines(csv_text(made.rows))[0]["dataset"] == made.rows[0].dataset
    assert json.loads(json_text(made))["rows"][0]["terms"][3]["term"] == "boi\u0302te"
