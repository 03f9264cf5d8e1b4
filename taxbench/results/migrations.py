"""Bring records of older forms up to the present one, a version at a time, on the JSON before it is checked.

A record's scores are never changed: what an older form did not hold is left out, as None, or as what held then.
"""

import json
import re
from collections.abc import Callable
from operator import attrgetter
from typing import Any

from pydantic import ValidationError

from taxbench.specs.result import SCHEMA_VERSION
from taxbench.specs.run import RunSpec

OLDEST = 1
_NUMERICS = dict.fromkeys(("6bc408b4", "9679cb35", "5cc3b8e0", "71dfe9c1"), "1")
"""What today's code calls the code that a digest of the sources named: commits 66139ac to baecad4 changed no number."""
_REPEATED = {
    "digest": "digest", "task": "task.identity", "dataset": "dataset.name", "encoder": "encoder.name",
    "lm": "lm.name", "head": "head.name", "seed": "seed",
}  # fmt: skip
"""What records of versions 1 and 2 repeated of their `run`."""


def migrate(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record in the present form.

    Raises:
        ValueError: its version is unknown, or it contradicts itself; the text says how.
    """
    version = record.get("schema_version")
    if type(version) is not int or not OLDEST <= version <= SCHEMA_VERSION:
        newer = type(version) is int and version > SCHEMA_VERSION
        hint = "; a newer taxbench wrote it: pip install --upgrade taxbench" if newer else ""
        raise ValueError(f"schema_version is {version!r}; expected {OLDEST} to {SCHEMA_VERSION}{hint}")
    while (version := record["schema_version"]) < SCHEMA_VERSION:
        record = _STEPS[version](record)
    return record


def _from_1(record: dict[str, Any]) -> dict[str, Any]:
    """Version 2 has columnar predictions with digests, controls for every term, and the commit.

    Predictions of version 1 were CSV and did not say the leaf of an image, so nothing is computed from them any more.
    Version 1 grew without a change of its number, so what its earlier records lack is filled in as well: with what held
    then, also where that is today's default, which may change. The run and the task get the digests of today's code.
    """
    record = record | {"schema_version": 2, "predictions": None}
    record = _before_many_heads(_before_the_protocol(record))
    run = _parsed(_with_options(_section(record, "run")))
    return record if run is None else record | {"digest": run.digest, "task": run.task.identity}


def _before_the_protocol(record: dict[str, Any]) -> dict[str, Any]:
    """Fill in what records lacked until commit e18e8b8, which brought more evidence, negatives and leaks."""
    evidence = _section(record, "evidence")
    # A leaf was dropped for having the very name of a hypernym, and nothing else was known as a leak.
    leaks = [{"leaf": leaf, "hypernym": leaf, "kind": "exact"} for leaf in evidence.get("dropped_leaves", ())]
    evidence = {"removed_hypernyms": [], "leaks": leaks, "unpictured_leaves": [], **evidence}
    run = _section(record, "run")
    task = _section(run, "task")
    questions = {"negatives": "uniform", "articles": "lexicon", **_section(task, "questions")}
    metrics = [{"name": "macro_f1", "primary": True}, {"name": "auroc", "primary": False}]
    task = {"leaks": "drop", "metrics": metrics, "settings": {}, "expected": None, **task, "questions": questions}
    return record | {"evidence": evidence, "run": run | {"task": task}}


def _before_many_heads(record: dict[str, Any]) -> dict[str, Any]:
    """Fill in what records lacked until commits eb76ecc, which brought other heads, and 97028f4, which set beta2."""
    run = _section(record, "run")
    usual = {"beta2": 0.999, "loss": "answer", "order": "image_first", "patience": 0}  # PyTorch's own beta2
    parts = {
        "encoder": {"reading": "pooled", **_section(run, "encoder")},
        "head": {"source": "", **_section(run, "head")},
        "trainer": {**usual, **_section(run, "trainer")},
        "scoring": run.get("scoring", {"calibration": "none"}),
    }
    return {"fitted": {}, "note": "", **record, "run": run | parts}


def _section(record: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a part of a record; where it is no object, an empty one, which the check of the whole then refuses."""
    part = record.get(name)
    return part if isinstance(part, dict) else {}


def _from_2(record: dict[str, Any]) -> dict[str, Any]:
    """Version 3 says nothing twice: what follows from `run` is left out, once it was seen to agree.

    Options of features take the place of words for them, the release stands apart from the code that computes numbers,
    and whether the head is a control is said outright.
    """
    rest = {name: part for name, part in record.items() if name not in _REPEATED}
    if isinstance(record.get("run"), dict):
        rest["run"] = _with_options(record["run"])
    if (run := _parsed(rest.get("run"))) is not None:
        for name, place in _REPEATED.items():
            recorded, meant = record.get(name), attrgetter(place)(run)
            if json.dumps(recorded) != json.dumps(meant):
                raise ValueError(
                    f"{name} is '{str(recorded)[:100]}', but `run` says '{meant}': one of them was edited. Send the "
                    "record as it was written"
                )
    versions = _section(record, "versions")
    newer = ((record, "is_control"), (versions, "numerics"), (_section(_section(record, "run"), "encoder"), "options"))
    if names := [name for part, name in newer if name in part]:
        raise ValueError(f"a record of version 2 has no {names[0]}, which came with version 3")
    if isinstance(text := versions.get("taxbench"), str):
        release, _, code = text.partition("+")
        rest["versions"] = versions | {"taxbench": release, "numerics": _NUMERICS.get(code, code or release)}
    return rest | {"schema_version": 3, "is_control": str(record.get("note", "")).startswith("control")}


def _with_options(run: dict[str, Any]) -> dict[str, Any]:
    """Return a run with the options of its features in the place of words, which do not say how they are stored."""
    encoder = _section(run, "encoder")
    words = encoder.get("reading", "pooled")
    match = re.fullmatch(r"(pooled|tokens|grid[1-9]\d?)(?:, layer (-?\d{1,3}))?", str(words), re.ASCII)
    if match is None and words != "imported":
        raise ValueError(f"run.encoder.reading is '{str(words)[:100]}'; expected such as 'pooled' or 'grid4, layer -2'")
    # The words did not say how features are stored; `reproduce` goes by the features' key, which does.
    options = None if match is None else {"pool": match[1], "layer": int(match[2] or -1), "storage": "float16"}
    return run | {"encoder": {name: encoder[name] for name in encoder if name != "reading"} | {"options": options}}


def _parsed(run: Any) -> RunSpec | None:
    """Return a run of the present form; of anything else nothing, which the check of the whole then refuses."""
    try:
        return RunSpec.model_validate_json(json.dumps(run))
    except ValidationError:
        return None


_STEPS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_1, 2: _from_2}
