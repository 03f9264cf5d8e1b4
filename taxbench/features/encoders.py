"""Frozen image encoders: what is known of one before it is loaded, loading it, and reading features off its layers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import torch
import xxhash
from torch import Tensor, nn

from taxbench.features import families
from taxbench.features.preprocessing import check_preprocessing, preprocessing_file, read_preprocessing
from taxbench.registry.models import ENTRY_POINTS, PLUGGED, model_source
from taxbench.specs.feature_key import IMPORTED, Crop, FeatureReadout, Pooled, Preprocessing
from taxbench.specs.sources import EncoderSpec
from taxbench.util.errors import ModelError, UsageError
from taxbench.util.hub import config_file, weights_digest


@dataclass(frozen=True, slots=True)
class EncoderCard:
    """All that is known of an encoder before its weights are loaded.

    A package adds an encoder by an entry point of the group `taxbench.encoders`: a function without arguments that
    returns a card. The first five fields are enough for a model that gives a map.
    """

    spec: EncoderSpec
    family: str
    """Its architecture, for people."""
    preprocessing: Preprocessing
    digest: str
    """Of everything that its features depend on, apart from the preprocessing and the reading."""
    load: Callable[[torch.dtype], nn.Module]
    """Returns the model on the CPU. Called with normalised pictures  # (b, 3, height, width)
    and, for layers before the last, with `output_hidden_states=True`, it returns an object with `last_hidden_state`, a
    map or a sequence of tokens  # (b, f, rows, columns) or (b, tokens, f)
    and as far as it has them `pooler_output` and `hidden_states`, whose last item is not read."""
    outline: Callable[[], nn.Module] | None = None
    """Returns the same model without weights, on the meta device, to learn shapes; None: `load` serves for that too."""
    processor: tuple[Path, Crop] | None = None
    """The file of its own image processor, with which its preprocessing is compared, and how pictures are cut."""
    tower: str = ""
    """The part of a larger model that this is, by the name in its configuration."""
    prefix_tokens: int = 0
    """Leading tokens of a sequence that are no patches (CLS, registers)."""
    patch: int = 1
    """Pixels along the side of a token of a sequence."""
    pooled: Pooled = "mean"
    """The pooled vector of the output."""
    inner: Pooled = "mean"
    """The pooled vector of other layers."""

    def reading(self, layer: int, pool: str) -> FeatureReadout:
        """Return what is read, spelled in the one way that cache keys use.

        Args:
            layer: -1 is the output, -2 what comes before the last block; 0 is the first hidden state.
            pool: `pooled`, `tokens` or `gridK`.

        Raises:
            UsageError: the encoder has no such layer, or no grid that is as large.
        """
        prefix = self.prefix_tokens
        if layer != -1 or pool.startswith("grid"):
            model = self.outline() if self.outline else self.load(torch.float32)
            shapes = families.hidden_shapes(model, self._size)
            n = len(shapes)
            if not -n <= layer < n:
                legal = f"{-n} to -1, or 0 to {n - 1} from the first on" if n > 1 else "-1, its output, and no other"
                raise UsageError(f"'{self.spec.name}' has no layer {layer}. Expected {legal}.")
            layer = layer if layer < 0 else layer - n
            prefix = prefix if len(shapes[layer]) == 3 else 0
            rows, columns = self.grid(shapes[layer], prefix) if pool.startswith("grid") else (0, 0)
            if pool.startswith("grid") and int(pool.removeprefix("grid")) > min(rows, columns):
                raise UsageError(
                    f"'{pool}' is finer than the {rows} x {columns} patches of '{self.spec.name}' at this layer. "
                    f"Expected grid1 to grid{min(rows, columns, 99)}, or tokens for the patches as they are."
                )
        pooled = self.pooled if layer == -1 else self.inner
        pooled = "mean" if pooled == "cls" and not prefix else pooled
        pooled_as = pooled if pool == "pooled" else None
        return FeatureReadout(tower=self.tower, layer=layer, pool=pool, pooled=pooled_as, prefix_tokens=prefix)

    def grid(self, shape: Sequence[int], prefix: int) -> tuple[int, int]:
        """Return the rows and columns of the patches of a hidden state.

        Raises:
            ModelError: a sequence has more or fewer tokens than patches.
        """
        if len(shape) == 4:
            return shape[2], shape[3]
        rows, columns = self._size[0] // self.patch, self._size[1] // self.patch
        if rows * columns != shape[1] - prefix:
            raise ModelError(
                f"'{self.spec.name}' gives {shape[1] - prefix} patches where {rows} x {columns} were expected."
            )
        return rows, columns

    @property
    def _size(self) -> tuple[int, int]:
        """Return the height and width in pixels that the encoder takes."""
        return self.preprocessing.height, self.preprocessing.width


@dataclass(frozen=True, slots=True)
class Encoder:
    """A loaded encoder."""

    card: EncoderCard
    model: nn.Module
    device: torch.device
    dtype: torch.dtype
    mean: Tensor  # (1, 3, 1, 1) float32, on the device
    std: Tensor

    @torch.inference_mode()
    def encode(self, pixels: Tensor, readings: Sequence[FeatureReadout]) -> list[Tensor]:
        """Return the features of a batch, all readings of one forward pass. Nothing here waits for the device.

        Args:
            pixels: Resized pictures, on any device.  # (b, 3, height, width) uint8
            readings: What is read, as `EncoderCard.reading` returns it.

        Returns:
            For each reading the features, on the encoder's device; averages in float32.  # (b, t, f)
        """
        images = pixels.to(self.device, non_blocking=True).float()
        # In place: on CPUs, fresh memory for each step would cost as much as a tenth of a small encoder.
        images = images.mul_(self.card.preprocessing.rescale).sub_(self.mean).div_(self.std).to(self.dtype)
        inner = {"output_hidden_states": True} if any(reading.layer != -1 for reading in readings) else {}
        output = self.model(images, **inner)
        return [self._read(output, reading) for reading in readings]

    def _read(self, output: Any, reading: FeatureReadout) -> Tensor:
        """Return what a readout takes from the encoder's output: pooled, tokens or grid.  # (b, t, f)"""
        if reading.pooled == "pooler":
            return cast(Tensor, output.pooler_output).flatten(1)[:, None]
        hidden: Tensor = output.last_hidden_state if reading.layer == -1 else output.hidden_states[reading.layer]
        if reading.pooled == "cls":
            return hidden[:, :1]
        tokens = hidden.flatten(2).transpose(1, 2) if hidden.ndim == 4 else hidden[:, reading.prefix_tokens :]
        if reading.pool == "tokens":
            return tokens.contiguous()
        if reading.pooled == "flat":
            return tokens.flatten(1)[:, None]
        if reading.pooled == "mean":
            return tokens.float().mean(1, keepdim=True)
        rows, columns = self.card.grid(hidden.shape, reading.prefix_tokens)
        grid = tokens.float().transpose(1, 2).reshape(len(tokens), -1, rows, columns)
        averaged = nn.functional.adaptive_avg_pool2d(grid, int(reading.pool.removeprefix("grid")))
        return averaged.flatten(2).transpose(1, 2).contiguous()


