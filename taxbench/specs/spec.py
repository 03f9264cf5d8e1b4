"""What every record on disk shares: frozen, strict, and hashed the same way."""

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict

ADDED = "added after publication"
"""Marks a field that came after records were published, as in `frame: Annotated[str, ADDED] = "plain"`: it belongs to
the identity of a record only where it is not at its default, so adding a field moves no identity."""


_CANONICAL: dict[str, Any] = {"sort_keys": True, "separators": (",", ":"), "ensure_ascii": False, "allow_nan": False}


class Spec(BaseModel):
    """A frozen record. Unknown fields are errors; the docstring under a field is its documentation."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, protected_namespaces=(), defer_build=True
    )

    def identity_fields(self) -> dict[str, Any]:
        """Return what of the record its hash goes by, as values by name; a subclass may say it in other words."""
        return {
            name: getattr(self, name)
            for name, field in type(self).model_fields.items()
            if ADDED not in field.metadata or getattr(self, name) != field.get_default(call_default_factory=True)
        }


def identity_of(value: Any) -> Any:
    """Return the JSON that the hash of a value goes by: of records, however deep they lie, their identity fields."""
    if isinstance(value, Spec):
        value = value.identity_fields()
    if isinstance(value, dict):
        return {name: identity_of(part) for name, part in value.items()}
    return [identity_of(part) for part in value] if isinstance(value, list | tuple) else value


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, floats as Python's shortest repr."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    return json.dumps(value, **_CANONICAL)


def content_hash(value: Any, length: int = 16) -> str:
    """Return the first `length` hex digits of the SHA-256 of the canonical JSON of a value's identity."""
    return hashlib.sha256(json.dumps(identity_of(value), **_CANONICAL).encode()).hexdigest()[:length]
