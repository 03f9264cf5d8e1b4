"""What may stand in a record of a stranger: text that shows what it is, sane numbers, and names that are no paths."""

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from taxbench.results.records import result_folder
from taxbench.specs.result import Result
from taxbench.util.errors import first_few
from taxbench.util.text import escaped, has_unseen

_LONGEST_NAME = 200
_LONGEST_TEXT = 1000
_LONGEST_FOLDER = 240  # bytes; file systems have 255
_LARGEST = 10**15
# ASCII only: a Cyrillic letter would make another "pocket" that nobody can tell from the real one.
_NO_NAME = re.compile(r"[^A-Za-z0-9 ._+:=,@()/-]")
_KIND = re.compile(r"(?:folder|hf|imported|things|cifar100):")


def value_problems(raw: Any, read: Any, where: str = "") -> Iterator[str]:
    """Yield the texts and numbers of a record that may not stand there, or in another form than they are read.

    Another program may read 1 for true or "0.9" for 0.9 differently, so that a record would not mean one thing.

    Args:
        raw: The record as it is written, in the present form, or a part of it.
        read: The same as it was read, in JSON's types.
        where: The key path of the part.
    """
    if isinstance(raw, dict) and isinstance(read, dict):
        for key, value in raw.items():
            if problem := _text_problem(key):
                yield f"A key under '{where or 'the record'}' {problem}: '{key}'."
            yield from value_problems(value, read.get(key), f"{where}.{key}" if where else key)
        return
    if isinstance(raw, list) and isinstance(read, list) and len(raw) == len(read):
        for index, (one, other) in enumerate(zip(raw, read, strict=True)):
            yield from value_problems(one, other, f"{where}[{index}]")
        return
    if isinstance(raw, str) and (problem := _text_problem(raw)):
        yield f"{where} {problem}: '{raw}'."
    if isinstance(raw, int | float) and abs(raw) > _LARGEST:
        yield f"{where} is {str(raw)[:40]}, larger than anything that is counted or measured here."
    if type(raw) is not type(read) or raw != read:
        yield f"{where} is written as {json.dumps(raw)[:60]}; taxbench writes {json.dumps(read)[:60]}."


def name_problems(result: Result) -> Iterator[str]:
    """Yield what is wrong with the names, versions, settings and words of a record."""
    run, evidence = result.run, result.evidence
    for what, named in (("dataset", run.dataset), ("encoder", run.encoder), ("lm", run.lm), ("head", run.head)):
        if problem := _name_problem(named.name):
            yield f"The name of the {what}, '{named.name}', {problem}"
    if len(os.fsencode(result_folder(Path(), run).name)) > _LONGEST_FOLDER:
        yield f"The names are too long together for a folder's name: {run.lm.name}, {run.encoder.name} ..."
    limits = [("note is", result.note, r"[^<>]{0,200}", "at most 200 letters without markup")]
    for name, version in result.versions:
        if version is not None:
            limits.append((f"versions.{name} is", version, r"[A-Za-z0-9.+_-]{1,60}", "a version"))
    for name, value in run.head.settings.items():
        limits.append(("A setting's name is", name, r"[a-z][a-z0-9_]{0,60}", "small letters, digits and _"))
        limits.append((f"run.head.settings.{name} is", str(value), r"[^<>`|]{0,200}", "a short value without markup"))
    yield from (f"{what} '{given}'; expected {said}." for what, given, form, said in limits
                if not re.fullmatch(form, given, re.ASCII))  # fmt: skip
    words = [each.hypernym for each in result.visual_similarity.categories]
    words += [word for each in evidence.leaks for word in (each.leaf, each.hypernym)]
    for listed in (evidence.removed_hypernyms, evidence.heldout_leaves, evidence.dropped_leaves,
                   evidence.unpictured_leaves, evidence.unasked_leaves, evidence.fixed_points):  # fmt: skip
        words += listed
    yield from word_problems("hypernyms and leaves", words, where="result.json")


def word_problems(what: str, words: Iterable[str], where: str = "predictions.npz") -> Iterator[str]:
    """Yield what is wrong with the names of images, which are files, or of leaves, terms or splits."""
    bad = [(word, problem) for word in words if (problem := _text_problem(word) or _word_problem(what, word))]
    if bad:
        yield f"{where}: a name among its {what} {bad[0][1]}: {first_few((word for word, _ in bad), 3)}."


def _text_problem(text: str) -> str:
    """Say what is wrong with a text or name in a record: unseen letters or length; else nothing."""
    if has_unseen(text):
        return "has a letter that cannot be seen"
    return f"is longer than {_LONGEST_TEXT} letters" if len(text) > _LONGEST_TEXT else ""


def _word_problem(what: str, word: str) -> str:
    """Say what is wrong with the name of an image, leaf or term: a path that leads away, or markup; else nothing."""
    if what == "images":
        return "leads out of the dataset's folder" if _is_path(word) else ""
    return "holds markup" if "<" in word or ">" in word else ""


def _name_problem(name: str) -> str:
    """Say what is wrong with a model's or dataset's name: length, a path, odd letters; else nothing."""
    if len(name) > _LONGEST_NAME:
        return f"has {len(name):,} letters; expected at most {_LONGEST_NAME}."
    bare = _KIND.sub("", name, count=1)
    if _is_path(bare) or bare.count("/") > 1:
        publish = "Publish it under an alias of the registry or a hub id (owner/name), and run again."
        return f"is a path on somebody's machine. {publish}"
    if odd := sorted(set(_NO_NAME.findall(name))):
        return f"has letters that no name has ({first_few(map(escaped, odd))}); expected A-Z, a-z, 0-9 and ._+-:/=,@()."
    return "" if name == name.strip() else "begins or ends with a blank."


def _is_path(name: str) -> bool:
    """Tell whether a name is a path: absolute, of a home folder, a drive or Windows, or with empty or dotted parts."""
    odd = name.startswith(("/", "~")) or name[1:2] == ":" or "\\" in name
    return odd or bool({".", "..", ""} & set(name.split("/")))
