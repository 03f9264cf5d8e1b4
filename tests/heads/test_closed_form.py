"""Closed-form heads against independent implementations, on data small enough to be sure of, and their speed."""

import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.linalg import orthogonal_procrustes
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler
from torch.nn.functional import normalize

from taxbench.heads import cca, conse, contrastive, devise, feature_probe, name_probe, procrustes, ridge, ridge_token
from taxbench.heads.closed_form import FitData
from taxbench.heads.moments import LRUCache, Moments, factored_svd
from taxbench.heads.told import NameHead

DRAW = np.random.default_rng(0)


def vectors(terms: tuple[str, ...], width: int) -> dict[str, np.ndarray]:
    """Label vectors of terms: `template_1` is as good as `last` is useless, and a term has always the same ones."""

    def of(term: str) -> np.ndarray:
        return np.random.default_rng([width, *term.encode()]).normal(size=width) + 3  # a large common part

    good = np.stack([of(term) for term in terms]).astype(np.float32)
    return {"input": 2 * good[:, ::-1].copy(), "last": np.full_like(good, 0.5), "template_1": good}


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FitData]:
    """Make data of drawn features and names; name 0 is never trained."""

    def data(n: int = 300, f: int = 12, many: int = 7, width: int = 9, **other: Any) -> FitData:
        monkeypatch.setattr("taxbench.heads.closed_form.label_vectors", lambda lm, terms, cache: vectors(terms, width))
        draw = np.random.default_rng(n + f)
        called = draw.integers(1, many, 2 * n)
        x = draw.normal(size=(2 * n, f)) @ draw.normal(size=(f, f)) + 2 * draw.normal(size=(many, f))[called] + 0.3
        features = torch.from_numpy(x).float()[:, None]
        given: dict[str, Any] = {
            "features": lambda images: features[torch.from_numpy(images)],
            "images": np.arange(n),
            "names": called[:n],
            "val_images": np.arange(n, 2 * n),
            "val_names": called[n:],
            "texts": tuple(f"name {i}" for i in range(many)),
            "lm": SimpleNamespace(digest=f"lm {width}", dtype=torch.float32, device=torch.device("cpu")),
            "said": None,
            "seed": 1,
            "told": lambda: (np.eye(many, dtype=np.float32), np.bincount(called[:n], minlength=many) / n),
        }
        return FitData(**{**given, **other})

    return data


def parts(data: FitData) -> tuple[np.ndarray, np.ndarray]:
    """Return training features and the label vector of each image."""
    return data.moments.rows.double().numpy(), data.labels.double().numpy()[data.names]


@pytest.mark.parametrize("f", [12, 400])  # fewer and more features than images
@pytest.mark.parametrize("alpha", [0.01, 3.0])
def test_ridge_is_sklearns(make: Callable[..., FitData], f: int, alpha: float) -> None:
    data = make(f=f)
    x, y = parts(data)
    weight, bias = data.indicator_map(alpha)
    labels = data.labels.double()
    mine = data.validation @ weight @ labels + bias @ labels
    other = Ridge(alpha * data.moments.unit * len(x)).fit(x, y)
    rows = data.features(data.val_images).squeeze(1).double().numpy()
    assert np.abs(mine.numpy() - other.predict(rows)).max() < 1e-8
    head = ridge.fit(data, ridge.Settings(alpha=alpha))
    assert np.abs(head(data.features(data.val_images))[:, 0].numpy() - other.predict(rows)).max() < 1e-4


def test_procrustes_is_scipys(make: Callable[..., FitData]) -> None:
    data = make(f=5, many=12, width=5)  # as many directions as dimensions: the map is unique
    x, y = parts(data)
    x, middle = x - x.mean(0), y.mean(0)
    values, axes = np.linalg.eigh(x.T @ x / len(x))
    white = x @ (axes / np.sqrt(values + 0.1 * values.mean()))
    turn, stretch = orthogonal_procrustes(white, y - middle)
    expected = white @ turn * stretch / (white**2).sum() + middle
    found = procrustes.fit(data, procrustes.Settings(alpha=0.1))(data.features(data.images))
    assert np.abs(found[:, 0].numpy() - expected).max() < 1e-5


