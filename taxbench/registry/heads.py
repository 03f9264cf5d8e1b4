"""Find heads: the files of `taxbench/heads/` that define `Settings`, and modules that installed packages offer.

A head is read off its source: what is asked of it before it is used stands there as literals, and none of it is run.
"""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, TypeAdapter, ValidationError

from taxbench.registry.package_source import module_source
from taxbench.specs.feature_key import FeatureOptions, Pool
from taxbench.specs.run import ScoringSpec, TrainerSpec
from taxbench.specs.task import PromptSpec
from taxbench.util.errors import UsageError, did_you_mean, first_line
from taxbench.util.paths import PACKAGE

ENTRY_POINTS = "taxbench.heads"
"""The group under which installed packages offer heads; what they name: a module as `heads/base.py` describes it."""
_FOLDER = PACKAGE / "heads"
_BROKEN = "The head '{}' cannot be used: "
SHARED: dict[str, type[BaseModel]] = {
    "features": FeatureOptions,
    "trainer": TrainerSpec,
    "scoring": ScoringSpec,
    "prompt": PromptSpec,
}
"""Whose settings every run has; a head's own have other names."""

HeadSetting = tuple[str, Any, str]
"""Name, default, docstring."""

_DEFAULTS: dict[str, Any] = {
    "READS": "answers", "SEES": "features", "POOL": "pooled", "NOTE": "", "CONTROL": False, "TRAINER": {},
    "SYSTEM": False,
}  # fmt: skip
_OF_READERS = {"NOTE": "reference: trained on captions, which name hypernyms", "CONTROL": True, "POOL": "tokens"}
# What is kept of a picture is what the system was trained to read, and nothing of it is trained here.
_NOT_OF_READERS = {"pool", "layer", *TrainerSpec.model_fields} - {"order"}
TOLD = ("names", "terms")
"""What heads read that are told what is true of names, and ask neither an LM nor the text side of a system."""
# What can be trained: the reading of a state is trained with the map, and label vectors are not asked of the LM.
_READS = {"build": ("answers", "state"), "fit": ("answers", "labels", "names", "terms")}


@dataclass(frozen=True, slots=True)
class HeadInfo:
    """What a head's source says; `heads/base.py` explains the words."""

    name: str
    summary: str
    """The first paragraph of its docstring."""
    reads: Literal["answers", "state", "labels", "names", "terms"]
    sees: Literal["features", "name", "nothing"]
    pool: str
    """The features it takes where the user does not choose."""
    trainer: dict[str, Any]
    """Settings of the trainer where the user does not choose."""
    note: str
    """What stands beside its scores in a table."""
    control: bool
    """Whether it is a control: shown, and never ranked."""
    system: bool
    """Whether it is the reader of a whole system, which `--system` chooses."""
    learns: Literal["through the LM", "fit"]
    settings: tuple[HeadSetting, ...]
    known: tuple[str, ...]
    """The names of all settings of its runs: what every run has, or every run of a system, and its own."""
    module: str
    """What is imported when the head is used."""

    @property
    def asks_lm(self) -> bool:
        """Whether every question goes through the LM; label vectors are compared without it."""
        return self.reads in ("answers", "state")


class _Offer(NamedTuple):
    """A module that may be a head."""

    module: str
    source: str
    problem: str = ""
    """Why there is no source, or it may not be used."""
    origin: str = ""
    """The package it comes from, in words, where that is another one."""


def heads() -> dict[str, str]:
    """Return every head's name and summary: the built-in ones, then those of installed packages.

    Nothing is imported, so a broken package cannot hide the others. A built-in name cannot be taken. The readers of
    whole systems are not among them: they are no heads that anyone chooses.
    """
    broken = broken_heads()
    infos = [head_info(name) for name in _offers(tuple(sys.path)) if name not in broken]
    return {info.name: info.summary for info in infos if not info.system}


def broken_heads() -> dict[str, str]:
    """Return what is wrong with every head that cannot be used."""
    broken = {}
    for name in _offers(tuple(sys.path)):
        try:
            head_info(name)
        except UsageError as error:
            broken[name] = str(error).removeprefix(_BROKEN.format(name))
    return broken


