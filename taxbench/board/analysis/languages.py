"""What records in several languages say: how much of what came over in English is there in the others.

Languages are compared on the same images and terms. Terms that any of the languages of a comparison did not ask, for
want of a reviewed label, are left out of all of them and counted.
"""

import unicodedata
from collections.abc import Callable
from dataclasses import replace
from difflib import SequenceMatcher
from functools import cache

import numpy as np
from scipy.stats import t as student

from taxbench.board.analysis.language_findings import TWIN, LanguageFinding, LanguageFindings
from taxbench.board.load import LoadedResults, load_predictions
from taxbench.board.resampling import over_seeds
from taxbench.board.rows import grouped, settings_shown
from taxbench.results.predictions import OWN, Predictions
from taxbench.scoring.bootstrap import DIFFERENCE, SCORE, interval, standard_error
from taxbench.scoring.rank_correlation import UNKNOWN, Bounds
from taxbench.specs.language import Language
from taxbench.specs.language_pair import ENGLISH, LanguagePair
from taxbench.specs.result import Result
from taxbench.specs.spec import content_hash
from taxbench.tasks.language_files import languages

ALIKE = 0.6
"""From this share of letters in common on a word counts as a cognate of the English one (Ratcliff and Obershelp)."""


def compare_languages(records: LoadedResults, on_board: bool = False) -> LanguageFindings:
    """Compare records that differ in their languages only; without any there is no finding.

    Args:
        on_board: On the headline split of their task alone, and without what rests on more than the records: which
            words are cognates, which files of languages say.
    """
    families: dict[str, dict[LanguagePair, list[Result]]] = {}
    groups = grouped(records.results)
    settings = {_family(group[0]): shown for group, shown in zip(groups, settings_shown(groups), strict=True)}
    for group in groups:
        families.setdefault(_family(group[0]), {}).setdefault(group[0].run.task.questions.language, group)
    findings, notes = list[LanguageFinding](), list[str]()
    for key, family in families.items():
        others = [pair for pair in family if not pair.is_english]
        if others and LanguagePair() not in family:
            first = family[others[0]][0]
            notes.append(f"Left out: {first.run.task.name} on {first.dataset}: there is no record in English.")
        elif others:
            found = _of_family(family, on_board)
            findings += [replace(each, setting=settings[key]) for each in found]
    return LanguageFindings(tuple(findings), tuple(notes))


def is_cognate(word: str, english: str) -> bool:
    """Say whether a word looks like the English one, accents aside."""
    return SequenceMatcher(None, _plain(word), _plain(english)).ratio() >= ALIKE


def _plain(word: str) -> str:
    """Return the letters of a word without accents, in lower case."""
    return "".join(sign for sign in unicodedata.normalize("NFD", word.casefold()) if not unicodedata.combining(sign))


def _family(result: Result) -> str:
    """Return what records that differ in languages and seeds only have in common."""
    run = result.run
    task = run.task.model_copy(
        update={"questions": run.task.questions.model_copy(update={"language": LanguagePair()}), "name": "x"}
    )
    apart = ("task", "seed", "language")
    rest = {name: part for name, part in run.identity_fields().items() if name not in apart}
    return content_hash([task.digest, rest, result.versions.computing])


def _of_family(family: dict[LanguagePair, list[Result]], on_board: bool) -> list[LanguageFinding]:
    """Compare the languages of one system, English first."""
    task, words = family[LanguagePair()][0].run.task, {} if on_board else languages()
    splits = (task.headline,) if on_board else task.evaluate
    seeds = set.intersection(*({each.seed for each in group} for group in family.values()))
    order = sorted(family, key=lambda pair: (not pair.is_english, pair.train != ENGLISH, str(pair)))
    kept = {pair: [each for each in family[pair] if each.seed in seeds] for pair in order}
    answers = {pair: [load_predictions(each) for each in group] for pair, group in kept.items()}
    found = []
    for split in splits if seeds else ():
        # Leaves of which none has a label are asked in the language of training; that says nothing of another one.
        asked = {
            pair: [
                _terms_of(each, split).difference(result.unlabelled_terms)
                for each, result in zip(some, group, strict=True)
            ]
            for (pair, some), group in zip(answers.items(), kept.values(), strict=True)
        }
        everywhere = frozenset.intersection(*(terms for some in asked.values() for terms in some))
        anywhere = frozenset.union(*(terms for some in asked.values() for terms in some))
        if everywhere:
            same = {pair: [_only(each, split, everywhere) for each in some] for pair, some in answers.items()}
            counts = len(everywhere), len(anywhere - everywhere)
            drawn = cache(lambda pair, name, same=same, split=split: over_seeds(same[pair], split, name).auroc)
            found += [_finding(kept, same, pair, (split, *counts), drawn, words.get(pair.test)) for pair in order]
    return found


