"""Features as heads see them: the same rows and statistics, resident or read as needed."""

from pathlib import Path

import numpy as np
import pytest
import torch

from taxbench.features.feature_rows import FeatureRows
from taxbench.features.store import reader
from tests.features.test_extract import CPU, HOW, features, numbered


@pytest.mark.parametrize("storage", ["float16", "bfloat16"])
def test_rows_are_the_same_resident_or_read_as_needed(
    tmp_path: Path, storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = type(HOW)(CPU, torch.float32, storage, workers=0)  # type: ignore[arg-type]
    table = features(numbered(100), tmp_path, how, pool="grid4")
    picked = np.array([5, 99, 5, 0])
    resident = FeatureRows.of(table, CPU)
    assert (resident.tokens, resident.width) == (16, 48)
    monkeypatch.setattr(reader, "_available_memory", lambda: table.nbytes)  # half of it is too little
    assert not table.fits(CPU)
    streamed = FeatureRows.of(table, CPU)
    assert torch.equal(resident(picked), streamed(picked)) and resident(picked).dtype == torch.float32
    for one, other in zip(resident.statistics(picked), streamed.statistics(picked), strict=True):
        assert torch.equal(one, other)


def test_statistics_are_numpys_over_images_and_tokens() -> None:
    values = np.random.default_rng(0).normal(3, 2, size=(5000, 7, 5)).astype(np.float32)
    values[..., 2] = 1.5  # a feature that never varies is divided by one
    rows = FeatureRows(torch.from_numpy(values), CPU)
    images = np.arange(0, 5000, 3)
    mean, std = rows.statistics(images)
    flat = values[images].reshape(-1, 5).astype(np.float64)
    expected = flat.std(0)
    expected[2] = 1
    np.testing.assert_allclose(mean.numpy(), flat.mean(0), rtol=1e-6)
    np.testing.assert_allclose(std.numpy(), expected, rtol=1e-5)
