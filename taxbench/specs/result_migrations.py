"""Bring records of older forms up to the present one, a version at a time, on the JSON before it is checked.

A record's figures are never changed: what an older form did not hold is left out, as None or at its default.
"""

from collections.abc import Callable
from typing import Any

from taxbench.specs.result import SCHEMA_VERSION

OLDEST = 1


def migrate(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record in the present form.

    Raises:
        ValueError: its version is unknown; the text says which are.
    """
    version = record.get("schema_version")
    if type(version) is not int or not OLDEST <= version <= SCHEMA_VERSION:
        newer = type(version) is int and version > SCHEMA_VERSION
        hint = "; a newer taxbench wrote it: pip install --upgrade taxbench" if newer else ""
        raise ValueError(f"schema_version is {version!r}; expected {OLDEST} to {SCHEMA_VERSION}{hint}")
    while (version := record["schema_version"]) < SCHEMA_VERSION:
        record = _STEPS[version](record)
    return record


def _from_1(record: dict[str, Any]) -> dict[str, Any]:
    """Version 2 has columnar predictions with digests, controls for every term, and the commit.

    Predictions of version 1 were CSV and did not say the leaf of an image, so nothing is computed from them any more.
    """
    return record | {"schema_version": 2, "predictions": None}


_STEPS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_1}
