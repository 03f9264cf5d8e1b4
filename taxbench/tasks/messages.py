"""Say what pydantic finds wrong in a file: where, what was expected, and the nearest known name."""

from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from taxbench.specs.task import PATTERNS
from taxbench.tasks.diagnostics import Diagnostic, dotted
from taxbench.tasks.yaml_file import KeyPath, Locate
from taxbench.util.errors import did_you_mean

M = TypeVar("M", bound=BaseModel)

# By pydantic's type of problem or its first word: what was expected, with what the problem's context fills in.
_EXPECTED = {
    "greater_than": "a value greater than {gt:g}", "greater_than_equal": "a value greater than or equal to {ge:g}",
    "less_than": "a value less than {lt:g}", "less_than_equal": "a value less than or equal to {le:g}",
    "finite_number": "a finite number", "too_short": "at least {min_length} of them",
    "int": "a whole number", "float": "a number", "string": "text", "bool": "true or false", "tuple": "a list",
    "list": "a list", "dict": "a mapping", "model": "a mapping",
}  # fmt: skip


def check(
    model: type[M], data: Any, locate: Locate, under: KeyPath = (), *,
    fill: dict[str, Any] | None = None, partial: bool = False,
) -> tuple[M | None, list[Diagnostic]]:  # fmt: skip
    """Validate data of a file, and say all that is wrong with it.

    Args:
        model: What the data should be, with unknown fields forbidden.
        data: What the file says, such as `YamlFile.data`.
        locate: Makes an error of a key and a message, such as `YamlFile.error`.
        under: The key that the data stands under.
        fill: Right values of required fields, so that the fields beside those that are wrong can be checked together.
        partial: Whether what is not there may come from elsewhere, and is no mistake.

    Returns:
        The model, None where something is wrong; and what is.
    """
    whole = isinstance(data, dict)
    try:
        return model.model_validate((fill or {}) | data if partial and whole else data), []
    except ValidationError as error:
        problems = error.errors(include_url=False)
    found = list(_explain(model, data, problems, partial, lambda key, said: locate((*under, *key), said), under))
    wrong = {problem["loc"][0] for problem in problems if problem["loc"]}
    rest = {key: value for key, value in data.items() if key not in wrong} if whole else data
    if whole and wrong and (rest != data or not partial):  # pydantic checks what is together only where all is right
        found += check(model, rest, locate, under, fill=fill, partial=True)[1]
    return None, found


def field_names(model: type[BaseModel], key: KeyPath, data: Any) -> list[str]:
    """Return the fields that may stand where `key` leads in some data; in a choice, those of its `kind`."""
    return _fields(_follow(model, data, key).inside)


class _Spot(NamedTuple):
    """Where a pydantic location leads."""

    key: KeyPath
    holders: list[Any]
    """The types of what may hold the last part of the key."""
    inside: list[Any]
    """The types of what may stand there."""
    value: Any
    """What does stand there."""


def _follow(model: type[BaseModel], data: Any, loc: Iterable[Any]) -> _Spot:
    """Follow a pydantic location, leaving out what stands in no file: tags of unions and names of their branches."""
    key: list[str | int] = []
    holders = inside = [model]
    for part in loc:
        fields = [each.model_fields[part] for each in _models(inside) if part in each.model_fields]
        there = isinstance(data, dict) and part in data
        if not (fields or there or isinstance(part, int)):
            continue
        key.append(part)
        holders, inside = inside, [each for field in fields for each in _types(field.annotation)] or inside
        item = isinstance(data, list) and isinstance(part, int) and part < len(data)
        data = data[part] if there or item else None
        if isinstance(data, dict):
            inside = [each for each in _models(inside) if data.get("kind") in _tags(each)] or inside
    return _Spot(tuple(key), holders, inside, data)


def _types(annotation: Any) -> Iterator[Any]:
    """Yield the types that an annotation names, through unions, lists and Annotated."""
    inner = () if get_origin(annotation) is Literal else get_args(annotation)
    if not inner:
        yield annotation
    for part in inner:
        yield from _types(part)


def _models(types: list[Any]) -> list[type[BaseModel]]:
    """Return the models among some types."""
    return [each for each in types if isinstance(each, type) and issubclass(each, BaseModel)]


def _tags(model: type[BaseModel]) -> tuple[Any, ...]:
    """Return the values of `kind` that choose a model in a union."""
    return get_args(model.model_fields["kind"].annotation) if "kind" in model.model_fields else ()


