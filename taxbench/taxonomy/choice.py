"""The taxonomy that `--taxonomy` asks for: that of a file, or one made from WordNet."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from taxbench.taxonomy.from_wordnet import wordnet_taxonomy
from taxbench.taxonomy.taxonomy import WORDNET, TaxonomyFile, read_taxonomy
from taxbench.util.errors import UsageError


def taxonomy_of(classes: Iterable[str], taxonomy: Path | None) -> TaxonomyFile:
    """Return the taxonomy a user asks for: that of a file, or one made from WordNet for the classes.

    Raises:
        UsageError: none is asked for.
        DataError: the file cannot be read, or WordNet does not know a class.
    """
    if taxonomy is None:
        raise UsageError(
            "These images need a taxonomy: --taxonomy FILE.tsv with the columns folder, leaf, hypernyms (hypernyms "
            "separated by '|'), or --taxonomy wordnet. 'taxbench taxonomy' makes a file from WordNet to be edited."
        )
    if str(taxonomy) != WORDNET:
        return read_taxonomy(taxonomy)
    made = wordnet_taxonomy(classes)
    said = (
        f"The hypernyms are made from WordNet, with {len(made.notes)} points to look at: 'taxbench taxonomy LEAVES "
        "--out FILE.tsv' lists them and writes a file to be edited."
    )
    return replace(made, notes=(said,) if made.notes else ())
