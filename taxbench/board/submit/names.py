"""What may stand in a record of a stranger: text that shows what it is, sane numbers, and names that are no paths."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
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
_NAME = re.compile(r"[A-Za-z0-9 ._+:=,@()/-]+")
_KIND = re.compile(r"(?:folder|hf|imported|things|cifar100):")
_HEX = r"[0-9a-f]{4,128}(-random-[0-9]{1,20})?"


def value_problems(record: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the texts and numbers of a record, wherever they stand in it."""
    return list(_value_problems(record, ""))


def name_problems(result: Result) -> Iterator[str]:
    """Yield what is wrong with the names, digests and versions of a record."""
    run = result.run
    for what, name in (("dataset", run.dataset.name), ("encoder", run.encoder.name), ("lm", run.lm.name),
                       ("head", run.head.name)):  # fmt: skip
        if problem := _name_problem(name):
            yield f"The name of the {what}, '{name}', {problem}"
    if len(os.fsencode(result_folder(Path(), run).name)) > _LONGEST_FOLDER:
        yield f"The names are too long together for a folder's name: {', '.join((run.lm.name, run.encoder.name))} ..."
    patterns: list[tuple[str, str | None, str, str]] = [
        ("run.dataset.fingerprint", run.dataset.fingerprint, _HEX, "a digest"),
        ("run.encoder.digest", run.encoder.digest, r"[\w.+:-]{1,128}", "a digest"),
        ("run.encoder.features", run.encoder.features, _HEX, "a digest"),
        ("run.lm.digest", run.lm.digest, _HEX, "a digest"),
        ("note", result.note, r"[^<>]{0,200}", "at most 200 letters without markup"),
        *((f"versions.{name}", value, r"[A-Za-z0-9.+_-]{1,60}", "a version") for name, value in result.versions),
    ]  # fmt: skip
    for key, given in run.head.settings.items():
        patterns.append(("A setting's name", key, r"[a-z][a-z0-9_]{0,60}", "small letters, digits and _"))
        patterns.append((f"run.head.settings.{key}", str(given), r"[^<>`|]{0,200}", "a short value without markup"))
    for where, value, pattern, expected in patterns:
        if value is not None and not re.fullmatch(pattern, value, re.ASCII):
            yield f"{where} is '{value}'; expected {expected}."
    measured = [each.hypernym for each in result.visual_similarity.categories]
    leaks = [word for each in result.evidence.leaks for word in (each.leaf, each.hypernym)]
    listed = (result.evidence.removed_hypernyms, result.evidence.heldout_leaves, result.evidence.dropped_leaves,
              result.evidence.unpictured_leaves, result.evidence.fixed_points)  # fmt: skip
    for words in (measured, leaks, *listed):
        yield from word_problems("hypernyms and leaves", words, where="result.json")


def word_problems(
    what: str, words: Iterable[str], *, are_files: bool = False, where: str = "predictions.npz"
) -> Iterator[str]:
    """Yield what is wrong with the names of images, leaves or terms that predictions hold."""
    bad = [(word, problem) for word in words if (problem := _word_problem(word, are_files))]
    if bad:
        yield f"{where}: a name among its {what} {bad[0][1]}: {first_few((word for word, _ in bad), 3)}."


def _value_problems(value: Any, where: str) -> Iterator[str]:
    """Yield the texts and numbers below a record's part that may not stand there, by key path."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            if problem := _text_problem(key):
                yield f"A key under '{where or 'the record'}' {problem}: '{key}'."
            yield from _value_problems(each, f"{where}.{key}" if where else key)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _value_problems(each, f"{where}[{index}]")
    elif isinstance(value, str):
        if problem := _text_problem(value):
            yield f"{where} {problem}: '{value}'."
    elif isinstance(value, int | float) and abs(value) > _LARGEST:
        yield f"{where} is {str(value)[:40]}, larger than anything that is counted or measured here."


def _text_problem(text: str) -> str:
    """Say what is wrong with a text or name in a record: unseen letters or length; else nothing."""
    if has_unseen(text):
        return "has a letter that cannot be seen"
    return f"is longer than {_LONGEST_TEXT} letters" if len(text) > _LONGEST_TEXT else ""


def _word_problem(word: str, is_file: bool) -> str:
    """Say what is wrong with a name of an image, leaf or term: paths or markup; else nothing."""
    if problem := _text_problem(word):
        return problem
    if is_file:
        return "leads out of the dataset's folder" if _is_path(word) or "\\" in word else ""
    return "holds markup" if "<" in word or ">" in word else ""


def _name_problem(name: str) -> str:
    """Say what is wrong with a model's or dataset's name: length, a path, odd letters; else nothing."""
    publish = "Publish it under an alias of the registry or a hub id (owner/name), and run again."
    if len(name) > _LONGEST_NAME:
        return f"has {len(name):,} letters; expected at most {_LONGEST_NAME}."
    bare = _KIND.sub("", name, count=1)
    if _is_path(bare) or "\\" in bare or bare.count("/") > 1:
        return f"is a path on somebody's machine. {publish}"
    if not _NAME.fullmatch(name):
        odd = sorted({letter for letter in name if not _NAME.fullmatch(letter)})
        return f"has letters that no name has ({first_few(map(escaped, odd))}); expected A-Z, a-z, 0-9 and ._+-:/=,@()."
    return "" if name == name.strip() else "begins or ends with a blank."


def _is_path(name: str) -> bool:
    """Tell whether a name is a path: absolute, of a home folder, a drive, or with empty or dotted parts."""
    return name.startswith(("/", "~")) or bool({".", "..", ""} & set(name.split("/"))) or name[1:2] == ":"
