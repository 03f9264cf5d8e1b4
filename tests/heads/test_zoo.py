"""The heads of the zoo: shapes, sizes, gradients, seeds, and what each architecture promises."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from torch import Tensor, nn

from taxbench.features.feature_rows import FeatureRows, ImagePairs
from taxbench.heads import label_oracle, pool2x2, text_only, vq
from taxbench.heads.base import FixedHead, HeadShape, SoftHead
from taxbench.heads.loading import head_module
from taxbench.util.errors import UsageError
from taxbench.util.seeds import rng

F, D = 12, 10
W = 128  # two heads of attention


def mlp_size(t: int) -> int:
    return (F + 1) * 7 + (7 + 1) * 2 * D


def qformer_size(t: int) -> int:
    return 5 * W + 2 * (14 * W * W + 2 * F * W + 19 * W) + 4 * W + (W + 1) * D


def perceiver_size(t: int) -> int:
    positions = t * W if t > 1 else 0
    return (F + 1) * W + positions + 5 * W + 2 * (12 * W * W + 15 * W) + 2 * W + (W + 1) * D


def pool2x2_size(t: int) -> int:
    return 3 * (F + 1) * W + (W + 1) * W + (W + 1) * 7 + (7 + 1) * D


# Settings, the number of soft tokens and the number of parameters for t feature vectors, as the docstrings say.
ZOO: dict[str, tuple[dict[str, Any], Any, Any]] = {
    "linear": ({"tokens": 2}, lambda t: 2 * t, lambda t: (F + 1) * 2 * D),
    "linear_k": ({"tokens": 3}, lambda t: 3, lambda t: (F + 1) * 3 * D),
    "mlp": ({"tokens": 2, "hidden": 7}, lambda t: 2 * t, mlp_size),
    "qformer": ({"tokens": 5, "attention_heads": 2}, lambda t: 5, qformer_size),
    "perceiver": ({"tokens": 5, "attention_heads": 2}, lambda t: 5, perceiver_size),
    "pool2x2": ({"attention_heads": 2, "hidden": 7}, lambda t: t // 4, pool2x2_size),
    "vq": ({"words": 6}, lambda t: t, lambda t: 6 * D),
    "itm": ({"tokens": 2}, lambda t: 2 * t, lambda t: (F + 1) * 2 * D),
    "no_image": ({"tokens": 4}, lambda t: 4, lambda t: 4 * D),
}
CASES = [(name, t) for name in ZOO for t in (1, 16) if (name, t) != ("pool2x2", 1)]
CONSTANT = {"no_image"}


def make(name: str, t: int, seed: int = 0, **settings: Any) -> nn.Module:
    module = head_module(name)
    torch.manual_seed(seed)
    mapping: nn.Module = module.build(HeadShape(t, F, D), module.Settings(**{**ZOO[name][0], **settings}))
    if name == "vq":
        mapping.words.copy_(torch.randn(6, F, generator=torch.Generator().manual_seed(3)))
    return mapping.eval()


def features(b: int, t: int) -> Tensor:
    return torch.randn(b, t, F, generator=torch.Generator().manual_seed(9))


@pytest.mark.parametrize(("name", "t"), CASES)
def test_a_head_has_the_shape_and_the_size_that_its_docstring_says(name: str, t: int) -> None:
    _, tokens, size = ZOO[name]
    mapping = make(name, t)
    assert mapping(features(3, t)).shape == (3, tokens(t), D)
    assert sum(value.numel() for value in mapping.parameters()) == size(t)


@pytest.mark.parametrize(("name", "t"), CASES)
def test_gradients_reach_every_parameter(name: str, t: int) -> None:
    mapping = make(name, t).train()
    (mapping(features(16, t)) * torch.randn(D)).square().sum().backward()
    dead = [key for key, value in mapping.named_parameters() if value.grad is None or not value.grad.any()]
    assert not dead


@pytest.mark.parametrize(("name", "t"), CASES)
def test_a_head_follows_the_seed_and_an_image_is_on_its_own(name: str, t: int) -> None:
    x = features(4, t)
    first, again, other = (make(name, t, seed)(x) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.allclose(first, other)
    torch.testing.assert_close(make(name, t)(x[1:2])[0], first[1])
    if name not in CONSTANT:
        assert not torch.allclose(first[0], first[1])


def test_soft_tokens_of_other_images_are_not_constant_but_those_of_no_image_are() -> None:
    broken = torch.full((3, 1, F), float("nan"))
    scorer = make("no_image", 1)(broken)
    assert torch.equal(scorer, make("no_image", 1)(features(3, 1)))
    assert torch.equal(scorer[0], scorer[2])


@pytest.mark.parametrize(("name", "settings"), [("qformer", {}), ("perceiver", {"positions": False}), ("linear_k", {})])
def test_without_positions_the_order_of_feature_vectors_does_not_matter(name: str, settings: dict[str, Any]) -> None:
    x, mapping = features(3, 16), make(name, 16, **settings)
    torch.testing.assert_close(mapping(x.flip(1)), mapping(x))


@pytest.mark.parametrize("name", ["linear", "mlp", "vq", "itm"])
def test_maps_of_single_vectors_keep_their_order(name: str) -> None:
    x, mapping = features(3, 16), make(name, 16)
    flipped = mapping(x.flip(1)).unflatten(1, (16, -1)).flip(1).flatten(1, 2)
    torch.testing.assert_close(flipped, mapping(x))


def test_the_perceiver_knows_where_a_patch_is() -> None:
    x, mapping = features(3, 16), make("perceiver", 16)
    assert not torch.allclose(mapping(x.flip(1)), mapping(x), rtol=1e-2)


def test_pool2x2_takes_the_four_patches_of_a_square() -> None:
    mapping, nothing = make("pool2x2", 16), torch.zeros(1, 16, F)
    for patch in range(16):
        hot = nothing.clone()
        hot[0, patch] = 1.0
        changed = (mapping(hot) - mapping(nothing)).abs().amax(-1)[0] > 1e-6
        row, column = divmod(patch, 4)
        assert changed.nonzero().flatten().tolist() == [row // 2 * 2 + column // 2]


def test_pool2x2_is_attention_by_the_mean_of_the_window() -> None:
    x, mapping = features(2, 16), make("pool2x2", 16)
    pool, rest = mapping[0], mapping[1:]
    for image in range(2):
        for window in range(4):
            row, column = (2 * each for each in divmod(window, 2))
            patches = [x[image, 4 * (row + i) + column + j] for i in (0, 1) for j in (0, 1)]
            query = pool.query(sum(patches) / 4)
            parts = []
            for head in (slice(0, 64), slice(64, 128)):
                weights = torch.stack([query[head] @ pool.key(patch)[head] / 8 for patch in patches]).softmax(0)
                parts.append(sum(w * pool.value(patch)[head] for w, patch in zip(weights, patches, strict=True)))
            expected = rest(pool.out(torch.cat(parts)))
            torch.testing.assert_close(mapping(x)[image, window], expected)


@pytest.mark.parametrize(("name", "settings"), [
    ("qformer", {}), ("perceiver", {"positions": False}), ("pool2x2", {"attention_heads": 1}),
])  # fmt: skip
def test_heads_that_attend_say_where_they_look(name: str, settings: dict[str, Any]) -> None:
    mapping, x = make(name, 16, **settings), features(2, 16)
    head = FixedHead(mapping, torch.zeros(F), torch.ones(F)).eval()
    looks = head.attention(x)
    assert looks is not None and looks.shape == (2, head.mapped(x).shape[1], 16) and (looks >= 0).all()
    total = looks.sum(-1)
    if name == "pool2x2":
        assert torch.allclose(total, torch.ones(2, 4)) and ((looks > 0).sum(-1) == 4).all()
        pool = mapping[0]
        pooled = pool.out(looks @ pool.value(x))
        assert torch.allclose(pooled, pool(x), atol=1e-5)
    else:  # latents of a perceiver attend to each other as well
        assert torch.allclose(total, torch.ones(2, 5)) if name == "qformer" else (total < 1).all()
        turned = torch.randperm(16)
        again = head.attention(x[:, turned])
        assert again is not None and torch.allclose(again, looks[:, :, turned], atol=1e-6)
    assert FixedHead(make("mlp", 16), torch.zeros(F), torch.ones(F)).attention(x) is None


@pytest.mark.parametrize("t", [1, 9, 12])
def test_pool2x2_refuses_what_is_no_even_square_and_says_what_to_type(t: int) -> None:
    with pytest.raises(UsageError, match=rf"found {t} feature vectors? an image\. Type --set pool=grid4\."):
        pool2x2.build(HeadShape(t, F, D), pool2x2.Settings())


def blobs() -> Tensor:
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(40, F)) * 2
    return torch.from_numpy((centres[draw.integers(40, size=3000)] + draw.normal(size=(3000, F))).astype(np.float32))


@pytest.mark.parametrize("words", [8, 40, 120])
def test_words_fit_as_well_as_scikit_learns(words: int) -> None:
    points = blobs()
    mine = [(torch.cdist(points, vq.kmeans(points, words, rng(seed, "x"))).amin(1) ** 2).sum() for seed in range(3)]
    theirs = [KMeans(words, n_init=1, random_state=seed).fit(points.numpy()).inertia_ for seed in range(3)]
    assert np.mean(mine) < 1.05 * np.mean(theirs)


def test_rounds_from_the_same_seeds_end_where_scikit_learns_do() -> None:
    points = blobs()
    seeds = vq._seeds(points, 40, rng(0, "x")).numpy()
    theirs = KMeans(40, init=seeds, n_init=1, max_iter=30, tol=0).fit(points.numpy()).cluster_centers_
    torch.testing.assert_close(vq.kmeans(points, 40, rng(0, "x")), torch.from_numpy(theirs), atol=1e-4, rtol=1e-4)


def test_fewer_points_than_words_are_all_words() -> None:
    points = torch.eye(F)[:3].repeat(2, 1)
    assert torch.equal(vq.kmeans(points, 5, rng(0, "x")).unique(dim=0), points.unique(dim=0))


def data(**parts: Any) -> Any:
    return SimpleNamespace(seed=1, **parts)


def prepared(x: Tensor, images: np.ndarray, seed: int) -> nn.Module:
    mapping = make("vq", x.shape[1])
    told = data(features=lambda index: x[torch.from_numpy(index)], images=images)
    told.seed = seed
    vq.prepare(mapping, told)
    return mapping


def test_words_come_from_training_images_alone_and_follow_the_seed() -> None:
    x, images = features(600, 4), np.arange(100, 500)
    x[:100], x[500:] = 1e6, 1e6
    first, again, other = (prepared(x, images, seed).words for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert first.abs().max() < 10


def test_a_patch_is_looked_up_as_its_nearest_word_and_only_that_word_learns() -> None:
    x = features(50, 4)
    mapping = prepared(x, np.arange(50), 1)
    nearest = torch.cdist(x[:1, :1], mapping.words).argmin(-1)
    soft = mapping(x[:1, :1])
    assert torch.equal(soft, mapping.meanings[nearest])
    soft.sum().backward()
    assert mapping.meanings.grad.any(1).nonzero().flatten().tolist() == nearest.flatten().tolist()
    assert not mapping.words.requires_grad and "words" in mapping.state_dict()


class Letters:
    """A language model whose tokens are letters."""

    device, width = torch.device("cpu"), 4

    def encode(self, text: str) -> list[int]:
        return [ord(letter) - ord("a") for letter in text.replace(" ", "")]

    def embed(self, ids: Tensor) -> Tensor:
        return torch.stack([torch.cos(ids * (k + 1)) for k in range(4)], -1).bfloat16()


def names(*index: int) -> Tensor:
    return torch.tensor(index, dtype=torch.float32).reshape(-1, 1, 1)


def test_the_oracle_gives_the_embedding_of_the_name() -> None:
    vectors = torch.randn(3, 4)
    mapping = label_oracle.fit(data(label_vectors=lambda kind: {"input": vectors}[kind]), label_oracle.Settings())
    assert torch.equal(mapping(names(2, 0)), vectors[[2, 0], None])


def test_text_only_gives_the_tokens_of_the_name_and_nothing_before_them() -> None:
    lm = Letters()
    told = data(lm=lm, said=lambda name: torch.tensor(lm.encode(name)), texts=("ox", "crow", "a"))
    mapping = text_only.fit(told, text_only.Settings())
    soft = mapping(names(0, 1))
    assert soft.shape == (2, 4, 4) and soft.dtype == torch.float32
    assert not soft[0, :2].any() and torch.equal(soft[0, 2:], lm.embed(torch.tensor(lm.encode("ox"))).float())
    asked: list[Tensor] = []

    def margins(soft_tokens: Tensor, terms: Tensor) -> Tensor:
        asked.append(soft_tokens)
        return soft_tokens.sum((1, 2))[:, None].expand(terms.shape)

    head = FixedHead(mapping, torch.zeros(1), torch.ones(1))
    found = head.margins(names(0, 1, 0), torch.zeros(3, 2, dtype=torch.int64), SimpleNamespace(margins=margins))
    assert [tuple(each.shape) for each in asked] == [(2, 2, 4), (1, 4, 4)]
    torch.testing.assert_close(found[:, 0], mapping(names(0, 1, 0)).sum((1, 2)))
    asked.clear()  # two at a time: "ox crow" and "crow ox" are six tokens each, with nothing between them
    head.margins(torch.stack([names(0, 1), names(1, 0)], 1), torch.zeros(2, 1, dtype=torch.int64),
                 SimpleNamespace(margins=margins))  # fmt: skip
    assert torch.equal(asked[0][0], torch.cat([soft[0, 2:], soft[1]])) and tuple(asked[0].shape) == (2, 6, 4)


@pytest.mark.parametrize("name", ["mlp", "qformer", "no_image"])
def test_of_two_images_a_head_gives_the_vectors_of_the_one_and_of_the_other(name: str) -> None:
    head = SoftHead(make(name, 16).eval(), torch.zeros(F), torch.ones(F), 0.1).eval()
    one, other = torch.randn(3, 16, F), torch.randn(3, 16, F)
    rows = ImagePairs(FeatureRows(torch.cat([one, other]), torch.device("cpu")), 6)
    both = rows(np.array([i + 6 * (i + 3 + 1) for i in range(3)]))
    assert torch.equal(both, torch.stack([one, other], 1)) and torch.equal(rows(np.arange(3)), one)
    expected = torch.cat([head.soft_tokens(one), head.soft_tokens(other)], 1)
    torch.testing.assert_close(head.soft_tokens(both), expected)
