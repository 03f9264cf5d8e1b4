"""What records in several languages say, as people read it."""

from taxbench.board.analysis.languages import TWIN, LanguageFinding, LanguageFindings, systems_of
from taxbench.board.render.cells import markdown_table, markdown_text
from taxbench.scoring.rank_correlation import UNKNOWN, Bounds
from taxbench.util.text import number, signed

_HEADER = [
    "language", "terms", "AUROC", "less English", "transfer", "share kept", "no cognates", "random LM", "nonsense",
    "text only", "translated name", "own answers",
]  # fmt: skip
_LEGEND = (
    "AUROC, the mean over terms; less English: on the same questions; transfer: above the random LM; share kept: of "
    "that in English; no cognates: of words unlike the English; nonsense: words that do not exist (chance: 0.5); "
    "text only and translated name: the LM is told the leaf's name in the language of training and of the test; own "
    "answers: the share of the language's yes and no against the English ones. Brackets: 95 % over terms and leaves."
)


def languages_text(found: LanguageFindings) -> str:
    """Return the findings as Markdown tables, one for each system, dataset and split."""
    blocks = []
    for key in systems_of(found.findings):
        mine = [each for each in found.findings if (each.system, each.dataset, each.split, each.seeds) == key]
        out = f"; {mine[0].left_out} terms without a label in some language left out" if mine[0].left_out else ""
        seeds = ", ".join(map(str, mine[0].seeds))
        blocks.append(f"**{markdown_text(key[0])}**, {markdown_text(key[1])}, split {key[2]}, seeds {seeds}{out}")
        blocks.append(markdown_table([_HEADER, *map(_line, mine)]))
    return "\n\n".join([*blocks, _LEGEND, *(markdown_text(note, 1000) for note in found.notes)]) + "\n"


def _line(each: LanguageFinding) -> list[str]:
    """Return a finding's line of the table, as `_HEADER` has it."""
    controls = [number(each.controls.get(name)) for name in (TWIN, "nonsense", "text_only", "translated_name")]
    cognates = f"{_bounds(each.without_cognates)} ({each.terms - each.cognates})" if each.cognates else "-"
    scores = [_bounds(each.auroc), _bounds(each.less_english, True), _bounds(each.transfer, True), _bounds(each.kept)]
    return [each.language, str(each.terms), *scores, cognates, *controls, number(each.answer_language)]


def _bounds(bounds: Bounds, sign: bool = False) -> str:
    """Return an estimate with its interval as text."""
    show, (value, low, high) = signed if sign else number, bounds
    if bounds == UNKNOWN or low is None:
        return show(value)
    return f"{show(value)} [{low:.2f}, {high:.2f}]"
