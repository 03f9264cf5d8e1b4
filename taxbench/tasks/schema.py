"""The JSON Schema of a task file, for editors: what one file may say, of which a parent may say the rest."""

from typing import Any

from pydantic.json_schema import models_json_schema

from taxbench.specs.group import GroupSpec
from taxbench.specs.refusals import PLACEHOLDERS
from taxbench.specs.task import Levels, TaskSpec

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_CHOICES = ("deprivation", "counterfactual")


def task_file_schema() -> dict[str, Any]:
    """Return the JSON Schema of task files (draft 2020-12).

    A file that `extends` another one must give its name only, and may give a part of a mapping; a choice with a `kind`
    is given whole unless its one number varies by `levels`. What needs other files is left to `taxbench validate`.
    """
    models = (TaskSpec, GroupSpec, Levels)
    defs = models_json_schema([(model, "validation") for model in models])[1]["$defs"]
    task, group, _ = (defs[model.__name__] for model in models)
    strict = _loosen(task, defs)
    task["properties"] |= {
        "extends": {
            "type": "string",
            "pattern": "^[^/]{1,200}$",
            "description": "A file beside this one, or a default task, without .yaml.",
        },
        "levels": {"$ref": "#/$defs/Levels"},
    }
    # Names of files have no level; `levels` adds it.
    task["properties"]["name"]["pattern"] = group["properties"]["group"]["pattern"]
    required = task.pop("required")
    task["required"] = ["name"]
    partly = {"anyOf": [{"required": ["extends"]}, {"required": ["levels"]}]}
    task["allOf"] = [
        {"if": {"required": ["extends"]}, "else": {"required": required}},
        {"if": partly, "else": {"properties": strict}},
    ]
    return {
        "$schema": DIALECT,
        "title": "taxbench task file",
        "type": "object",
        "if": {"required": ["group"]},
        "then": {"$ref": "#/$defs/GroupSpec"},
        "else": {"$ref": "#/$defs/TaskSpec"},
        "$defs": defs,
    }


def _loosen(task: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    """Allow a part of what a parent or `levels` completes; return, by choice, what is required without them."""
    for part in ("Expected", "Levels", "PropertyQuestions"):
        defs[part]["required"] = []
    braces = "|".join(PLACEHOLDERS)
    # Other braces are literal only where they are doubled.
    defs["Questions"]["properties"]["template"]["pattern"] = (
        rf"^(?:[^{{}}]|\{{\{{|\}}\}})*\{{(?:{braces})\}}(?:[^{{}}]|\{{\{{|\}}\}}|\{{(?:{braces})\}})*$"
    )
    strict = {}
    for name in _CHOICES:
        choice = task["properties"][name]
        choice.pop("discriminator")
        choice["anyOf"] = choice.pop("oneOf")
        whole = [variant | {"required": defs[variant["$ref"].rpartition("/")[2]].pop("required")}
                 for variant in choice["anyOf"]]  # fmt: skip
        strict[name] = {"anyOf": whole}
    return strict
