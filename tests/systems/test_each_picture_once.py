"""A picture is read once, however a system is asked and however many questions there are."""

import json

import pytest

from taxbench.cli.main import call
from taxbench.specs.result import Result
from tests.systems.tiny_systems import Saved


@pytest.mark.parametrize(
    ("kind", "readers"),
    [
        ("clip", ["match", "odds", "chils"]),
        ("flava", ["pair", "masked"]),
        ("blip-2-itm", ["pair"]),
        ("llava", ["answer"]),
    ],
)
def test_pictures_are_read_once_however_and_however_much_is_asked(
    kind: str, readers: list[str], saved: Saved, asked: list[str], shown: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    names, counts = [f"{reader}:{saved(kind)}" for reader in readers], []
    for task in ("task.yaml", "more.yaml"):
        words = [word.replace("task.yaml", task) for word in asked]
        assert call(["-q", *words, "--system", ",".join(names)]) == 0
        found = [Result.model_validate(each) for each in json.loads(capsys.readouterr().out)]
        assert [result.head for result in found] == readers
        assert all(result.is_control and result.controls["no_image"]["leaf"].auroc == 0.5 for result in found)
        if task == "task.yaml" and readers[0] == "pair":
            assert [result.lm for result in found] == [f"{kind}-{reader}" for reader in readers]
            for scores in (result.controls for result in found):
                assert scores["text_only"]["leaf"].auroc == 1.0
                assert scores["feature_probe"]["leaf"].n_questions == found[0].scores["leaf"].n_questions
        counts.append(min(result.scores["leaf"].n_questions for result in found))
        assert sum(shown) == 48 + 1  # every picture, and one that shows the shape
    assert counts[1] > 2 * counts[0] > 0
