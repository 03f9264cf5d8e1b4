"""What belongs to the identity of a record: every field, but those added later while they have their default."""

import json
from functools import cached_property
from typing import Annotated, Any

import pytest

from taxbench.specs.run import EncoderId
from taxbench.specs.spec import ADDED, Spec, content_hash, identity_of
from taxbench.tasks.registry import find_tasks


class Lens(Spec):
    """A part of a record."""

    width: int = 3


class Wide(Lens):
    """The same part, once a field was added."""

    tilt: Annotated[tuple[int, ...], ADDED] = ()


class Eye(Spec):
    """A record."""

    name: str
    lenses: tuple[Lens | Wide, ...]


def test_a_field_added_at_its_default_moves_no_identity_and_another_value_does() -> None:
    before, after = (Eye(name="a", lenses=(kind(),)) for kind in (Lens, Wide))
    assert content_hash(before) == content_hash(after) == content_hash({"lenses": [{"width": 3}], "name": "a"})
    assert content_hash(Eye(name="a", lenses=(Wide(tilt=(1,)),))) != content_hash(before)
    assert content_hash([{"eye": after}]) == content_hash([{"eye": before}])  # however deep it lies
    assert "tilt" in after.model_dump_json()  # it is written all the same


@pytest.mark.parametrize("name", ["unseen_hypernym", "paper_systematic-10", "counterfactual_graded-0.25"])
def test_the_identity_of_a_record_without_added_fields_is_all_it_says(name: str) -> None:
    task = find_tasks().tasks[name]
    said = task.model_dump(mode="json")
    # What was added after publication.
    del said["world_scope"], said["property_questions"], said["questions"]["second_image"]
    assert said["questions"].pop("language") == {"train": "en", "test": "en"}
    if said["questions"]["frame"] == "raw":  # as was this
        del said["questions"]["frame"]
    assert json.dumps(identity_of(task)) == json.dumps(said)


@pytest.mark.parametrize(("options", "reading"), [
    ({}, "pooled"), ({"storage": "bfloat16"}, "pooled"), ({"pool": "grid4", "layer": -2}, "grid4, layer -2"),
    (None, "imported"),
])  # fmt: skip
def test_options_of_features_are_words_in_an_identity(options: dict[str, Any] | None, reading: str) -> None:
    encoder = EncoderId.model_validate({"name": "eye", "digest": "e", "features": "f", "options": options})
    assert encoder.reading == reading
    assert identity_of(encoder) == {"name": "eye", "digest": "e", "features": "f", "reading": reading}


def test_a_copy_has_a_digest_of_its_own() -> None:
    class Record(Spec):
        """A record with a digest that is worked out once."""

        word: str

        @cached_property
        def digest(self) -> str:
            return content_hash(self)

    one = Record(word="crow")
    assert one.digest == content_hash({"word": "crow"})
    assert one.model_copy(update={"word": "gull"}).digest == content_hash({"word": "gull"})
    assert one.model_copy() == one and Record(word="crow") == one and one.model_dump() == {"word": "crow"}
