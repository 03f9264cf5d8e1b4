"""Trained heads of finished runs, applied from Python: the recorded answers come out of them again."""

import json
from pathlib import Path

import numpy as np
import pytest

import taxbench
from taxbench.board.inside import inside_of
from taxbench.board.load import load_predictions
from taxbench.cli.main import call
from taxbench.results.records import LOSSES, read_beside
from taxbench.runs.run_options import NamesHere
from taxbench.specs.result import Result
from taxbench.specs.side_files import TrainingLosses
from taxbench.util.errors import DataError, UsageError
from taxbench.util.progress import QUIET
from tests.runs.small_grid import asking_of_pairs, small_grid


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("trained")
    return small_grid(folder, tiny_llama) | {"seeds": "1", "head": "qformer,ridge_token"}


@pytest.fixture(scope="module")
def results(options: dict[str, str]) -> list[Result]:
    return list(taxbench.run(quiet=True, settings={"epochs": 2}, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize("control", ["", "random_lm"])
@pytest.mark.parametrize("place", [0, 1])
def test_a_loaded_head_gives_the_recorded_answers(
    options: dict[str, str], results: list[Result], place: int, control: str
) -> None:
    result, model = results[place], {"model": options["model"], "cache": options["cache"], "quiet": True}
    head = taxbench.load_head(result, control, **model)  # type: ignore[arg-type]
    answers = taxbench.load_answers(result)
    features = head.features(list(answers.image))
    assert features.dtype == np.float32 and features.ndim == 3
    soft = head(features)
    assert soft.shape == (len(answers), 8 if result.head == "qformer" else 1, 32)
    terms = sorted(set(answers.term))
    margins = head.margins(features, terms)
    found = [margins[row, terms.index(term)] for row, term in enumerate(answers.term)]
    recorded = answers[f"margin_{control}" if control else "margin"]
    assert found == pytest.approx(recorded.to_numpy(), abs=0.02)
    looks = head.attention(features)
    assert (looks is None) == (result.head != "qformer")
    assert looks is None or looks.sum(-1) == pytest.approx(np.ones((len(answers), 8)), abs=1e-5)
    assert head.terms[:4] == ("crow", "gull", "hammer", "saw")


def test_the_losses_of_trained_heads_lie_beside_the_record(results: list[Result]) -> None:
    trained, fitted = (read_beside(result.folder / LOSSES, TrainingLosses) for result in results if result.folder)
    assert trained is not None and set(trained.heads) == {"none", "random_lm"}
    own = trained.heads["none"]
    assert own.step[-1] == own.validation[-1][0] and len(own.step) == len(own.loss) > 2
    assert fitted is not None and fitted.heads == {}


def test_a_head_that_is_not_there_is_trained_or_the_error_says_how(
    options: dict[str, str], results: list[Result], tmp_path: Path
) -> None:
    known = {"model": options["model"], "cache": options["cache"], "quiet": True}
    empty = known | {"cache": tmp_path, "dataset": options["dataset"], "taxonomy": options["taxonomy"]}
    with pytest.raises(UsageError, match=r"is not in the cache .*train=True"):
        taxbench.load_head(results[0], **empty)  # type: ignore[arg-type]
    before, after = (taxbench.load_head(results[0], **each) for each in (known, empty | {"train": True}))  # type: ignore[arg-type]
    features = before.features([before.context.dataset.images[0].id])
    assert np.array_equal(before(features), after(features))
    with pytest.raises(UsageError, match=r"cannot ask for 'brid'\. Did you mean 'bird'"):
        before.margins(features, ["brid"])
    with pytest.raises(UsageError, match=r"takes \(n, 16, 48\)"):
        before(features[0])
    with pytest.raises(DataError, match="has no picture 'nothing'"):
        before.features(["nothing"])
    with pytest.raises(UsageError, match="no head of a control 'random'"):
        taxbench.load_head(results[0], "random", **known)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="holds 2 results"):
        taxbench.load_head(options["out"], **known)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="cannot be had here"):
        taxbench.load_head(results[0], cache=options["cache"], quiet=True)


