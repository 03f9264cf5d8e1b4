"""A whole system before and after it is loaded: its identity, its image side as an encoder, and its random twin."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import torch
import xxhash
from torch import Tensor, nn

from taxbench.features.encoders import EncoderCard
from taxbench.features.families import SEED
from taxbench.features.preprocessing import preprocessing_file, read_preprocessing
from taxbench.registry.models import model_source
from taxbench.specs.feature_key import Crop, Preprocessing
from taxbench.specs.sources import SystemSpec
from taxbench.systems.architectures import Architecture, Image, architecture_of
from taxbench.util.errors import ModelError
from taxbench.util.hub import config_file, load_pretrained, reading, weight_files, weights_digest

_ASKING = 3
"""Part of the digests of systems that answer: raised when other tokens, or vectors of images, surround a question."""


@dataclass(frozen=True, slots=True)
class WholeModel:
    """A system whose configuration is read, and whose weights are not."""

    spec: SystemSpec
    folder: Path
    config: Any
    architecture: Architecture

    @classmethod
    def of(cls, spec: SystemSpec) -> Self:
        """Read the configuration of a system; a model of the hub is fetched if it is not here.

        Raises:
            ModelError: it is missing, gated, or of a class that cannot be asked.
        """
        from transformers import AutoConfig

        folder = config_file(model_source(spec.source), spec.gated).parent
        with reading(str(folder), False, f"'{folder / 'config.json'}' cannot be read"):
            config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        return cls(spec, folder, config, architecture_of(spec, config))

    def digest(self, tokenizer: Any = None) -> str:
        """Digest all that answers follow from; as `weights_digest` does, for random weights what they follow from."""
        if not self.spec.random:
            own = weights_digest(model_source(self.spec.source), self.spec.gated, tokenizer)
            return xxhash.xxh3_128(f"{own} {_ASKING}".encode()).hexdigest() if self.architecture.answers else own
        import transformers

        state = xxhash.xxh3_128(config_file(str(self.folder), False).read_bytes())
        asking = f"{_ASKING} " if self.architecture.answers else ""
        state.update(f"{asking}random {SEED} {torch.__version__.split('+')[0]} {transformers.__version__}".encode())
        return f"{state.hexdigest()}-random-{SEED}"

    def load(self, dtype: torch.dtype, seed: int | None = None) -> Any:
        """Return the model on the CPU, frozen.

        Args:
            seed: Of random weights in the place of its own.

        Raises:
            ModelError: weights are missing or do not fit.
        """
        import transformers

        seed = SEED if seed is None and self.spec.random else seed
        kind = getattr(transformers, self.architecture.model)
        if seed is None:
            files = weight_files(model_source(self.spec.source), self.spec.gated)
            safe = files[0].suffix == ".safetensors"
            model = load_pretrained(kind, str(self.folder), False, dtype, use_safetensors=safe)
        else:
            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed accelerators too
                model = kind(self.config).to(dtype)
        return model.eval().requires_grad_(False)

    def preprocessing(self, crop: Crop = "none") -> Preprocessing:
        """Return how pictures are prepared for it.

        Raises:
            ModelError: its files do not say, or it takes one view only and pictures are to be cut.
        """
        view = self.architecture.view
        if view and crop != "none":
            raise ModelError(f"'{self.spec.name}' takes the whole picture as its one view. Leave out crop={crop}.")
        parts = (getattr(self.config, name, None) for name in ("vision_config", "image_config", "vq_config"))
        part = next(part for part in parts if part is not None)
        size = getattr(part, "image_size", None) or getattr(part, "resolution", None) or 224
        return read_preprocessing(self.processor(), size, crop, view(self.config) if view else None)

    def processor(self) -> Path:
        """Return the file of its own image processor."""
        return preprocessing_file(model_source(self.spec.source), self.spec.gated)


class _ImageSide(nn.Module):
    """The part of a system that reads pictures, called as encoders are."""

    def __init__(self, model: nn.Module, image: Image) -> None:
        super().__init__()
        self.model, self._image = model, image

    def forward(self, images: Tensor, output_hidden_states: bool = False) -> SimpleNamespace:
        """Return what is kept of pictures, as tokens.  # (b, 3, height, width) → (b, t, f)"""
        return SimpleNamespace(last_hidden_state=self._image(self.model, images))

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move it as it is: there are weights of five dimensions, which know no channels-last order."""
        return super().to(*args, **{name: value for name, value in kwargs.items() if name != "memory_format"})


def describe_system(spec: SystemSpec, crop: Crop = "none") -> EncoderCard:
    """Return what is known of a system's image side without loading it.

    Raises:
        ModelError: it is missing, gated, cannot be asked, or has no usable preprocessing.
    """
    whole = WholeModel.of(spec)
    architecture = whole.architecture

    def load(dtype: torch.dtype) -> nn.Module:
        return _ImageSide(whole.load(dtype), architecture.image)

    return EncoderCard(
        spec=spec.parts[0],
        family=whole.config.model_type,
        preprocessing=whole.preprocessing(crop),
        digest=whole.digest(),
        load=load,
        processor=None if architecture.view else (whole.processor(), crop),
        tower=f"{architecture.model}:{architecture.image.__name__.lstrip('_')}",
    )
