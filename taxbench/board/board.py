"""The one table model: what every form of the leaderboard, from Markdown to the page, is made of."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from taxbench.board.analysis.language_findings import LanguageFinding
from taxbench.specs.controls import in_order
from taxbench.specs.result import Evidence, VisualSimilarity
from taxbench.specs.sources import READERS
from taxbench.specs.task import TaskSpec
from taxbench.util.text import number


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds with both its uncertainties; `mean` is None when any seed has no score."""

    mean: float | None
    sd: float | None = None
    """Standard deviation over seeds, which draw training, splits and wrong answers anew. None for one seed."""
    low: float | None = None
    """Lower end of the 95 % interval over items: what other terms, leaves and images would change."""
    high: float | None = None
    """Its upper end; both None where no predictions are at hand."""

    def __str__(self) -> str:
        return number(self.mean) if self.mean is None or self.sd is None else f"{number(self.mean)} ± {self.sd:.3f}"


NOTHING = Estimate(None)
"""No data."""


@dataclass(frozen=True, slots=True)
class TermRow:
    """One asked term of a row's headline split, averaged over seeds."""

    term: str
    f1: float | None
    auroc: float | None
    controls: dict[str, float | None]
    """F1 of the same term under each control."""
    similarity: float | None
    """Visual similarity inside the hypernym under the task's pairing."""
    n_questions: int
    """Of all seeds."""


@dataclass(frozen=True, slots=True)
class Record:
    """Where the scores of one seed come from."""

    seed: int
    digest: str
    """Digest of the run."""
    predictions: str
    """SHA-256 of the predictions."""
    folder: str
    """The record's folder, relative to the leaderboard's results."""


@dataclass(frozen=True, slots=True)
class Rank:
    """Where a row stands by F1 among those of its task and dataset that were run with the same seeds."""

    place: int
    """1 is the best."""
    low: int
    """Best place that the 95 % intervals of its differences from all others allow at once."""
    high: int
    """Worst place that they allow."""
    band: int
    """Those of one band are not worse for sure than the best of it; 1 is the first band."""
    of: int
    """How many are ranked."""


