"""Find languages: the files of the package, those of a folder of one's own, and what is wrong with them."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

from taxbench.specs.language import Language
from taxbench.specs.language_pair import CODE, ENGLISH
from taxbench.tasks.diagnostics import Diagnostic, errors
from taxbench.tasks.messages import check
from taxbench.tasks.yaml_file import BadYaml, YamlFile, parse_yaml
from taxbench.util.errors import TaskError, UsageError, did_you_mean, first_few
from taxbench.util.paths import PACKAGE

BUILTIN_LANGUAGES = PACKAGE / "registry" / "languages"
FOLDER_VARIABLE = "TAXBENCH_LANGUAGES"
_OWN_FOLDER = "languages"
_HYPERNYMS = PACKAGE / "registry" / "hypernyms.yaml"
_SHOWN = 14


def own_folder() -> Path:
    """Return the folder of the user's own languages: TAXBENCH_LANGUAGES, or `languages` where the command is typed."""
    return Path(os.environ.get(FOLDER_VARIABLE, _OWN_FOLDER))


def language_paths() -> list[Path]:
    """Return the files of all languages, the built-in ones first."""
    return [path for folder in (BUILTIN_LANGUAGES, own_folder()) for path in sorted(folder.glob("*.yaml"))]


def is_language_file(path: Path) -> bool:
    """Say whether a file is meant to be a language: it says so, or lies among others."""
    if path.suffix != ".yaml" or not path.is_file():
        return False
    if path.parent.resolve() in (BUILTIN_LANGUAGES, own_folder().resolve()):
        return True
    try:
        data = parse_yaml(path).data
    except BadYaml:
        return False
    return len(data.keys() & {"language", "answers", "templates", "frames", "nonsense", "labels"}) > 1


def read_language(path: Path) -> tuple[Language | None, list[Diagnostic]]:
    """Read one file; return the language, None where something is wrong, and all that is wrong."""
    try:
        file = parse_yaml(path)
    except BadYaml as error:
        return None, [error.finding]
    language, found = check(Language, file.data, file.error)
    found += file.problems
    code = file.data.get("language")
    if code == ENGLISH:
        found.append(
            file.error(("language",), "the words of English are those of the datasets; no file says them anew")
        )
    elif isinstance(code, str) and code != path.stem:
        found.append(file.error(("language",), f"language: '{code}' stands in {path.name}; call the file {code}.yaml"))
    return (None if found else language), found


def check_language(path: Path) -> tuple[Language | None, list[Diagnostic]]:
    """Read one file and name every piece that is missing, also those that it is valid without; as `read_language`."""
    language, found = read_language(path)
    with suppress(BadYaml):  # which is among what was found
        file = parse_yaml(path)
        said = file.data.get("labels")
        pairs = said.items() if isinstance(said, dict) else ()
        labels = {term: label if isinstance(label, dict) else {} for term, label in pairs}
        findings = chain(_missing(file, labels), _unreviewed(file, labels), _said_twice(file, labels))
        found += [replace(each, level="warning") for each in findings]
    return language, found


def _missing(file: YamlFile, labels: dict[str, Any]) -> Iterator[Diagnostic]:
    """Yield which hypernyms of datasets, and which other words of the built-in languages, have no label."""
    others = [each for code, each in _read(BUILTIN_LANGUAGES).items() if code != file.data.get("language")]
    expected = [term for term in others[0].labels if all(term in each.labels for each in others)] if others else []
    missing = [term for term in expected if term not in labels]
    for term in labels:
        if term not in expected and (hint := did_you_mean(term, missing)):
            yield file.error(("labels", term), f"labels.{term}: no other language has this word.{hint}")
    words = {f"hypernyms of {dataset}": terms for dataset, terms in hypernyms_asked().items()}
    above = {*chain(*words.values())}
    words["leaves that other languages name"] = tuple(term for term in expected if term not in above)
    for what, terms in words.items():
        if lacking := [term for term in terms if term not in labels]:
            count = f"{len(lacking)} of the {len(terms)} {what} {'has' if len(lacking) == 1 else 'have'} no label"
            yield file.error(("labels",), f"labels: {count}: {first_few(lacking, _SHOWN)}")


def _unreviewed(file: YamlFile, labels: dict[str, Any]) -> Iterator[Diagnostic]:
    """Yield which words are there and will never be asked, hypernyms apart from others."""
    above = {*chain(*hypernyms_asked().values())}
    doubtful = [term for term, label in labels.items() if label and label.get("reviewed", False) is False]
    for what, is_above in (("hypernyms", True), ("other words", False)):
        if terms := [term for term in doubtful if (term in above) == is_above]:
            said = f"labels: {what} not reviewed, and so never asked: {first_few(terms, _SHOWN)}"
            yield file.error(("labels", terms[0]), said)


def _said_twice(file: YamlFile, labels: dict[str, Any]) -> Iterator[Diagnostic]:
    """Yield which terms are called, or asked, as another one is that the same dataset may ask; both reviewed."""
    forms = {
        term: {str(label.get(key) or "").casefold() for key in ("term", "a_term")} - {""}
        for term, label in labels.items()
        if label.get("reviewed", False) is not False
    }
    for place, term in enumerate(forms):
        before = [*forms][:place]
        if alike := [other for other in before if forms[other] & forms[term] and _may_meet(other, term)]:
            said = f"labels.{term}: the same word as for {first_few(alike)}; questions about them cannot be told apart"
            yield file.error(("labels", term), said)


def _may_meet(*terms: str) -> bool:
    """Say whether one dataset may ask all of some terms: not where they are hypernyms of different ones."""
    homes = [{dataset for dataset, asked in hypernyms_asked().items() if term in asked} for term in terms]
    return not all(homes) or bool(set.intersection(*homes))


@cache
def hypernyms_asked() -> dict[str, tuple[str, ...]]:
    """Return the hypernyms of the datasets that languages are meant for, by dataset."""
    return {dataset: tuple(terms) for dataset, terms in parse_yaml(_HYPERNYMS).data.items()}


def _read(folder: Path) -> dict[str, Language]:
    """Return the languages of a folder that can be read."""
    found = {path.stem: read_language(path)[0] for path in sorted(folder.glob("*.yaml"))}
    return {code: language for code, language in found.items() if language is not None}


def languages() -> dict[str, Language]:
    """Return all languages that can be used, by code; a built-in code cannot be taken."""
    return {**_read(own_folder().resolve()), **_read(BUILTIN_LANGUAGES)}


def find_language(code: str) -> Language:
    """Return a language.

    Raises:
        UsageError: there is none of that code.
        TaskError: its file is broken; with every problem of it, one a line.
    """
    for path in (folder / f"{code}.yaml" for folder in (BUILTIN_LANGUAGES, own_folder())):
        if re.fullmatch(CODE, code) and path.is_file():
            language, found = read_language(path)
            if language is None:
                raise TaskError("\n".join(map(str, errors(found))))
            return language
    raise UsageError(no_language(code))


def no_language(code: str) -> str:
    """Say that there is no language of a code, and what to do."""
    known = ", ".join([ENGLISH, *languages()])
    return f"Unknown language '{code}'. Languages: {known}; 'taxbench new language {code}' begins another one."


def language_schema() -> dict[str, Any]:
    """Return the JSON Schema of language files (draft 2020-12)."""
    about = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "taxbench language file"}
    return Language.model_json_schema() | about
