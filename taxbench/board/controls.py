"""Controls as every form shows them: their order, their names, and what they are."""

from collections.abc import Iterable

from taxbench.board.board import Row

CONTROLS = {
    "chance": ("chance", "A fair coin on the same questions, exact."),
    "random_lm": ("random LM", "The same head trained through the same LM with random weights."),
    "no_image": ("no image", "The same head with one constant vector in place of the image."),
    "shuffled_features": ("shuffled", "The same head, shown the features of other images."),
    "text_only": ("text only", "The LM asked in words alone whether the leaf is one of the hypernym."),
    "label_oracle": ("label oracle", "The LM given the leaf's name in place of the image."),
}
"""Name and explanation of each, in the order in which they are shown; others follow by name."""


def in_order(names: Iterable[str]) -> list[str]:
    """Return controls in the order in which they are shown."""
    given = set(names)
    return [name for name in CONTROLS if name in given] + sorted(given - set(CONTROLS))


def controls_of(rows: Iterable[Row]) -> list[str]:
    """Return, in order, the controls of which any of the rows has a figure."""
    return in_order(name for row in rows for name, figure in row.controls.items() if figure.mean is not None)


def control_title(name: str) -> str:
    """Return how a column names a control."""
    return CONTROLS[name][0] if name in CONTROLS else name.replace("_", " ")


def control_help(name: str) -> str:
    """Return what a control is."""
    return CONTROLS[name][1] if name in CONTROLS else "A control."
