"""Settings: what `--set KEY=VALUE` and a task's `settings` may name, fields of what all runs have and of a head."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from taxbench.registry.heads import SHARED as SHARED
from taxbench.registry.heads import head_info, heads

_LANGUAGE = """
The language that the test is in, after training in English; or both as in de:en, training first. The task is asked in
English as well, to compare with. No setting of task files, which say questions.language.
"""


@dataclass(frozen=True, slots=True)
class SettingInfo:
    """One setting, for people."""

    name: str
    owner: str
    """`features`, `trainer`, `scoring`, `prompt`, `task`, or `head NAME`."""
    default: Any
    summary: str


def settings(head: str | None = None) -> list[SettingInfo]:
    """Return all settings: of what every run has, and of one head or every head.

    Raises:
        UsageError: there is no such head.
    """
    shared = [
        SettingInfo(name, owner, field.default, " ".join((field.description or "").split()))
        for owner, model in SHARED.items()
        for name, field in model.model_fields.items()
    ]
    shared.append(SettingInfo("language", "task", "en", " ".join(_LANGUAGE.split())))
    infos = [head_info(name) for name in ([head] if head else heads())]
    own = [
        SettingInfo(name, f"head {info.name}", default, text) for info in infos for name, default, text in info.settings
    ]
    return [*shared, *own]


def known_settings() -> list[str]:
    """Return the names of all settings, each once; as for `settings`."""
    return list(dict.fromkeys(setting for name in heads() for setting in head_info(name).known))


def part_of(model: type[BaseModel], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that are fields of a model."""
    return {key: given[key] for key in model.model_fields if key in given}
