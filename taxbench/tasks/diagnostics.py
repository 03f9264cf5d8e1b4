"""What is wrong in a file, where, and how a program or a person reads it."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, order=True)
class Diagnostic:
    """One problem at one place. Its text is `file:line:col: message`."""

    path: str
    line: int
    column: int
    message: str
    key: str = ""
    """The key it is about, such as metrics[0].name."""
    level: Level = "error"

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}:{self.column}" if self.line else self.path
        return f"{place}: {'warning: ' if self.level == 'warning' else ''}{self.message}"

    def as_json(self) -> dict[str, Any]:
        """Return the diagnostic for `--json`."""
        return asdict(self)


def in_order(findings: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sort diagnostics by file and line, each finding once."""
    return tuple(sorted(set(findings)))


def errors(findings: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Return the diagnostics that make a file unusable."""
    return [finding for finding in findings if finding.level == "error"]


def dotted(key: Iterable[str | int]) -> str:
    """Write a key as people do: metrics[0].name."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{part}"
    return text
