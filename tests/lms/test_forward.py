"""Rows reach the model only with the right mask, and give the same whatever stands beside them, on CPUs to the bit."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from taxbench.lms.forward import Plain, additive, masked_forward
from taxbench.lms.question_scorer import QuestionScorer
from taxbench.specs.task import PromptSpec
from taxbench.util.errors import ModelError
from tests.lms.naive import load, pocket

NAMES = ("a crow", "a fire salamander", "clothing", "an animal", "a piece of clothing with a long name")
QUESTIONS = tuple(f"Is there {name} in this image?" for name in NAMES)
SETS = (("Yes", "yes"), ("No", "no"))
STRINGS = (("Yes indeed",), ("No", "not yet"))
# The last rows only widen the batch, lengthen it, or both.
TERMS = torch.tensor(
    [[0, -1, -1], [2, -1, -1], [0, 3, -1], [3, 0, -1], [0, 1, 2], [4, 4, 4], [4, -1, -1], [1, 4, -1], [2, 3, 0]]
)


def found(scorer: QuestionScorer, soft: Tensor, rows: list[int], what: str) -> tuple[Tensor, Tensor]:
    """Return what is found for some rows and the gradient in their soft tokens."""
    inputs, terms = soft[rows].requires_grad_(), TERMS[rows]
    if what == "text_losses":
        values = scorer.text_losses(inputs, terms, terms % 2 == 0)
    else:
        values = getattr(scorer, what)(inputs, terms)
    weights = torch.linspace(-1, 1, values[0].numel()).reshape(values.shape[1:])
    (values.float() * weights * (terms >= 0).reshape(*terms.shape, *[1] * (values.ndim - 2))).sum().backward()
    return values.detach(), inputs.grad


@pytest.mark.parametrize("frame", ["raw", "caption"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_row_does_not_feel_its_neighbours(dtype: torch.dtype, frame: str) -> None:
    lm, prompt = pocket(dtype), PromptSpec(frame=frame)
    for k, answers, what in ((1, SETS, "margins"), (3, STRINGS, "margins"), (2, SETS, "text_losses")):
        packed = QuestionScorer.of(lm, QUESTIONS, answers, prompt=prompt)
        scorers = [packed, replace(packed, forward=Plain(lm, packed.table))]
        if what != "text_losses":
            scorers.append(QuestionScorer.of(lm, QUESTIONS, answers, "question_first", prompt))
        soft = torch.randn(len(TERMS), k, lm.width, generator=torch.Generator().manual_seed(0)) * lm.embedding_rms()
        for scorer in scorers:
            every, grad = found(scorer, soft, list(range(len(TERMS))), what)
            for rows in ([0], [7, 1], [8, 5, 4, 2, 0]):
                some, some_grad = found(scorer, soft, rows, what)
                asked = TERMS[rows] >= 0
                assert torch.equal(some[asked], every[rows][asked]), (k, what, type(scorer.forward), rows)
                assert torch.equal(some_grad, grad[rows]), (k, what, type(scorer.forward), rows)


@pytest.mark.parametrize("frame", ["raw", "caption"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_nor_do_many_questions_that_are_put_to_a_kept_image(dtype: torch.dtype, frame: str) -> None:
    lm = pocket(dtype)
    scorer = QuestionScorer.of(lm, QUESTIONS[:2], SETS, prompt=PromptSpec(frame=frame))
    soft = torch.randn(20, 1, lm.width, generator=torch.Generator().manual_seed(0)) * lm.embedding_rms()
    for many in (17, 33):
        terms = torch.zeros(20, many, dtype=torch.int64)
        with torch.inference_mode():
            together, alone = scorer.margins(soft, terms), scorer.margins(soft[3:4], terms[3:4])
        assert torch.equal(together[3:4], alone)


def test_a_row_that_is_no_number_leaves_the_others_alone() -> None:
    lm = pocket()
    packed = QuestionScorer.of(lm, QUESTIONS, SETS)
    first = QuestionScorer.of(lm, QUESTIONS, SETS, "question_first")
    soft = torch.randn(len(TERMS), 2, lm.width, generator=torch.Generator().manual_seed(0)) * lm.embedding_rms()
    broken = soft.index_fill(0, torch.tensor([0]), torch.nan)
    for scorer in (packed, replace(packed, forward=Plain(lm, packed.table)), first):
        rows = list(range(len(TERMS)))
        (values, grad), (with_nan, grad_with_nan) = (found(scorer, x, rows, "margins") for x in (soft, broken))
        assert with_nan[0, 0].isnan() and torch.equal(with_nan[1:], values[1:])
        assert torch.equal(grad_with_nan[1:], grad[1:])


ALLOWED = torch.ones(2, 5, 5, dtype=torch.bool).tril()


@pytest.mark.parametrize(
    "mask",
    [
        None,
        ALLOWED[:, None],
        additive(ALLOWED, torch.bfloat16),
        additive(ALLOWED, torch.float32)[:1],
        additive(ALLOWED, torch.float32)[:, 0],
        torch.ones(2, 5),
    ],
    ids=["missing", "bool", "another type", "one image", "three dimensions", "two dimensions"],
)
def test_a_missing_boolean_or_misshapen_mask_cannot_be_passed(mask: Tensor | None, tiny_llama: Path) -> None:
    lm = load(tiny_llama)
    rows, positions = torch.zeros(2, 5, lm.width), torch.arange(5).expand(2, -1)
    assert masked_forward(lm, rows, additive(ALLOWED, torch.float32), positions).shape == rows.shape
    with pytest.raises(ModelError, match="additive mask"):
        masked_forward(lm, rows, mask, positions)


def test_no_other_code_passes_a_model_positions_of_its_own() -> None:
    package = Path(__file__).parents[2] / "taxbench"
    files = [path for path in package.rglob("*.py") if "pocket" not in path.parts]  # that trains a model of its own
    found = [path.name for path in files if "position_ids" in path.read_text()]
    assert sorted(found) == ["answering.py", "forward.py"]  # the former tries what it does on the whole model
