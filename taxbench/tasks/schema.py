"""The JSON Schema of a task file, for editors: what one file may say, of which a parent may say the rest."""

from typing import Any

from taxbench.specs.group import GroupSpec
from taxbench.specs.refusals import PLACEHOLDERS
from taxbench.specs.task import Levels, TaskSpec

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REQUIRED_OF_A_CHILD = ["name"]
_CHOICES = ("deprivation", "counterfactual")


def task_file_schema() -> dict[str, Any]:
    """Return the JSON Schema of task files (draft 2020-12).

    A file that `extends` another one must give its name only, and may give a part of a mapping; a choice with a `kind`
    is given whole unless its one number varies by `levels`. What needs other files is left to `taxbench validate`.
    """
    task, defs = _taken_apart(TaskSpec.model_json_schema())
    levels, more = _taken_apart(Levels.model_json_schema())
    group, groups = _taken_apart(GroupSpec.model_json_schema())
    defs |= more | groups
    defs["Levels"] = levels | {"required": []}
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
    task["required"] = _REQUIRED_OF_A_CHILD
    partly = {"anyOf": [{"required": ["extends"]}, {"required": ["levels"]}]}
    task["allOf"] = [
        {"if": {"required": ["extends"]}, "else": {"required": required}},
        {"if": partly, "else": {"properties": strict}},
    ]
    defs |= {"TaskSpec": task, "GroupSpec": group}
    return {
        "$schema": DIALECT,
        "title": "taxbench task file",
        "type": "object",
        "if": {"required": ["group"]},
        "then": {"$ref": "#/$defs/GroupSpec"},
        "else": {"$ref": "#/$defs/TaskSpec"},
        "$defs": dict(sorted(defs.items())),
    }


def _taken_apart(schema: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a model's schema and the definitions that it refers to."""
    return schema, schema.pop("$defs", {})


def _loosen(task: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    """Allow a part of what a parent or `levels` completes; return, by choice, what is required without them."""
    for part in ("Expected", "PropertyQuestions"):
        defs[part]["required"] = []
    braces = "|".join(PLACEHOLDERS)
    # Other braces are literal only where they are doubled.
    defs["Questions"]["properties"]["template"]["pattern"] = (
        rf"^(?:[^{{}}]|\{{\{{|\}}\}})*\{{(?:{braces})\}}(?:[^{{}}]|\{{\{{|\}}\}}|\{{(?:{braces})\}})*$"
    )
    for side in ("positive", "negative"):  # one string may stand for a list of one
        answers = defs["Answers"]["properties"][side]
        several = {"type": answers.pop("type"), "items": answers.pop("items"), "minItems": 1}
        answers["anyOf"] = [several["items"], several]
    strict = {}
    for name in _CHOICES:
        choice = task["properties"][name]
        variants = [reference["$ref"].rpartition("/")[2] for reference in choice.pop("oneOf")]
        choice.pop("discriminator", None)
        tags = {variant: {"type": "object", "required": ["kind"],
                          "properties": {"kind": {"const": defs[variant]["properties"]["kind"]["const"]}}}
                for variant in variants}  # fmt: skip
        whole = []
        for variant in variants:
            required = [field for field in defs[variant].pop("required", []) if field != "kind"]
            whole.append({"if": tags[variant], "then": {"required": required}})
            defs[variant]["required"] = ["kind"]
        properties: dict[str, Any] = {}
        for variant in variants:
            properties |= defs[variant]["properties"]
        properties["kind"] = {
            "enum": [defs[variant]["properties"]["kind"]["const"] for variant in variants],
            "description": "Which choice it is; it replaces a parent's choice whole.",
        }
        branches = [{"if": tags[variant], "then": {"$ref": f"#/$defs/{variant}"}} for variant in variants]
        choice |= {"type": "object", "properties": properties, "additionalProperties": False, "allOf": branches}
        strict[name] = {"required": ["kind"], "allOf": whole}
    return strict
