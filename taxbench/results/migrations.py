"""Bring records of older forms up to the present one, a version at a time, on the JSON before it is checked.

A record's figures are never changed: what an older form did not hold is left out, as None, or as what held then.
"""

from collections.abc import Callable
from typing import Any

from taxbench.specs.result import SCHEMA_VERSION

OLDEST = 1


def migrate(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record in the present form.

    Raises:
        ValueError: its version is unknown; the text says which are.
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
    then, also where that is today's default, which may change. `digest` and `task` stay as recorded, although today's
    code would call the same run and the same task by other digests.
    """
    record = record | {"schema_version": 2, "predictions": None}
    return _before_many_heads(_before_the_protocol(record))


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


_STEPS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_1}
