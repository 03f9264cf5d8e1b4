"""Reading by label vectors: the correction for hubs, the calibration, and terms that training never said."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from taxbench.heads.closed_form import FitData
from taxbench.heads.label_head import Hubness, LabelHead, label_head, logistic_line

WIDTH, NAMES = 16, 12
TEXTS = tuple(f"name {i}" for i in range(NAMES))
TERMS = (*TEXTS, "animal", "tool", "name 3")  # a name may be a hypernym too


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> FitData:
    """An image's features are, but for noise, the label vector of its name."""

    def vectors(lm: object, terms: tuple[str, ...], cache: object) -> dict[str, np.ndarray]:
        rows = [np.random.default_rng(list(term.encode())).normal(size=WIDTH) for term in terms]
        return {"template_1": np.stack(rows).astype(np.float32)}

    monkeypatch.setattr("taxbench.heads.closed_form.label_vectors", vectors)
    draw = np.random.default_rng(0)
    names = np.repeat(np.arange(NAMES), 30)
    lm: Any = SimpleNamespace(digest="lm", dtype=torch.float32, device=torch.device("cpu"))
    made = FitData(lambda images: features[torch.from_numpy(images)], np.arange(0, 360, 2), names[::2],
                  np.arange(1, 360, 2), names[1::2], TEXTS, lm, said=None, seed=3, told=lambda: None)  # fmt: skip
    noise = torch.from_numpy(draw.normal(size=(360, 1, WIDTH)) * 0.15).float()
    features = torch.zeros(360, 1, WIDTH)
    features = made.labels[torch.from_numpy(names)][:, None] + noise
    return made


def build(data: FitData, hubness: Hubness = "csls", terms: tuple[str, ...] = TERMS) -> LabelHead:
    scale = torch.zeros(WIDTH), torch.ones(WIDTH)
    return label_head(nn.Identity(), *scale, data, terms, SimpleNamespace(hubness=hubness))


def cosines(data: FitData, images: np.ndarray) -> Tensor:
    return normalize(data.features(images)[:, 0], dim=1) @ data.words(TERMS).T


def test_csls_is_that_of_a_loop(data: FitData) -> None:
    head, train, test = build(data), cosines(data, data.images), cosines(data, data.val_images[:5])
    found = head.corrected(test)
    for image in range(5):
        around_image = sorted(map(float, test[image, :NAMES]))[-10:]  # neighbours are names
        for term in range(len(TERMS)):
            around_term = sorted(map(float, train[:, term]))[-10:]
            expected = 2 * float(test[image, term]) - sum(around_image) / 10 - sum(around_term) / 10
            assert float(found[image, term]) == pytest.approx(expected, abs=1e-5)


def test_standardising_takes_each_terms_training_images(data: FitData) -> None:
    found = build(data, "standardise").corrected(cosines(data, data.images))
    assert torch.allclose(found.mean(0), torch.zeros(len(TERMS)), atol=1e-5)
    assert torch.allclose(found.std(0, correction=0), torch.ones(len(TERMS)), atol=1e-5)
    raw = cosines(data, data.val_images)
    assert torch.equal(build(data, "none").corrected(raw), raw)


@pytest.mark.parametrize("hubness", ["none", "csls", "standardise"])
def test_new_images_are_answered_rightly_and_every_term_is_answered(data: FitData, hubness: Hubness) -> None:
    head = build(data, hubness)
    terms = torch.arange(len(TERMS)).repeat(len(data.val_images), 1)
    terms[:, -1] = -1  # padding
    margins = head.margins(data.features(data.val_images), terms, None)
    assert margins.shape == terms.shape and torch.isfinite(margins).all()
    right = torch.from_numpy(data.val_names)[:, None] == torch.arange(NAMES)
    assert ((margins[:, :NAMES] > 0) == right).float().mean() > 0.97
    asked = head.margins(data.features(data.val_images), terms[:, [4, 13]], None)
    assert torch.equal(asked, margins[:, [4, 13]])


def test_a_name_has_one_vector_and_hypernyms_change_nothing(data: FitData) -> None:
    assert torch.equal(data.words(TERMS)[:NAMES], data.labels)
    assert torch.equal(data.words(TERMS)[14], data.labels[3])
    features, terms = data.features(data.val_images), torch.arange(NAMES).repeat(len(data.val_images), 1)
    both = [build(data, "csls", asked).margins(features, terms, None) for asked in (TERMS, TEXTS)]
    assert torch.allclose(*both, atol=1e-5)


def test_the_state_is_all_there_is(data: FitData) -> None:
    head = build(data)
    blank = LabelHead(
        nn.Identity(), (torch.zeros(WIDTH), torch.ones(WIDTH)), torch.rand(len(TERMS), WIDTH), NAMES, "csls"
    )
    blank.load_state_dict(head.state_dict())
    features, terms = data.features(data.val_images), torch.zeros(len(data.val_images), 1, dtype=torch.int64)
    assert torch.equal(head.margins(features, terms, None), blank.margins(features, terms, None))
    assert not list(head.parameters())


@pytest.mark.parametrize("apart", [0.5, 2.0, 50.0])  # the last is separable
def test_the_line_is_the_likeliest_under_platts_targets(apart: float) -> None:
    draw = np.random.default_rng(1)
    right, wrong = draw.normal(apart, 1, 400), draw.normal(0, 2, 1600)
    slope, offset = logistic_line(right, wrong)
    x = np.concatenate([right, wrong])
    target = np.repeat([401 / 402, 1 / 1602], [400, 1600])
    weight = np.repeat([0.5 / 400, 0.5 / 1600], [400, 1600])
    # Where the likelihood is highest, it falls neither way along the offset and the slope.
    behind = weight * (target - 1 / (1 + np.exp(-(slope * x + offset))))
    assert behind.sum() == pytest.approx(0, abs=1e-9)
    assert (behind * x).sum() == pytest.approx(0, abs=1e-9)


@pytest.mark.filterwarnings("ignore:The inner solver")  # where all are alike, no slope is better than another
@pytest.mark.parametrize("gap", [0.0, 1e-9, 5.0])
def test_the_line_stays_finite(gap: float) -> None:
    line = logistic_line(np.full(50, gap), np.zeros(200))
    assert np.isfinite(line).all()
    assert gap < 1 or line[0] * gap + line[1] > 0 > line[1]


def test_the_threshold_fits_new_images_and_not_those_the_map_was_fitted_to(data: FitData) -> None:
    """A map that knows its training images by heart; read by them, new images would all be too far from their name."""
    heart = torch.zeros(360, 1, WIDTH)
    heart[data.images] = data.labels[torch.from_numpy(data.names)][:, None]
    heart[data.val_images] = data.features(data.val_images) + 0.2
    data.features = lambda images: heart[torch.from_numpy(images)]
    head = build(data, "none")
    right = head.margins(data.features(data.val_images), torch.from_numpy(data.val_names)[:, None], None)
    assert (right > 0).float().mean() > 0.9
    none = np.zeros(0, np.int64)
    blind = build(replace(data, val_images=none, val_names=none), "none")
    assert (blind.line[1] / blind.line[0]) < (head.line[1] / head.line[0]) < 0