def describe_encoder(spec: EncoderSpec, crop: Crop = "none") -> EncoderCard:
    """Return what is known of an encoder without loading it; a model of the hub is fetched if it is not here.

    Args:
        crop: Whether pictures are resized straight to its input size, or cut as its own image processor does.

    Raises:
        ModelError: it is missing, gated, no image encoder, or has no usable preprocessing.
    """
    if crop != "none" and (spec.source == "pixels" or spec.source.startswith(PLUGGED)):
        raise ModelError(f"'{spec.name}' has no image processor of its own. Leave out crop={crop}.")
    if spec.random and (spec.source == "pixels" or spec.source.startswith(PLUGGED)):
        raise ModelError(f"'{spec.name}': only encoders in Hugging Face format have a random twin.")
    if spec.source.startswith(IMPORTED):
        raise ModelError(f"The features '{spec.name}' are imported: there is no encoder to make others with.")
    if spec.source == "pixels":
        return _pixels(spec)
    if spec.source.startswith(PLUGGED):
        return _plugged(spec)
    source = model_source(spec.source)
    path = config_file(source, spec.gated)
    name, config = families.read_config(path.parent)
    image_size = getattr(config, "image_size", None) or 224
    file = preprocessing_file(source, spec.gated)
    preprocessing = read_preprocessing(file, image_size, crop)
    size = (preprocessing.height, preprocessing.width)
    family = families.family_of(config, size, spec.source)
    pooled = spec.pooled or (
        family.pooled if family.pooled != "pooler" or families.has_pooler(config, path.parent) else family.inner
    )
    if pooled == "cls" and not family.class_tokens:
        raise ModelError(f"'{spec.name}' ({config.model_type}) has no class token. Expected pooled: mean or pooler.")
    digest = _random_digest(path) if spec.random else weights_digest(source, spec.gated)
    # Loading goes by the folder, so that the weights that are digested here are the weights that are used.
    tower = families.Tower(path.parent, name, config, family, pooled, size)
    return EncoderCard(
        spec=spec,
        family=config.model_type,
        preprocessing=preprocessing,
        digest=digest,
        load=tower.random if spec.random else tower.pretrained,
        outline=tower.outline,
        tower=name,
        processor=(file, crop),
        prefix_tokens=family.class_tokens + families.registers(config),
        patch=families.patch_side(family, config),
        pooled=pooled,
        inner=family.inner if spec.pooled in (None, "pooler") else pooled,
    )


