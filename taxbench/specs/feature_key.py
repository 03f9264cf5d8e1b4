"""The key of a feature cache entry: everything that changes a feature, and nothing else."""

import re
from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from taxbench.specs.spec import ADDED, Spec, content_hash


def _check_pool(text: str) -> str:
    """Return the name of a pool of features; raise ValueError where it is none."""
    if not re.fullmatch(r"pooled|tokens|grid[1-9][0-9]?", text):
        raise ValueError("expected pooled, tokens or gridK (the patch grid averaged to K x K), such as grid4")
    return text


Pool = Annotated[str, AfterValidator(_check_pool)]
"""`pooled`: one vector an image (t = 1); `tokens`: the patch grid; `gridK`: the grid averaged to K × K."""
Pooled = Literal["mean", "cls", "pooler", "flat"]
"""A pooled vector: mean over patches, the first token, the model's own pooler, or all pixels in a row."""
Crop = Literal["none", "center"]
"""`none`: pictures are resized straight to the input size; `center`: as the checkpoint's own image processor does."""
StorageDtype = Literal["float16", "bfloat16"]

IMPORTED = "imported:"
"""What stands before the name of imported features where an encoder is asked for."""


class FeatureOptions(Spec, strict=True):
    """Which features of an encoder are wanted; `--set` names them."""

    pool: Pool = "pooled"
    """pooled: one vector an image; tokens: the patch grid; gridK: the grid averaged to K × K."""
    layer: int = -1
    """Which hidden state: -1 is the encoder's output, -2 the output of the block before, 0 the embeddings."""
    storage: StorageDtype = "float16"
    """The type on disk."""
    crop: Annotated[Crop, ADDED] = "none"
    """none: pictures are resized straight to the input size, as published; center: as the encoder's own image processor
    does, most often the shorter side first, and then the centre is cut out."""

    @property
    def reading(self) -> str:
        """Say what is read off the encoder, and of which part of the picture."""
        layer = "" if self.layer == -1 else f", layer {self.layer}"
        return f"{self.pool}{layer}{'' if self.crop == 'none' else f', crop={self.crop}'}"


class Preprocessing(Spec):
    """How a decoded picture becomes the encoder's input: resized, cropped, rescaled, normalised."""

    height: int
    width: int
    resample: Literal["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"]
    rescale: float
    """What 8-bit values are multiplied by before normalisation, usually 1/255."""
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resize: Annotated[tuple[int] | tuple[int, int] | None, ADDED] = None
    """What the picture is resized to before its centre of the input size is cut out: the shorter side, or height and
    width; None: it is resized straight to the input size."""


class FeatureReadout(Spec):
    """What is read off an encoder's output."""

    tower: str
    """The part of the model that reads images; the empty string when it is the whole model."""
    layer: int = -1
    """Which hidden state is read: -1 is the model's output after its last norm, -2 the output of the block before."""
    pool: Pool
    pooled: Pooled | None
    """How the pooled vector is made; None unless `pool` is `pooled`."""
    prefix_tokens: int
    """Leading tokens that are no patches (CLS, registers)."""


class Encoded(Spec):
    """Features that this program computed from pictures."""

    kind: Literal["encoded"] = "encoded"
    encoder_digest: str
    """Digest of the encoder's weight and configuration files, never of its name."""
    reading: FeatureReadout
    preprocessing: Preprocessing
    decoder: str
    """What turns files into pixels, with its version."""
    compute_dtype: Literal["float32", "bfloat16", "float16"]

    @property
    def digest(self) -> str:
        """Return what tells the encoder apart."""
        return self.encoder_digest


class Imported(Spec):
    """Features that somebody else computed; what made them is known to them alone."""

    kind: Literal["imported"] = "imported"
    name: str
    """What `--encoder imported:NAME` calls them."""
    file_digest: str
    """Digest of the imported file's bytes."""

    @property
    def digest(self) -> str:
        """Return what tells the features apart."""
        return self.file_digest


class FeatureKey(Spec):
    """The identity of one table of features. Equal keys mean equal features, up to the rounding of the compute type.

    Batch size, device and library versions change roundings only; they are recorded beside the key, in the manifest.
    """

    schema_version: int = 1
    """Raised by hand whenever the same pictures come out with other features; `tests/test_golden.py` fails then."""
    source: Annotated[Encoded | Imported, Field(discriminator="kind")]
    storage_dtype: StorageDtype = "float16"
    images_digest: str
    """Digest of the ordered list of (image id, content digest)."""
    n_images: int

    @cached_property
    def digest(self) -> str:
        """Return the digest of the feature key, which names its cache entry."""
        return content_hash(self, 20)

    def difference(self, other: "FeatureKey") -> list[str]:
        """Say, field by field, how another key differs: `preprocessing.height 224 → 256`."""
        mine, theirs = flatten(self.model_dump(mode="json")), flatten(other.model_dump(mode="json"))
        names = sorted(mine.keys() | theirs.keys())
        return [
            f"{name.removeprefix('source.')} {theirs.get(name, '–')} → {mine.get(name, '–')}"
            for name in names
            if mine.get(name) != theirs.get(name)
        ]


