"""Training through a frozen LM: heads learn, repeat exactly, and do not notice what is trained beside them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from taxbench.features.feature_rows import FeatureRows, NameFeatures, ShuffledFeatures
from taxbench.heads.base import SoftHead
from taxbench.heads.loading import head_spec
from taxbench.lms.question_scorer import Order, QuestionScorer
from taxbench.protocol.protocol import Protocol
from taxbench.specs.run import TrainerSpec
from taxbench.training import predict as memory
from taxbench.training import stack
from taxbench.training.head_state import HeadTrainingState, build_head
from taxbench.training.predict import FittedHead, RowBudget, predict_margins
from taxbench.training.stack import train_stack
from taxbench.util.errors import CacheError, TrainingError
from taxbench.util.progress import Advance, Reporter
from taxbench.util.seeds import rng
from tests.training.conftest import ANSWERS, CPU, QUIET, make_protocol


def state(
    scorer: QuestionScorer,
    images: FeatureRows,
    protocol: Protocol,
    trainer: TrainerSpec | None = None,
    name: str = "mlp",
) -> HeadTrainingState:
    head = build_head(head_spec(name, {}), images, protocol.images("train"), scorer.lm, protocol.seed)
    return HeadTrainingState(head, images, protocol, trainer or TrainerSpec(epochs=2), f"train {name}")


def train(scorer: QuestionScorer, *states: HeadTrainingState) -> list[HeadTrainingState]:
    finished: list[HeadTrainingState] = []
    train_stack(states, scorer, QUIET, finished.append)
    assert set(map(id, finished)) == set(map(id, states))
    return list(states)


def weights(one: HeadTrainingState) -> list[torch.Tensor]:
    return [value.detach().clone() for value in one.head.parameters()]


def equal(one: Sequence[torch.Tensor], two: Sequence[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def share_right(one: HeadTrainingState, scorer: QuestionScorer) -> float:
    asked = one.protocol.train_questions(0)
    return float(
        ((predict_margins(FittedHead(one.finish(), one.images, scorer), asked, QUIET) > 0) == asked.answer).mean()
    )


LONG = TrainerSpec(epochs=25, learning_rate=1e-2)


@pytest.mark.parametrize(("name", "order"), [
    ("mlp", "image_first"), ("itm", "image_first"), ("mlp", "question_first"),
])  # fmt: skip
def test_heads_learn_leaf_questions_and_the_lm_stays_as_it_was(
    scorer: QuestionScorer, images: FeatureRows, protocol: Protocol, name: str, order: Order
) -> None:
    asked = QuestionScorer.of(scorer.lm, protocol.questions, ANSWERS, order)
    before = [weight.clone() for weight in scorer.lm.model.parameters()]
    trainer = LONG.model_copy(update={"order": order})
    start = share_right(state(scorer, images, protocol, trainer, name), asked)
    (end,) = train(asked, state(scorer, images, protocol, trainer, name))
    assert start < 0.65 and share_right(end, asked) > 0.8
    assert equal(before, list(scorer.lm.model.parameters()))


def test_the_loss_of_the_full_text_falls(scorer: QuestionScorer, images: FeatureRows, protocol: Protocol) -> None:
    def loss(one: HeadTrainingState) -> float:
        batch = one.batch()
        with torch.inference_mode():
            soft = one.head.eval().soft_tokens(batch.features)
            return float(scorer.text_losses(soft, batch.term, batch.answer)[batch.term >= 0].mean())

    trainer = TrainerSpec(epochs=4, learning_rate=1e-2, loss="full_text")
    before = loss(state(scorer, images, protocol, trainer))
    (one,) = train(scorer, state(scorer, images, protocol, trainer))
    one.step = 0
    assert loss(one) < before - 0.1


def test_heads_trained_together_are_those_trained_alone_bit_for_bit(
    scorer: QuestionScorer, images: FeatureRows
) -> None:
    """On a CPU, where the row of a product does not depend on the other rows; elsewhere up to rounding."""

    def fresh() -> list[HeadTrainingState]:
        return [
            state(scorer, images, make_protocol(1)),
            state(scorer, images, make_protocol(2), TrainerSpec(epochs=1, learning_rate=1e-2), "linear"),
            state(scorer, images, make_protocol(1, "seen_hypernym"), TrainerSpec(epochs=2, batch_images=7)),
            state(scorer, images, make_protocol(1), TrainerSpec(epochs=2, clip=1e-3)),
            state(scorer, images, make_protocol(1), name="no_image"),
        ]

    together = fresh()
    train_stack(together, scorer, QUIET, lambda _: None, jobs=2)  # with one hand
    for one, other in zip(together, fresh(), strict=True):
        train(scorer, other)  # with two
        assert equal(weights(one), weights(other)) and one.losses == other.losses, one.label
    assert not equal(weights(together[0]), weights(together[3]))


def test_heads_that_read_states_do_not_feel_their_neighbours_either(
    scorer: QuestionScorer, images: FeatureRows
) -> None:
    def fresh() -> list[HeadTrainingState]:
        return [state(scorer, images, make_protocol(1, task), name="itm") for task in ("leaf", "seen_hypernym")]

    for one, other in zip(train(scorer, *fresh()), fresh(), strict=True):
        train(scorer, other)
        assert equal(weights(one), weights(other)) and one.losses == other.losses


def test_the_same_seed_gives_the_same_head_and_another_seed_another(
    scorer: QuestionScorer, images: FeatureRows, protocol: Protocol
) -> None:
    first, again = (train(scorer, state(scorer, images, protocol))[0] for _ in range(2))
    (other,) = train(scorer, state(scorer, images, make_protocol(2)))
    assert equal(weights(first), weights(again)) and not equal(weights(first), weights(other))
    assert not equal(weights(state(scorer, images, make_protocol(2))), weights(state(scorer, images, protocol)))


def test_a_head_or_an_image_that_is_no_number_leaves_the_others_untouched(
    scorer: QuestionScorer, images: FeatureRows, protocol: Protocol
) -> None:
    values = images(np.arange(len(protocol.leaf)))
    values[protocol.images("train")[3]] = float("nan")
    sick_images = FeatureRows(values, CPU)
    sick_images.statistics = images.statistics  # type: ignore[method-assign]
    sick_head = state(scorer, images, protocol)
    with torch.no_grad():
        sick_head.head.gain.fill_(float("nan"))
    sick_image = state(scorer, sick_images, protocol)
    well = state(scorer, images, make_protocol(2))
    train(scorer, sick_head, well, sick_image)
    (alone,) = train(scorer, state(scorer, images, make_protocol(2)))
    assert equal(weights(well), weights(alone))
    with pytest.raises(TrainingError, match=r"train mlp, step 1\)\. Try --set learning_rate=0.0001"):
        sick_head.finish()
    image = protocol.dataset.images[protocol.images("train")[3]].id
    with pytest.raises(TrainingError, match=rf"train mlp, step \d+\)\. The features of '{image}' are not numbers"):
        sick_image.finish()
    assert all(torch.isfinite(value).all() for value in sick_image.head.parameters())  # it broke off in time


def test_running_out_of_memory_halves_the_rows_and_changes_nothing(
    scorer: QuestionScorer, images: FeatureRows, protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, right = [], QuestionScorer.margins

    def small(self: QuestionScorer, soft: torch.Tensor, terms: torch.Tensor) -> torch.Tensor:
        asked.append(len(soft))
        if len(soft) > 5:
            raise torch.OutOfMemoryError("too large")
        return right(self, soft, terms)

    (usual,) = train(scorer, state(scorer, images, protocol))
    monkeypatch.setattr(QuestionScorer, "margins", small)
    (halved,) = train(scorer, state(scorer, images, protocol))
    assert equal(weights(usual), weights(halved))
    assert asked[:2] == [8, 8] and max(asked[2:]) <= 5  # and it does not try again
    monkeypatch.setattr(
        QuestionScorer, "margins", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("none at all"))
    )
    with pytest.raises(TrainingError, match=r"does not fit into memory \(none at all\)"):
        train(scorer, state(scorer, images, protocol))


def test_rows_are_cut_into_equal_parts_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda device: 1000)
    budget = RowBudget(row_bytes=100, device=CPU)
    assert budget.rows == 5 and RowBudget(100, CPU, jobs=2).rows == 2 and RowBudget(10**9, CPU).rows == 1
    parts = list(budget.parts(12))
    assert [part.stop - part.start for part in parts] == [4, 4, 4] and parts[0].start == 0 and parts[-1].stop == 12
    assert [len(list(budget.parts(n, 2))) for n in (1, 4, 12)] == [1, 2, 5]  # two at a time: of 12, five of 2 or 3


_EPOCH = 10  # steps, as `trainee` makes them


class Interrupting(Reporter):
    """A reporter whose user presses Ctrl-C at the n-th step."""

    def __init__(self, after: int) -> None:
        super().__init__(quiet=True)
        self.after = after

    @contextmanager
    def bar(self, label: str, total: int, unit: str) -> Iterator[Advance]:
        def advance(steps: int, note: str = "", /) -> None:
            self.after -= 1
            assert "loss" in note
            if self.after == 0:
                raise KeyboardInterrupt

        yield advance


@pytest.mark.parametrize(("patience", "after"), [(0, 11), (1, 11), (1, _EPOCH), (1, 3 * _EPOCH)])
def test_an_interrupted_training_goes_on_where_it_stood(
    scorer: QuestionScorer, images: FeatureRows, protocol: Protocol, tmp_path: Path, patience: int, after: int
) -> None:
    trainer = TrainerSpec(epochs=3, patience=patience)

    def fresh() -> list[HeadTrainingState]:
        both = [state(scorer, images, protocol, trainer), state(scorer, images, make_protocol(2), trainer)]
        for place, one in enumerate(both):
            one.checkpoint = tmp_path / f"{place}.checkpoint"
            one.resume()
        return both

    whole = train(scorer, *fresh())
    ended: list[HeadTrainingState] = []
    with pytest.raises(KeyboardInterrupt):
        train_stack(fresh(), scorer, Interrupting(after=after), ended.append)
    halves = fresh()
    assert [one.step for one in halves] == [after % (3 * _EPOCH)] * 2
    if after == 3 * _EPOCH:  # it was over: both heads were given away, and there is nothing to go on with
        assert len(ended) == 2
        halves = ended
    else:
        train(scorer, *halves)
    for one, two in zip(whole, halves, strict=True):
        one.finish(), two.finish()
        assert equal(weights(one), weights(two))
        assert one.curve() == two.curve() and one.curve().step[-1] == one.step
        assert len(one.curve().validation) == (3 if patience else 0)
    (tmp_path / "0.checkpoint").write_bytes(b"nonsense")
    with pytest.raises(CacheError, match=r"rm '.*0\.checkpoint'"):
        fresh()


def test_checkpoints_are_written_as_time_passes(
    scorer: QuestionScorer, images: FeatureRows, protocol: Protocol, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack, "_CHECKPOINT_SECONDS", 0.0)
    one = state(scorer, images, protocol)
    one.checkpoint = tmp_path / "checkpoint"
    train(scorer, one)
    other = state(scorer, images, protocol)
    other.checkpoint = one.checkpoint
    other.resume()
    assert other.step == other.total_steps - 1


def test_training_stops_early_by_validation_leaves_and_keeps_the_best_weights(
    scorer: QuestionScorer, images: FeatureRows, protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([0.7, 0.5, 0.6, 0.4, 0.45, 0.41, 0.3])
    monkeypatch.setattr(stack, "leaf_loss", lambda *_: next(losses))
    (one,) = train(scorer, state(scorer, images, protocol, TrainerSpec(epochs=9, patience=2)))
    assert one.best is not None and one.best[:2] == (0.4, 4) and one.step == one.total_steps * 6 // 9
    last = weights(one)
    assert not equal(last, weights_of(one.finish()))
    assert equal(weights_of(one.head), [one.best[2][name] for name, _ in one.head.named_parameters()])


@pytest.mark.parametrize("case", [
    (0.4, "from 0.500 to 0.400. Longer training may do better: --set epochs=4"),
    (0.8, "is 0.800, and a coin's is 0.693. Smaller steps may hold: --set learning_rate=0.0003"),
    (0.49, ""), (0.6, ""), (0.7, ""),
])  # fmt: skip
def test_a_loss_that_still_falls_at_the_end_or_is_a_coins_is_told(
    scorer: QuestionScorer,
    images: FeatureRows,
    protocol: Protocol,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    case: tuple[float, str],
) -> None:
    last, words = case
    losses, told = iter([0.5, last, last]), list[str]()
    monkeypatch.setattr(stack, "leaf_loss", lambda *_: next(losses))
    monkeypatch.setattr(stack, "_CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(Reporter, "say", lambda self, text: told.append(text))
    for _ in range(2):  # the second goes on from the first one's last checkpoint, a step before the end
        one = state(scorer, images, protocol)
        one.watched, one.checkpoint = True, tmp_path / "checkpoint"
        one.resume()
        train(scorer, one)
    assert next(losses, None) is None
    assert len(told) == (2 if words else 0) and all(words in text for text in told)


def weights_of(head: SoftHead) -> list[torch.Tensor]:
    return [value.detach().clone() for value in head.parameters()]


def test_a_validation_without_numbers_breaks_off_one_head(
    scorer: QuestionScorer, images: FeatureRows, protocol: Protocol
) -> None:
    values = images(np.arange(len(protocol.leaf)))
    values[protocol.images("val")[0]] = float("nan")
    trainer = TrainerSpec(epochs=3, patience=1)
    sick = state(scorer, FeatureRows(values, CPU), protocol, trainer)
    sick.images.statistics = images.statistics  # type: ignore[method-assign]
    well = state(scorer, images, protocol, trainer)
    train(scorer, sick, well)
    with pytest.raises(TrainingError, match="cannot be validated"):
        sick.finish()
    assert well.failure is None and well.step > sick.step


def test_the_learning_rate_rises_and_falls(scorer: QuestionScorer, images: FeatureRows, protocol: Protocol) -> None:
    one = state(scorer, images, protocol, TrainerSpec(epochs=10, warmup=0.1, learning_rate=1.0))
    rates = []
    while not one.done:
        one.head.gain.grad = torch.tensor(0.0)
        one.learn(0.5)
        rates.append(one._optimiser.param_groups[0]["lr"])
    top = rates.index(max(rates))
    assert max(rates) == pytest.approx(1.0) and top == pytest.approx(0.1 * len(rates), abs=1)
    assert rates[:top] == sorted(rates[:top]) and rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[top + (len(rates) - top) // 2] == pytest.approx(0.5, abs=0.1) and rates[-1] < 0.01


def test_a_resumed_bar_counts_what_is_left(scorer: QuestionScorer, images: FeatureRows, protocol: Protocol) -> None:
    one = state(scorer, images, protocol, TrainerSpec(epochs=2))
    whole = one.questions_left()
    assert whole == 2 * len(protocol.train_questions(0))
    one.step = one.total_steps // 2
    assert one.questions_left() == whole // 2


def test_dealt_features_stay_in_their_split_and_names_are_those_of_the_re_pairing(
    images: FeatureRows, protocol: Protocol
) -> None:
    dealt = ShuffledFeatures(images, protocol.splits, rng(1, "deal"))
    everything = np.arange(len(protocol.leaf))
    for split in ("train", "val", "test"):
        members = np.flatnonzero(protocol.splits == split)
        rows, true = dealt(members).flatten(1), images(members).flatten(1)
        order, own = (np.lexsort(each.numpy().T) for each in (rows, true))
        assert torch.equal(rows[order], true[own]) and not torch.equal(rows, true)
    names = NameFeatures(protocol.vocabulary.name_of[protocol.leaf], CPU)(everything)
    assert [protocol.vocabulary.terms[int(i)] for i in names.flatten()[:3]] == [
        protocol.dataset.taxonomy.display_name(protocol.dataset.taxonomy.leaves[leaf]) for leaf in protocol.leaf[:3]
    ]