def head_info(name: str) -> HeadInfo:
    """Return what is known of a head without importing it.

    Raises:
        UsageError: there is no such head, or it is broken.
    """
    offers = _offers(tuple(sys.path))
    if name not in offers:
        known = heads()
        raise UsageError(f"Unknown head '{name}'.{did_you_mean(name, known)} Heads: {', '.join(known)}.")
    module, source, problem, origin = offers[name]
    try:
        if problem:
            raise ValueError(problem)
        info = read_head(name, module, source)
    except (ValueError, SyntaxError) as error:
        raise UsageError(f"{_BROKEN.format(name)}{first_line(error)}. {origin}".strip()) from None
    return replace(info, summary=f"{info.summary} {origin}".strip()) if origin else info


def settings_defaults(name: str) -> dict[str, Any]:
    """Return a head's settings and their defaults; as for `head_info`."""
    return {setting: default for setting, default, _ in head_info(name).settings}


@cache
def _offers(path: tuple[str, ...]) -> dict[str, _Offer]:
    """Return all heads by name. `path` is where Python looks for packages: elsewhere there are other heads."""
    sources = {file.stem: file.read_text(encoding="utf-8") for file in sorted(_FOLDER.glob("*.py"))}
    offers = {name: _Offer(f"taxbench.heads.{name}", source) for name, source in sources.items()
              if "\nclass Settings(" in source}  # the others help heads  # fmt: skip
    for point in sorted(entry_points(group=ENTRY_POINTS)):
        origin = f"From the package {point.dist.name} {point.dist.version}." if point.dist else "From a package."
        name, source, problem = point.name, "", ""
        if name in offers:
            name, problem = f"{point.name} of {point.value}", "the name is taken; choose another"
        else:
            try:
                if point.attr:
                    raise ValueError(f"expected the name of a module, found '{point.value}'")
                if not re.fullmatch(r"\w[\w.-]*", name) or name == "all":
                    raise ValueError(f"'{name}' cannot be the name of a head; choose another")
                source = module_source(point.module)
            except (ImportError, AttributeError, ValueError, SyntaxError) as error:
                problem = first_line(error)
        offers[name] = _Offer(point.module, source, problem, origin)
    return offers


@cache
def read_head(name: str, module: str, source: str) -> HeadInfo:
    """Read what a head's source says of it, without importing it.

    Raises:
        ValueError: it does not keep to what `heads/base.py` says; SyntaxError where it is not Python.
    """
    tree = ast.parse(source, filename=module)
    options = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Settings"]
    if not options:
        raise ValueError(f"{module} defines no class Settings")
    given = {name: value for name, value, _ in _assigned(tree.body) if name in _DEFAULTS}
    said = _DEFAULTS | (_OF_READERS if given.get("SYSTEM") is True else {}) | given
    makers = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in _READS]
    if said["SYSTEM"] is True and not makers:
        makers = ["fit"]  # which would return the identity: the system maps
    if len(makers) != 1:
        both = " and ".join(makers) or "neither"
        raise ValueError(f"{module} must define either build(shape, settings) or fit(data, settings), found {both}")
    for constant, allowed in (("READS", _READS[makers[0]]), ("SEES", ("features", "name", "nothing"))):
        if said[constant] not in allowed:
            expected = " or ".join(f'"{each}"' for each in allowed)
            raise ValueError(f"{constant} of {module}, which defines {makers[0]}: expected {expected}")
    for constant in ("CONTROL", "SYSTEM"):
        if not isinstance(said[constant], bool):
            raise ValueError(f"{constant} of {module}: expected True or False")
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
        learns="through the LM" if makers == ["build"] else "fit",
        settings=fields,
        known=(
            *(setting for setting in shared if not (said["SYSTEM"] and setting in _NOT_OF_READERS)),
            *(setting for setting, _, _ in fields),
        ),
        module=module,
        **{constant.lower(): value for constant, value in said.items()},
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
