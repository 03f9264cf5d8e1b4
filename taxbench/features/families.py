"""How each architecture of transformers is read. A new one is one entry of `FAMILIES`."""

import inspect
import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from taxbench.specs.feature_key import Pooled
from taxbench.util.errors import ModelError, did_you_mean
from taxbench.util.hub import load_pretrained, reading, weight_files, weight_names

SEED = 0
"""Of the weights of random twins."""
Size = tuple[int, int]
"""Height and width."""


@dataclass(frozen=True, slots=True)
class Family:
    """How the models of one `model_type` are read. The output, layer -1, is what they call `last_hidden_state`."""

    model: str
    """The class of transformers that reads images, and nothing else."""
    pooled: Pooled = "mean"
    """The pooled vector of the output, as the architecture's authors use it."""
    inner: Pooled = "mean"
    """The pooled vector of other layers (of those that are maps, the mean), and of checkpoints without a pooler."""
    class_tokens: int = 0
    """Leading tokens of the output that are neither patches nor registers."""
    patch: int | None = None
    """Pixels along the side of a token of the output; None: the configuration's `patch_size`. Unused by maps."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """What is said otherwise in the configuration before the model is built."""
    shuffles: bool = False
    """Whether the model shuffles patches unless it is given their order."""


# Keyed by the `model_type` of the tower that reads images. Two-tower models are read before the projection into the
# shared space, as in CLIP's own linear probes (https://arxiv.org/abs/2103.00020, appendix A.3).
FAMILIES = {
    "dinov2": Family("Dinov2Model", "cls", "cls", 1),  # https://arxiv.org/abs/2304.07193
    "dinov2_with_registers": Family("Dinov2WithRegistersModel", "cls", "cls", 1),  # https://arxiv.org/abs/2309.16588
    "dinov3_vit": Family("DINOv3ViTModel", "cls", "cls", 1),  # https://arxiv.org/abs/2508.10104
    # The class token is the normalised mean of the last map; the layers before are maps.
    "dinov3_convnext": Family("DINOv3ConvNextModel", "cls", "cls", 1, patch=32),
    # The pooler is an attention head over the patches (https://arxiv.org/abs/2303.15343). SigLIP 2 at a fixed
    # resolution is the same architecture.
    "siglip_vision_model": Family("SiglipVisionModel", "pooler", "mean"),
    # CLIP trains its last norm on the class token alone: the pooler is the token after it, `last_hidden_state` comes
    # before it, and so do the patches of layer -1. LLaVA reads those of layer -2 (https://arxiv.org/abs/2304.08485).
    "clip_vision_model": Family("CLIPVisionModel", "pooler", "cls", 1),
    # The losses see the class token (https://arxiv.org/abs/2112.04482); the dense pooler of transformers is in none.
    "flava_image_model": Family("FlavaImageModel", "cls", "cls", 1),
    "vit": Family("ViTModel", "cls", "cls", 1),  # https://arxiv.org/abs/2010.11929
    # Linear probes read an auxiliary class token (https://arxiv.org/abs/2111.06377), and all patches: none is masked.
    "vit_mae": Family("ViTMAEModel", "cls", "cls", 1, changes={"mask_ratio": 0.0}, shuffles=True),
    # The pooler averages patches, then normalises; the class token is left out (https://arxiv.org/abs/2106.08254).
    "beit": Family("BeitModel", "pooler", "mean", 1),
    "resnet": Family("ResNetModel"),
    "mobilenet_v1": Family("MobileNetV1Model"),
    "mobilenet_v2": Family("MobileNetV2Model"),
    # The last norm is trained on the mean of the map: the pooler has it, the map has not.
    "convnext": Family("ConvNextModel", "pooler", "mean"),
    "convnextv2": Family("ConvNextV2Model", "pooler", "mean"),
}


def read_config(folder: Path) -> tuple[str, Any]:
    """Return the part of a checkpoint that reads images, and its configuration.

    Returns:
        The name of the part in the checkpoint's configuration, empty when it is the whole; its configuration.

    Raises:
        ModelError: the installed transformers does not know the architecture.
    """
    from transformers import AutoConfig, PretrainedConfig

    with reading(str(folder), False, f"'{folder / 'config.json'}' cannot be read"):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    for part in ("vision_config", "image_config"):
        if hasattr(config, part):
            if not isinstance(getattr(config, part), PretrainedConfig):
                raise ModelError(f"'{folder / 'config.json'}' cannot be read: its {part} is no mapping.")
            return part, getattr(config, part)
    return "", config


def family_of(config: Any, size: Size, source: str) -> Family:
    """Return how an architecture is read; one that is not in `FAMILIES` is tried without weights.

    Raises:
        ModelError: it reads no images, or where its patches are cannot be told for sure.
    """
    from transformers import MODEL_MAPPING

    if config.model_type in FAMILIES:
        return FAMILIES[config.model_type]
    if config.model_type == "siglip2_vision_model":
        raise ModelError(
            f"'{source}' is a NaFlex model: it takes pictures of any shape, and taxbench resizes all to one size. Use "
            "a fixed-resolution checkpoint, such as google/siglip2-base-patch16-224."
        )
    if (inner := getattr(config, "backbone_config", None)) is not None:
        kind = getattr(inner, "model_type", inner)
        raise ModelError(
            f"'{source}' ({config.model_type}) is built on an image encoder ({kind}). Give that one itself."
        )
    known = f"Known architectures: {', '.join(FAMILIES)}."
    model = MODEL_MAPPING.get(type(config), None)
    if getattr(model, "main_input_name", "") != "pixel_values":
        raise ModelError(f"'{source}' ({config.model_type}) is not an image encoder of its own. {known}")
    family = Family(model.__name__)
    try:
        shape = hidden_shapes(Tower(Path(source), "", config, family, "mean", size).outline(), size)[-1]
    except (RuntimeError, ValueError, TypeError, AttributeError, NotImplementedError) as error:
        raise ModelError(
            f"'{source}' ({config.model_type}) cannot be read as other encoders: {error}. {known}"
        ) from None
    if len(shape) == 4 and shape[2] * size[1] == shape[3] * size[0]:
        return family
    side = patch_side(family, config)
    if len(shape) == 3 and (extra := shape[1] - (size[0] // side) * (size[1] // side) - registers(config)) in (0, 1):
        return Family(model.__name__, class_tokens=extra)
    hint = did_you_mean(config.model_type, FAMILIES)
    raise ModelError(f"Where the patches of '{source}' ({config.model_type}) are cannot be told.{hint} {known}")


def registers(config: Any) -> int:
    """Return the number of register tokens."""
    return int(getattr(config, "num_register_tokens", 0))


def patch_side(family: Family, config: Any) -> int:
    """Return the side of a token in pixels, 1 where the configuration names none."""
    side = family.patch or getattr(config, "patch_size", None) or 1
    return int(side[0] if isinstance(side, (list, tuple)) else side)


def has_pooler(config: Any, folder: Path) -> bool:
    """Tell whether a checkpoint comes with the pooler that its architecture may have."""
    if config.model_type == "beit":
        with suppress(ModelError):  # a random twin needs no weights
            return any("pooler." in name for name in weight_names(str(folder), gated=False))
    masked_only = "BeitForMaskedImageModeling" in (config.architectures or ())
    return bool(getattr(config, "vision_use_head", True)) and not masked_only


def hidden_shapes(model: nn.Module, size: Size) -> list[tuple[int, ...]]:
    """Return the shapes of a model's hidden states for one picture, the output last.

    Each is (1, tokens, f) or, for a map, (1, f, rows, columns).
    """
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    with torch.inference_mode():
        output = model(torch.zeros(1, 3, *size, device=device), output_hidden_states=True)
    before = (getattr(output, "hidden_states", None) or (None,))[:-1]
    return [tuple(hidden.shape) for hidden in (*before, output.last_hidden_state)]


@dataclass(frozen=True, slots=True)
class Tower:
    """The part of a checkpoint that reads images, before it is loaded."""

    folder: Path
    name: str
    config: Any
    family: Family
    pooled: Pooled
    size: Size

    def pretrained(self, dtype: torch.dtype) -> nn.Module:
        """Load the weights of the tower alone.

        Raises:
            ModelError: weights are missing or do not fit.
        """
        model = load_pretrained(
            self._class(),
            str(self.folder),
            gated=False,
            dtype=dtype,
            config=self._config(),
            use_safetensors=weight_files(str(self.folder), False)[0].suffix == ".safetensors",
            key_mapping=self._place(),
            **self._options(),
        )
        return self._ready(model)

    def _place(self) -> dict[str, str] | None:
        """Return how weights are renamed where the tower is a part of a larger model, such as `vision_tower.`.

        None where they have their own names already. Of some, only transformers knows how to translate the names; the
        place is where most of the others are, and not one inside it where a few names come again.
        """
        own = set(self.outline().state_dict())
        parts = [name.split(".") for name in weight_names(str(self.folder), gated=False)]
        places = Counter(".".join(p[:i]) for p in parts for i in range(len(p)) if ".".join(p[i:]) in own)
        place = max(places, key=lambda place: (places[place], -len(place)), default="")
        return {rf"^{re.escape(place)}\.": ""} if place else None

    def random(self, dtype: torch.dtype) -> nn.Module:
        """Build the tower with random weights, always the same; no other random numbers are affected."""
        with torch.random.fork_rng(devices=[]):
            # torch.manual_seed would seed accelerators too.
            torch.default_generator.manual_seed(SEED)
            return self._ready(self._class()(self._config(), **self._options()).to(dtype))

    def outline(self) -> nn.Module:
        """Build the tower without weights, to learn the shapes of what it gives."""
        config = self.folder / "config.json"
        with reading(str(self.folder), False, f"'{config}' describes no model"), torch.device("meta"):
            return self._ready(self._class()(self._config(), **self._options()))

    def _class(self) -> Any:
        """Return the class of transformers that implements the tower's family."""
        import transformers

        return getattr(transformers, self.family.model)

    def _config(self) -> Any:
        """Return the tower's configuration with its family's changes made."""
        for name, value in self.family.changes.items():
            setattr(self.config, name, value)
        return self.config

    def _options(self) -> dict[str, bool]:
        """Leave out a pooler that is not read: checkpoints often lack it, and it would be random."""
        if "add_pooling_layer" not in inspect.signature(self._class().__init__).parameters:
            return {}
        return {"add_pooling_layer": self.pooled == "pooler"}

    def _ready(self, model: Any) -> nn.Module:
        """Freeze a model, and hang on what it must be told with every batch."""
        trained = getattr(self.config, "image_size", None)
        trained = (trained, trained) if isinstance(trained, int) else tuple(trained or self.size)
        interpolates = "interpolate_pos_encoding" in inspect.signature(model.forward).parameters
        fixed = {"interpolate_pos_encoding": True} if interpolates and trained != self.size else {}

        def tell(_: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
            if not self.family.shuffles:
                return args, kwargs | fixed
            side = patch_side(self.family, self.config)
            patches = (self.size[0] // side) * (self.size[1] // side)
            order = torch.arange(patches, device=args[0].device, dtype=torch.float32)  # patches are sorted by it
            return args, kwargs | fixed | {"noise": order.expand(len(args[0]), -1)}

        if fixed or self.family.shuffles:
            model.register_forward_pre_hook(tell, with_kwargs=True)
        frozen: nn.Module = model.eval().requires_grad_(False)
        return frozen
