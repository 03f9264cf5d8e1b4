"""Training through a frozen LM: it learns, it repeats exactly, it touches nothing but the head, and it stops on NaN."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from taxbench.data.protocol import Protocol
from taxbench.data.questions import QuestionSet
from taxbench.errors import TrainingError
from taxbench.features.rows import FeatureRows
from taxbench.heads.base import Shape
from taxbench.lms.frozen import load_lm
from taxbench.lms.packing import tokenise
from taxbench.progress import Reporter
from taxbench.registry.heads import head_module, head_spec, heads, settings_defaults
from taxbench.specs.models import LMSpec
from taxbench.specs.run import TrainerSpec
from taxbench.training.batches import group_by_image
from taxbench.training.trainer import Bench, ask, build_head, train_head
from tests.data.test_protocol import dataset, task

QUIET = Reporter(quiet=True)


@pytest.fixture(scope="module")
def protocol() -> Protocol:
    return Protocol(task("unseen_hypernym"), dataset(per_leaf=12), seed=1)


@pytest.fixture(scope="module")
def bench(tiny_llama: Path, protocol: Protocol) -> Bench:
    lm = load_lm(LMSpec(name="tiny", source=str(tiny_llama)), torch.device("cpu"), torch.float32)
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(len(protocol.vocabulary.terms), 16))  # one cluster a leaf: easy to tell apart
    rows = centres[protocol.leaf] + 0.1 * rng.normal(size=(len(protocol.leaf), 16))
    features = torch.from_numpy(rows[:, None].astype(np.float32))
    return Bench(lm, tokenise(lm, protocol.questions, (("Yes",), ("No",))), on_cpu(features))


def on_cpu(features: torch.Tensor) -> FeatureRows:
    return FeatureRows(features, torch.device("cpu"))


def train(bench: Bench, protocol: Protocol, trainer: TrainerSpec, name: str = "mlp") -> tuple[np.ndarray, float]:
    head = build_head(head_spec(name, {}), bench, protocol.images("train"), protocol.seed)
    train_head(head, bench, protocol, trainer, QUIET, "train")
    asked = protocol.train_questions(0)
    margin = ask(head, bench, asked, QUIET, "ask")
    return margin, float(((margin > 0) == asked.answer).mean())


def test_a_head_learns_leaf_questions_and_the_lm_stays_as_it_was(bench: Bench, protocol: Protocol) -> None:
    before = [weight.clone() for weight in bench.lm.model.parameters()]
    _, start = train(bench, protocol, TrainerSpec(epochs=1, learning_rate=1e-9))
    _, end = train(bench, protocol, TrainerSpec(epochs=40, learning_rate=1e-2))
    assert start < 0.6 < 0.8 < end
    assert all(torch.equal(a, b) for a, b in zip(before, bench.lm.model.parameters(), strict=True))


def test_the_same_seed_gives_the_same_margins_and_another_seed_others(bench: Bench, protocol: Protocol) -> None:
    short = TrainerSpec(epochs=2)
    first, again = (train(bench, protocol, short)[0] for _ in range(2))
    assert (first == again).all()
    head = build_head(head_spec("mlp", {}), bench, protocol.images("train"), protocol.seed + 1)
    same = build_head(head_spec("mlp", {}), bench, protocol.images("train"), protocol.seed)
    assert not torch.equal(head.mapping[1].weight, same.mapping[1].weight)


def test_a_loss_that_is_no_number_stops_with_a_way_out(bench: Bench, protocol: Protocol) -> None:
    broken = replace(bench, features=on_cpu(torch.full((len(protocol.leaf), 1, 16), float("nan"))))
    with pytest.raises(TrainingError, match=r"--set learning_rate"):
        train(broken, protocol, TrainerSpec(epochs=1))


def test_asking_one_by_one_gives_the_same_margins(bench: Bench, protocol: Protocol) -> None:
    head = build_head(head_spec("linear", {"tokens": 3}), bench, protocol.images("train"), 1)
    asked = protocol.test("unseen")
    together = ask(head, bench, asked, QUIET, "ask")
    for i in range(0, len(asked), 37):
        one = QuestionSet(asked.image[i : i + 1], asked.term[i : i + 1], asked.answer[i : i + 1])
        assert ask(head, bench, one, QUIET, "ask")[0] == pytest.approx(together[i], abs=1e-4)


def test_answers_that_are_no_numbers_are_an_error(bench: Bench, protocol: Protocol) -> None:
    head = build_head(head_spec("linear", {}), bench, protocol.images("train"), 1)
    with torch.no_grad():
        head.gain.fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"answers are not numbers \(a name\)"):
        ask(head, bench, protocol.test("unseen"), QUIET, "a name")


@pytest.mark.parametrize("name", sorted(heads()))
def test_the_settings_of_a_head_are_known_without_importing_it(name: str) -> None:
    assert settings_defaults(name) == head_module(name).Settings().model_dump()


@pytest.mark.parametrize("name", sorted(heads()))
@pytest.mark.parametrize("tokens", [1, 4])
def test_every_head_maps_pooled_and_grid_features_at_the_scale_of_the_lm(
    name: str, tokens: int, bench: Bench, protocol: Protocol
) -> None:
    grid = replace(bench, features=on_cpu(torch.randn(len(protocol.leaf), tokens, 16)))
    head = build_head(head_spec(name, {}), grid, protocol.images("train"), 1)
    soft = head(grid.features(np.arange(5)))
    assert soft.shape[0] == 5 and soft.shape[2] == bench.lm.width
    rms = soft.square().mean(-1).sqrt()
    torch.testing.assert_close(rms, torch.full_like(rms, bench.lm.embedding_rms()), rtol=1e-3, atol=1e-6)
    module = head_module(name)
    assert module.build(Shape(tokens, 16, 8), module.Settings()) is not None


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


def test_dropout_follows_the_seed_and_not_its_neighbours(bench: Bench, protocol: Protocol) -> None:
    def first_pass(disturb: bool) -> torch.Tensor:
        head = build_head(head_spec("mlp", {"dropout": 0.5}), bench, protocol.images("train"), 1)
        if disturb:
            torch.rand(7)
        return head(bench.features(np.arange(4)))

    assert torch.equal(first_pass(False), first_pass(True))
    head = build_head(head_spec("mlp", {"dropout": 0.5}), bench, protocol.images("train"), 1)
    assert not torch.equal(head(bench.features(np.arange(4))), head(bench.features(np.arange(4))))
    head.eval()
    assert torch.equal(head(bench.features(np.arange(4))), head(bench.features(np.arange(4))))
