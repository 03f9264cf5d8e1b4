"""THINGS: photos of everyday concepts with the higher-level categories of THINGSplus, as downloaded from OSF.

The leaves are the concept folders, since concepts that share a name ("baton": a weapon, a piece of sports equipment)
differ in their hypernyms; what is asked is the name. `files/things.tsv` and `files/things_hypernyms.tsv` hold the
published selection and wording; a THINGSplus category file beside the images takes their place.
"""

import re
from collections.abc import Collection, Iterable
from pathlib import Path

from taxbench.datasets.dataset import Dataset
from taxbench.datasets.folder import DECODER, ClassFolder, ImageFiles, folders_in, scan
from taxbench.datasets.known import data_home
from taxbench.taxonomy.tables import Table, read_table
from taxbench.taxonomy.taxonomy import WORDNET, Taxonomy, TaxonomyRow, read_rows
from taxbench.util.errors import DataError, UsageError, first_few

CONCEPTS = Path(__file__).with_name("files") / "things.tsv"
_HYPERNYMS = CONCEPTS.with_name("things_hypernyms.tsv")
# Where OSF keeps the category file, from the images' folder or the one above.
_CATEGORY_FOLDERS = (".", "03_category-level", "THINGSplus/Metadata/Concept-specific", "Metadata/Concept-specific")
_MEND = "Download the file (category53_longFormat.tsv) again or move it away."
# The archives unpack to object_images/CONCEPT, and in parts to Images/object_images_A-C/CONCEPT.
_DEPTH = 3


def load(argument: str, taxonomy: Path | None) -> Dataset:
    """Load `things:PATH`, or `things` from the data folder.

    The hypernyms come from --taxonomy where one is given, else from THINGSplus's category53 file in PATH or beside it,
    else from the package. Concepts without hypernyms are not used.

    Raises:
        UsageError: there is no such folder; says how to get the images.
        DataError: concept folders are missing, empty or there twice, or a table cannot be read.
    """
    root = Path(argument).expanduser() if argument else data_home("things")
    if not root.is_dir():
        raise UsageError(f"No such folder: '{root}'. {_how_to_get(root)}")
    source = taxonomy or _category_file(root) or CONCEPTS
    rows = _rows(source, given=taxonomy is not None)
    folders, others = _find_concepts(root, {row.folder for row in rows})
    if not folders:
        raise DataError(f"The folder '{root}' holds no concept of THINGS. {_how_to_get(root)}")
    images = scan(ClassFolder(folders[row.folder], row.folder, row.folder) for row in rows if row.folder in folders)
    present = {image.leaf for image in images}
    if missing := [row.folder for row in rows if row.folder not in present]:
        raise DataError(
            f"{len(missing)} of {len(rows)} concepts of THINGS have no image in '{root}': {first_few(missing)}. "
            "Unpack the archive again ('unzip -n' keeps what is there), or "
            f"name the concepts to use with --taxonomy FILE.tsv, some lines of '{CONCEPTS}'."
        )
    table = Taxonomy(
        {row.folder: row.hypernyms for row in rows},
        {row.folder: row.leaf for row in rows if row.leaf != row.folder},
    )
    notes = [] if source == CONCEPTS else [f"The hypernyms of THINGS are those of '{source}'."]
    if others:
        notes.append(f"{others} folders of '{root}' are not used: THINGS gives their concepts no hypernym.")
    files = ImageFiles(tuple(sorted({folder.parent for folder in folders.values()})))
    display_name = {*table.hypernyms, *(row.leaf for row in rows)}
    forms = {term: form for term, form in sorted(published_forms().items()) if term in display_name}
    return Dataset("things", tuple(images), table, DECODER, files.read, forms, tuple(notes), file=files.path)


def published_forms() -> dict[str, str]:
    """Return the terms of THINGS as the published questions say them: "aardvark" -> "an aardvark"."""
    forms = {row.leaf: row.form for row in read_rows(CONCEPTS)}
    return forms | {row["hypernym"]: row["form"] for _, row in read_table(_HYPERNYMS).rows}


