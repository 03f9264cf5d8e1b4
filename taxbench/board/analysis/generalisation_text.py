"""An analysis as people read it: coefficients, and what they say in words."""

from collections.abc import Iterator

from taxbench.board.analysis.comparison_text import p_value
from taxbench.board.analysis.generalisation import ALL, RegressionResult, RegressionResults
from taxbench.board.render.cells import markdown_table, markdown_text
from taxbench.scoring.regression import Analysis, Regression
from taxbench.util.errors import first_few
from taxbench.util.text import number, signed

_TITLES = {"similarity": "visual similarity", "text_only": "text-only F1", "intercept": "intercept"}
_FEW = 40
"""Fewer clusters are few: errors robust to them come out too small under 20 to 50 (Cameron & Miller 2015)."""


def analysis_text(found: RegressionResults) -> str:
    """Return the regressions on generalisation as Markdown tables, each with what it says in words."""
    blocks = []
    for each in found.findings:
        systems = f"{len(each.systems)} system{'s' * (len(each.systems) > 1)}"
        title = f"**F1 of hypernyms, pairing {each.pairing}** ({markdown_text(found.source, 200)}; {systems})"
        blocks += [title, markdown_table(list(_lines(each.analysis))), _correlations(each.analysis)]
        blocks.append("\n".join([*sentences(each), *limits(each)]))
    blocks += [markdown_text(note, 1000) for note in found.notes]
    return "\n\n".join(blocks) + "\n"


def sentences(found: RegressionResult) -> list[str]:
    """Say in plain words what the slopes say of visual similarity and of knowledge from text."""
    analysis, said = found.analysis, []
    for name, alone, other in (
        ("similarity", analysis.by_similarity, "text-only F1"),
        ("text_only", analysis.by_text, "visual similarity"),
    ):
        regression = analysis.joint or alone
        held = f", {other} held fixed" if analysis.joint else ""
        unknown = "Text-only F1: not known, since no language model was asked in words (control text_only)."
        said.append(_sentence(name, regression, held) if regression else unknown)
    return said


def _sentence(name: str, regression: Regression, held: str) -> str:
    """Say in words whether the slope of similarity or text-only F1 predicts generalisation."""
    slope = regression[name]
    title = _TITLES[name][0].upper() + _TITLES[name][1:]
    p = p_value(slope.p)
    p = p if p.startswith("<") else f"= {p}"
    said = (
        f"{held} (b {signed(slope.value, 2)}, 95 % interval {signed(slope.low, 2)} to {signed(slope.high, 2)}, p {p})"
    )
    if slope.p >= 0.05:
        limit = "slopes inside the interval are not ruled out"
        return f"{title} does not predict generalisation significantly{said}; {limit}."
    goes = "predicts generalisation: F1 is higher" if slope.value > 0 else "goes against it: F1 is lower"
    return f"{title} {goes} by {number(abs(slope.value) / 10)} where it is higher by 0.1{said}."


def limits(found: RegressionResult) -> list[str]:
    """Say what the slopes cannot tell."""
    regression = found.analysis.joint or found.analysis.by_similarity
    said = ["an association between hypernyms is no proof of a cause"]
    if regression.n_clusters < _FEW:
        said.append(f"{regression.n_clusters} hypernyms are few, and the errors may be too small")
    if len(found.systems) == 1:
        said.append("it is one system only")
    if found.analysis.joint and found.n_text < found.n:
        known = f"text-only F1 is known of {found.n_text} of {found.n} observations"
        said.append(f"{known}, and the joint regression is about those")
    if found.pairing == ALL:
        said.append("fixed effects take out what the pairings differ in on average")
    return [f"Limits: {'; '.join(said)}."]


def _lines(analysis: Analysis) -> Iterator[list[str]]:
    """Yield the table of the generalisation regressions as lines of cells: a header, then the slopes."""
    yield ["regression of F1 on", "slope of", "b", "95 % interval", "SE", "p", "n", "hypernyms", "R²"]
    parts = (("both", analysis.joint), ("similarity", analysis.by_similarity), ("text-only F1", analysis.by_text))
    for title, regression in parts:
        if regression is None:
            continue
        fixed = [each.name for each in regression.coefficients if each.name not in _TITLES]
        kinds = dict.fromkeys(name.partition("=")[0] for name in fixed)
        title = f"{title}; fixed: {', '.join(kinds)}" if kinds else title
        size = [str(regression.n), str(regression.n_clusters), number(regression.r2)]
        for each in regression.coefficients:
            if each.name in _TITLES and each.name != "intercept":
                bounds = f"[{signed(each.low)}, {signed(each.high)}]"
                slope = [signed(each.value), bounds, number(each.error), p_value(each.p)]
                yield [title, _TITLES[each.name], *slope, *size]


def _correlations(analysis: Analysis) -> str:
    """Return the sentence on Spearman's correlations of similarity and text-only F1 with F1."""

    found = {"visual similarity": analysis.similarity_rho, "text-only F1": analysis.text_rho}
    said = [f"{name} ρ {signed(each.rho, 2)} (n {each.n})" for name, each in found.items() if each]
    return f"Spearman's correlation with F1, systems and pairings not told apart: {first_few(said)}."
