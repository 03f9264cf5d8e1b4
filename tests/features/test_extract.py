"""Extraction through the real pipeline: every image once, the same bytes however it went, and nothing silent."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from taxbench.datasets.dataset import Dataset, ImageRecord
from taxbench.features.decode import resize
from taxbench.features.encoders import Encoder, describe_encoder
from taxbench.features.extract import Extraction, feature_key, features_of, require_all
from taxbench.features.store.index import entry_folder
from taxbench.features.store.reader import FeatureTable
from taxbench.registry.models import find_encoder
from taxbench.specs.feature_key import FeatureReadout
from taxbench.taxonomy.taxonomy import Taxonomy
from taxbench.util.errors import CacheError, DataError
from taxbench.util.progress import Reporter

CPU = torch.device("cpu")
QUIET = Reporter(quiet=True)
CARD = describe_encoder(find_encoder("pixels"))
HOW = Extraction(CPU, torch.float32, batch=8, workers=0)


def draw(image: ImageRecord) -> Image.Image:
    """A picture that follows from its content digest; module-level, so that decoding processes can import it."""
    if image.digest == "broken":
        raise DataError(f"The image '{image.id}' cannot be decoded.")
    rng = np.random.default_rng(int(image.digest))
    return Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8))


def made(contents: Sequence[str]) -> Dataset:
    """Return a dataset of pictures with these contents."""
    images = tuple(ImageRecord(f"image{i:05d}", "crow", content) for i, content in enumerate(contents))
    return Dataset("made", images, Taxonomy({"crow": ("bird",)}), "draw 1", draw)


def numbered(n: int) -> Dataset:
    return made([str(i) for i in range(n)])


def features(dataset: Dataset, cache: Path, how: Extraction = HOW, pool: str = "pooled") -> FeatureTable:
    (table,) = features_of(dataset, CARD, [CARD.reading(-1, pool)], how, cache, QUIET)
    return table


def shard_bytes(table: FeatureTable, cache: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(entry_folder(cache, table.key).glob("*.h5"))]


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the sizes of the batches that the encoder sees, the real one; the first is the look at its shape."""
    seen: list[int] = []
    real = Encoder.encode

    def spy(self: Encoder, pixels: torch.Tensor, readings: Sequence[FeatureReadout]) -> list[torch.Tensor]:
        seen.append(len(pixels))
        return real(self, pixels, readings)

    monkeypatch.setattr(Encoder, "encode", spy)
    return seen


def test_every_row_is_what_the_encoder_gives_for_its_image(tmp_path: Path) -> None:
    dataset = numbered(150)
    table = features(dataset, tmp_path)
    assert table.ids == tuple(image.id for image in dataset.images) and table.row_shape == (1, 3072)
    for row in (0, 63, 64, 149):
        pixels = resize(draw(dataset.images[row]), CARD.preprocessing).astype(np.float32) / 255
        normal = torch.from_numpy((pixels - 0.5) / 0.25)[None]
        expected = torch.nn.functional.pixel_unshuffle(normal, 4).flatten(2).transpose(1, 2).flatten()
        np.testing.assert_allclose(table.take(np.array([row]))[0, 0], expected.numpy(), atol=2e-3)


@pytest.mark.parametrize("workers", [1, 3])
def test_decoding_in_processes_gives_the_same_bytes(tmp_path: Path, workers: int) -> None:
    dataset = numbered(1500)
    here = features(dataset, tmp_path / "here")
    there = features(dataset, tmp_path / "there", Extraction(CPU, torch.float32, batch=8, workers=workers))
    assert shard_bytes(here, tmp_path / "here") == shard_bytes(there, tmp_path / "there")
    assert len(shard_bytes(here, tmp_path / "here")) == 2


def test_what_is_there_is_not_encoded_again(tmp_path: Path, encoded: list[int]) -> None:
    dataset = numbered(100)
    features(dataset, tmp_path)
    assert sum(encoded) == 1 + 100
    features(dataset, tmp_path)
    assert sum(encoded) == 1 + 100


def test_several_readings_are_one_pass(tmp_path: Path, encoded: list[int]) -> None:
    dataset = numbered(100)
    readings = [CARD.reading(-1, pool) for pool in ("pooled", "tokens", "grid2")]
    tables = features_of(dataset, CARD, readings, HOW, tmp_path / "together", QUIET)
    assert sum(encoded) == 1 + 100
    assert [table.row_shape for table in tables] == [(1, 3072), (64, 48), (4, 48)]
    for table, reading in zip(tables, readings, strict=True):
        alone = features(dataset, tmp_path / "alone", pool=reading.pool)
        assert (alone.take(np.arange(100)) == table.take(np.arange(100))).all()


