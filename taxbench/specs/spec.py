"""What every record on disk shares: frozen, strict, and hashed the same way."""

import hashlib
import json
from collections.abc import Mapping
from operator import methodcaller
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

ADDED = "added after publication"
"""Marks a field that came after records were published, as in `frame: Annotated[str, ADDED] = "plain"`: it belongs to
the identity of a record only where it is not at its default, so adding a field moves no identity."""

_LEFT_OUT: dict[type[BaseModel], dict[str, Any]] = {}
"""For each field of a kind of record the value at which it is no part of an identity; for most an ellipsis, which none
has. Worked out once a kind: the identities of a grid ask for it thousands of times."""
_CANONICAL: dict[str, Any] = {"sort_keys": True, "separators": (",", ":"), "ensure_ascii": False, "allow_nan": False}


class Spec(BaseModel):
    """A frozen record. Unknown fields are errors; the docstring under a field is its documentation."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, protected_namespaces=(), defer_build=True
    )

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy that keeps nothing that was worked out of the old values, such as a cached digest.

        Raises:
            TypeError: a field is unknown.
        """
        if unknown := set(update or ()) - type(self).model_fields.keys():
            raise TypeError(f"a {type(self).__name__} has no {', '.join(sorted(unknown))}")
        copied = super().model_copy(update=update, deep=deep)
        for name in copied.__dict__.keys() - type(self).model_fields.keys():
            del copied.__dict__[name]
        return copied

    def identity_fields(self) -> dict[str, Any]:
        """Return what of the record its hash goes by, as values by name; a subclass may say it in other words."""
        if (kind := type(self)) not in _LEFT_OUT:
            _LEFT_OUT[kind] = {name: field.get_default(call_default_factory=True) if ADDED in field.metadata else ...
                               for name, field in kind.model_fields.items()}  # fmt: skip
        usual = _LEFT_OUT[kind]
        return {name: value for name in usual if (value := getattr(self, name)) != usual[name]}


_fields = methodcaller("identity_fields")  # an AttributeError names what has no place in an identity


def identity_of(value: Any) -> Any:
    """Return the JSON that the hash of a value goes by: of records, however deep they lie, their identity fields."""
    return json.loads(json.dumps(value, default=_fields))


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, floats as Python's shortest repr."""
    return json.dumps(value, **_CANONICAL)


def content_hash(value: Any, length: int = 16) -> str:
    """Return the first `length` hex digits of the SHA-256 of a value's canonical JSON.

    Of records, however deep they lie, it holds the identity fields.
    """
    return hashlib.sha256(json.dumps(value, default=_fields, **_CANONICAL).encode()).hexdigest()[:length]
