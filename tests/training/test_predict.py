"""Asking a head: every question gets its answer, whatever it is asked along with."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from taxbench.features.feature_rows import FeatureRows, NameRows
from taxbench.heads.loading import head_spec
from taxbench.lms.question_scorer import Prompt
from taxbench.protocol.protocol import Protocol
from taxbench.protocol.questions import QuestionSet
from taxbench.scoring.calibration import calibrate
from taxbench.training.head_build import build_head
from taxbench.training.image_rows import group_by_image
from taxbench.training.predict import Asked, ask, blank_margins, leaf_loss
from taxbench.util.errors import TrainingError
from tests.training.conftest import QUIET


def test_asking_one_by_one_gives_the_same_margins(prompt: Prompt, images: FeatureRows, protocol: Protocol) -> None:
    head = build_head(head_spec("linear", {"tokens": 3}), images, protocol.images("train"), prompt.lm, 1)
    asked = protocol.test("unseen")
    together = ask(Asked(head, images, prompt), asked, QUIET)
    for i in range(0, len(asked), 37):
        one = QuestionSet(asked.image[i : i + 1], asked.term[i : i + 1], asked.answer[i : i + 1])
        assert ask(Asked(head, images, prompt), one, QUIET)[0] == pytest.approx(together[i], abs=1e-4)


def test_answers_that_are_no_numbers_are_an_error(prompt: Prompt, images: FeatureRows, protocol: Protocol) -> None:
    head = build_head(head_spec("linear", {}), images, protocol.images("train"), prompt.lm, 1)
    with torch.no_grad():
        head.gain.fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"answers are not numbers \(a name\)"):
        ask(Asked(head, images, prompt), protocol.test("unseen"), QUIET, "a name")


def test_memory_that_runs_out_is_taken_in_smaller_parts(
    prompt: Prompt,
    images: FeatureRows,
    protocol: Protocol,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    head = build_head(head_spec("linear", {}), images, protocol.images("train"), prompt.lm, 1)
    asked, right = protocol.test("unseen"), Prompt.margins
    usual = ask(Asked(head, images, prompt), asked, QUIET)

    def small(self: Prompt, soft: torch.Tensor, terms: torch.Tensor) -> torch.Tensor:
        if len(soft) > 3:
            raise torch.OutOfMemoryError("too large")
        return right(self, soft, terms)

    monkeypatch.setattr(Prompt, "margins", small)
    np.testing.assert_allclose(ask(Asked(head, images, prompt), asked, QUIET), usual, atol=1e-5)


def test_validation_loss_is_of_leaf_questions_and_leaves_the_head_as_it_was(
    prompt: Prompt,
    images: FeatureRows,
    protocol: Protocol,
) -> None:
    head = build_head(head_spec("mlp", {}), images, protocol.images("train"), prompt.lm, 1).train()
    loss = leaf_loss(Asked(head, images, prompt), protocol)
    assert head.training and loss == leaf_loss(Asked(head, images, prompt), protocol)
    asked = protocol.validation()
    margins = ask(Asked(head.eval(), images, prompt), asked, QUIET).astype(np.float64)
    by_hand = [np.log1p(np.exp(-m if yes else m)) for m, yes in zip(margins, asked.answer, strict=True)]
    assert loss == pytest.approx(np.mean(by_hand), rel=1e-5)


def test_calibrations_take_off_what_they_say(prompt: Prompt, images: FeatureRows, protocol: Protocol) -> None:
    head = build_head(head_spec("linear", {}), images, protocol.images("train"), prompt.lm, 1)
    terms = np.array([4, 2, 4, 7])
    blank = blank_margins(Asked(head, images, prompt), np.unique(terms))
    empty = FeatureRows(head.mean.expand(len(protocol.leaf), 1, -1), torch.device("cpu"))
    asked = QuestionSet(np.array([0, 1, 2]), np.array([2, 4, 7]), np.ones(3, bool))
    np.testing.assert_allclose(blank, ask(Asked(head, empty, prompt), asked, QUIET), atol=1e-5)
    assert blank is not None
    margins = np.array([1.0, 2.0, 3.0, 4.0])
    assert (calibrate("none", margins, terms, None) == margins).all()
    np.testing.assert_allclose(calibrate("batch", margins, terms, None), [-1.5, -0.5, 0.5, 1.5])
    np.testing.assert_allclose(calibrate("contextual", margins, terms, blank), margins - blank.mean())
    np.testing.assert_allclose(calibrate("pmi", margins, terms, blank), margins - blank[[1, 0, 1, 2]])
    assert (calibrate("pmi", margins, terms, None) == margins).all()  # no such thing as an empty image
    names = NameRows(protocol.vocabulary.name_of[protocol.leaf], torch.device("cpu"))
    assert blank_margins(Asked(head, names, prompt), np.unique(terms)) is None


@given(st.lists(st.integers(0, 6), min_size=1, max_size=60), st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_grouping_keeps_every_question_once_with_its_image(images: list[int], most: int) -> None:
    n = len(images)
    asked = QuestionSet(np.array(images), np.arange(n), np.arange(n) % 2 == 0)
    rows = group_by_image(asked, most)
    kept = rows.source >= 0
    assert sorted(rows.source[kept]) == list(range(n))
    assert (kept == (rows.term >= 0)).all() and rows.term.shape[1] <= most
    for row, image in enumerate(rows.image):
        source = rows.source[row][kept[row]]
        assert (asked.image[source] == image).all() and (rows.term[row][kept[row]] == asked.term[source]).all()
        assert (rows.answer[row][kept[row]] == asked.answer[source]).all()
