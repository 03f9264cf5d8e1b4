"""Say what is wrong in a task file: where, what was expected, and the nearest known name. Runs where something is."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, NamedTuple, get_args, get_origin

from pydantic import BaseModel, ValidationError

from taxbench.specs.task import PLACEHOLDERS
from taxbench.tasks.diagnostics import Diagnostic, dotted
from taxbench.tasks.yaml_file import KeyPath
from taxbench.util.errors import did_you_mean

Locate = Callable[[KeyPath, str], Diagnostic]
"""Makes an error of a key and a message."""
Model = type[BaseModel]

# By the first word of pydantic's type of problem: what to call the thing that was expected.
_EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "string": "text",
    "tuple": "a list",
    "list": "a list",
    "dict": "a mapping",
    "model": "a mapping",
    "bool": "true or false",
}
# The name that pydantic gives to the branch of a union.
_BRANCH = re.compile(r"\[|^(list|dict|str|float|int|bool)$")
_NAME = "lower-case letters, digits and underscores, a letter first, 100 at most, such as my_task"
_FIELD = "a field inside another one, such as deprivation.fraction"


def explain(
    model: Model, data: Any, error: ValidationError, locate: Locate, under: KeyPath = (), missing: bool = True
) -> Iterator[Diagnostic]:
    """Yield an error in plain words for each thing that pydantic finds wrong in a task file.

    Args:
        model: What the data was validated as.
        data: The data, as far as a file gives it.
        locate: Makes an error of a key, without pydantic's tags of unions, and a message.
        under: The key that the data stands under.
        missing: Whether to speak of what is missing, and of what might be right beside what is.
    """
    problems = [(problem, _follow(model, data, problem["loc"])) for problem in error.errors(include_url=False)]
    misspelt = {
        (*spot.key[:-1], near)
        for problem, spot in problems
        if problem["type"] == "extra_forbidden" and (near := _nearest(spot.key[-1], _fields(spot.holders)))
    }
    for problem, spot in problems:
        key, kind = (*under, *spot.key), str(problem["type"])
        if _is_beside_the_point(problem) or (not missing and _may_be_completed(problem, spot)):
            continue
        if kind == "extra_forbidden":
            text = f"{_prefix(key[:-1])}unknown field '{key[-1]}'"
            yield locate(key, _hinted(text, str(key[-1]), _fields(spot.holders)))
        elif kind == "missing":
            if missing and spot.key not in misspelt:
                yield locate(key, f"{_prefix(key[:-1])}field '{key[-1]}' is missing")
        elif kind in ("refused", "value_error"):
            yield from _refused(problem["ctx"], key, spot.value, locate)
        else:
            key = (*key, "kind") if kind == "union_tag_invalid" else key
            yield locate(key, f"{_prefix(key)}{_unfit(kind, problem, spot.inside)}")


def field_names(model: Model, key: KeyPath, data: Any) -> list[str]:
    """Return the fields that may stand where `key` leads in some data; in a choice, those of its `kind`."""
    spot = _follow(model, data, key)
    kind = spot.value.get("kind") if isinstance(spot.value, dict) else None
    return _fields([inner for inner in spot.inside if kind in _tags(inner)] or spot.inside)


class _Spot(NamedTuple):
    """Where a pydantic location leads."""

    key: KeyPath
    holders: list[Model]
    """What may hold the last part of the key."""
    inside: list[Model]
    """What may stand there."""
    value: Any
    """What does stand there."""


def _follow(model: Model, data: Any, loc: tuple[Any, ...]) -> _Spot:
    """Follow a pydantic location, leaving out what stands in no file: tags of unions and names of their branches."""
    key: list[str | int] = []
    holders = inside = [model]
    for part in loc:
        tagged = [inner for inner in inside if part in _tags(inner)]
        if tagged and isinstance(data, dict) and part == data.get("kind"):
            inside = tagged
        elif (isinstance(data, dict) and part in data) or not _BRANCH.search(str(part)):
            key.append(part)
            holders = inside
            if fields := [holder.model_fields[part] for holder in holders if part in holder.model_fields]:
                inside = [inner for field in fields for inner in _models_in(field.annotation)]
            data = _item(data, part)
    return _Spot(tuple(key), holders, inside, data)


def _item(data: Any, part: Any) -> Any:
    """Return the item of task data that the next part of a pydantic location leads to; else None."""
    if isinstance(data, dict):
        return data.get(part)
    return data[part] if isinstance(data, list) and isinstance(part, int) and part < len(data) else None


def _models_in(annotation: Any) -> list[Model]:
    """Return the models that a field's annotation names, through unions, lists and Annotated."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [inner for part in get_args(annotation) for inner in _models_in(part)]


def _tags(model: Model) -> tuple[Any, ...]:
    """Return the values of `kind` that choose a model in a union of a task's fields."""
    kind = model.model_fields.get("kind")
    return get_args(kind.annotation) if kind and get_origin(kind.annotation) is Literal else ()