def test_cca_finds_the_canonical_correlations(make: Callable[..., FitData]) -> None:
    data = make()
    x, y = (part - part.mean(0) for part in parts(data))
    n, values = len(x), data.moments.spectrum[0]
    alpha, beta = 0.05, 0.2
    sx = x.T @ x / n + alpha * float(values.mean()) * np.eye(x.shape[1])
    sy = y.T @ y / n
    sy += beta * np.trace(sy) / len(sy) * np.eye(len(sy))
    sxy = x.T @ y / n
    # The generalised eigenproblem, which knows nothing of whitening or singular vectors.
    squared = np.linalg.eigvals(np.linalg.solve(sx, sxy) @ np.linalg.solve(sy, sxy.T)).real
    expected = np.sqrt(np.sort(squared)[::-1][:5])
    head = cca.fit(data, cca.Settings(alpha=alpha, beta=beta, power=0.0))
    u = head(data.features(data.images))[:, 0].double().numpy()
    v = head.words(data.labels[torch.from_numpy(data.names)]).double().numpy()
    u, v = u - u.mean(0), v - v.mean(0)
    assert u.shape[1] == 5  # six trained names, less one
    assert np.allclose((u * v).mean(0), expected, atol=1e-5)
    weight = np.linalg.lstsq(np.c_[x, np.ones(n)], u, rcond=None)[0][:-1]
    assert np.allclose(weight.T @ sx @ weight, np.eye(5), atol=1e-4)


def test_conse_combines_the_likeliest_names_of_sklearns_discriminant(make: Callable[..., FitData]) -> None:
    data = make(n=200)
    x, _ = parts(data)
    other = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.2).fit(x, data.names)
    rows = data.features(data.val_images)
    weight, bias = conse.discriminant(data, 0.2)
    expected = other.predict_proba(rows[:, 0].double().numpy())
    assert np.abs((data.validation @ weight + bias).softmax(1).numpy() - expected).max() < 1e-8
    head = conse.fit(data, conse.Settings(shrinkage=0.2, most=3))
    for image, row in zip(head(rows)[:20, 0].numpy(), expected[:20], strict=True):
        best = np.argsort(-row)[:3]  # trained names are 1, 2, ...
        assert np.allclose(image, row[best] @ data.labels.numpy()[best + 1] / row[best].sum(), atol=1e-4)


def test_ridge_token_is_as_long_as_a_word(make: Callable[..., FitData]) -> None:
    data = make()
    embeddings = data.label_vectors("input")
    token = ridge_token.fit(data, ridge_token.Settings(alpha=1.0))(data.features(data.images))
    assert torch.allclose(token.norm(dim=-1), embeddings.norm(dim=1).median())
    x = data.moments.rows.double().numpy()
    other = Ridge(data.moments.unit * len(x)).fit(x, embeddings[torch.from_numpy(data.names)].double().numpy())
    direction = torch.from_numpy(other.predict(x)).float()
    assert torch.allclose(normalize(token[:, 0], dim=1), normalize(direction, dim=1), atol=1e-5)


def test_losses_are_those_of_a_naive_loop() -> None:
    logits = torch.from_numpy(DRAW.normal(size=(6, 6)))
    name = torch.tensor([0, 1, 0, 2, 2, 2])
    same = name[:, None] == name[None]
    softmax, sigmoid = 0.0, 0.0
    for i in range(6):
        for table in (logits, logits.T):
            others = float(table[i].exp().sum().log())
            right = [others - float(table[i, j]) for j in range(6) if name[i] == name[j]]
            softmax += sum(right) / len(right) / 12
        for j in range(6):
            sign = 1 if name[i] == name[j] else -1
            sigmoid += float(np.log1p(np.exp(-sign * float(logits[i, j])))) / 6
    assert float(contrastive.info_nce(logits, same)) == pytest.approx(softmax, abs=1e-10)
    assert float(contrastive.sigmoid_loss(logits, same)) == pytest.approx(sigmoid, abs=1e-10)
    right = torch.tensor([0, 1, 5, 2, 2, 3])
    hinges = [max(0.0, 0.1 - float(logits[i, right[i]]) + float(logits[i, j]))
              for i in range(6) for j in range(6) if j != right[i]]  # fmt: skip
    assert float(devise.hinge_rank(logits, right, 0.1)) == pytest.approx(sum(hinges) / 6, abs=1e-10)


