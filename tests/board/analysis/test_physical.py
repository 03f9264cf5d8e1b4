"""Property tasks: whom answers follow after a re-pairing, correlations with numbers, records that can be checked."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from taxbench.board.analysis.physical import PropertyFinding, physical
from taxbench.board.analysis.physical_controls import category_means
from taxbench.board.load import load_records
from taxbench.board.submit.examine import examine
from taxbench.cli.analyze import command
from taxbench.datasets.dataset import load_dataset
from taxbench.protocol.protocol import Protocol
from taxbench.protocol.questions import QuestionSet
from taxbench.tasks.registry import find_tasks
from taxbench.util.errors import UsageError
from tests.board.hostile import honest, record, write
from tests.datasets.test_folder import make

POCKET = load_dataset("pocket")
LENGTH = POCKET.properties.columns["length_cm"].values


def by(which: str, noise: float = 0.0):  # type: ignore[no-untyped-def]
    """Return margins that go by the length of what pictures are called, or of what they show."""

    def margins(protocol: Protocol, asked: QuestionSet) -> np.ndarray:
        asks, shown = protocol.asked_property, [POCKET.images[i].leaf for i in asked.image]
        leaves = shown if which == "picture" else [protocol.pairing[leaf] for leaf in shown]
        length = np.log([float(LENGTH[leaf]) for leaf in leaves])  # type: ignore[arg-type]
        place = asked.term - protocol.vocabulary.n_taught
        draw = np.random.default_rng(0).normal(size=len(length)) * noise
        assert asks is not None
        # A liking for No that differs from wording to wording, which neither AUROC nor Spearman may see.
        return np.where(asks.reversed[place % len(asks.reversed)], -length, length) - 9.0 - place + draw

    return margins


def found(folder: Path, task: str, which: str, noise: float = 0.0) -> PropertyFinding:
    honest(folder / task, task=task, own=by(which, noise))
    first, *_ = physical(load_records([folder]), load_dataset).findings
    assert first.split == "unseen"
    return first


@pytest.mark.parametrize(("which", "of_name"), [("name", 1.0), ("picture", 0.0)])
def test_answers_follow_what_margins_were_made_of(tmp_path: Path, which: str, of_name: float) -> None:
    says = found(tmp_path, "property_size_within", which)
    assert says.follows_name[0] == pytest.approx(of_name) and says.follows_picture[0] == pytest.approx(1 - of_name)
    assert says.differing and says.differing > 5
    own, other = (says.number, says.number_of_picture)[:: 1 if which == "name" else -1]
    assert own[0] == pytest.approx(1, abs=2e-3) and other[0] is not None and other[0] < 0.95
    if which == "name":
        assert says.auroc[0] == says.direct[0] == says.reversed[0] == 1.0
        assert says.number_within[0] == pytest.approx(1, abs=2e-3)
    assert says.agreement[0] == pytest.approx(1, abs=2e-3)


def test_without_a_re_pairing_there_is_one_truth_and_words_have_no_correlation(tmp_path: Path) -> None:
    says = found(tmp_path, "property_alive", "name", noise=1.0)
    assert says.differing is None and says.follows_name == says.number == (None, None, None)
    value, low, high = says.transfer
    assert value is not None and low is not None and high is not None and low < value < high
    assert value == pytest.approx((says.auroc[0] or 0) - (says.controls["random_lm"] or 0))
    assert says.direct_transfer[0] and says.direct[1] and says.direct[1] < (says.direct[0] or 0)
    asked = {"random_lm", "no_image", "shuffled_features", "text_only", "feature_probe", "name_probe"}
    assert set(says.controls) == {*asked, "category_mean"}


def test_what_follows_from_the_category_and_from_the_frame_stands_beside(tmp_path: Path) -> None:
    assert found(tmp_path, "property_alive", "name").controls["category_mean"] == 1.0  # all of a category are
    says = found(tmp_path / "size", "property_size", "name").controls
    assert 0.5 < (says["category_mean"] or 0) < 1
    # A picture's object and its name have nothing to do with each other but for what they are: near chance.
    assert 0.3 < (says["apparent_size"] or 0) < 0.7


def test_the_category_mean_of_a_leaf_is_that_of_the_others_that_training_names() -> None:
    protocol = Protocol(find_tasks().tasks["property_fly"], POCKET, 42)
    asks, leaves = protocol.asked_property, POCKET.taxonomy.leaves
    assert asks is not None
    means, hypernyms = category_means(asks, POCKET, protocol.trained), POCKET.taxonomy.hypernyms_of
    flies = POCKET.properties.columns["can_fly"].values
    for leaf in ("penguin", "owl"):
        kin = {leaves[i] for i in protocol.trained if hypernyms[leaves[i]] == hypernyms[leaf]} - {leaf}
        place, expected = leaves.index(leaf), np.mean([bool(flies[each]) for each in kin if each in flies])
        assert means[place, 0] == pytest.approx(expected) and means[place, -1] == pytest.approx(1 - expected)


def test_a_swap_inside_hypernyms_leaves_no_two_truths_of_what_they_share(tmp_path: Path) -> None:
    says = found(tmp_path, "property_alive_within", "name", noise=1.0)
    assert says.differing == 0 and says.follows_name == (None, None, None)


def test_the_verb_prints_tables_or_json_and_names_what_is_missing(tmp_path: Path) -> None:
    honest(tmp_path / "a", task="property_size_within", own=by("name", 3.0))
    done = CliRunner().invoke(command, ["--physical", str(tmp_path)])
    assert done.exit_code == 0 and "| property_size_within |" in done.output and "follows picture" in done.output
    root, taxonomy = make(tmp_path / "photos")
    beside = ["--dataset", f"folder:{root}", "--taxonomy", str(taxonomy)]
    assert CliRunner().invoke(command, ["--physical", str(tmp_path), *beside]).output == done.output
    done = CliRunner().invoke(command, ["--physical", str(tmp_path), "--json"])
    assert [each["split"] for each in json.loads(done.output)["findings"]] == ["unseen", "heldout_leaf"]
    other = tmp_path / "b"
    honest(other, task="unseen_hypernym")
    with pytest.raises(UsageError, match="no record of a property task"):
        physical(load_records([other]), load_dataset)


def test_a_record_of_a_property_task_can_be_checked(tmp_path: Path) -> None:
    honest(tmp_path, task="property_edible_across")
    registry = find_tasks()
    assert examine(tmp_path, registry).reasons == ()
    raw = record(tmp_path)
    raw["run"]["dataset"]["properties"] = "0" * 16
    write(tmp_path, raw)
    (reason,) = examine(tmp_path, registry).reasons
    assert reason.startswith("run.dataset.properties is 0000000000000000; in this version of 'pocket' it is ")


def in_one_question(which: str):  # type: ignore[no-untyped-def]
    """Return margins of questions about two pictures: by their lengths, by the first alone, or by nothing at all."""

    def margins(protocol: Protocol, asked: QuestionSet) -> np.ndarray:
        n, asks = len(POCKET.images), protocol.asked_property
        assert asks is not None and asks.numbers is not None
        first, second = (np.log(asks.numbers[protocol.leaf[i]]) for i in (asked.image % n, asked.image // n - 1))
        sign = np.where(asks.reversed[asked.term - protocol.vocabulary.n_taught], -1, 1)
        return {"both": sign * (first - second), "first": sign * first - 30.0, "yes": np.full(len(first), 2.0)}[which]

    return margins


@pytest.mark.parametrize(("which", "right", "same"), [("both", 1.0, 0.0), ("first", 1.0, 1.0), ("yes", 0.5, 1.0)])
def test_two_in_one_question_are_told_by_the_difference_between_the_orders(
    tmp_path: Path, which: str, right: float, same: float
) -> None:
    folder = tmp_path / "compare_pair_size"
    honest(folder, task="compare_pair_size", own=in_one_question(which))
    assert examine(folder, find_tasks()).reasons == ()
    says = physical(load_records([tmp_path]), load_dataset)
    first, held = says.pairs
    assert (first.asked, first.split, held.split) == ("together", "unseen", "heldout_leaf") and not says.findings
    assert first.right[0] == pytest.approx(right) and first.same_answer[0] == pytest.approx(same, abs=0.01)
    assert all(each[0] == pytest.approx(right) for each in first.by_gap) and first.pairs == 1404 * 4 // 2
    assert first.twin[0] is not None and first.twin[1] is not None and first.twin[1] < first.twin[0]


def test_single_images_are_compared_by_the_difference_of_their_margins(tmp_path: Path) -> None:
    honest(tmp_path / "a", task="compare_word_size", own=by("name", 8.0))
    apart, _ = physical(load_records([tmp_path]), load_dataset).pairs
    near, _, far = apart.by_gap
    assert apart.asked == "apart" and apart.same_answer == (None, None, None)
    assert near[0] and far[0] and 0.55 < near[0] < far[0] and apart.right[0] and near[0] < apart.right[0] < far[0]
