"""What a task may say, field by field: numbers are numbers, answers can be seen, templates have bare names only."""

from typing import Any

import pytest
from pydantic import ValidationError

from taxbench.specs.task import TaskSpec

GOOD: dict[str, Any] = {
    "name": "x", "version": 1, "summary": "s", "deprivation": {"kind": "full"}, "evaluate": ["leaf", "unseen"]
}  # fmt: skip
FIGURE = {"encoder": "e", "lm": "l", "split": "leaf", "macro_f1": 0.5}


def refusal(**changed: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        TaskSpec.model_validate(GOOD | changed)
    return str(caught.value)


@pytest.mark.parametrize("odd", [True, "1"])
def test_neither_booleans_nor_text_pass_for_numbers(odd: Any) -> None:
    refusal(version=odd)
    refusal(heldout_leaves=odd)
    refusal(questions={"negatives_per_positive": odd})
    refusal(deprivation={"kind": "systematic", "n": odd})
    refusal(deprivation={"kind": "random", "fraction": odd})
    refusal(expected={"source": "s", "dataset": "d", "figures": [FIGURE | {"macro_f1": odd}]})


def test_whole_numbers_pass_for_others_and_change_no_digest() -> None:
    whole, other = (TaskSpec.model_validate(GOOD | {"deprivation": {"kind": "systematic", "n": n}}) for n in (10, 10.0))
    assert whole == other and whole.digest == other.digest
    refusal(version=1.0)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_are_finite(number: float) -> None:
    assert "finite" in refusal(expected={"source": "s", "dataset": "d", "figures": [FIGURE | {"macro_f1": number}]})
    assert "finite" in refusal(heldout_leaves=number)
    assert "finite" in refusal(settings={"anything": {"inside": [number]}})


def test_only_true_and_false_are_booleans() -> None:
    refusal(metrics=[{"name": "auroc", "primary": "yes"}])
    refusal(metrics=[{"name": "auroc", "primary": 1}])


@pytest.mark.parametrize("answer", ["", " ", "\n", "\0", "\u200b", "Yes\n", "Y\0es"])
def test_answers_can_be_seen(answer: str) -> None:
    assert "an answer" in refusal(questions={"answers": {"positive": answer}})
    assert "an answer" in refusal(questions={"answers": {"negative": ["No", answer]}})


def test_answers_of_any_language_pass() -> None:
    for answer in (" Yes", "oui, bien sûr", "はい", "👩‍💻"):
        TaskSpec.model_validate(GOOD | {"questions": {"answers": {"positive": answer}}})


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{a_term.__class__}", "may use"),
        ("{a_term[0]}", "may use"),
        ("{term:.1}", "may use"),
        ("{a_term:>2000000000}", "may use"),
        ("{a_term!r}", "may use"),
        ("{term:{plural}}", "may use"),
        ("{} {term}", "may use"),
        ("{term", "may use"),
        ("\0", "asks nothing"),
        ("{{term}}", "asks nothing"),
    ],
)
def test_templates_have_bare_placeholders(template: str, words: str) -> None:
    assert words in refusal(questions={"template": template})


def test_nothing_is_listed_twice() -> None:
    assert "controls names one twice" in refusal(controls=["chance", "chance"])
    assert "categories names" in refusal(deprivation={"kind": "systematic", "categories": ["bird", "bird"]})