def load_encoder(card: EncoderCard, device: torch.device, dtype: torch.dtype, compiled: bool = False) -> Encoder:
    """Load a frozen encoder.

    Raises:
        ModelError: its weights are missing or do not fit.
    """
    if card.processor:
        check_preprocessing(card.processor[0], card.preprocessing, card.processor[1])
    model = card.load(dtype)
    # Channels-last convolutions are about 1.7 times faster on CPUs and never slower; transformers blocks do not care.
    model.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)  # type: ignore[call-overload]
    if compiled:
        model.compile()
    mean, std = (
        torch.tensor(values, device=device).view(1, 3, 1, 1)
        for values in (card.preprocessing.mean, card.preprocessing.std)
    )
    return Encoder(card, model, device, dtype, mean, std)


def feature_shape(card: EncoderCard, reading: FeatureReadout) -> tuple[int, int]:
    """Return how many vectors an image has, and of which width, without loading weights or pictures."""
    model = card.outline() if card.outline else card.load(torch.float32).to("meta")
    mean = torch.empty(1, 3, 1, 1, device="meta")
    pixels = torch.empty(1, 3, card.preprocessing.height, card.preprocessing.width, dtype=torch.uint8, device="meta")
    (features,) = Encoder(card, model, mean.device, torch.float32, mean, mean).encode(pixels, [reading])
    return features.shape[1], features.shape[2]


def _random_digest(config: Path) -> str:
    """Digest all that random weights follow from. The variant of a torch build ("+cpu") does not matter to them."""
    import transformers

    versions = f"torch {torch.__version__.split('+')[0]} transformers {transformers.__version__}"
    return xxhash.xxh3_128(config.read_bytes() + f"random {families.SEED} {versions}".encode()).hexdigest()


class _PixelGrid(nn.Module):
    """The picture itself as a map of patches of 4 x 4 pixels."""

    def forward(self, images: Tensor, output_hidden_states: bool = False) -> SimpleNamespace:
        """Return the picture as a map of patches, as an encoder does.  # (b, 3, 32, 32) → (b, 48, 8, 8)"""
        return SimpleNamespace(last_hidden_state=nn.functional.pixel_unshuffle(images, 4))


def _pixels(spec: EncoderSpec) -> EncoderCard:
    """Describe the baseline without an encoder: 3,072 values, or an 8 x 8 grid of them."""
    half, quarter = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
    preprocessing = Preprocessing(height=32, width=32, resample="box", rescale=1 / 255, mean=half, std=quarter)
    return EncoderCard(spec, "pixels", preprocessing, "pixels", lambda dtype: _PixelGrid(), pooled="flat")


def _plugged(spec: EncoderSpec) -> EncoderCard:
    """Let another package describe its encoder."""
    value = spec.source.removeprefix(PLUGGED)
    try:
        card = EntryPoint(spec.name, value, ENTRY_POINTS).load()()
    except (ImportError, AttributeError) as error:
        raise ModelError(f"The encoder '{spec.name}' of another package ({value}) is broken: {error}.") from None
    if not isinstance(card, EncoderCard):
        raise ModelError(
            f"The encoder '{spec.name}' of another package ({value}) is a {type(card).__name__}. Expected: EncoderCard."
        )
    return replace(card, spec=spec)
