"""taxbench from Python: typed calls, results that know where they lie, tables, answers and pictures."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas
import pytest

import taxbench
from taxbench.datasets.dataset import load_dataset
from taxbench.results.predictions import read_predictions
from taxbench.runs.feature_cache import ExtractOptions
from taxbench.runs.run_options import Options, options_from
from taxbench.util.errors import DataError, TaxbenchError, UsageError
from tests.board.records import record
from tests.test_docs import FRONT

ROOT = FRONT.parent
EXAMPLE = ROOT / "taxbench" / "board" / "README.md"
GOOD = """
from pathlib import Path
import taxbench

def study(photos: Path) -> list[float]:
    first = taxbench.run(seeds=42)
    taxbench.run(seeds=[42, 218, 7], task=["leaf", "unseen_hypernym"], head=["mlp", "linear"], settings={"epochs": 2})
    taxbench.run(settings={"hidden": [8, 16], "frame": "qa"}, dataset=photos, taxonomy="photos.tsv", seeds=range(3))
    taxbench.run(settings="epochs=2", out=Path("here"), limit=4, quiet=True)
    taxbench.extract(encoder="dinov2", layers=[-1, -2], storage="bfloat16")
    reveal_type(first[0].folder)
    answers = taxbench.load_answers(first[0])
    taxbench.picture(answers.iloc[0]).save("wrong.png")
    taxbench.load_table("results", per_seed=True)
    head = taxbench.load_head(first[0], device="cpu", cache=Path("cache"))
    head.margins(head.features(["crow/0"]), ["bird"]).mean()
    return [each.scores["leaf"].macro_f1 or 0.0 for each in first]
"""
BAD = """
import taxbench

taxbench.run(sedes=42)
taxbench.run(seeds=4.2)
taxbench.run(quiet="yes")
taxbench.extract(storage="float8")
"""


@pytest.mark.parametrize(("function", "kind"), [(taxbench.run, Options), (taxbench.extract, ExtractOptions)])
def test_signatures_have_every_option_with_its_default(function: Any, kind: type) -> None:
    given = {name: each.default for name, each in inspect.signature(function).parameters.items() if name != "quiet"}
    assert list(given) != [] and set(given) == set(kind.__dataclass_fields__)
    assert options_from(kind, given) == kind()
    assert all(f"{name}:" in (function.__doc__ or "") for name in given)


def test_mypy_accepts_a_user_s_script_and_finds_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text(GOOD)
    (tmp_path / "bad.py").write_text(BAD)
    known = ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(ROOT / ".mypy_cache")]
    command = [sys.executable, "-m", "mypy", *known, "good.py", "bad.py"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("good.py") and "error" in line] == [], done.stdout
    assert any('note: Revealed type is "pathlib.Path | None"' in line for line in lines), done.stdout
    wrong = [int(line.split(":")[1]) for line in lines if line.startswith("bad.py") and "error" in line]
    assert sorted(set(wrong)) == [4, 5, 6, 7]


def test_the_example_of_a_notebook_runs_cell_by_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAXBENCH_CACHE", str(tmp_path / "cache"))
    text = EXAMPLE.read_text().partition("<!-- notebook example -->")[2]
    names: dict[str, Any] = {}
    shown = []
    for cell in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        *body, last = ast.parse(cell).body
        exec(compile(ast.Module(body, []), "cell", "exec"), names)
        assert isinstance(last, ast.Expr)
        shown.append(eval(compile(ast.Expression(last.value), "cell", "eval"), names))
    results, worst, picture, table, (shape, margins) = shown
    assert shape == (4, 1, 256) and margins.shape == (4, 2)
    assert len(results) == 1 and "<th>random LM</th>" in results._repr_html_() and "unseen F1" in repr(results[0])
    assert len(worst) == 3 and worst.is_monotonic_decreasing
    first = names["wrong"].iloc[0]
    (drawn,) = [image for image in load_dataset("pocket").images if image.id == first["image"]]
    assert drawn.leaf == first.leaf and list(picture.getdata()) == list(load_dataset("pocket").read(drawn).getdata())
    assert list(table.index) == [("ridge_token", 1)] and list(table.f1) == [results[0].scores["unseen"].macro_f1]
    seeds = taxbench.load_table(*results, per_seed=True)
    f1 = [each.scores["unseen"].macro_f1 for each in results]
    assert list(seeds.f1) == f1 and list(seeds.seed) == [each.seed for each in results]
    assert list(seeds.folder) == [str(Path(each.folder).absolute()) for each in results]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for seed in (1, 2):
        record(tmp_path / "results", seed, 1.5)
    return tmp_path / "results"


def test_answers_are_those_of_the_predictions(results: Path) -> None:
    first, second = taxbench.load_results(results)
    assert first.folder is not None and first.folder.parent.parent == results
    answers = taxbench.load_answers(results)
    pandas.testing.assert_frame_equal(answers, taxbench.load_answers(first, second))
    found = read_predictions(first.folder / "predictions.npz")
    own = answers[answers.folder == str(first.folder)]
    assert len(own) == len(found) and list(own.margin) == list(found.margins["none"].astype("float32"))
    assert list(own.margin_random_lm) == list(found.margins["random_lm"].astype("float32"))
    for row, answer in list(enumerate(own.itertuples()))[:: len(own) // 20]:
        assert (answer.image, answer.term) == (found.images[found.image[row]], found.terms[found.term[row]])
        assert answer.leaf == found.leaves[found.leaf_of[found.image[row]]] == answer.image.split("/")[0]
        assert answer.said == (answer.margin > 0) and answer.right == (answer.said == found.answer[row])
    accuracy = own[own.split == "unseen"].right.mean()
    assert accuracy == pytest.approx(first.scores["unseen"].accuracy, abs=1e-6)


def test_a_table_has_settings_as_columns(results: Path) -> None:
    table = taxbench.load_table(results)
    assert len(table) == 1 and table.f1_low[0] < table.f1[0] < table.f1_high[0] and table.f1_sd[0] > 0
    assert table.groupby("learning_rate").f1.mean().index[0] == 0.001 and table.hidden[0] == 512
    assert table.pool[0] == "pooled" and table.seeds[0] == "1 2"


def test_a_record_keeps_its_identity_wherever_it_lies(results: Path) -> None:
    first, second = taxbench.load_results(results)
    moved = first.model_copy()
    assert moved.folder is None and moved == first and moved.digest == first.digest
    assert "folder" not in first.model_dump() and str(first) == repr(first) and len(str(second)) < 120
    with pytest.raises(UsageError, match="lies in no folder"):
        taxbench.load_answers(moved)


def test_names_are_only_text_where_results_show_themselves(tmp_path: Path) -> None:
    from tests.board.boards import HOSTILE

    lm = record(tmp_path).run.lm.model_copy(update={"name": HOSTILE[0]})
    hostile = record(tmp_path / "hostile", lm=lm)
    for shown in (hostile._repr_html_(), taxbench.load_results(tmp_path)._repr_html_()):
        assert "<script" not in shown and "&lt;script" in shown


def test_errors_say_what_to_type(results: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected a row of load_answers"):
        taxbench.picture("crow")
    row = taxbench.load_answers(results).iloc[0]
    with pytest.raises(DataError, match=r"The pictures of 'made' are not found here: .*--dataset KIND:PATH"):
        taxbench.picture(row)
    with pytest.raises(DataError, match="'pocket' has no picture 'bird 0/000'"):
        taxbench.picture(row, dataset="pocket")
    with pytest.raises(TaxbenchError, match="No such folder"):
        taxbench.load_answers(tmp_path / "none")
