"""What the LM is never told of the things that the benchmark draws.

Text that is added to its first training says nothing about them: neither their names, nor others for the same things,
nor names and definitions with such a word in it. So what it answers of them follows from what they are kinds of.
"""

import re
from collections.abc import Iterable

from taxbench.pocket.concepts import CONCEPT_NAMES
from taxbench.pocket.train.corpus import Corpus
from taxbench.pocket.train.lm_rows import Phrasebook
from taxbench.protocol.words import plural


class KeptApart:
    """The names of a corpus that say something drawn, and the words for it."""

    def __init__(self, corpus: Corpus, book: Phrasebook) -> None:
        """Find them: all names that share a meaning with a drawn one, or a word."""
        self._book = book
        self.words = frozenset(form for name in CONCEPT_NAMES for form in (name, plural(name)))
        meant = {
            synset for name in CONCEPT_NAMES if name in corpus.name_id for synset in corpus.senses[corpus.name_id[name]]
        }
        self.names = frozenset(
            number
            for number, name in enumerate(corpus.names)
            if meant & set(corpus.senses[number]) or self.words & set(name.replace("-", " ").split())
        )

    def are_in(self, context: list[int], names: Iterable[int]) -> bool:
        """Tell whether a context shows something drawn, or says a word for it."""
        said = re.findall(r"\w+", self._book.decode(context))
        return not (self.names.isdisjoint(names) and self.words.isdisjoint(said))
