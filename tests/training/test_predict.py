"""Asking a head: every question gets its answer, whatever it is asked along with."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from taxbench.features.feature_rows import FeatureRows, NameFeatures, NoFeatures, ShuffledFeatures
from taxbench.heads.loading import head_spec
from taxbench.lms.question_scorer import QuestionScorer
from taxbench.protocol.protocol import Protocol
from taxbench.protocol.questions import QuestionSet
from taxbench.scoring.metrics import calibrate
from taxbench.training.head_state import build_head, group_by_image
from taxbench.training.predict import FittedHead, blank_margins, leaf_loss, predict_margins
from taxbench.util.errors import TrainingError
from tests.training.conftest import CPU, QUIET


def test_asking_one_by_one_gives_the_same_margins(
    scorer: QuestionScorer, images: FeatureRows, protocol: Protocol
) -> None:
    head = build_head(head_spec("linear", {"tokens": 3}), images, protocol.images("train"), scorer.lm, 1)
    asked = protocol.test("unseen")
    together = predict_margins(FittedHead(head, images, scorer), asked, QUIET)
    for i in range(0, len(asked), 37):
        one = QuestionSet(asked.image[i : i + 1], asked.term[i : i + 1], asked.answer[i : i + 1])
        assert predict_margins(FittedHead(head, images, scorer), one, QUIET)[0] == pytest.approx(together[i], abs=1e-4)


def test_answers_that_are_no_numbers_are_an_error(
    scorer: QuestionScorer, images: FeatureRows, protocol: Protocol
) -> None:
    head = build_head(head_spec("linear", {}), images, protocol.images("train"), scorer.lm, 1)
    with torch.no_grad():
        head.gain.fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"answers are not numbers \(a name\)"):
        predict_margins(FittedHead(head, images, scorer), protocol.test("unseen"), QUIET, "a name")


def test_memory_that_runs_out_is_taken_in_smaller_parts(
    scorer: QuestionScorer,
    images: FeatureRows,
    protocol: Protocol,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    head = build_head(head_spec("linear", {}), images, protocol.images("train"), scorer.lm, 1)
    asked, right = protocol.test("unseen"), QuestionScorer.margins
    usual = predict_margins(FittedHead(head, images, scorer), asked, QUIET)

    def small(self: QuestionScorer, soft: torch.Tensor, terms: torch.Tensor) -> torch.Tensor:
        if len(soft) > 3:
            raise torch.OutOfMemoryError("too large")
        return right(self, soft, terms)

    monkeypatch.setattr(QuestionScorer, "margins", small)
    np.testing.assert_allclose(predict_margins(FittedHead(head, images, scorer), asked, QUIET), usual, atol=1e-5)


def test_validation_loss_is_of_leaf_questions_and_leaves_the_head_as_it_was(
    scorer: QuestionScorer,
    images: FeatureRows,
    protocol: Protocol,
) -> None:
    head = build_head(head_spec("mlp", {}), images, protocol.images("train"), scorer.lm, 1).train()
    loss = leaf_loss(FittedHead(head, images, scorer), protocol)
    assert head.training and loss == leaf_loss(FittedHead(head, images, scorer), protocol)
    asked = protocol.validation()
    margins = predict_margins(FittedHead(head.eval(), images, scorer), asked, QUIET).astype(np.float64)
    by_hand = [np.log1p(np.exp(-m if yes else m)) for m, yes in zip(margins, asked.answer, strict=True)]
    assert loss == pytest.approx(np.mean(by_hand), rel=1e-5)


def test_calibrations_take_off_what_they_say(scorer: QuestionScorer, images: FeatureRows, protocol: Protocol) -> None:
    head = build_head(head_spec("linear", {}), images, protocol.images("train"), scorer.lm, 1)
    terms = np.array([4, 2, 4, 7])
    blank = blank_margins(FittedHead(head, images, scorer), np.unique(terms))
    empty = FeatureRows(head.mean.expand(len(protocol.leaf), 1, -1), CPU)
    asked = QuestionSet(np.array([0, 1, 2]), np.array([2, 4, 7]), np.ones(3, bool))
    np.testing.assert_allclose(blank, predict_margins(FittedHead(head, empty, scorer), asked, QUIET), atol=1e-5)
    assert blank is not None
    margins = np.array([1.0, 2.0, 3.0, 4.0])
    assert (calibrate("none", margins, terms, None) == margins).all()
    np.testing.assert_allclose(calibrate("batch", margins, terms, None), [-1.5, -0.5, 0.5, 1.5])
    np.testing.assert_allclose(calibrate("contextual", margins, terms, blank), margins - blank.mean())
    np.testing.assert_allclose(calibrate("pmi", margins, terms, blank), margins - blank[[1, 0, 1, 2]])
    assert (calibrate("pmi", margins, terms, None) == margins).all()  # no such thing as an empty image
    names = NameFeatures(protocol.vocabulary.name_of[protocol.leaf], CPU)
    assert blank_margins(FittedHead(head, names, scorer), np.unique(terms)) is None


def test_of_images_that_look_alike_no_question_is_asked_twice(
    scorer: QuestionScorer, protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = protocol.vocabulary.name_of[protocol.leaf]
    asked, put = protocol.test("unseen"), list[int]()
    for images in (
        NameFeatures(looks, CPU),
        ShuffledFeatures(NameFeatures(looks, CPU), protocol.splits, np.random.default_rng(0)),
        NoFeatures(len(looks), CPU),
    ):
        head = build_head(head_spec("linear", {}), images, protocol.images("train"), scorer.lm, 1)
        usual = predict_margins(FittedHead(head, images, scorer), asked, QUIET)
        fitted = FittedHead(head, images, scorer, answered={})
        margins = type(head).margins
        monkeypatch.setattr(
            type(head), "margins", lambda self, x, terms, s, m=margins: put.append(len(terms)) or m(self, x, terms, s)
        )
        some = asked.where(np.arange(len(asked)) % 3 == 0)
        np.testing.assert_allclose(predict_margins(fitted, some, QUIET), usual[::3], atol=1e-5)
        np.testing.assert_allclose(predict_margins(fitted, asked, QUIET), usual, atol=1e-5)
        rows = len(put)
        assert rows and (predict_margins(fitted, asked, QUIET) == predict_margins(fitted, asked, QUIET)).all()
        assert len(put) == rows
        monkeypatch.undo()
        pairs = set(zip(images.looks[asked.image].tolist(), asked.term.tolist(), strict=True))
        assert len(fitted.answered) == len(pairs) < len(asked)


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
