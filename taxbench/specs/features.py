"""The key of a feature cache: everything that changes a feature, and nothing else."""

from typing import Literal

from taxbench.specs.base import Spec, content_hash

PoolName = Literal["pooled", "tokens"]


class Preprocessing(Spec):
    """How a decoded picture becomes the encoder's input. The picture is resized straight to the input size."""

    height: int
    width: int
    resample: Literal["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"]
    rescale: float
    """What 8-bit values are multiplied by before normalisation, usually 1/255."""
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class FeatureKey(Spec):
    """The identity of one table of features. Two equal keys mean equal features."""

    schema_version: int = 1
    encoder_digest: str
    """Digest of the encoder's weight and configuration files, never of its name."""
    tower: str
    prefix_tokens: int | None
    pooled: str
    """How the pooled vector is made; see `EncoderSpec.pooled`."""
    layer: int = -1
    """Which hidden layer is read; -1 is the last."""
    pool: PoolName
    """`pooled`: one vector an image (t = 1); `tokens`: the patch grid (t = patches)."""
    preprocessing: Preprocessing
    decoder: str
    """What turns files into pixels, with its version."""
    compute_dtype: Literal["float32", "bfloat16", "float16"]
    storage_dtype: Literal["float16"] = "float16"
    images_digest: str
    """Digest of the ordered list of (image id, content digest)."""
    n_images: int

    @property
    def digest(self) -> str:
        """Return the name of the cache entry."""
        return content_hash(self, 20)

    def difference(self, other: "FeatureKey") -> list[str]:
        """Say, field by field, how another key differs: `preprocessing.height 224 → 256`."""
        mine, theirs = _flatten(self.model_dump(mode="json")), _flatten(other.model_dump(mode="json"))
        return [f"{name} {theirs[name]} → {mine[name]}" for name in sorted(mine) if mine[name] != theirs.get(name)]


def _flatten(tree: dict[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            flat.update(_flatten(value, f"{prefix}{name}."))
        else:
            flat[prefix + name] = value
    return flat
