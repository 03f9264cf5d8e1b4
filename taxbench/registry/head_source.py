"""Read a head off its source: what is asked of it before it is used stands there as literals, and none of it is run."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
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
    module: str
    """What is imported when the head is used."""


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
        found = " and ".join(makers) or "neither"
        raise ValueError(f"{module} must define either build(shape, settings) or fit(lesson, settings), found {found}")
    said = _DEFAULTS | _constants(tree)
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
        settings=tuple(_fields(options[0], module)),
        module=module,
    )


def _constants(tree: ast.Module) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            names = {target.id for target in node.targets if isinstance(target, ast.Name)}
            found |= {name: _literal(node.value) for name in names & _DEFAULTS.keys()}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id in _DEFAULTS:
            found[node.target.id] = _literal(node.value)
    return found


def _fields(options: ast.ClassDef, module: str) -> Iterator[HeadSetting]:
    """Yield the fields of `Settings`. Defaults are literals, alone or in `Field(default=...)`."""
    for line, below in zip(options.body, [*options.body[1:], None], strict=True):
        if not isinstance(line, ast.AnnAssign) or not isinstance(line.target, ast.Name):
            continue
        name, value = line.target.id, line.value
        for owner, model in SHARED.items():
            if name in model.model_fields:
                raise ValueError(f"setting '{name}' of {module} is also one of the {owner}; choose another name")
        if isinstance(value, ast.Call):
            first = next(iter(value.args), None)
            value = next((each.value for each in value.keywords if each.arg == "default"), first)
        default = _literal(value)
        if default is ...:
            raise ValueError(f"setting '{name}' of {module} needs a literal as its default, such as Field(default=1)")
        said = below.value if isinstance(below, ast.Expr) else None
        text = str(said.value) if isinstance(said, ast.Constant) else ""
        yield name, default, " ".join(text.split())


def _literal(value: ast.expr | None) -> Any:
    """Return the value of a literal; of anything else, an ellipsis."""
    try:
        return ... if value is None else ast.literal_eval(value)
    except (ValueError, TypeError):
        return ...
