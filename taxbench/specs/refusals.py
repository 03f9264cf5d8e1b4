"""What fields of task files share: numbers that are numbers, and errors that say which field they are about."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field
from pydantic_core import PydanticCustomError

# Neither text nor a boolean passes for a number, nor text or a number for a boolean.
Whole = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
YesNo = Annotated[bool, Field(strict=True)]

PLACEHOLDERS = ("a_term", "term", "plural")
"""What a question's template may name."""


def refused(message: str, *keys: str | tuple[str, int], unknown: Iterable[str | None] = ()) -> PydanticCustomError:
    """Return an error with the fields or list items it is about and unknown placeholders, for `tasks/messages.py`."""
    paths = tuple(key if isinstance(key, tuple) else (key,) for key in keys)
    known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    each = [(f"unknown placeholder {{{name}}}; known: {known}", name, PLACEHOLDERS) for name in unknown]
    return PydanticCustomError("refused", "{message}", {"message": message, "keys": paths, "unknown": each})