@dataclass(frozen=True, slots=True)
class Row:
    """One task of one (dataset, encoder, LM, head, setting), averaged over seeds."""

    task: TaskSpec
    dataset: str
    encoder: str
    lm: str
    head: str
    features: str
    """What is read off the encoder, in words."""
    setting: str
    """What is not as by default, and what tells rows of the same names apart; else empty."""
    seeds: tuple[int, ...]
    split: str
    """The task's headline split; the scores below are about it where they do not say otherwise."""
    leaf_f1: Estimate
    f1: Estimate
    fitted_f1: Estimate
    """F1 at the threshold that suits leaf questions about validation images best."""
    auroc: Estimate
    accuracy: Estimate
    controls: dict[str, Estimate]
    """Macro-F1 of each control on the headline split: chance, random_lm, no_image, shuffled_features, text_only ..."""
    transfer: Estimate
    """F1 minus the random-LM control's, seed by seed and item by item."""
    heldout_f1: Estimate
    heldout_auroc: Estimate
    similarity: Estimate
    """Visual similarity inside hypernyms under the task's pairing."""
    metrics: tuple[str, ...]
    """The metrics that the task lists."""
    primary: tuple[float | None, ...]
    """The task's primary metric on its headline split, seed by seed."""
    note: str
    """Why the scores are what they are, where the head itself explains it."""
    is_control: bool
    """Whether the head is a control."""
    split_f1: dict[str, Estimate]
    """Macro-F1 of every split."""
    random_lm_split_f1: dict[str, Estimate]
    """The same of the random-LM control."""
    validation_f1: Estimate = NOTHING
    """Of leaf questions about validation images: the score by which a setting may be chosen."""
    f1_by_seed: tuple[float | None, ...] = ()
    """F1 on the headline split, seed by seed."""
    terms: tuple[TermRow, ...] = ()
    evidence: Evidence | None = None
    """What training saw, of the first seed."""
    visual_similarity: VisualSimilarity | None = None
    """Of the first seed."""
    identities: dict[str, str] = field(default_factory=dict)
    """Digests and versions behind the names: dataset, encoder, features, lm, dtype, device, numerics, torch ..."""
    records: tuple[Record, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    """Every setting by name: of the features, the trainer, the scoring, the prompt and the head."""
    seconds: float | None = None
    """Wall time of all seeds; what runs shared stands with the one that waited for it. None: not known of each."""
    finished: str = ""
    """The day on which the last seed ended; empty: not known of each."""
    rank: Rank | None = None
    """None: of a control head, without a score, or with other seeds than most rows of its task have."""

    @property
    def name(self) -> str:
        """Return the name of the row's task."""
        return self.task.name

    @property
    def place(self) -> tuple[str, str, str, str, str]:
        """Return what rows of one entry have in common: dataset, LM, encoder, head, setting."""
        return self.dataset, self.lm, self.encoder, self.head, self.setting


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the board: everything asked of one (dataset, LM, encoder, head, setting)."""

    dataset: str
    lm: str
    encoder: str
    head: str
    features: str
    setting: str
    seeds: tuple[int, ...]
    """Seeds that all its rows have."""
    rows: dict[str, Row]
    """By the part of the question that the task asks, in the order of `ROLES`."""
    coherence_effect: Estimate
    """F1 with visual similarity kept minus F1 with it destroyed."""
    missing: tuple[str, ...]
    """Which tasks that others of its dataset have were not run, or not with the same seeds."""
    is_control: bool
    """Whether its head is a control: shown, never ranked."""
    role: str
    """The part of the question that entries of its dataset are ranked by: unseen, where any was run with it."""
    note: str

    @property
    def seconds(self) -> float | None:
        """Return the wall time of all its rows; None: not known of each."""
        known = [row.seconds for row in self.rows.values()]
        return sum(each or 0.0 for each in known) if None not in known else None

    @property
    def finished(self) -> str:
        """Return the day on which the last of its rows ended; empty: not known of each."""
        days = [row.finished for row in self.rows.values()]
        return max(days) if all(days) else ""

    @property
    def rank(self) -> Rank | None:
        """Return where it stands by that part of the question; None: `status` says why."""
        return self.rows[self.role].rank if self.role in self.rows else None

    @property
    def status(self) -> str:
        """Say why it has no rank; nothing where it has one.

        `reference`, `upper bound`, `control`, `not run`, `no score` or `other seeds`.
        """
        if self.rank:
            return ""
        if self.head in READERS:
            return "upper bound" if "upper bound" in self.note else "reference"
        if self.is_control:
            return "control"
        if self.role not in self.rows:
            return "not run"
        return "no score" if self.score(self.role).mean is None else "other seeds"

    @property
    def place(self) -> tuple[str, str, str, str, str]:
        """Return the place of its rows."""
        return self.dataset, self.lm, self.encoder, self.head, self.setting

    def score(self, role: str, name: str = "f1") -> Estimate:
        """Return a score of the row that asks a part of the question: the field of that name."""
        found: Estimate = getattr(self.rows[role], name) if role in self.rows else NOTHING
        return found

    def control(self, name: str) -> Estimate:
        """Return a control of F1 on unseen hypernyms."""
        return self.rows["unseen"].controls.get(name, NOTHING) if "unseen" in self.rows else NOTHING


@dataclass(frozen=True, slots=True)
class Reference:
    """One published score: reported, not re-run here, and never ranked against measured rows."""

    dataset: str
    encoder: str
    lm: str
    random_lm: bool
    """Whether the LM had random weights."""
    deprivation: str
    """none | random | systematic | full."""
    level: float | None
    """Per cent of concepts, or number of categories; None where the kind has none."""
    pairing: str
    """original | within_category | across_category; of things-10 also category_sampled | category_shuffled."""
    split: str
    """leaf | seen | unseen."""
    f1: float
    """Macro-F1 as published."""
    sd: float | None
    n_seeds: int
    two_class_f1: float | None
    """Without categories asked with one answer only, which is how ours is scored."""
    two_class_sd: float | None
    chance_f1: float | None
    """Chance on the same categories as `two_class_f1`."""
    n_categories: int
    source: str

    @property
    def estimate(self) -> Estimate:
        """Return the published F1, where known as ours is scored: without categories asked with one answer only."""
        if self.two_class_f1 is None:
            return Estimate(self.f1, self.sd)
        return Estimate(self.two_class_f1, self.two_class_sd)


@dataclass(frozen=True, slots=True)
class GroupAverage:
    """The weighted mean of a group's members, each by its primary metric on its headline split."""

    group: str
    place: tuple[str, ...]
    """The place of its members' rows."""
    average: Estimate
    """Blank where a member is missing or has no score."""
    blank_because: str
    """Why there is no average, or nothing."""


@dataclass(frozen=True, slots=True)
class Board:
    """Everything that is shown."""

    entries: tuple[Entry, ...]
    """Sorted: datasets by name, then ranked entries by rank, then the others by score."""
    rows: tuple[Row, ...]
    """Every row, of whatever task, sorted by place and then by task."""
    groups: tuple[GroupAverage, ...] = ()
    references: tuple[Reference, ...] = ()
    languages: tuple[LanguageFinding, ...] = ()
    """Hypernyms asked in several languages, English first in each system; of published boards alone."""

    @property
    def others(self) -> tuple[Row, ...]:
        """Return the rows of tasks that no entry of their dataset has, of each task the best first."""
        shown = {(row.dataset, row.task.identity) for entry in self.entries for row in entry.rows.values()}
        rows = [row for row in self.rows if (row.dataset, row.task.identity) not in shown]
        tasks = {(row.dataset, row.task.identity): place for place, row in reversed(list(enumerate(rows)))}
        return tuple(sorted(rows, key=lambda row: (tasks[row.dataset, row.task.identity], row.rank is None,
                                                   -(row.f1.mean or 0.0))))  # fmt: skip


def settings_apart(rows: Iterable[Row]) -> list[str]:
    """Return the settings that tell rows apart, in their order: those that some have otherwise, or not at all."""
    every = list(rows)
    names = dict.fromkeys(name for row in every for name in row.settings)
    return [name for name in names if len({str(row.settings.get(name)) for row in every}) > 1]


def controls_of(rows: Iterable[Row]) -> list[str]:
    """Return, in order, the controls of which any of the rows has a score."""
    return in_order(name for row in rows for name, score in row.controls.items() if score.mean is not None)
