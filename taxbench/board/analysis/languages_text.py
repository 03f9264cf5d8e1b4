"""What records in several languages say, as people read it."""

from taxbench.board.analysis.languages import TWIN, LanguageFinding, LanguageFindings, about, systems_of
from taxbench.board.render.cells import markdown_table, markdown_text
from taxbench.scoring.rank_correlation import UNKNOWN
from taxbench.util.text import bounded, number

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
        mine = [each for each in found.findings if about(each) == key]
        out = (
            f"; {mine[0].left_out} terms not asked in every language with every seed left out"
            if mine[0].left_out
            else ""
        )
        seeds = ", ".join(map(str, mine[0].seeds))
        system, dataset, task, split = map(markdown_text, key[:4])
        blocks.append(f"**{system}**, {dataset}, {task}, split {split}, seeds {seeds}{out}")
        blocks.append(markdown_table([_HEADER, *map(_line, mine)]))
    return "\n\n".join([*blocks, _LEGEND, *(markdown_text(note, 1000) for note in found.notes)]) + "\n"


def _line(each: LanguageFinding) -> list[str]:
    """Return a finding's line of the table, as `_HEADER` has it."""
    names = TWIN, "nonsense", "text_only", "translated_name"
    controls = [bounded(each.controls.get(name, UNKNOWN)) for name in names]
    cognates = f"{bounded(each.without_cognates)} ({each.terms - each.cognates})" if each.cognates else "-"
    scores = [bounded(each.auroc), bounded(each.less_english, True), bounded(each.transfer, True), bounded(each.kept)]
    return [each.language, str(each.terms), *scores, cognates, *controls, number(each.answer_language)]
