"""Do an encoder and a language model lay out the same leaves alike, and does more of that go with more transfer?"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from taxbench.board.analysis.comparison_text import p_value
from taxbench.board.board import Estimate, Row
from taxbench.board.load import LoadedResults
from taxbench.board.render.cells import interval, markdown_table, markdown_text, said
from taxbench.board.roles import role_of
from taxbench.board.rows import make_table, record_key
from taxbench.datasets.dataset import Dataset, first_images
from taxbench.features.store.index import find_entry, open_entry
from taxbench.lms.frozen import FrozenLM, load_lm
from taxbench.lms.label_vectors import label_vectors
from taxbench.protocol.questions import Vocabulary
from taxbench.registry.models import find_lm
from taxbench.scoring.neighbours import PERMUTATIONS, Alignment, alignment
from taxbench.scoring.rank_correlation import FEWEST, UNKNOWN, Bounds, correlation_interval, rank_correlation
from taxbench.specs.result import Result
from taxbench.specs.run import LMId
from taxbench.util.errors import TaxbenchError, UsageError, first_few
from taxbench.util.paths import cache_folder
from taxbench.util.progress import Reporter
from taxbench.util.seeds import rng
from taxbench.util.text import number, signed

_MOST_NEIGHBOURS = 10
"""As work on aligned spaces has; of fewer than a hundred leaves, a tenth of them."""


@dataclass(frozen=True, slots=True)
class PairAlignment:
    """One encoder and one language model on the leaves of one dataset."""

    dataset: str
    encoder: str
    lm: str
    n_leaves: int
    alignment: Alignment
    vectors: str
    """Which of the LM's vectors of names are nearest to the encoder: `input`, `template_LAYER` or `last`."""
    transfer: dict[str, float]
    """By head, with its setting: on unseen hypernyms, mean over seeds."""


@dataclass(frozen=True, slots=True)
class TransferCorrelation:
    """One head over all pairs of one dataset that it was run with."""

    dataset: str
    head: str
    n_pairs: int
    rho: Bounds
    """Spearman's correlation of calibrated alignment and transfer, with its interval over pairs; None: too few."""


@dataclass(frozen=True, slots=True)
class Alignments:
    """All that can be said of some results."""

    pairs: tuple[PairAlignment, ...]
    correlations: tuple[TransferCorrelation, ...]
    notes: tuple[str, ...]
    """Pairs that are left out, and why."""


def alignments(found: LoadedResults, load: Callable[[str], Dataset], report: Reporter) -> Alignments:
    """Return the alignment of every pair of encoder and LM that was asked for unseen hypernyms, and what goes with it.

    Features are read from the cache; language models are loaded for vectors of the leaves' names.

    Args:
        load: Loads the dataset of a name.

    Raises:
        UsageError: no result is about unseen hypernyms, or both sides of no pair are at hand.
    """
    of = {record_key(each): each for each in found.results}
    pairs = defaultdict[tuple[str, str, str], list[Row]](list)
    for row in make_table(found.results):
        if role_of(row.task) == "unseen" and not row.is_control:
            pairs[row.lm, row.dataset, row.encoder].append(row)
    if not pairs:
        raise UsageError("No result is about unseen hypernyms. Make one: taxbench run --task unseen_hypernym")
    dataset = lru_cache(load)

    @lru_cache(maxsize=1)  # one in memory at a time
    def language_model(named: LMId) -> FrozenLM:
        dtype: torch.dtype = getattr(torch, named.dtype)
        lm = load_lm(find_lm(named.name), torch.device("cpu"), dtype, cache_folder(), report)
        if lm.digest != named.digest:
            raise UsageError(f"The language model '{named.name}' here is not that of the record.")
        return lm

    made, notes = list[PairAlignment](), list[str]()
    with report.bar("align", len(pairs), "pair") as advance:
        for (lm, _, encoder), rows in sorted(pairs.items()):
            result = of[f"{rows[0].records[0].digest} {rows[0].records[0].predictions}"]
            try:
                names, seen = _seen(result, dataset(result.run.dataset.name))
                said = label_vectors(language_model(result.run.lm), names, cache_folder())
                made.append(_pair(result, (len(names), seen, said), rows))
            except TaxbenchError as error:
                notes.append(f"Left out: {encoder} and {lm} on {result.run.dataset.label}. {error}")
            advance(1)
    if not made:
        raise UsageError("\n".join(["Both sides of no pair are at hand.", *notes]))
    return Alignments(tuple(made), tuple(correlations(made)), tuple(notes))


