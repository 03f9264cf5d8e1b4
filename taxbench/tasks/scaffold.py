"""Write a task file to start from."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from taxbench.specs.language_pair import CODE, ENGLISH
from taxbench.specs.task import NAME, PATTERNS
from taxbench.tasks.inheritance import PLAIN, SUFFIXES
from taxbench.tasks.language_files import BUILTIN_LANGUAGES, hypernyms_asked, languages
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


_LANGUAGE = """\
# A language: 'taxbench validate {path}' names what is missing, 'taxbench ls languages' lists it once it is whole.
language: {code}
name: ""      # what it is called in its own words
source: ""    # who wrote this, or where it is from, and the licence
answers: {{positive: "", negative: ""}}    # Yes, No; or lists: ["", ""]
templates:    # by hand, so that every label fits in as it stands below; {{a_term}} has its article, {{term}} has none
  presence: ""     # Is there {{a_term}} in this image?
  statement: ""    # There is {{a_term}} in this image.
frames:       # {{image}} is where the image stands, and may be a word with its article
  plain: "{{image}}. {{question}}"
  caption: ""      # This is an image of {{image}}. {{question}} Answer:
  qa: ""           # An image: {{image}}.\\nQuestion: {{question}}\\nAnswer:
  chat: ""         # This is an image of {{image}}. {{question}} Answer Yes or No.
nonsense:     # words that do not exist but could; two at least
  - {{term: "", a_term: ""}}
  - {{term: "", a_term: ""}}
labels:       # term: the bare word; a_term: as the templates say it, left out where that is the same;
  # reviewed: true from somebody who speaks the language, at the usual word for the sense of the taxonomy
{labels}
"""


def check_code(code: str, folder: Path) -> Path:
    """Return the file of a new language in a folder.

    Raises:
        UsageError: that is no code, the language is known, or the file is there.
    """
    if not re.fullmatch(CODE, code) or code == ENGLISH:
        raise UsageError(f"Invalid code '{code[:100]}': expected {PATTERNS[CODE]}, and another than {ENGLISH}.")
    path = folder / f"{code}.yaml"
    if code in languages() or os.path.lexists(path):
        raise UsageError(f"The language '{code}' is there already. Nothing was written.")
    return path


def write_new_language(
    code: str, folder: Path, words: Mapping[str, Sequence[str]] = MappingProxyType({}), source: str = ""
) -> Path:
    """Write CODE.yaml, whose blanks are to be filled in, into a folder; with words fr_CODE is begun by a copy of fr.

    Args:
        words: What more terms may be called, the likeliest first; none of it is reviewed.
        source: Where these are from.

    Raises:
        UsageError: as for `check_code`.
        CacheError: the folder cannot be written.
    """
    path = check_code(code, folder)
    base = code.partition("_")[0]
    built_in = {each.stem: each.read_text(encoding="utf-8") for each in sorted(BUILTIN_LANGUAGES.glob("*.yaml"))}
    text = built_in.get(base, "").replace(f"language: {base}", f"language: {code}", 1) if words else ""
    if not text:
        rows = [f'{term}: {{term: "", a_term: "", reviewed: false}}' for term in hypernyms_asked()["pocket"]]
        text = _LANGUAGE.format(path=path, code=code, labels="\n".join(f"  {row}" for row in rows))
    there = _labelled(text.partition("labels:")[2])
    lines = [_unreviewed(term, found, source) for term, found in words.items() if term not in there]
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        partial.write_text("\n".join([text.rstrip("\n"), *lines, ""]), encoding="utf-8")
    return path


def _labelled(text: str) -> list[str]:
    """Return the terms that the lines of a language's labels are about."""
    return re.findall(r"^  (\S[^#:]*): \{", text, re.M)


def _unreviewed(term: str, words: Sequence[str], source: str) -> str:
    """Return the line of a label that a speaker has yet to look at, with the other words that it may be."""
    key, word, quoted_source = (json.dumps(text, ensure_ascii=False) for text in (term, words[0], source))
    others = f"  # or {', '.join(words[1:])}" if words[1:] else ""
    return f"  {key}: {{term: {word}, reviewed: false, source: {quoted_source}}}{others}"
