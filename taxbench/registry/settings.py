"""Settings: what `--set KEY=VALUE` and a task's `settings` may name, fields of the features, the trainer and a head."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from taxbench.registry.heads import heads, settings_defaults
from taxbench.specs.features import FeatureOptions
from taxbench.specs.run import TrainerSpec

SHARED: tuple[type[BaseModel], ...] = (FeatureOptions, TrainerSpec)
"""Whose settings every run has; the others are the head's."""


def part_of(model: type[BaseModel], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that are fields of a model."""
    return {key: settings[key] for key in model.model_fields if key in settings}


def known_settings(head: str | None = None) -> list[str]:
    """Return the names of all settings: of the features, the trainer, and one head or every head.

    Raises:
        UsageError: there is no such head.
    """
    shared = [name for model in SHARED for name in model.model_fields]
    own = [name for each in ([head] if head else heads()) for name in settings_defaults(each)]
    return list(dict.fromkeys([*shared, *own]))


def unknown_settings(settings: Iterable[Any]) -> list[Any]:
    """Return the names that are no setting of anything."""
    known = known_settings()
    return [name for name in settings if name not in known]