@pytest.mark.parametrize("c", [4, 40])  # fewer and more names than dimensions
def test_factored_singular_vectors_are_those_of_the_product(c: int) -> None:
    a, b = (torch.from_numpy(DRAW.normal(size=(c, width))) for width in (10, 8))
    u, s, v = factored_svd(a, b)
    assert torch.allclose((u * s) @ v.T, a.T @ b)
    assert torch.allclose(u.T @ u, torch.eye(len(s)).double()) and len(s) == min(c, 8)


@pytest.mark.parametrize("head", [ridge, procrustes, cca, conse, contrastive, devise, ridge_token])
def test_a_head_finds_names_again_and_repeats_itself(make: Callable[..., FitData], head: Any) -> None:
    both, heads = [make(many=5), make(many=5)], []
    for data in both:
        torch.manual_seed(len(heads))  # what else was drawn must not matter
        heads.append(head.fit(data, head.Settings()))
    one, two = (each(both[0].features(both[0].val_images)) for each in heads)
    assert torch.equal(one, two) and both[0].chosen == both[1].chosen
    assert not any(parameter.requires_grad for parameter in heads[0].parameters())
    if head is not ridge_token:
        assert both[0].chosen["labels"] != "last"  # in which all names are the same
        words = heads[0].words(both[0].labels) if hasattr(heads[0], "words") else both[0].labels
        assert both[0].retrieval(normalize(one[:, 0], dim=1) @ normalize(words, dim=1).T)[0] > 0.8


def test_grids_are_averaged(make: Callable[..., FitData]) -> None:
    flat = make()
    noise = torch.from_numpy(DRAW.normal(size=(600, 1, 12))).float()
    grid = make(features=lambda images: torch.cat([flat.features(images) + part * noise[torch.from_numpy(images)]
                                                   for part in (1, -1)], 1))  # fmt: skip
    rows = flat.features(flat.val_images), grid.features(grid.val_images)
    one, two = (ridge.fit(data, ridge.Settings())(row) for data, row in zip((flat, grid), rows, strict=True))
    assert torch.allclose(one, two, atol=1e-4)


def test_without_validation_images_the_stated_defaults_hold(make: Callable[..., FitData]) -> None:
    none = np.zeros(0, np.int64)
    for head in (ridge, procrustes, cca, conse):
        data = make(val_images=none, val_names=none)
        assert torch.isfinite(head.fit(data, head.Settings())(data.features(data.images))).all()
        assert data.chosen["labels"] == "template_1"


def test_names_that_training_never_says_do_not_compete(make: Callable[..., FitData]) -> None:
    data = make()
    scores = torch.zeros(len(data.val_names), 7)
    scores[:, 0] = 2.0  # name 0 is not trained
    scores[torch.arange(len(scores)), torch.from_numpy(data.val_names)] = 1.0
    assert data.retrieval(scores) == (1.0, 1.0)
    assert data.retrieval(torch.zeros_like(scores))[0] == 0.0  # ties count against


def test_sixteen_closed_form_fits_take_under_two_seconds(make: Callable[..., FitData]) -> None:
    first = make(n=3520, f=256, many=104, width=256)
    reads: list[int] = []

    def features(images: np.ndarray) -> torch.Tensor:
        reads.append(len(images))
        return first.features(images)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # what the clock then counts is this test's own work, whatever else runs
    shared, start = LRUCache(), time.process_time()
    for pairing in range(4):
        turn = np.random.default_rng(pairing).permutation(104)
        names, val_names = turn[first.names], turn[first.val_names[:704]]
        for head in (ridge, procrustes, cca, conse):
            same = {"features": features, "shared": shared, "val_images": first.val_images[:704]}
            data = replace(first, names=names, val_names=val_names, chosen={}, **same)
            head.fit(data, head.Settings())  # type: ignore[attr-defined]
    taken = time.process_time() - start
    torch.set_num_threads(threads)
    assert taken < 2.0
    assert sum(reads) == 3520 + 704  # training and validation images, read once for all


def test_the_shelf_tells_features_and_images_apart_and_keeps_what_was_used_last(make: Callable[..., FitData]) -> None:
    shared = LRUCache(most=2)
    made = [shared.get(key, lambda: object()) for key in ("a", "b", "a", "c", "a")]
    assert made[0] is made[2] is made[4] and shared.get("b", lambda: None) is None
    shared = LRUCache()
    one, two, other = make(shared=shared), make(shared=shared), make(shared=shared, features_key="shuffled")
    fewer = make(shared=shared, images=np.arange(200), names=one.names[:200])
    assert one.moments is two.moments and len({id(data.moments) for data in (one, other, fewer)}) == 3