def test_the_inside_of_a_head_is_told_for_every_picture_that_was_asked_about(
    options: dict[str, str], results: list[Result], tmp_path: Path
) -> None:
    result = results[0]
    assert result.folder is not None
    answers = load_predictions(result)
    here = NamesHere(model=options["model"], cache=Path(options["cache"]))
    found = inside_of(result, answers, here, QUIET)
    assert found.words == ("crow", "gull", "hammer", "saw", "bird", "tool")
    assert {"input", "template_1", "last"} <= {each.kind for each in found.kinds}
    assert all(sum(each.shares) == pytest.approx(1) for each in found.kinds)
    assert found.by_chance == pytest.approx([1 / 6, 1 / 6, 1 / 6, 3 / 6])  # a sibling each, and a hypernym
    assert found.nearest.shape == (len(answers.images), 8) and found.nearest.max() < 6
    assert found.looks is not None and found.looks.shape == (len(answers.images), 4, 4)
    assert found.looks.max((1, 2)) == pytest.approx(np.ones(len(answers.images)))
    leaf = np.array([["crow", "gull", "hammer", "saw"].index(each) for each in answers.leaves])[answers.leaf_of]
    shown = next(each for each in found.kinds if each.kind == found.shown)
    assert shown.shares[0] == pytest.approx((found.nearest == leaf[:, None]).mean())
    with pytest.raises(UsageError, match="cannot be had here"):  # a directory, whose name is no alias
        inside_of(result, answers, NamesHere(cache=Path(options["cache"])), QUIET)
    page = tmp_path / "view.html"
    known = ["--model", options["model"], "--cache", options["cache"], "--out", str(page)]
    assert call(["--quiet", "view", str(result.folder), "--inside", *known]) == 0
    assert "Inside the head" in page.read_text() and "Losses in training" in page.read_text()


def test_questions_about_two_pictures_are_shown_and_asked_again_with_both(
    tmp_path: Path, tiny_llama: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = asking_of_pairs(small_grid(tmp_path, tiny_llama)) | {"seeds": "1", "head": "qformer"}
    [result] = taxbench.run(quiet=True, settings={"epochs": 1}, **options)
    answers = taxbench.load_answers(result)
    pairs = answers[answers.split == "unseen"]
    row = pairs.iloc[0]
    first, second = row.image.split(" & ")
    assert row.leaf == f"{first.split('/')[0]} & {second.split('/')[0]}"
    there = {"dataset": options["dataset"], "taxonomy": options["taxonomy"]}
    both = taxbench.picture(row, **there)  # type: ignore[arg-type]
    assert both.size == (16, 8)
    for left, each in zip((0, 8), (first, second), strict=True):
        alone = taxbench.picture({"folder": row.folder, "image": each}, **there)  # type: ignore[arg-type]
        assert np.array_equal(np.asarray(both.crop((left, 0, left + 8, 8))), np.asarray(alone))
    with pytest.raises(DataError, match="has no picture 'nothing & at all'"):
        taxbench.picture({"folder": row.folder, "image": "nothing & at all"}, **there)  # type: ignore[arg-type]

    known = {name: options[name] for name in ("model", "cache", "properties")}
    head = taxbench.load_head(result, quiet=True, **known)  # type: ignore[arg-type]
    features, terms = head.features(list(pairs.image)), sorted(set(pairs.term))
    assert features.shape == (len(pairs), 2, 16, 48) and np.array_equal(features[0, 1], head.features([second])[0])
    assert head(features).shape == (len(pairs), 16, 32) and head.attention(features).shape == (len(pairs), 16, 16)
    found = head.margins(features, terms)[range(len(pairs)), [terms.index(term) for term in pairs.term]]
    assert found == pytest.approx(pairs.margin.to_numpy(), abs=0.02)
    with pytest.raises(UsageError, match="some are pictures and some pairs"):
        head.features([first, row.image])
    with pytest.raises(UsageError, match=r"takes \(n, 16, 48\) or \(n, 2, 16, 48\)"):
        head(features[:, :, 0])

    page = tmp_path / "view.html"
    assert call(["view", str(result.folder), "--inside", "--out", str(page), "--cache", options["cache"]]) == 0
    assert "are about two pictures each" in capsys.readouterr().err
    data, sources = (json.loads(page.read_text().split(at)[1].split("</script>")[0])
                     for at in ('id="data">', 'class="pictures">'))  # fmt: skip
    shown = [" & ".join(data["pictures"][each] for each in image) for image in data["images"]]
    assert set(shown) == set(answers.image) and {len(image) for image in data["images"]} == {1, 2}
    assert len(sources) == len(set(data["pictures"])) and all(each.startswith("file:") for each in sources)
    assert row.leaf in data["leaves"] and "crow" in data["leaves"]
