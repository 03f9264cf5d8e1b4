"""Read a head off its source: what is asked of it before it is used stands there as literals, and none of it is run."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter, ValidationError

from taxbench.specs.feature_key import FeatureOptions, Pool
from taxbench.specs.run import ScoringSpec, TrainerSpec

SHARED: dict[str, type[BaseModel]] = {"features": FeatureOptions, "trainer": TrainerSpec, "scoring": ScoringSpec}
"""Whose settings every run has; a head's own have other names."""

HeadSetting = tuple[str, Any, str]
"""Name, default, docstring."""

_DEFAULTS: dict[str, Any] = {
    "READS": "answers", "SEES": "features", "POOL": "pooled", "NOTE": "", "CONTROL": False, "TRAINER": {},
}  # fmt: skip
# What can be trained: the reading of a state is trained with the map, and label vectors are not asked of the LM.
_READS = {"build": ("answers", "state"), "fit": ("answers", "labels")}


@dataclass(frozen=True, slots=True)
class HeadInfo:
    """What a head's source says; `heads/base.py` explains the words."""

    name: str
    summary: str
    """The first paragraph of its docstring."""
    reads: Literal["answers", "state", "labels"]
    sees: Literal["features", "name"]
    pool: str
    """The features it takes where the user does not choose."""
    trainer: dict[str, Any]
    """Settings of the trainer where the user does not choose."""
    note: str
    """What stands beside its scores in a table."""
    control: bool
    """Whether it is a control: shown, and never ranked."""
    learns: Literal["through the LM", "fit"]
    settings: tuple[HeadSetting, ...]
    known: tuple[str, ...]
    """The names of all settings of its runs: what every run has, and its own."""
    module: str
    """What is imported when the head is used."""


@cache
def read_head(name: str, module: str, source: str) -> HeadInfo:
    """Read a head.

    Raises:
        ValueError: it does not keep to what `heads/base.py` says; SyntaxError where it is not Python.
    """
    tree = ast.parse(source, filename=module)
    options = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Settings"]
    if not options:
        raise ValueError(f"{module} defines no class Settings")
    makers = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in _READS]
    if len(makers) != 1:
        both = " and ".join(makers) or "neither"
        raise ValueError(f"{module} must define either build(shape, settings) or fit(data, settings), found {both}")
    said = _DEFAULTS | {name: value for name, value, _ in _assigned(tree.body) if name in _DEFAULTS}
    for constant, allowed in (("READS", _READS[makers[0]]), ("SEES", ("features", "name"))):
        if said[constant] not in allowed:
            expected = " or ".join(f'"{each}"' for each in allowed)
            raise ValueError(f"{constant} of {module}, which defines {makers[0]}: expected {expected}")
    if not isinstance(said["CONTROL"], bool):
        raise ValueError(f"CONTROL of {module}: expected True or False")
    try:
        TypeAdapter(Pool).validate_python(said["POOL"], strict=True)
        TrainerSpec.model_validate(said["TRAINER"])
    except ValidationError as error:
        constant = "TRAINER" if error.title == "TrainerSpec" else "POOL"
        raise ValueError(f"{constant} of {module}: {error.errors()[0]['msg']}") from None
    fields = tuple(_assigned([line for line in options[0].body if not isinstance(line, ast.Assign)]))
    shared = {setting: owner for owner, model in SHARED.items() for setting in model.model_fields}
    for setting, default, _ in fields:
        if setting in shared:
            raise ValueError(
                f"setting '{setting}' of {module} is also one of the {shared[setting]}; choose another name"
            )
        if default is ...:
            raise ValueError(
                f"setting '{setting}' of {module} needs a literal as its default, such as Field(default=1)"
            )
    return HeadInfo(
        name=name,
        summary=" ".join((ast.get_docstring(tree) or "").partition("\n\n")[0].split()),
        reads=said["READS"],
        sees=said["SEES"],
        pool=said["POOL"],
        trainer=said["TRAINER"],
        note=str(said["NOTE"]),
        control=said["CONTROL"],
        learns="through the LM" if makers == ["build"] else "fit",
        settings=fields,
        known=(*shared, *(setting for setting, _, _ in fields)),
        module=module,
    )


def _assigned(body: list[ast.stmt]) -> Iterator[HeadSetting]:
    """Yield name, value and docstring of what is assigned: of `Field(...)` the default, of no literal an ellipsis."""
    for line, below in zip(body, [*body[1:], None], strict=True):
        if not isinstance(line, ast.Assign | ast.AnnAssign):
            continue
        value = line.value
        if isinstance(value, ast.Call) and ast.unparse(value.func) in ("Field", "pydantic.Field"):
            value = next((word.value for word in value.keywords if word.arg == "default"), next(iter(value.args), None))
        try:
            literal = ... if value is None else ast.literal_eval(value)
        except (ValueError, TypeError):
            literal = ...
        said = below.value if isinstance(below, ast.Expr) else None
        text = str(said.value) if isinstance(said, ast.Constant) else ""
        for target in line.targets if isinstance(line, ast.Assign) else [line.target]:
            if isinstance(target, ast.Name):
                yield target.id, literal, " ".join(text.split())