def test_features_are_not_read_all_at_once() -> None:
    seen: list[int] = []

    def features(images: np.ndarray) -> torch.Tensor:
        seen.append(len(images))
        return torch.zeros(len(images), 4, 3)

    assert Moments.of(features, np.arange(1000)).rows.shape == (1000, 3) and max(seen) <= 256


@pytest.mark.parametrize("many", [3, 7])
def test_the_feature_probe_is_the_logistic_regression_that_validation_likes_best(
    make: Callable[..., FitData], many: int
) -> None:
    data = make(many=many)  # of three names two are trained, which scikit-learn gives one row of weights
    mapping = feature_probe.fit(data, feature_probe.Settings())
    x = data.features(np.arange(600))
    told: dict[float, tuple[float, np.ndarray]] = {}
    for c in feature_probe.STRENGTHS:
        model = LogisticRegression(C=c, max_iter=300).fit(x[:300, 0].numpy(), data.names)
        told[c] = model.predict_log_proba(x[300:, 0].numpy())[np.arange(300), data.val_names - 1].mean(), model
    best = max(told, key=lambda c: told[c][0])
    found = mapping(x)
    assert data.chosen["C"] == best and found.shape == (600, 1, many) and (found[..., 0] == -torch.inf).all()
    expected = torch.from_numpy(told[best][1].predict_log_proba(x[:, 0].numpy()))
    torch.testing.assert_close(found[:, 0, 1:].double(), expected.double(), rtol=0.01, atol=0.05)


def test_without_validation_images_the_feature_probe_has_its_default(make: Callable[..., FitData]) -> None:
    none = np.zeros(0, np.int64)
    data = make(val_images=none, val_names=none)
    feature_probe.fit(data, feature_probe.Settings())
    assert data.chosen == {"C": 0.1}


def test_the_name_probe_predicts_each_trained_name_as_ridge_that_never_saw_it(make: Callable[..., FitData]) -> None:
    many = 14
    meaning = vectors(tuple(f"name {i}" for i in range(many)), 9)["template_1"]
    truth = np.hstack([np.eye(many), meaning[:, :5] > 3])
    share = np.r_[0, 0, np.full(many - 2, 1 / (many - 2))]  # two names are held out
    data = make(many=many, told=lambda: (truth, share))
    found = name_probe.fit(data, name_probe.Settings())(torch.arange(float(many))[:, None, None])[:, 0].numpy()
    kind, strength = data.chosen["labels"], data.chosen["alpha"]
    assert kind in ("input", "template_1")  # the third is the same for all names
    x, y = StandardScaler().fit_transform(data.label_kinds[kind].astype(np.float64)), truth[:, many:]
    for name in range(many):
        fitted = np.setdiff1d(np.arange(2, many), [name])
        # The penalty stays that of all trained names, as the shortcut for leaving one out has it.
        alpha = strength * np.square(np.linalg.svd(x[2:] - x[2:].mean(0), compute_uv=False)).mean()
        expected = Ridge(alpha).fit(x[fitted], y[fitted]).predict(x[[name]])[0] - share @ y
        assert np.allclose(found[name, many:], expected, atol=1e-5)
    assert (found[:, :many] > 0).tolist() == np.eye(many, dtype=bool).tolist()  # names are told


def test_a_term_is_as_probable_as_its_names_and_the_prior_is_taken_off() -> None:
    posterior = torch.tensor([[0.2, 0.3, 0.5], [0.0, 1.0, 0.0]])
    members = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.5], [0.0, 0.0, 0.0]])  # two terms, and one that none has
    share = torch.tensor([0.5, 0.25, 0.25])
    head = NameHead(torch.nn.Identity(), torch.zeros(3), torch.ones(3), members, share)
    head.mapping = torch.nn.Module()
    head.mapping.forward = lambda features: posterior.log()[:, None]  # type: ignore[assignment]
    found = head.margins(torch.zeros(2, 1, 3), torch.tensor([[0, 2, 1], [0, 2, -1]]), None)

    def logit(p: float) -> float:
        return float(np.log(p / (1 - p)))

    least = logit(1e-6)
    expected = [[logit(0.2) - logit(0.5), logit(0.35) - logit(0.625), 0.0], [least, logit(0.5) - logit(0.625), least]]
    torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-3, atol=1e-3)
