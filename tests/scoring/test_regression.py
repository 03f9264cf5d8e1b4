"""Regressions against statsmodels, and the direction that was published."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import spearmanr

from taxbench.scoring.regression import Observation, generalisation, ols
from taxbench.util.errors import DataError


def made(n: int = 40, systems: int = 2, pairings: int = 2, seed: int = 0) -> list[Observation]:
    rng = np.random.default_rng(seed)
    rows = []
    for category in range(n):
        text, shift = rng.random(), rng.normal(0, 0.1)
        for system in range(systems):
            for pairing in range(pairings):
                similarity = rng.random()
                f1 = 0.2 + 0.5 * similarity + 0.1 * text + 0.05 * system + shift + rng.normal(0, 0.05)
                rows.append(Observation(f"c{category}", f"s{system}", f"p{pairing}", f1, similarity, text))
    return rows


def test_ols_equals_statsmodels() -> None:
    rng = np.random.default_rng(0)
    code = rng.integers(0, 12, 90)
    x = {"a": rng.normal(size=90) + code, "b": rng.normal(size=90)}
    y = x["a"] - 2 * x["b"] + rng.normal(size=12)[code] + rng.normal(size=90)
    found = ols(y, x, [f"c{each}" for each in code])
    design = sm.add_constant(np.column_stack(list(x.values())))
    wanted = sm.OLS(y, design).fit(cov_type="cluster", cov_kwds={"groups": code}, use_t=True)
    for values, column in (
        (wanted.params, "value"), (wanted.bse, "error"), (wanted.tvalues, "t"), (wanted.pvalues, "p"),
        (wanted.conf_int()[:, 0], "low"), (wanted.conf_int()[:, 1], "high"),
    ):  # fmt: skip
        assert [getattr(each, column) for each in found.coefficients] == pytest.approx(values, rel=1e-6)
    assert (found.n, found.n_clusters) == (90, 12)
    assert found.r2 == pytest.approx(wanted.rsquared)
    assert found["b"].value == pytest.approx(-2, abs=0.4)


def test_systems_and_pairings_get_dummies() -> None:
    rows = made()
    found = generalisation(rows)
    assert [each.name for each in found.joint.coefficients] == [
        "intercept", "similarity", "text_only", "system=s1", "pairing=p1",
    ]  # fmt: skip
    assert found.joint["similarity"].value == pytest.approx(0.5, abs=0.1)
    assert found.joint["system=s1"].value == pytest.approx(0.05, abs=0.03)
    assert found.similarity_rho.rho == pytest.approx(
        spearmanr([row.similarity for row in rows], [row.f1 for row in rows]).statistic
    )


def test_dummies_that_follow_from_others_are_left_out() -> None:
    rows = [row for row in made() if row.system[1] == row.pairing[1]]  # each system has a pairing of its own
    assert [each.name for each in generalisation(rows).by_similarity.coefficients] == [
        "intercept", "similarity", "system=s1",
    ]  # fmt: skip


def test_without_text_only_scores_similarity_is_analysed_alone() -> None:
    rows = [Observation(r.category, r.system, r.pairing, r.f1, r.similarity, None) for r in made()]
    found = generalisation(rows)
    assert found.joint is found.by_text is found.text_rho is None
    assert found.by_similarity.n == len(rows)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "0 observations"),
        (made(2), "in 2 categories"),
        (made(3, 1, 1), "more than 3 observations"),
        ([Observation(r.category, r.system, r.pairing, r.f1, 0.3, r.text_only) for r in made()], "the same everywhere"),
    ],
)
def test_too_little_to_regress_is_said(rows: list[Observation], said: str) -> None:
    with pytest.raises(DataError, match=said):
        generalisation(rows)