def _finding(
    kept: dict[LanguagePair, list[Result]],
    same: dict[LanguagePair, list[Predictions]],
    pair: LanguagePair,
    about_split: tuple[str, int, int],
    drawn: Callable[[LanguagePair, str], np.ndarray],
    language: Language | None,
) -> LanguageFinding:
    """Return what one language gives on one split, of which some terms are asked in all languages and some are not.

    Args:
        drawn: Gives AUROC of a language and a control with its replicates, as `over_seeds`.
        language: Says which of its words are cognates; None: that is not asked.
    """
    group, own, (split, n, left_out) = kept[pair], same[pair], about_split
    run, auroc, usual = kept[LanguagePair()][0].run, drawn(pair, OWN), drawn(LanguagePair(), OWN)
    transfer, in_english = (
        drawn(each, OWN) - drawn(each, TWIN) if TWIN in same[each][0].margins else None
        for each in (pair, LanguagePair())
    )  # fmt: skip
    labels = language.labels if language else {}
    alike = {term for term in _terms_of(own[0], split) if term in labels and is_cognate(labels[term].term, term)}
    unlike = [_only(each, split, frozenset(each.terms) - alike) for each in own]
    shares = [each.answer_language[split] for each in group if split in each.answer_language]
    return LanguageFinding(
        system=f"{run.lm.name} ← {run.head.name} ← {run.encoder.name}",
        dataset=run.dataset.label,
        task=run.task.name,
        language=str(pair),
        split=split,
        seeds=tuple(each.seed for each in group),
        terms=n,
        left_out=left_out,
        auroc=_bounds(auroc, n, SCORE),
        less_english=UNKNOWN if pair.is_english else _bounds(auroc - usual, n, DIFFERENCE),
        transfer=UNKNOWN if transfer is None else _bounds(transfer, n, DIFFERENCE),
        kept=UNKNOWN if pair.is_english else share_kept(transfer, in_english, n),
        without_cognates=_bounds(over_seeds(unlike, split, OWN).auroc, n - len(alike), SCORE) if alike else UNKNOWN,
        cognates=len(alike),
        controls={
            name: _bounds(drawn(pair, name), n, SCORE)
            for name in own[0].controls
            if not (name == "nonsense" and split == "leaf")  # it stands in the place of hypernyms
        },
        answer_language=float(np.mean(shares)) if shares else None,
        setting="",
        family=_family(group[0]),
    )


def share_kept(transfer: np.ndarray | None, english: np.ndarray | None, n_terms: int) -> Bounds:
    """Return transfer as a share of that in English with its 95 % interval; unknown where that is hardly any.

    Args:
        transfer: An estimate and its replicates, as the arrays of `Replicates`.  # (1 + 3 B,)
        english: The same of English, under the same weights.
    """
    if transfer is None or english is None:
        return UNKNOWN
    low = _bounds(english, n_terms, DIFFERENCE)[1]
    if low is None or low <= english[0] / 3:  # a share of next to nothing would be anything
        return UNKNOWN
    share = transfer / english
    error = standard_error(share, n_terms)
    if error is None:
        return float(share[0]), None, None
    reach = float(student.ppf(0.975, n_terms - 1)) * error
    return float(share[0]), float(share[0]) - reach, float(share[0]) + reach


def _bounds(values: np.ndarray, n_terms: int, scale: tuple[float, float]) -> Bounds:
    """Return an estimate with its interval over terms and leaves; unknown where there is none."""
    return (float(values[0]), *interval(values, n_terms, scale=scale)) if np.isfinite(values).all() else UNKNOWN


def _terms_of(predictions: Predictions, split: str) -> frozenset[str]:
    """Return the terms that a split asks."""
    if split not in predictions.splits:
        return frozenset()
    return frozenset(predictions.terms[code] for code in np.unique(predictions.term[predictions.rows_of(split)]))


def _only(predictions: Predictions, split: str, terms: frozenset[str]) -> Predictions:
    """Return the questions of a split about some terms."""
    wanted = np.array([term in terms for term in predictions.terms])
    return predictions.only(predictions.rows_of(split) & wanted[predictions.term])
