"""Write a task file to start from."""

import os
import re
from pathlib import Path

from taxbench.specs.task import NAME
from taxbench.tasks.inheritance import PLAIN, SUFFIXES
from taxbench.tasks.registry import TaskRegistry
from taxbench.tasks.task_files import TaskFile, read_task_file
from taxbench.util.errors import UsageError, did_you_mean
from taxbench.util.paths import replacing

_TEXT = """\
# A task: what differs from '{parent}'. 'taxbench schema' lists every field, 'taxbench show {shown}' what holds now.
name: {name}
version: 1        # raise it when the content changes; results carry it
summary: As {parent}, but ...
tags: [mine]
extends: {parent}

# Take away a '#' to change something; what is not said here is inherited.
{suggestions}#questions:
#  template: "Does this picture show {{a_term}}?"
#  answers: {{positive: "Yes", negative: "No"}}    # in quotes
"""

_OF_A_TASK = """\
#deprivation: {kind: random, fraction: 0.3}    # none, full, random or systematic
#counterfactual: {kind: across_category}        # none, within_category, across_category, swap_categories or graded
#evaluate: [leaf, heldout_leaf, seen, unseen]
"""
_OF_A_CURVE = """\
#levels: {values: [0.2, 0.8]}    # null: one task and no curve; then give the field that varied a value
"""


def write_new_task(name: str, parent: str, folder: Path, registry: TaskRegistry) -> Path:
    """Write NAME.yaml, which extends a task, into a folder; it is valid as it stands.

    Raises:
        UsageError: the name is no name or taken, the file is there, or the parent cannot be extended from there.
        CacheError: the folder cannot be written.
    """
    if not re.fullmatch(NAME, name):
        how = "use lower-case letters, digits and underscores, 100 at most, such as my_task"
        raise UsageError(f"Invalid task name '{name[:100]}': {how}.")
    path = folder / f"{name}.yaml"
    for there in (folder / f"{name}{suffix}" for suffix in SUFFIXES):
        if os.path.lexists(there):
            raise UsageError(f"'{there}' is there already. Nothing was written; choose another name or --out.")
    if name in registry.files:
        raise UsageError(f"The name '{name}' is taken by {registry.files[name].path}. Choose another.")
    extended = _parent(parent, path, registry)
    suggestions = _OF_A_CURVE if extended.group else _OF_A_TASK
    with replacing(path) as partial:
        text = _TEXT.format(name=name, parent=parent, shown=path, suggestions=suggestions)
        partial.write_text(text, encoding="utf-8")
    return path


def _parent(parent: str, child: Path, registry: TaskRegistry) -> TaskFile:
    """Return the file to extend; one that says nothing but `extends` is then a task."""
    if not PLAIN.fullmatch(parent):
        raise UsageError(f"--extends '{parent[:100]}': expected a name without folder or .yaml.")
    path = registry.task_path.parent(parent, child)
    if path is None:
        if (home := registry.files.get(parent)) is not None and home.path.stem != parent:
            raise UsageError(f"'{parent}' is made by the file '{home.path.stem}': type --extends {home.path.stem}.")
        known = [stem for stem in registry.task_path.parents(child) if stem in registry.files]
        beside = " It must lie in --out or be a default task." if parent in registry.files else ""
        raise UsageError(f"--extends '{parent}': there is no such task file.{did_you_mean(parent, known)}{beside}")
    file = read_task_file(path, registry.task_path)
    if file.findings:
        raise UsageError(f"--extends '{parent}' is broken:\n" + "\n".join(map(str, file.findings)))
    if file.group is not None and file.is_group:
        raise UsageError(f"--extends '{parent}' is a group; extend a member: {', '.join(file.group.members)}.")
    if not file.names:
        raise UsageError(f"--extends '{parent}' is abstract and leaves fields open; extend a task that builds on it.")
    return file
