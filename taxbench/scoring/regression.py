"""What goes with generalisation: visual similarity inside a category, or what the LM knows from text alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr
from scipy.stats import t as student

from taxbench.util.errors import DataError, first_few

_INTERCEPT, _SIMILARITY, _TEXT = "intercept", "similarity", "text_only"


@dataclass(frozen=True, slots=True)
class Observation:
    """How well one system did on one category under one pairing of leaves and pictures."""

    category: str
    system: str
    pairing: str
    f1: float
    """Of the category's questions about images."""
    similarity: float
    """Visual similarity inside the category under this pairing."""
    text_only: float | None
    """F1 of the system's language model on the same questions in words; None where it was not asked."""


@dataclass(frozen=True, slots=True)
class Coefficient:
    """One slope of a regression."""

    name: str
    value: float
    error: float
    """Standard error, robust to clusters."""
    t: float
    p: float
    """Two-sided."""
    low: float
    """Lower end of the 95 % interval."""
    high: float


@dataclass(frozen=True, slots=True)
class Regression:
    """A fitted least-squares regression."""

    coefficients: tuple[Coefficient, ...]
    n: int
    n_clusters: int
    r2: float

    def __getitem__(self, name: str) -> Coefficient:
        return next(each for each in self.coefficients if each.name == name)


@dataclass(frozen=True, slots=True)
class Correlation:
    """Spearman's rank correlation."""

    rho: float
    p: float
    """As if observations were independent; those of one category are not, so see the regressions."""
    n: int


@dataclass(frozen=True, slots=True)
class Analysis:
    """Generalisation regressed on similarity and text-only knowledge; None without text-only scores."""

    joint: Regression | None
    """On both at once."""
    by_similarity: Regression
    by_text: Regression | None
    similarity_rho: Correlation
    text_rho: Correlation | None


def generalisation(rows: Sequence[Observation]) -> Analysis:
    """Regress F1 on visual similarity and text-only F1, with fixed effects of systems and pairings, by category.

    Raises:
        DataError: there are too few categories, or nothing varies.
    """
    known = [row for row in rows if row.text_only is not None]
    return Analysis(
        joint=_regress(known, _SIMILARITY, _TEXT) if known else None,
        by_similarity=_regress(rows, _SIMILARITY),
        by_text=_regress(known, _TEXT) if known else None,
        similarity_rho=_correlate(rows, _SIMILARITY),
        text_rho=_correlate(known, _TEXT) if known else None,
    )


def ols(y: np.ndarray, columns: dict[str, np.ndarray], clusters: Sequence[str]) -> Regression:
    """Fit ordinary least squares with an intercept and standard errors that are robust to clusters.

    CR1 errors (Liang & Zeger 1986, times G / (G - 1) · (n - 1) / (n - k)) and t with G - 1 degrees of freedom, as Stata
    and statsmodels have it (Cameron & Miller 2015). CR2 matters for fewer or more uneven clusters than categories are.

    Args:
        y: What is explained.  # (n,)
        columns: What explains it, by name.  # (n,) each
        clusters: Which observations belong together.

    Raises:
        DataError: fewer clusters than coefficients and one, or a column follows from others.
    """
    names, x = (_INTERCEPT, *columns), np.column_stack([np.ones(len(y)), *columns.values()])
    groups, code = np.unique(np.asarray(clusters), return_inverse=True)
    (n, k), g = x.shape, len(groups)
    if g < 3 or n <= k:
        raise DataError(
            f"A regression of {n} observations in {g} categories on {first_few(columns)} says nothing; expected "
            "at least "
            f"three categories and more than {k} observations. Add results, or leave something out."
        )
    if np.linalg.matrix_rank(x) < k:
        raise DataError(
            f"A regression on {first_few(columns, 10)} has no single answer: one of them is the same everywhere "
            "or follows "
            "from the others. Add results in which they differ."
        )
    bread = np.linalg.inv(x.T @ x)
    beta = bread @ x.T @ y
    residual = y - x @ beta
    scores = np.zeros((g, k))
    np.add.at(scores, code, x * residual[:, None])
    covariance = bread @ scores.T @ scores @ bread * (g / (g - 1) * (n - 1) / (n - k))
    error, reach = np.sqrt(np.diag(covariance)), float(student.ppf(0.975, g - 1))
    with np.errstate(divide="ignore", invalid="ignore"):  # a perfect fit has no error
        t = beta / error
    p = 2 * student.sf(np.abs(t), g - 1)
    fitted = zip(names, beta, error, t, p, beta - reach * error, beta + reach * error, strict=True)
    r2 = 1 - residual @ residual / ((y - y.mean()) ** 2).sum() if np.ptp(y) else 0.0
    return Regression(tuple(Coefficient(name, *map(float, row)) for name, *row in fitted), n, g, float(r2))


def _regress(rows: Sequence[Observation], *names: str) -> Regression:
    """Regress F1 on columns of observations, with fixed effects of systems and pairings."""
    columns = {name: _column(rows, name) for name in names}
    # A system that was seen under one pairing only needs no dummy of both: those that follow from others are left out.
    for kind in ("system", "pairing"):
        values = [getattr(row, kind) for row in rows]
        for value in sorted(set(values))[1:]:
            wider = columns | {f"{kind}={value}": np.array([each == value for each in values], dtype=np.float64)}
            design = np.column_stack([np.ones(len(rows)), *wider.values()])
            if np.linalg.matrix_rank(design) > len(columns) + 1:
                columns = wider
    return ols(_column(rows, "f1"), columns, [row.category for row in rows])


def _correlate(rows: Sequence[Observation], name: str) -> Correlation:
    """Return Spearman's correlation of a column of observations with F1."""
    found = spearmanr(_column(rows, name), _column(rows, "f1"))
    return Correlation(float(found.statistic), float(found.pvalue), len(rows))


def _column(rows: Sequence[Observation], name: str) -> np.ndarray:
    """Return one field of all observations as a column to regress on.  # (n,)"""
    return np.array([getattr(row, name) for row in rows], dtype=np.float64)