def flatten(tree: dict[str, object], prefix: str = "") -> dict[str, object]:
    """Return a feature key's nested fields by dotted name."""
    flat: dict[str, object] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f"{prefix}{name}."))
        else:
            flat[prefix + name] = value
    return flat


class Layout(Spec):
    """How the rows of an entry lie in its shards. A function of their number and size, so that all writers agree."""

    n: int
    """Images."""
    t: int
    """Tokens an image."""
    f: int
    """Width of a token."""
    dtype: StorageDtype
    block_rows: int
    """Rows that share one digest."""
    shard_rows: int
    """Rows of every shard but the last, a multiple of `block_rows`."""

    @property
    def possible(self) -> bool:
        """Say whether rows can lie like this: a damaged file may say anything."""
        smallest = min(self.n, self.t, self.f, self.block_rows, self.shard_rows)
        return smallest > 0 and self.shard_rows % self.block_rows == 0

    @property
    def row_bytes(self) -> int:
        """Return the bytes of one image's features."""
        return self.t * self.f * 2

    @property
    def shards(self) -> int:
        """Return the number of shards."""
        return -(-self.n // self.shard_rows)

    def rows_of(self, shard: int) -> range:
        """Return the rows that a shard holds."""
        return range(shard * self.shard_rows, min(self.n, (shard + 1) * self.shard_rows))


class Origin(Spec):
    """Where an entry came from, for people and for `cache verify`. Never part of the key."""

    dataset: str = ""
    """What `--dataset` said, or the imported file."""
    taxonomy: str | None = None
    encoder: str = ""
    """What `--encoder` said."""
    device: str = ""
    batch: int = 0
    versions: dict[str, str] = Field(default_factory=dict)


class Manifest(Spec):
    """What `manifest.json` says about an entry."""

    format: Literal["taxbench features 1"] = "taxbench features 1"
    key: FeatureKey
    layout: Layout
    origin: Origin


class ShardHeader(Spec):
    """What the attribute `header` of a shard says, so that a shard alone can be understood."""

    format: Literal["taxbench features 1"] = "taxbench features 1"
    key: FeatureKey
    layout: Layout
    shard: int


class EntryInfo(Spec):
    """What `cache ls` and `cache info` say about an entry."""

    key: str
    encoder: str
    dataset: str
    reading: str
    """Layer and pool in a word, or what was imported."""
    n: int
    t: int
    f: int
    storage: StorageDtype
    shards: int
    sealed: int
    """Shards that are whole; the entry is complete when all are."""
    size: int
    """Bytes on disk."""
    folder: str
    undecodable: tuple[str, ...] | None = None
    """Ids of images without features because they could not be decoded; None while the entry is incomplete."""
    not_finite: tuple[str, ...] | None = None
    """Ids of images whose features do not fit the storage type; None while the entry is incomplete."""

    def line(self) -> str:
        """Return one line about the cache entry of features, for people."""
        state = "complete" if self.sealed == self.shards else f"{self.sealed} of {self.shards} shards"
        bad = len(self.undecodable or ()) + len(self.not_finite or ())
        return (
            f"{self.key}  {self.encoder} {self.reading}  {self.dataset}  {self.n} × {self.t} × {self.f} "
            f"{self.storage}  {self.size / 2**20:.1f} MB  {state}{f', {bad} images without features' if bad else ''}"
        )


class Verification(Spec):
    """What `cache verify` found."""

    key: str
    blocks: int
    """Blocks whose digest was computed again."""
    problems: tuple[str, ...]
    """Every damaged shard and block."""
    sampled: int = 0
    """Images that were encoded again."""
    largest_difference: float | None = None
    """The largest absolute difference between a stored value and the one computed again."""
    lowest_cosine: float | None = None
    """The lowest cosine between a stored row and the one computed again."""
    note: str = ""
    """Why nothing was encoded again, or how the encoder or the pictures differ from what they were."""

    @property
    def good(self) -> bool:
        """Say whether nothing is damaged and what was computed again agrees, up to rounding."""
        return not self.problems and (self.lowest_cosine is None or self.lowest_cosine > 0.99)

    def line(self) -> str:
        """Return the finding for people, a line for it and one for each problem."""
        again = self.note
        if self.largest_difference is not None and self.lowest_cosine is not None:
            again = (
                f"{self.sampled} images encoded again: largest difference {self.largest_difference:.3g}, lowest cosine "
                f"{self.lowest_cosine:.6f}."
            )
        head = f"{self.key}  {self.blocks} blocks checked, {len(self.problems)} problems. {again}"
        return "\n  ".join([head.rstrip(), *self.problems])