def _rows(source: Path, given: bool) -> list[TaxonomyRow]:
    """Read the concepts to use, sorted; a category file says only which hypernyms they have."""
    if given and str(source) == WORDNET:
        raise UsageError("THINGS brings its own taxonomy: leave --taxonomy out, or give a file.")
    if given or source == CONCEPTS:
        return sorted(read_rows(source), key=lambda row: row.folder)
    names = {row.folder: row.leaf for row in read_rows(CONCEPTS)}
    hypernym_of = {_letters(row["category"]): row["hypernym"] for _, row in read_table(_HYPERNYMS).rows}
    groups: dict[str, set[str]] = {}
    for concept, category in _memberships(source, hypernym_of):
        groups.setdefault(concept, set()).add(hypernym_of.get(_letters(category), category))
    if not groups:
        raise DataError(f"The category file '{source}' puts no concept into a category.")
    return [
        TaxonomyRow(
            line, concept, names.get(concept) or re.sub(r"\d+$", "", concept).replace("_", " "), tuple(sorted(group))
        )
        for line, (concept, group) in enumerate(sorted(groups.items()), start=2)
    ]


def _category_file(root: Path) -> Path | None:
    """Return THINGSplus's category file where the user has it, the long format first."""
    places = [base / folder for base in (root, root.resolve().parent) for folder in _CATEGORY_FOLDERS]
    found = [path for place in places for path in sorted(place.glob("category53*.tsv"))]
    return found[0] if found else None


def _memberships(source: Path, known: Collection[str]) -> Iterable[tuple[str, str]]:
    """Yield concept and category of a file in long format (a category a line) or wide format (a 0/1 column each)."""
    table = read_table(source, f". {_MEND}")
    concept = next((name for name in table.columns if _letters(name) == "uniqueid"), None)
    category = next((name for name in table.columns if _letters(name) == "category"), None)
    flags = [] if category else _flags(source, table, known)
    if concept is None or not (category or flags):
        raise DataError(
            f"{source}:{table.line}: expected the columns 'uniqueID' and 'category', or 'uniqueID' and a 0/1 column "
            f"for each category, found {list(table.columns)}. {_MEND}"
        )
    for _, row in table.rows:
        held = [row[category]] if category else [name.replace(".", " ") for name in flags if row[name] == "1"]
        yield from ((row[concept], name.strip()) for name in held if name.strip())


def _flags(source: Path, table: Table, known: Collection[str]) -> list[str]:
    """Return the columns of 0 and 1: those of known categories must be, and those that are in half of the rows."""
    flags = []
    for name in table.columns:
        odd = [(line, row[name]) for line, row in table.rows if row[name] not in ("0", "1")]
        if not table.rows or (2 * len(odd) > len(table.rows) and _letters(name) not in known):
            continue
        if odd:
            line, cell = odd[0]
            raise DataError(f"{source}:{line}: expected 0 or 1 in the column '{name}', found '{cell}'. {_MEND}")
        flags.append(name)
    return flags


def _letters(text: str) -> str:
    """Return what a column or category is compared by: R writes "women.s.clothing"."""
    return re.sub(r"[^a-z]", "", text.lower())


def _find_concepts(root: Path, wanted: set[str]) -> tuple[dict[str, Path], int]:
    """Find the concept folders in a folder or below; also count the other folders that stand among them."""
    found: dict[str, Path] = {}
    level, others = [root], 0
    for _ in range(_DEPTH):
        below: list[Path] = []
        for folder in level:
            inside = folders_in(folder)
            concepts = [path for path in inside if path.name in wanted]
            for path in concepts:
                if path.name in found:
                    raise DataError(
                        f"The concept '{path.name}' is duplicated: '{found[path.name]}' and '{path}'. Say which "
                        f"folder is meant: --dataset things:{path.parent}"
                    )
                found[path.name] = path
            rest = [path for path in inside if path.name not in wanted]
            others += len(rest) if concepts else 0
            below += rest
        level = below
    return found, others


def _how_to_get(root: Path) -> str:
    """Return the instructions to download THINGS and run on it."""
    return (
        "THINGS is free for research: download images_THINGS.zip (5 GB) and password_images.txt from "
        "https://osf.io/jum2f/ (to use the password is to agree to the terms on that page), then type\n"
        f"  mkdir -p '{root}' && unzip images_THINGS.zip -d '{root}'\n"
        f"  taxbench run --dataset things:{root}\n"
        f"'{root}/object_images/aardvark/aardvark_01b.jpg' should then be there. With the images in "
        "$TAXBENCH_DATA/things, '--dataset things' finds them."
    )
