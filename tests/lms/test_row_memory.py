"""The estimate of memory is worth choosing a batch by."""

import weakref
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from taxbench.lms.forward import Plain
from taxbench.lms.question_scorer import QuestionScorer
from taxbench.specs.task import PromptSpec
from tests.lms.naive import pocket

QUESTIONS = tuple(f"Is there a {name} in this image?" for name in ("crow", "bird", "hammer"))


class Peak(TorchDispatchMode):
    """Count the bytes of tensors that are alive, but for weights."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.weights = {x.untyped_storage()._cdata for x in (*model.parameters(), *model.buffers())}
        self.alive: dict[int, int] = {}
        self.peak = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = function(*args, **(kwargs or {}))
        for storage in (x.untyped_storage() for x in tree_leaves(given) if isinstance(x, torch.Tensor)):
            key = storage._cdata
            if key not in self.weights and key not in self.alive:
                self.alive[key] = storage.nbytes()
                weakref.finalize(storage, self.alive.pop, key, None)
        self.peak = max(self.peak, sum(self.alive.values()))
        return given


@pytest.mark.parametrize("k", [1, 64])
@pytest.mark.parametrize("way", ["packed", "opening", "plain", "question_first"])
@pytest.mark.parametrize("what", ["training", "asking", "training on texts"])
def test_the_estimate_is_within_a_factor_of_two(way: str, what: str, k: int) -> None:
    if (way, what) == ("question_first", "training on texts"):
        pytest.skip("not offered")
    lm = pocket()
    order = "question_first" if way == "question_first" else "image_first"
    frame = "This image is one of many images of birds, and in this image is {image}. {question}"
    prompt = PromptSpec(frame=frame if way == "opening" else "raw")
    scorer = QuestionScorer.of(lm, QUESTIONS, (("Yes",), ("No",)), order, prompt)
    assert way != "opening" or scorer.forward.kept > 12
    if way == "plain":
        scorer = replace(scorer, forward=Plain(lm, scorer.table))
    training = what != "asking"
    soft, terms = torch.randn(3, k, lm.width, requires_grad=training) * 0.1, torch.arange(54).reshape(3, 18) % 3
    with torch.set_grad_enabled(training), Peak(lm.model) as peak:
        found = scorer.text_losses(soft, terms, terms > 1) if "texts" in what else scorer.margins(soft, terms)
        if training:
            found.sum().backward()
    estimate = scorer.row_bytes(k, 18, training, "texts" in what)
    assert 0.5 < estimate / (peak.peak / 3) < 2
