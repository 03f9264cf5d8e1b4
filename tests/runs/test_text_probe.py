"""What an LM knows of names: scores by prompt, the threshold, and the verb."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from taxbench.cli.main import call
from taxbench.cli.probe import probe_text
from taxbench.runs.text_probe import ProbeOptions, probe
from taxbench.util.errors import DataError, ModelError, UsageError
from taxbench.util.progress import QUIET
from tests.made import make_photos


def test_the_embedded_lm_knows_what_it_was_taught(capsys: pytest.CaptureFixture[str]) -> None:
    found = probe(ProbeOptions(names=16), QUIET)
    best = {(row.frame, row.answer_form): row for row in found.rows}[found.chosen.frame, found.chosen.answer_form]
    assert (best.frame, best.answer_form) == ("raw", "blank")
    assert min(best.identity_auroc, best.hypernym_auroc) > 0.95 and best.hypernym_f1 > 0.9 and 0.3 < best.yes_rate < 0.7
    assert len(found.text_only) == 4 and all(auroc > 0.9 for _, auroc in found.text_only)
    assert "chat" in found.left_out[0] and {name for name, _ in found.hypernyms} >= {"bird", "fish"}
    text = probe_text(found)
    assert "| raw     | blank   | 1.00" in text and text.count("chosen") == 1 and "Without an image:" in text


def test_the_verb_prints_json_of_every_prompt(tiny_llama: Path, tmp_path: Path, capsys: Any) -> None:
    make_photos(tmp_path, 1)
    where = ["--dataset", f"folder:{tmp_path / 'photos'}", "--taxonomy", str(tmp_path / "photos.tsv")]
    assert call(["probe", "-q", "--json", "--model", str(tiny_llama), *where]) == 0
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert said["chosen"]["frame"] and len(said["rows"]) == 12 and said["names"] == 6


def test_names_without_a_question_are_told(tiny_llama: Path, tmp_path: Path) -> None:
    make_photos(tmp_path, 1, leaves={"crow": "bird", "gull": "bird"})
    place: dict[str, Any] = {"dataset": f"folder:{tmp_path / 'photos'}", "taxonomy": str(tmp_path / "photos.tsv")}
    with pytest.raises(DataError, match="Take more --names"):
        probe(ProbeOptions(model=str(tiny_llama), **place), QUIET)
    with pytest.raises(UsageError, match="expected one task, not"):
        probe(ProbeOptions(task="taxonomic"), QUIET)


def test_a_name_that_is_not_known_is_said() -> None:
    with pytest.raises(UsageError, match="Did you mean 'pocket'"):
        probe(ProbeOptions(model="pockt"), QUIET)


def test_a_refusal_is_said_once_for_all_frames(tiny_llama: Path, tmp_path: Path) -> None:
    lm = Path(shutil.copytree(tiny_llama, tmp_path / "lm"))
    said = json.loads((lm / "tokenizer.json").read_text())
    unknown = {"type": "WordLevel", "vocab": {"<unk>": 0}, "unk_token": "<unk>"}
    (lm / "tokenizer.json").write_text(json.dumps({**said, "model": unknown}))
    with pytest.raises(ModelError, match=r"'lm' cannot be asked in any frame\. raw, plain, caption, qa: ") as raised:
        probe(ProbeOptions(model=str(lm), names=4), QUIET)
    assert str(raised.value).count("cannot be told apart") == 1
