"""Run files: the options of `taxbench run` in a YAML file, to be kept, shared and run again."""

import re
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema

from taxbench.runs.config import DTYPES, ENGINES, RunConfig, resolve
from taxbench.runs.run_options import Options, OptionsError, Problem, options_from
from taxbench.specs.spec import Spec
from taxbench.tasks.diagnostics import Diagnostic, in_order
from taxbench.tasks.messages import check
from taxbench.tasks.schema import DIALECT
from taxbench.tasks.yaml_file import BadYaml, YamlFile, parse_yaml
from taxbench.util.errors import TaxbenchError, UsageError


def _listed(value: Any) -> Any:
    """Return one value as a list of it."""
    return value if isinstance(value, list) else [value]


def _scalar(value: Any) -> Any:
    """Return a setting's value; raise where it is a mapping, a list or nothing."""
    if not isinstance(value, str | int | float):
        raise ValueError("expected a number, text, true or false")
    return value


def _one_or_several(item: dict[str, Any]) -> WithJsonSchema:
    """Return the JSON Schema of a value or a list of values."""
    return WithJsonSchema({"anyOf": [item, {"type": "array", "items": item, "minItems": 1}]})


_SCALAR = {"type": ["string", "number", "boolean"]}
Names = Annotated[list[str], Field(min_length=1), BeforeValidator(_listed), _one_or_several({"type": "string"})]
Seeds = Annotated[list[int], Field(min_length=1), BeforeValidator(_listed), _one_or_several({"type": "integer"})]
Values = Annotated[list[Annotated[Any, AfterValidator(_scalar)]], Field(min_length=1), BeforeValidator(_listed),
                   _one_or_several(_SCALAR)]  # fmt: skip
_FIELDS = {"set": "settings", "include_path": "include"}
"""The fields that Python calls by other names than the command line."""
_JUDGED_BY = {"head": ("set",), "system": ("set",), "include_path": ("task",), "dataset": ("taxonomy", "properties")}
"""Of some fields, others whose names or numbers go by them."""


class RunFile(Spec):
    """What `taxbench run` is to do: the options of the command line, where several values are a list."""

    model_config = ConfigDict(strict=True, title="taxbench run file")

    task: Names = Field(default=[Options.task])
    """Tasks, groups or YAML files."""
    include_path: Names | None = None
    """Folders with more task files."""
    model: Names = Field(default=[Options.model])
    """Frozen LMs: aliases, directories, GGUF files, hub ids."""
    encoder: Names = Field(default=[Options.encoder])
    """Frozen image encoders: aliases, directories, hub ids."""
    dataset: Names = Field(default=[Options.dataset])
    """Datasets, such as folder:PATH."""
    taxonomy: Names | None = None
    """The taxonomy of the datasets, or one for each of them; '-' where a dataset brings its own."""
    properties: Names | None = None
    """The table of properties of the leaves, or one for each dataset; '-' where a dataset brings its own."""
    head: Names = Field(default=[Options.head])
    """Mappings, or 'all'."""
    system: Names | None = None
    """Whole systems, such as CLIP, in the place of model, encoder and head; see 'taxbench ls systems'."""
    seeds: Seeds = Field(default=[42])
    """Seeds; the paper's: 42, 218, 7."""
    set: dict[str, Values] = Field(default_factory=dict)
    """Settings by name, with a value or a list of values; see 'taxbench ls settings'."""
    device: str = Options.device
    """auto, cpu, cuda, cuda:1, mps."""
    dtype: Annotated[str, WithJsonSchema({"enum": list(DTYPES)})] = Options.dtype
    """What language models compute in; auto: bfloat16 where the device multiplies it fast, else float32."""
    engine: Annotated[str, WithJsonSchema({"enum": list(ENGINES)})] = Options.engine
    """What does the work: this process, or a Ray cluster."""
    limit: int | None = None
    """How many images of each leaf and split are used, for a first look."""
    cache: str | None = None
    """Where features are kept."""
    out: str = Options.out
    """Where results are written."""


def run_file_schema() -> dict[str, Any]:
    """Return the JSON Schema of run files (draft 2020-12), by which editors complete them."""
    return {"$schema": DIALECT} | RunFile.model_json_schema()


def read_run_file(path: Path) -> tuple[dict[str, Any], YamlFile, list[Diagnostic]]:
    """Read the options that a run file gives, by their names in Python, and where they stand.

    Returns:
        The options but those that are wrong, or cannot be told to be right beside them; the file; what is wrong.

    Raises:
        UsageError: it is no YAML mapping.
    """
    try:
        file = parse_yaml(path)
    except BadYaml as error:
        raise UsageError(str(error)) from None
    _, findings = check(RunFile, file.data, file.error)
    wrong = {re.split(r"[.[]", each.key)[0] for each in findings}
    meant = {
        near for name in wrong - RunFile.model_fields.keys() for near in get_close_matches(name, RunFile.model_fields)
    }
    wrong.update(*(_JUDGED_BY[name] for name in (wrong | meant) & _JUDGED_BY.keys()))
    given = {_FIELDS.get(name, name): value for name, value in file.data.items() if name not in wrong}
    return given, file, [*file.problems, *findings]


def resolve_file(path: Path, typed: Mapping[str, Any]) -> RunConfig:
    """Return what a run file asks for, with the options that were typed beside it in the place of its own.

    Args:
        typed: Options by their names in Python. Settings are added to those of the file, and replace those of the name.

    Raises:
        UsageError: names or settings are wrong; all at once, those of the file as file:line:column.
    """
    given, file, found = read_run_file(path)
    settings = {setting.partition("=")[0]: setting for setting in typed.get("settings", ())}
    own = options_from(Options, given)
    kept = [setting for setting in own.settings if setting.partition("=")[0] not in settings]
    retyped, elsewhere = {*typed, *settings}, list[TaxbenchError]()
    try:
        config = resolve(replace(own, **{**typed, "settings": (*kept, *settings.values())}))
        if not found:
            return config
    except OptionsError as error:
        elsewhere = [each.error for each in error.problems if retyped & {each.option, each.name}]
        found += [_at(file, each) for each in error.problems if not retyped & {each.option, each.name}]
    except UsageError as error:
        elsewhere = [error]
    raise UsageError("\n".join(map(str, (*in_order(found), *elsewhere))))


def _at(file: YamlFile, problem: Problem) -> Diagnostic:
    """Return what is wrong with an option, or a name that it lists, at its place in the file."""
    option, name = problem.option, problem.name
    value = file.data.get(option)
    texts = [str(each) for each in value] if isinstance(value, list) else []
    key = (option, texts.index(name)) if name in texts else (option, name) if isinstance(value, dict) else (option,)
    return file.error(key, str(problem.error))
