"""Exports are what their readers ask for, by the schemas of those: Every Eval Ever's own, and the hub's pages.

`every_eval_ever.schema.json` is eval.schema.json of every-eval-ever 0.3.0 (https://github.com/evaleval/every_eval_ever,
MIT licence, copyright 2026 EvalEval). The hub publishes none; the one below says what https://huggingface.co/docs/hub/
eval-results says in words.
"""

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas
import pytest
import yaml
from jsonschema import Draft202012Validator

from taxbench.board.render.exchange import check_repository, every_eval_ever, hub_results
from taxbench.cli.main import call
from taxbench.util.errors import UsageError
from tests.board.boards import board, hostile_board, large_board
from tests.board.records import record

SCHEMA = json.loads(Path(__file__).with_name("every_eval_ever.schema.json").read_text())
_TEXT = {"type": "string", "minLength": 1}
HUB: dict[str, Any] = {
    "type": "array",
    "items": {
        "type": "object", "required": ["dataset", "value"], "additionalProperties": False,
        "properties": {
            "dataset": {"type": "object", "required": ["id", "task_id"], "additionalProperties": False,
                        "properties": {"id": {"type": "string", "pattern": "^[^/ ]+/[^/ ]+$"}, "task_id": _TEXT,
                                       "revision": _TEXT}},
            "value": {"type": "number"},
            "verifyToken": _TEXT,
            "date": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d(T.*)?$"},
            "source": {"type": "object", "required": ["url"], "additionalProperties": False,
                       "properties": {"url": {"type": "string", "pattern": "^https://"}, "name": _TEXT, "user": _TEXT}},
            "evaluation_framework": _TEXT,
            "notes": _TEXT,
        },
    },
}  # fmt: skip


@pytest.mark.parametrize("make", [board, hostile_board, large_board])
def test_every_eval_ever_is_valid_whatever_names_hold(make) -> None:  # type: ignore[no-untyped-def]
    one, validator = make(), Draft202012Validator(SCHEMA)
    files = every_eval_ever(one, "made", 1_790_000_000)
    assert len(files) == len({row.place for row in one.rows})
    for path, text in files.items():
        assert re.fullmatch(r"data/taxbench-[\w-]+/[\w.-]+/[\w.-]+/[0-9a-f-]{36}\.json", path) and ".." not in path
        assert [error.message for error in validator.iter_errors(json.loads(text))] == []
    broken = json.loads(next(iter(files.values())))
    del broken["eval_library"]
    assert list(validator.iter_errors(broken))


def test_every_score_is_exported_with_its_interval_and_controls() -> None:
    one = board()
    read = [json.loads(text) for text in every_eval_ever(one, "made", 0).values()]
    found = {(result["score_details"]["details"]["records"], result["metric_config"]["metric_id"]): result
             for each in read for result in each["evaluation_results"]}  # fmt: skip
    for row in one.rows:
        records = " ".join(each.digest for each in row.records)
        for metric, score in {"macro_f1": row.f1, "auroc": row.auroc, "transfer": row.transfer}.items():
            if score.mean is None:
                assert (records, metric) not in found
                continue
            said = found[records, metric]["score_details"]
            bounds = said.get("uncertainty", {}).get("confidence_interval", {})
            assert (said["score"], bounds.get("lower"), bounds.get("upper")) == (score.mean, score.low, score.high)
            known = {name: each.mean for name, each in row.controls.items() if each.mean is not None}
            assert {name: float(said["details"][f"control {name}"]) for name in known} == pytest.approx(known, abs=1e-6)


@pytest.mark.parametrize("make", [board, hostile_board])
def test_results_for_the_hub_are_as_its_pages_say(make) -> None:  # type: ignore[no-untyped-def]
    one = make()
    files = {path: yaml.safe_load(text) for path, text in hub_results(one, "me/board").items()}
    assert not any(re.search(r"[&*]id0", text) for text in hub_results(one, "me/board").values())  # no aliases
    about = files.pop("eval.yaml")
    tasks = {task["id"] for task in about["tasks"]}
    for path, rows in files.items():
        assert re.fullmatch(r"models/[\w.-]+/[\w.-]+/\.eval_results/taxbench\.yaml", path)
        assert [error.message for error in Draft202012Validator(HUB).iter_errors(rows)] == []
        assert {row["dataset"]["task_id"] for row in rows} <= tasks
    scored = [row for row in one.rows if row.f1.mean is not None and not row.is_control]
    assert sum(map(len, files.values())) == len(scored)
    for wrong in ("", "board", "a/b/c", "../.."):
        with pytest.raises(UsageError, match="--benchmark owner/name"):
            check_repository(wrong)


def test_revisions_of_one_model_stand_in_one_file_for_its_repository() -> None:
    one = board()
    names = ("owner/lm@step1000", "owner/lm@step2000")
    two = replace(one, rows=tuple(replace(one.rows[0], lm=name) for name in names))
    files = {path: yaml.safe_load(text) for path, text in hub_results(two, "me/board").items()}
    assert set(files) == {"models/owner/lm/.eval_results/taxbench.yaml", "eval.yaml"}
    first, second = files["models/owner/lm/.eval_results/taxbench.yaml"]
    assert names[0] in first["notes"] and names[1] in second["notes"]


def test_the_command_writes_each_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in (1, 2):
        made = record(tmp_path / "results", seed, 1.5)
    more = {"parquet": [], "hub": ["--benchmark", "me/board"], "every-eval-ever": ["--organization", "ours"]}
    for form, options in more.items():
        command = ["leaderboard", "export", str(tmp_path / "results"), "--format", form, "--out", str(tmp_path / form)]
        assert call([*command, *options, "--json"]) == 0
        written = json.loads(capsys.readouterr().out)
        assert sorted(written) == sorted(str(path) for path in (tmp_path / form).rglob("*") if path.is_file())
    rows = pandas.read_parquet(tmp_path / "parquet" / "board.parquet")
    assert list(rows.f1) == pytest.approx([sum(_f1(tmp_path)) / 2], abs=1e-6)
    answers = pandas.read_parquet(io.BytesIO((tmp_path / "parquet" / "answers.parquet").read_bytes()))
    assert made.predictions is not None and len(answers) == 2 * made.predictions.n_questions
    (path,) = (tmp_path / "every-eval-ever").rglob("*.json")
    assert json.loads(path.read_text())["source_metadata"]["source_organization_name"] == "ours"
    assert call(["leaderboard", "export", str(tmp_path / "results"), "--format", "hub"]) == 2


def _f1(folder: Path) -> list[float]:
    from taxbench import load_results

    return [each.scores["unseen"].macro_f1 or 0.0 for each in load_results(folder / "results")]
