"""A comparison as people read it: one line a task, then the terms on which the sides differ."""

from collections.abc import Sequence

from taxbench.board.analysis.systems import SystemComparison, TaskComparison
from taxbench.board.render.cells import markdown_table, markdown_text, said, short_task
from taxbench.scoring.comparison import ScoreDifference
from taxbench.util.text import NOTHING_TO_SHOW, number, signed

LEGEND = (
    "A − B: difference in macro-F1 [95 % interval over terms, leaves and images]. p: paired permutation test over "
    "terms; Holm: the same, adjusted for the number of tasks. McNemar counts questions as if they were independent, so "
    "it is too sure. d_z: mean difference of terms over their standard deviation. detectable: the smallest true "
    "difference that this comparison finds with power .8 at alpha .05."
)


def comparison_text(found: SystemComparison, terms: int) -> str:
    """Return a comparison of two systems as Markdown tables, aligned so that they read well as plain text.

    Args:
        terms: How many terms of each task are shown, those that differ most.
    """
    names = [short_task(row.task) for row in found.tasks]
    tasks = [row.task if names.count(name) > 1 else name for row, name in zip(found.tasks, names, strict=True)]
    differ = [f"{each.fact} ({markdown_text(each.a)} | {markdown_text(each.b)})" for each in found.apart]
    blocks = [
        f"A: {markdown_text(found.a, 200)}\nB: {markdown_text(found.b, 200)}",
        f"They differ in {', '.join(differ)}." if differ else "Their records differ in no fact: one system twice.",
    ]
    blocks.append(markdown_table(_lines(found.tasks, tasks)))
    for row, task in zip(found.tasks, tasks, strict=True):
        blocks += _terms(row, task, terms)
    blocks += [markdown_text(note, 1000) for note in found.notes]
    return "\n\n".join(block for block in blocks if block) + "\n"


def p_value(p: float | None) -> str:
    """Return a p-value as text."""
    return NOTHING_TO_SHOW if p is None else "< 0.001" if p < 0.001 else number(p)


def _lines(rows: Sequence[TaskComparison], tasks: Sequence[str]) -> list[list[str]]:
    """Return a comparison's table as lines of cells: a header, then F1, tests and effect sizes by task."""
    lines = [
        {
            "task": markdown_text(task),
            "split": each.split,
            "seeds": ", ".join(map(str, each.seeds)),
            "F1 A": number(each.macro_f1.a),
            "F1 B": number(each.macro_f1.b),
            "A − B": _difference(each.macro_f1),
            "p": p_value(each.permutation_p),
            "Holm": p_value(row.holm_p) if len(rows) > 1 else NOTHING_TO_SHOW,
            "McNemar": p_value(each.mcnemar_p),
            "d_z": signed(each.d_z, 2),
            "detectable": number(each.detectable),
            "AUROC A − B": _difference(each.auroc),
            "questions": f"{each.n_questions:,}",
        }
        for row, task in zip(rows, tasks, strict=True)
        for each in [row.comparison]
    ]
    return said([list(lines[0]), *(list(line.values()) for line in lines)])


def _difference(score: ScoreDifference) -> str:
    """Return A minus B of a comparison's score as text, with its interval where there is one."""
    if score.low is None or score.high is None:
        return signed(score.difference)
    return f"{signed(score.difference)} [{signed(score.low)}, {signed(score.high)}]"


def _terms(row: TaskComparison, task: str, most: int) -> list[str]:
    """Return the table of the terms that differ most, and its heading."""
    terms = [term for term in row.comparison.terms if term.difference][:most]
    if not terms:
        return []
    lines = [["term", "F1 A", "F1 B", "A − B"]]
    lines += [[markdown_text(term.term), number(term.a), number(term.b), signed(term.difference)] for term in terms]
    of = f"{len(terms)} of {len(row.comparison.terms)} terms"
    return [f"**Where they differ on {markdown_text(task)}, {row.comparison.split}** ({of})\n\n{markdown_table(lines)}"]