def _fields(types: list[Any]) -> list[str]:
    """Return the names of the fields of some models."""
    return list(dict.fromkeys(name for model in _models(types) for name in model.model_fields))


def _explain(
    model: type[BaseModel], data: Any, problems: list[Any], partial: bool, locate: Locate, under: KeyPath
) -> Iterator[Diagnostic]:
    """Yield an error in plain words for each problem of pydantic's that does not follow from another one."""
    spots = [_follow(model, data, problem["loc"]) for problem in problems]
    for problem, spot in zip(problems, spots, strict=True):
        kind, key, context = str(problem["type"]), spot.key, problem.get("ctx", {})
        said = f"{dotted((*under, *key))}: " if under or key else ""
        outer = f"{dotted((*under, *key[:-1]))}: " if under or key[1:] else ""
        if any(other.key[: len(key)] == key != other.key for other in spots):
            continue  # such as a list that is too short without its wrong items
        if kind == "extra_forbidden":
            yield locate(key, f"{outer}unknown field '{key[-1]}'{_hint(key[-1], _fields(spot.holders))}")
        elif kind == "missing":
            extra = [other.key[-1] for at, other in zip(problems, spots, strict=True)
                     if at["type"] == "extra_forbidden" and other.key[:-1] == key[:-1]]  # fmt: skip
            if not partial and not any(str(key[-1]) in _hint(name, _fields(spot.holders)) for name in extra):
                yield locate(key, f"{outer}field '{key[-1]}' is missing")
        elif kind == "union_tag_not_found":
            near = next((name for name in spot.value if _hint(name, ["kind"])), None)
            if near is not None or not partial:
                found = f", found '{near}'. Did you mean 'kind'?" if near is not None else ""
                yield locate(key, f"{said}field 'kind' is missing, one of {', '.join(map(str, _choices(spot)))}{found}")
        elif kind == "refused":
            given = [about for about in context["keys"] if isinstance(spot.value, dict) and about[0] in spot.value]
            if partial and isinstance(spot.value, dict) and len(given) < len(context["keys"]):
                continue  # what is not there may put it right
            for message, name, known in context["unknown"] or [(context["message"], "", ())]:
                places = [locate((*key, *about), f"{said}{message}{_hint(name, known)}") for about in given or [()]]
                own = locate((), "").path
                yield next((place for place in places if place.path == own), places[0])
        elif kind == "union_tag_invalid":
            yield locate((*key, "kind"), f"{said[:-2]}.kind: {_unfit(problem, spot)}")
        else:
            yield locate(key, f"{said}{_unfit(problem, spot)}")


def _unfit(problem: Any, spot: _Spot) -> str:
    """Say what a value should have been."""
    kind, context, choices = str(problem["type"]), problem.get("ctx", {}), _choices(spot)
    given = context.get("tag", problem["input"])
    if kind in ("literal_error", "union_tag_invalid"):
        one_of = "one of " if len(choices) > 1 else ""
        return f"expected {one_of}{', '.join(map(str, choices))}, found {_shown(given)}{_hint(given, choices)}"
    if kind == "value_error":
        return str(context["error"])
    if kind == "model_attributes_type" and choices:
        expected = f"a choice such as {{kind: {given if given in choices else choices[0]}}}"
    elif kind == "string_pattern_mismatch":
        expected = PATTERNS.get(context["pattern"], f"text that fits {context['pattern']}")
    else:
        expected = (_EXPECTED.get(kind) or _EXPECTED.get(kind.partition("_")[0], "")).format(**context)
    if kind == "tuple_type" and isinstance(given, bool):
        return f'expected text or a list, found {_shown(given)}; write "{given}" in quotes if the word is meant'
    found = context["actual_length"] if kind == "too_short" else _shown(given)
    return f"expected {expected}, found {found}" if expected else f"{problem['msg']}, found {found}"


def _choices(spot: _Spot) -> list[Any]:
    """Return the values that a choice or a `kind` at a spot may have."""
    tags = [tag for model in _models(spot.inside) for tag in _tags(model)]
    return tags or [one for each in spot.inside if get_origin(each) is Literal for one in get_args(each)]


def _hint(name: Any, known: Iterable[Any]) -> str:
    """Return the clause that names what is nearest to a misspelt name, behind a full stop; empty where nothing is."""
    hint = did_you_mean(str(name), map(str, known))
    return f".{hint}" if hint else ""


def _shown(value: Any) -> str:
    """Return a value as a message shows what was found."""
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, dict | list | tuple):
        return "a mapping" if isinstance(value, dict) else "a list"
    return "nothing" if value is None else repr(value)[:80]
