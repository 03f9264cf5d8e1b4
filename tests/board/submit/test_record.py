"""Checking records: an honest one passes, and every broken or hostile one is refused with its own reason."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from taxbench.board.submit.examine import _task_problems, examine
from taxbench.specs.language_pair import LanguagePair
from taxbench.tasks.registry import find_tasks
from tests.board.hostile import BROKEN, edited, honest, named, of_version_2

REGISTRY = find_tasks()


def test_an_honest_record_passes_quickly(good: Path) -> None:
    took = []
    for _ in range(4):
        start = time.perf_counter()
        assert examine(good, REGISTRY).reasons == ()
        took.append(time.perf_counter() - start)
    assert min(took) < 0.3


@pytest.mark.parametrize("task", ["counterfactual_low", "seen_hypernym", "leaf"])
def test_an_honest_record_of_any_task_and_seed_passes(tmp_path: Path, task: str) -> None:
    honest(tmp_path, 7, task)
    assert examine(tmp_path, REGISTRY).reasons == ()


@pytest.mark.parametrize("change", [
    named("dataset", "hf:owner/birds"), named("lm", "Qwen/Qwen3-0.6B"), named("encoder", "random-pocket"),
    named("encoder", "imported:my features (2)"),
    edited("run.encoder.options", {"pool": "grid4", "layer": -2, "storage": "bfloat16"}),
    edited("run.encoder.options", None), of_version_2("run.dataset.name", "pocket"),
    edited("run.task.summary", "Said in other words.", sealed=True), edited("fitted", {"alpha": 0.1}),
    edited("run.head", {"name": "theirs", "settings": {"depth": 3}, "source": "0123456789abcdef"}, sealed=True),
])  # fmt: skip
def test_other_honest_records_pass(copy: Path, change) -> None:  # type: ignore[no-untyped-def]
    change(copy)
    assert examine(copy, REGISTRY).reasons == ()


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_or_hostile_record_is_refused_with_its_reason(copy: Path, name: str) -> None:
    change, said = BROKEN[name]
    change(copy)
    reasons = examine(copy, REGISTRY).reasons
    assert any(re.search(said, reason) for reason in reasons), reasons
    assert all(reason.isprintable() and len(reason) < 700 for reason in reasons), reasons
    assert len(reasons) <= 13 and not Path("pwned").exists()


@pytest.mark.parametrize("limit", ["_MOST_SCORES", "_MOST_CELLS"])
def test_what_would_take_days_to_score_is_refused(good: Path, limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"taxbench.scoring.rescore.{limit}", 10)
    (reason,) = examine(good, REGISTRY).reasons
    assert "more than can be scored here" in reason


def test_checking_loads_no_model_library() -> None:
    code = "import sys, taxbench.board.submit.publish, taxbench.board.analysis.rescored as t; "
    code += "print([name for name in sys.argv[1:] if name in sys.modules])"
    heavy = ["torch", "transformers", "h5py", "sklearn", "matplotlib", "huggingface_hub"]
    done = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_words_of_a_language_are_those_of_its_file(tmp_path: Path) -> None:
    honest(tmp_path, language="de")
    assert examine(tmp_path, REGISTRY).reasons == ()
    edited("run.language.asked", "0123456789abcdef", sealed=True)(tmp_path)
    edited("unlabelled_terms", ["bird"])(tmp_path)
    words, terms = examine(tmp_path, REGISTRY).reasons
    assert words.startswith("run.language.asked is 0123456789abcdef; by the file of that language here it is ")
    assert terms == "unlabelled_terms is ('bird',); the protocol gives ()."
    edited("run.language", None, sealed=True)(tmp_path)
    assert examine(tmp_path, REGISTRY).reasons[0].startswith("run.language.asked is None; by the file")


def test_a_task_that_was_put_into_another_language_is_known_by_what_it_was_made_of() -> None:
    registry = REGISTRY
    german = registry.tasks["unseen_hypernym"].in_languages(LanguagePair(test="de")).as_run()
    assert not [*_task_problems(german, registry)]
    (problem,) = _task_problems(german.model_copy(update={"heldout_leaves": 0.5}), registry)
    assert "the same version with other content" in problem
    (unknown,) = _task_problems(german.model_copy(update={"name": "my_task_de"}), registry)
    assert "Unknown task 'my_task_de' here." in unknown
