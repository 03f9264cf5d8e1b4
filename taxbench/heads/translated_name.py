"""A control: the leaf's name in the language of the test, in place of the image; `text_only` says training's."""

from dataclasses import replace

from torch import nn

from taxbench.heads import text_only
from taxbench.heads.closed_form import FitData
from taxbench.specs.spec import Spec

SEES = "name"
NOTE = "control: reads the translated name"
CONTROL = True


class Settings(Spec, strict=True):
    """The control has no options."""


def fit(data: FitData, settings: Settings) -> nn.Module:
    """Return (b, 1, 1) → (b, k, d), as `text_only` does of names that training says. Nothing is learnt."""
    translated = replace(data, texts=data.asked_texts, said=data.asked_said or data.said)
    return text_only.fit(translated, text_only.Settings())