def _seen(result: Result, dataset: Dataset) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the names of leaves, and the mean of the standardised features of each one's pictures.  # (n, f)"""
    limit = result.run.dataset.limit
    dataset = first_images(dataset, limit) if limit else dataset
    table = open_entry(find_entry(cache_folder(), result.run.encoder.features))
    if table.key.images_digest != dataset.images_digest:
        raise UsageError(f"The pictures of '{dataset.name}' are not those of the record's features.")
    words, place = Vocabulary(dataset.taxonomy), {leaf: i for i, leaf in enumerate(dataset.taxonomy.leaves)}
    name = words.name_of[[place[image.leaf] for image in dataset.images]]
    pooled = table.pooled().astype(np.float64)
    sums = np.zeros((words.n_names, pooled.shape[1]))
    np.add.at(sums, name, (pooled - pooled.mean(0)) / np.maximum(pooled.std(0), 1e-6))
    count = np.bincount(name, minlength=words.n_names)
    there = np.flatnonzero(count)
    return tuple(words.terms[each] for each in there), sums[there] / count[there, None]


def _pair(result: Result, sides: tuple[int, np.ndarray, dict[str, np.ndarray]], rows: Sequence[Row]) -> PairAlignment:
    """Return the alignment of the pair of one result.

    Args:
        sides: How many leaves there are, their vectors in the encoder, and in the LM by kind.
    """
    run, (n_leaves, seen, said) = result.run, sides
    draw = rng(0, "alignment", run.encoder.features, run.lm.digest)
    found = alignment(seen, list(said.values()), min(_MOST_NEIGHBOURS, max(1, n_leaves // 10)), draw)
    transfer = {f"{row.head} ({row.setting})" if row.setting else row.head: row.transfer.mean for row in rows}
    known = {head: mean for head, mean in transfer.items() if mean is not None}
    return PairAlignment(
        run.dataset.label, run.encoder.name, run.lm.name, n_leaves, found, list(said)[found.best], known
    )


def correlations(pairs: Iterable[PairAlignment]) -> Iterable[TransferCorrelation]:
    """Yield, by dataset and head, how alignment and transfer go together over pairs."""
    points = defaultdict[tuple[str, str], list[tuple[float, float]]](list)
    for pair in pairs:
        for head, transfer in pair.transfer.items():
            points[pair.dataset, head].append((pair.alignment.calibrated, transfer))
    for (dataset, head), some in sorted(points.items()):
        rho: Bounds = UNKNOWN
        if len(some) >= FEWEST:
            x, y = np.array(some).T
            drawn = rng(0, "pairs", dataset, head).standard_exponential((len(some), 1000))
            rho = correlation_interval(rank_correlation(x, y, np.column_stack([np.ones(len(x)), drawn])), len(x))
        yield TransferCorrelation(dataset, head, len(some), rho)


def alignment_text(found: Alignments) -> str:
    """Return pairs and correlations as Markdown, with what they mean."""
    heads = list(dict.fromkeys(head for pair in found.pairs for head in pair.transfer))
    titles = ["shared", "by chance", "calibrated", "p"]
    lines = [["dataset", "LM", "encoder", "leaves", "k", "LM's vectors", *titles]]
    lines[0] += [f"transfer, {markdown_text(head)}" for head in heads]
    for pair in found.pairs:
        each = pair.alignment
        names = map(markdown_text, (pair.dataset, pair.lm, pair.encoder))
        figures = [*map(number, (each.shared, each.by_chance, each.calibrated)), p_value(each.p)]
        transfer = [number(pair.transfer.get(head)) for head in heads]
        lines.append([*names, str(pair.n_leaves), str(each.k), pair.vectors, *figures, *transfer])
    legend = (
        f"Shared: of the k leaves nearest to a leaf in the encoder (means of features), how many are so in the LM too "
        f"(vectors of names, of the layer where it is most). By chance: of {PERMUTATIONS:,} permutations of the "
        "leaves; calibrated: 0 is chance, 1 the same neighbours everywhere. Transfer: F1 on unseen hypernyms minus the "
        "random LM."
    )
    few = [f"{markdown_text(each.head)} {each.n_pairs}" for each in found.correlations if each.rho == UNKNOWN]
    short = f"Pairs of encoder and LM that cannot tell whether alignment predicts transfer, of {FEWEST} that can: "
    blocks = [markdown_table(said(lines, always=titles)), legend]
    blocks += [_sentence(each) for each in found.correlations if each.rho != UNKNOWN]
    blocks += [f"{short}{first_few(few)}."] * bool(few)
    return "\n\n".join([*blocks, *(markdown_text(note, 1000) for note in found.notes)]) + "\n"


def _sentence(found: TransferCorrelation) -> str:
    """Say in words whether alignment predicts transfer over pairs."""
    value, low, high = found.rho
    assert value is not None and low is not None and high is not None
    bounds = interval(Estimate(value, None, low, high))
    verdict = "predicts transfer" if low > 0 else "goes against transfer" if high < 0 else "does not predict transfer"
    return (
        f"Head {markdown_text(found.head)} on {markdown_text(found.dataset)}: alignment {verdict} over "
        f"{found.n_pairs} pairs (Spearman's ρ {signed(value, 2)} {bounds}). Pairs that share an encoder or an LM are "
        "not independent: the interval is rather too short."
    )
