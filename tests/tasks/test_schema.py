"""The JSON Schema of a task file accepts what the registry accepts, and rejects what it can see is wrong."""

from pathlib import Path
from typing import Any

import pytest

from taxbench.specs.group import GroupSpec
from taxbench.specs.task import TaskSpec
from taxbench.tasks.inheritance import BUILTIN, yaml_files
from taxbench.tasks.schema import task_file_schema
from taxbench.tasks.yaml_file import parse_yaml
from tests.tasks.malformed import FILES

jsonschema = pytest.importorskip("jsonschema")

# What a schema cannot see: other files, keys given twice, quotes, and how fields fit together.
_BEYOND = {"indentation.yaml", "same_name.yaml"}


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = task_file_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_every_default_task_fits(validator: Any) -> None:
    for path in yaml_files(BUILTIN):
        if not (file := parse_yaml(path)).abstract:
            assert [error.message for error in validator.iter_errors(file.data)] == [], path


@pytest.mark.parametrize("name", sorted(set(FILES) - _BEYOND))
def test_malformed_files_do_not_fit(validator: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(FILES[name].text)
    assert not validator.is_valid(parse_yaml(tmp_path / name).data)


@pytest.mark.parametrize(
    ("data", "fits"),
    [
        ({"name": "x", "extends": "leaf"}, True),
        ({"extends": "leaf"}, False),
        ({"name": "x", "extends": "../leaf"}, False),
        ({"name": "x"}, False),
        ({"name": "x-0.1", "extends": "leaf"}, False),
        ({"name": "x", "extends": "leaf", "deprivation": {"fraction": 0.2}}, True),
        ({"name": "x", "extends": "leaf", "deprivation": {"kind": "full", "fraction": 0.2}}, False),
        ({"name": "x", "extends": "leaf", "deprivation": {"fraction": 2}}, False),
        ({"name": "x", "extends": "leaf", "levels": {"values": [1]}}, True),
        (
            {"name": "x", "extends": "leaf", "questions": {"answers": {"positive": "Yes", "negative": ["No", "no"]}}},
            True,
        ),
        ({"name": "x", "extends": "leaf", "questions": {"template": "{{{term}}} or {plural}?"}}, True),
        ({"name": "x", "extends": "leaf", "questions": {"template": "nothing"}}, False),
        ({"name": "x", "extends": "leaf", "questions": {"template": "{term:.1}"}}, False),
        ({"name": "x", "extends": "leaf", "questions": {"template": "{term} {a_term.__class__}"}}, False),
        ({"name": "x", "extends": "leaf", "questions": {"answers": {"positive": " "}}}, False),
        ({"name": "a" * 101, "extends": "leaf"}, False),
        ({"group": "g", "summary": "s", "members": ["../leaf"]}, False),
        ({"group": "g", "summary": "s", "members": ["leaf"], "weights": "equal"}, True),
        ({"group": "g", "summary": "s", "members": ["leaf"], "weights": {"leaf": 1}}, True),
        ({"group": "g", "summary": "s"}, False),
    ],
)
def test_what_a_file_must_have_depends_on_what_it_extends(validator: Any, data: dict[str, Any], fits: bool) -> None:
    assert validator.is_valid(data) is fits


@pytest.mark.parametrize("choice", [{"kind": "random"}, {"fraction": 0.2}, {"kind": "random", "fraction": 0.2}])
def test_a_choice_is_given_whole_where_nothing_completes_it(validator: Any, choice: dict[str, Any]) -> None:
    data = {"name": "x", "version": 1, "summary": "s", "evaluate": ["leaf"], "deprivation": choice}
    assert validator.is_valid(data) is (len(choice) == 2)


def test_every_field_is_described() -> None:
    schema = task_file_schema()["$defs"]
    for model, name in ((TaskSpec, "TaskSpec"), (GroupSpec, "GroupSpec")):
        for field in model.model_fields:
            given = schema[name]["properties"][field]
            assert given.get("description") or schema[given["$ref"].rpartition("/")[2]]["description"], field
