"""`taxbench plan` counts the questions that systems are asked, and measures how long they take."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taxbench.cli.main import call
from taxbench.heads.told import NameHead, TermHead
from taxbench.runs import cost
from taxbench.training import predict
from tests.systems.tiny_systems import Saved


@pytest.mark.parametrize("kind", ["clip", "llava"])
def test_the_time_of_systems_is_that_of_their_questions(
    kind: str, saved: Saved, asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def planned() -> dict[str, Any]:
        assert call(["-q", "plan", *asked[1:], "--system", str(saved(kind))]) == 0
        return json.loads(capsys.readouterr().out)["inputs"][0]  # type: ignore[no-any-return]

    answered, clock = [0], [0.0]
    ask = predict._margins

    def counted(fitted: Any, questions: Any, *rest: Any, **more: Any) -> np.ndarray:
        told = isinstance(fitted.head, NameHead | TermHead)  # the probes ask no text side
        answered[0] += 0 if told else len(questions)
        return ask(fitted, questions, *rest, **more)

    def timed(fitted: Any, questions: Any, *rest: Any) -> None:
        clock[0] += 3.0 * len(questions)

    monkeypatch.setattr(cost, "predict_margins", timed)
    monkeypatch.setattr(cost.time, "perf_counter", lambda: clock[0])
    before = planned()
    assert before["missing_features"] == 1 and before["rates"] is None
    assert not list(tmp_path.rglob("*.h5")) and not (tmp_path / "out").exists()
    monkeypatch.undo()
    monkeypatch.setattr(predict, "_margins", counted)
    assert call(["-q", *asked, "--system", str(saved(kind))]) == 0
    assert before["seconds"]["evaluate"] == pytest.approx(3.0 * answered[0]) and answered[0] > 100
    capsys.readouterr()
    assert planned()["seconds"] == {}
