"""What is said of records in several languages: the form of it, for those who show it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taxbench.scoring.rank_correlation import Bounds

TWIN = "random_lm"


@dataclass(frozen=True, slots=True)
class LanguageFinding:
    """One language of one system on one split, seeds together; AUROC, with 95 % intervals over terms and leaves."""

    system: str
    dataset: str
    task: str
    """Its name in English."""
    language: str
    """As it is typed: of the test, with that of training before it where it is not English."""
    split: str
    seeds: tuple[int, ...]
    terms: int
    """Terms asked in all languages of the comparison."""
    left_out: int
    """Terms that some of them did not ask, and that count in none."""
    auroc: "Bounds"
    less_english: "Bounds"
    """AUROC less that of the same questions in English."""
    transfer: "Bounds"
    """AUROC less that of the same head through the LM with random weights."""
    kept: "Bounds"
    """Transfer as a share of that in English; not known where that in English may be zero."""
    without_cognates: "Bounds"
    """AUROC of terms that are no cognates of the English words."""
    cognates: int
    controls: "dict[str, Bounds]"
    """AUROC of each control."""
    answer_language: float | None
    """Share of the language in its own answers and the English ones."""
    setting: str
    """What a row of the board shows of its settings; empty: the usual ones."""
    family: str
    """A digest of all that the compared runs have in common, settings among them."""


@dataclass(frozen=True, slots=True)
class LanguageFindings:
    """All that records in several languages say."""

    findings: tuple[LanguageFinding, ...]
    notes: tuple[str, ...]
