"""The key of cached features: whatever changes a feature changes the key, and nothing else does."""

import pytest

from taxbench.specs.feature_key import Encoded, FeatureKey, FeatureReadout, Imported, Layout, Preprocessing
from taxbench.specs.spec import Spec

READING = FeatureReadout(tower="", pool="pooled", pooled="mean", prefix_tokens=1)
PREPROCESSING = Preprocessing(
    height=224, width=224, resample="bicubic", rescale=1 / 255, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)
)
ENCODED = Encoded(
    encoder_digest="abc", reading=READING, preprocessing=PREPROCESSING, decoder="pillow 11", compute_dtype="float32"
)
IMPORTED = Imported(name="theirs", file_digest="abc")

# Another value for every field of every record that is part of the key, and the fields that have but one value.
CHANGES: dict[type[Spec], dict[str, object]] = {
    FeatureKey: {
        "schema_version": 2, "source": IMPORTED, "storage_dtype": "bfloat16", "images_digest": "x", "n_images": 8,
    },
    Encoded: {
        "encoder_digest": "x", "reading": READING.model_copy(update={"layer": -2}), "decoder": "pillow 12",
        "preprocessing": PREPROCESSING.model_copy(update={"height": 256}), "compute_dtype": "bfloat16",
    },
    FeatureReadout: {"tower": "vision_config", "layer": -2, "pool": "tokens", "pooled": "cls", "prefix_tokens": 5},
    Preprocessing: {
        "height": 256, "width": 256, "resample": "bilinear", "rescale": 1.0, "mean": (0.0, 0.0, 0.0),
        "std": (1.0, 1.0, 1.0), "resize": (256,),
    },
    Imported: {"name": "others", "file_digest": "x"},
}  # fmt: skip
FIXED = {Encoded: {"kind"}, Imported: {"kind"}}


def key_of(source: Encoded | Imported = ENCODED) -> FeatureKey:
    return FeatureKey(source=source, images_digest="def", n_images=7)


def changed(record: type[Spec], name: str, value: object) -> FeatureKey:
    """Return the key with one field changed, wherever it is."""
    update = {name: value}
    if record is FeatureKey:
        return key_of().model_copy(update=update)
    if record is Imported:
        return key_of(IMPORTED.model_copy(update=update))
    if record is FeatureReadout:
        update = {"reading": READING.model_copy(update=update)}
    elif record is Preprocessing:
        update = {"preprocessing": PREPROCESSING.model_copy(update=update)}
    return key_of(ENCODED.model_copy(update=update))


def all_changes() -> dict[str, FeatureKey]:
    return {
        f"{record.__name__}.{name}": changed(record, name, value)
        for record, fields in CHANGES.items()
        for name, value in fields.items()
    }


@pytest.mark.parametrize("record", CHANGES, ids=lambda record: record.__name__)
def test_no_field_is_forgotten(record: type[Spec]) -> None:
    assert set(CHANGES[record]) | FIXED.get(record, set()) == set(record.model_fields)


def test_every_field_that_changes_a_feature_changes_the_key() -> None:
    keys = {"unchanged": key_of(), "imported": key_of(IMPORTED), **all_changes()}
    digests: dict[str, list[str]] = {}
    for name, key in keys.items():
        digests.setdefault(key.digest, []).append(name)
    # The one layer and the one height are reached by two ways, and becoming an imported one is `imported`.
    same = [names for names in digests.values() if len(names) > 1]
    assert sorted(map(sorted, same)) == [
        ["Encoded.preprocessing", "Preprocessing.height"],
        ["Encoded.reading", "FeatureReadout.layer"],
        ["FeatureKey.source", "imported"],
    ]


def test_a_key_read_from_its_own_text_is_the_same_key() -> None:
    for key in all_changes().values():
        assert FeatureKey.model_validate_json(key.model_dump_json()) == key
        assert FeatureKey.model_validate_json(key.model_dump_json()).digest == key.digest


def test_a_difference_names_every_field_that_differs_with_both_values() -> None:
    preprocessing = PREPROCESSING.model_copy(update={"height": 256, "resample": "box"})
    other = key_of(ENCODED.model_copy(update={"preprocessing": preprocessing}))
    assert other.difference(key_of()) == [
        "preprocessing.height 224 → 256", "preprocessing.resample bicubic → box",
    ]  # fmt: skip
    assert key_of().difference(key_of()) == []
    assert "kind encoded → imported" in key_of(IMPORTED).difference(key_of())


@pytest.mark.parametrize(
    "update",
    [{"n": 0}, {"t": 0}, {"f": -1}, {"block_rows": 0}, {"shard_rows": 0}, {"shard_rows": 100}],
    ids=lambda update: str(update),
)
def test_a_layout_that_cannot_be_is_told(update: dict[str, int]) -> None:
    layout = Layout(n=140, t=2, f=8, dtype="float16", block_rows=8, shard_rows=32)
    assert layout.possible and not layout.model_copy(update=update).possible
