"""Progress where nobody sees a bar."""

import itertools

import pytest

from taxbench.util import progress
from taxbench.util.progress import Reporter


def test_a_log_file_gets_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = itertools.count(step=4)  # every step takes four
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(seconds)))
    for quiet in (False, True):
        with Reporter(quiet).bar("train a head", 100, "q") as advance:
            for step in range(40):
                advance(1, f"loss {step}")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["train a head"] * 3  # after 12, 72 and 132 of 160 seconds
    assert " 3%" in lines[0] and "3/100 [00:12<06:28" in lines[0] and "loss 2" in lines[0], lines
