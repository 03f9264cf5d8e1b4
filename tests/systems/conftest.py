"""Tiny systems, saved once, and a folder of photos to ask them about."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from torch import Tensor

from taxbench.features.encoders import Encoder, load_encoder
from taxbench.registry.models import find_system
from taxbench.systems.whole_model import describe_system
from tests.conftest import with_one_thread
from tests.made import make_photos
from tests.systems.tiny_systems import TINY, Saved

one_thread = pytest.fixture(autouse=True, scope="package")(with_one_thread)
CONTROLS = "chance, random_lm, no_image, shuffled_features, label_oracle, text_only, feature_probe, name_probe"
TASK = f"""
name: every_control
version: 1
summary: Every control.
extends: unseen_hypernym
heldout_leaves: 0
evaluate: [leaf, unseen]
controls: [{CONTROLS}]
"""


@pytest.fixture(scope="package")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """Return the folder of a tiny system."""
    root = tmp_path_factory.mktemp("systems")
    return lambda kind: root / kind if (root / kind).is_dir() else TINY[kind].save(root / kind)


@pytest.fixture(scope="package")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with photos of six leaves, their taxonomy and a task with every control."""
    folder = tmp_path_factory.mktemp("photos")
    make_photos(folder, 8)
    (folder / "task.yaml").write_text(TASK)
    more = TASK.replace("every_control", "more_questions") + "questions: {negatives_per_positive: 4}\n"
    (folder / "more.yaml").write_text(more)
    return folder


@pytest.fixture
def asked(photos: Path, tmp_path: Path) -> list[str]:
    """Return the words of a command line that asks about the photos."""
    return ["run", "--task", str(photos / "task.yaml"), "--dataset", f"folder:{photos / 'photos'}", "--taxonomy",
            str(photos / "photos.tsv"), "--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "out"),
            "--device", "cpu", "--json"]  # fmt: skip


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many pictures image sides are shown, call by call."""
    counts: list[int] = []
    own = Encoder.encode

    def counted(self: Encoder, pixels: Tensor, readings: Any) -> Any:
        counts.append(len(pixels))
        return own(self, pixels, readings)

    monkeypatch.setattr(Encoder, "encode", counted)
    return counts


@pytest.fixture
def no_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have whatever loads a whole processor fail, as it does without torchvision."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise ImportError("it wants torchvision where a model reads videos too")

    monkeypatch.setattr(hf.AutoProcessor, "from_pretrained", refuse)


def kept(system: Path | str, pixels: Tensor) -> Tensor:
    """Return what a system keeps of pictures.  # (n, t, f)"""
    card = describe_system(find_system(str(system)))
    (found,) = load_encoder(card, torch.device("cpu"), torch.float32).encode(pixels, [card.reading(-1, "tokens")])
    return found
