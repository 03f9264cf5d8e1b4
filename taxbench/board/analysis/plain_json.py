"""Findings as JSON."""

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def plain_json(found: "DataclassInstance", **more: Any) -> str:
    """Return a dataclass, and what else is given, as indented JSON; numbers that are not finite are null."""
    return json.dumps(_plain(asdict(found) | more), indent=1, allow_nan=False)


def _plain(value: Any) -> Any:
    """Return a value as plain JSON holds it: tuples as lists, numbers that are not finite as None."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