def test_an_entry_that_misses_is_filled_beside_those_that_are_there(tmp_path: Path) -> None:
    dataset = numbered(70)
    features(dataset, tmp_path)
    readings = [CARD.reading(-1, pool) for pool in ("pooled", "tokens")]
    pooled, tokens = features_of(dataset, CARD, readings, HOW, tmp_path, QUIET)
    assert (pooled.take(np.arange(70)).reshape(-1) == tokens.take(np.arange(70)).reshape(-1)).all()


def test_images_that_are_known_from_another_entry_are_not_encoded_again(tmp_path: Path, encoded: list[int]) -> None:
    features(numbered(1000), tmp_path)
    encoded.clear()
    grown = made([*(str(i) for i in range(300)), "5000", *(str(i) for i in range(300, 1000))])
    table = features(grown, tmp_path)
    assert sum(encoded) == 1 + 64  # the block of the new image and nothing else
    fresh = features(grown, tmp_path / "fresh")
    assert (table.take(np.arange(1001)) == fresh.take(np.arange(1001))).all()


def test_undecodable_images_are_named_and_the_others_kept(tmp_path: Path, encoded: list[int]) -> None:
    dataset = made(["broken" if i in (7, 90) else str(i) for i in range(200)])
    table = features(dataset, tmp_path)
    with pytest.raises(DataError, match=r"image00007.*2 of 200 images.*stay in the cache"):
        require_all(table, dataset)
    with pytest.raises(CacheError, match="image00007"):
        table.take(np.array([3, 7]))
    assert (table.take(np.array([3])) == features(numbered(200), tmp_path / "b").take(np.array([3]))).all()
    encoded.clear()
    repaired = numbered(200)
    assert require_all(features(repaired, tmp_path), repaired) is not None
    assert sum(encoded) == 1 + 64 + 64


def test_two_images_of_one_id_are_refused(tmp_path: Path) -> None:
    one = numbered(3)
    twice = Dataset("twice", (*one.images, one.images[1]), one.taxonomy, one.decoder, draw)
    with pytest.raises(DataError, match="same id 'image00001'"):
        features(twice, tmp_path)
    assert not list(tmp_path.iterdir())


def test_features_that_do_not_fit_the_storage_type_are_named(tmp_path: Path) -> None:
    wide = CARD.preprocessing.model_copy(update={"std": (1e-6, 1e-6, 1e-6)})  # values near 500,000
    card = type(CARD)(CARD.spec, CARD.family, wide, "wide", CARD.load, pooled="flat")
    dataset = numbered(5)
    (half,) = features_of(dataset, card, [card.reading(-1, "pooled")], HOW, tmp_path, QUIET)
    with pytest.raises(CacheError, match=r"5 images are not finite in float16, first: 'image00000'.*storage=bfloat16"):
        require_all(half, dataset)
    how = Extraction(CPU, torch.float32, "bfloat16", workers=0)
    (brain,) = features_of(dataset, card, [card.reading(-1, "pooled")], how, tmp_path, QUIET)
    values = require_all(brain, dataset).as_tensor()
    assert values.dtype == torch.bfloat16 and torch.isfinite(values).all() and values.abs().max() > 1e5


def test_a_miss_names_the_field_that_differs(tmp_path: Path) -> None:
    said: list[str] = []

    class Listening(Reporter):
        def say(self, text: str) -> None:
            said.append(text)

    dataset = numbered(4)
    features(dataset, tmp_path)
    larger = CARD.preprocessing.model_copy(update={"height": 64})
    card = type(CARD)(CARD.spec, CARD.family, larger, CARD.digest, CARD.load, pooled="flat")
    features_of(dataset, card, [card.reading(-1, "pooled")], HOW, tmp_path, Listening(quiet=True))
    assert said == ["features: not cached; the nearest entry differs in preprocessing.height 32 → 64"]
    assert feature_key(dataset, card, card.reading(-1, "pooled"), HOW).difference(
        feature_key(dataset, CARD, CARD.reading(-1, "pooled"), HOW)
    ) == ["preprocessing.height 32 → 64"]
