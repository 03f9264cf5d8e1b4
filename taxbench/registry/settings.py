"""Settings: what `--set KEY=VALUE` and a task's `settings` may name, fields of the features, the trainer and a head."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from taxbench.registry.heads import head_settings, heads
from taxbench.specs.features import FeatureOptions
from taxbench.specs.run import TrainerSpec

SHARED: dict[str, type[BaseModel]] = {"features": FeatureOptions, "trainer": TrainerSpec}
"""Whose settings every run has; the others are the head's."""


@dataclass(frozen=True, slots=True)
class SettingInfo:
    """One setting, for people."""

    name: str
    owner: str
    """`features`, `trainer`, or `head NAME`."""
    default: Any
    summary: str


def settings(head: str | None = None) -> list[SettingInfo]:
    """Return all settings: of the features, of the trainer, and of one head or every head.

    Raises:
        UsageError: there is no such head.
    """
    found = [
        SettingInfo(name, owner, field.default, " ".join((field.description or "").split()))
        for owner, model in SHARED.items()
        for name, field in model.model_fields.items()
    ]
    own = ((each, setting) for each in ([head] if head else heads()) for setting in head_settings(each))
    return [*found, *(SettingInfo(name, f"head {each}", default, text) for each, (name, default, text) in own)]


def known_settings(head: str | None = None) -> list[str]:
    """Return the names of all settings, each once; as for `settings`."""
    return list(dict.fromkeys(each.name for each in settings(head)))


def part_of(model: type[BaseModel], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that are fields of a model."""
    return {key: given[key] for key in model.model_fields if key in given}