def _fields(models: list[Model]) -> list[str]:
    """Return the names of the fields of some models, for messages on unknown ones."""
    return list(dict.fromkeys(name for model in models for name in model.model_fields))


def _nearest(name: Any, known: list[str]) -> str:
    """Return the known field name nearest to a misspelt one; empty where none is near."""
    return did_you_mean(str(name), known).removeprefix(" Did you mean '").removesuffix("'?")


def _hinted(text: str, name: str, known: Iterable[str]) -> str:
    """Add the nearest known name to a text, where one is near."""
    hint = did_you_mean(name, known)
    return f"{text}.{hint}" if hint else text


def _is_beside_the_point(problem: Any) -> bool:
    """Say whether a problem follows from another one, or is about a branch of a union that was plainly not meant."""
    branch, given = str((problem["loc"] or ("",))[-1]), problem["input"]
    if problem["type"] == "too_short":  # only because some of its items, which are spoken of, are wrong
        return len(given) >= int(problem["ctx"]["min_length"])
    return branch.startswith("dict[" if isinstance(given, str) else "literal[")


def _may_be_completed(problem: Any, spot: _Spot) -> bool:
    """Say whether what is wrong is that something is not there, or may be put right by what is not there."""
    if not isinstance(spot.value, dict):
        return False
    if problem["type"] == "union_tag_not_found":
        return not any(did_you_mean(str(name), ["kind"]) for name in spot.value)
    return problem["type"] == "refused" and not all(key[0] in spot.value for key in problem["ctx"]["keys"])


def _refused(context: dict[str, Any], key: KeyPath, value: Any, locate: Locate) -> Iterator[Diagnostic]:
    """Say what a validator of ours says, about the first of the keys that it names which the file itself gives."""
    message, keys = context.get("message", context.get("error")), context.get("keys", ())
    known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    for name in context.get("unknown", ()):
        text = f"{_prefix(key)}unknown placeholder {{{name}}}; known: {known}"
        yield locate(key, _hinted(text, name, PLACEHOLDERS))
    if not context.get("unknown"):
        given = [(*key, *about) for about in keys if isinstance(value, dict) and about[0] in value]
        places = [locate(about, f"{_prefix(key)}{message}") for about in given or [key]]
        own = locate((), "").path
        yield next((place for place in places if place.path == own), places[0])


def _unfit(kind: str, problem: Any, models: list[Model]) -> str:
    """Say what a value should have been."""
    given, context = problem["input"], problem.get("ctx", {})
    if kind in ("literal_error", "union_tag_invalid"):
        names = re.findall(r"'([^']*)'", str(context.get("expected", context.get("expected_tags"))))
        value = context.get("tag", given)
        one_of = f"{'one of ' if len(names) > 1 else ''}{', '.join(names)}"
        return _hinted(f"expected {one_of}, found {_shown(value)}", str(value), names)
    if kind == "union_tag_not_found":
        tags = [tag for model in models for tag in _tags(model)]
        hints = [name for name in given if did_you_mean(str(name), ["kind"])] if isinstance(given, dict) else []
        hint = f", found '{hints[0]}'. Did you mean 'kind'?" if hints else ""
        return f"field 'kind' is missing, one of {', '.join(map(str, tags))}{hint}"
    if kind == "string_pattern_mismatch":
        return f"expected {_FIELD if problem['loc'] == ('field',) else _NAME}, found {_shown(given)}"
    if kind == "too_short":
        return f"expected at least {context['min_length']} of them, found {context['actual_length']}"
    if kind == "model_attributes_type" and (tags := [tag for model in models for tag in _tags(model)]):
        return f"expected a choice such as {{kind: {given if given in tags else tags[0]}}}, found {_shown(given)}"
    if problem["loc"] and str(problem["loc"][-1]).startswith("dict["):
        return f"expected equal, or a mapping such as {{leaf: 1, unseen_hypernym: 2}}, found {_shown(given)}"
    if kind == "tuple_type" and isinstance(given, bool):
        return f'expected text or a list, found {_shown(given)}; write "{given}" in quotes if the word is meant'
    expected = _EXPECTED.get(kind.split("_")[0])
    if expected and kind.endswith(("_type", "_parsing", "_from_float", "_attributes_type")):
        return f"expected {expected}, found {_shown(given)}"
    message = str(problem["msg"])
    if message.startswith("Input should be "):
        wanted = message.removeprefix("Input should be ")
        return f"expected {'' if wanted.startswith('a ') else 'a value '}{wanted}, found {_shown(given)}"
    return f"{message[:1].lower()}{message[1:]}, found {_shown(given)}"


def _prefix(key: KeyPath) -> str:
    """Return the key that begins a message on a task file, with a colon."""
    return f"{dotted(key)}: " if key else ""


def _shown(value: Any) -> str:
    """Return a value as a message on a task file shows what was found."""
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    return "nothing" if value is None else repr(value)[:80]
