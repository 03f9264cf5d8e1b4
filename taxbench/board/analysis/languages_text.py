"""What records in several languages say, as people read it."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from taxbench.board.analysis.language_findings import TWIN, LanguageFinding, LanguageFindings
from taxbench.board.render.cells import markdown_table, markdown_text
from taxbench.util.text import NOTHING_TO_SHOW, bounded, number

_COGNATES = "no cognates"  # in analyses alone: which words they are, files of languages say, not records
_HEADER = [
    "language", "terms", "AUROC", "less English", "transfer", "share kept", _COGNATES, "random LM", "nonsense",
    "text only", "translated name", "own answers",
]  # fmt: skip
_LEGEND = (
    "Terms: those asked in every language with every seed; AUROC, the mean over them; less English: on the same "
    "questions; transfer: above the random LM; share kept: of that in English; {}"
    "nonsense: words that do not exist (chance: 0.5); text only and translated name: the LM is told the "
    "leaf's name in the language of training and of the test; own answers: the share of the language's yes and no "
    "against the English ones. Brackets: 95 % over terms and leaves."
)
LEGEND, BOARD_LEGEND = map(_LEGEND.format, (f"{_COGNATES}: of words unlike the English; ", ""))


def languages_text(found: LanguageFindings) -> str:
    """Return the findings as Markdown tables, one for each system, dataset and split."""
    tables = defaultdict[tuple[Any, ...], list[LanguageFinding]](list)
    for each in found.findings:
        tables[each.system, each.dataset, each.task, each.split, each.seeds, each.family].append(each)
    blocks = []
    for mine in tables.values():
        first = mine[0]
        seeds = ", ".join(map(str, first.seeds))
        named = _system(first, found.findings)
        system, dataset, task, split = map(markdown_text, (named, first.dataset, first.task, first.split))
        blocks.append(f"**{system}**, {dataset}, {task}, split {split}, seeds {seeds}")
        blocks.append(markdown_table([_HEADER, *map(_line, mine)]))
    return "\n\n".join([*blocks, LEGEND, *(markdown_text(note, 1000) for note in found.notes)]) + "\n"


def paired_table(findings: Sequence[LanguageFinding]) -> list[list[str]]:
    """Return the findings of a board as plain cells of one table, the header first."""
    place = _HEADER.index(_COGNATES)
    lines = [["dataset", "LM ← head ← encoder", "task", *_HEADER[:place], *_HEADER[place + 1 :]]]
    for each in findings:
        cells = _line(each)
        names = [each.dataset, _system(each, findings), each.task]
        lines.append([*names, *cells[:place], *cells[place + 1 :]])
    return lines


def _system(each: LanguageFinding, findings: Sequence[LanguageFinding]) -> str:
    """Return the name of a finding's system, with its setting where others have the same name."""

    def name(one: LanguageFinding) -> tuple[str, ...]:
        return one.dataset, one.system, one.task, one.split

    several = len({one.family for one in findings if name(one) == name(each)}) > 1
    return f"{each.system} ({each.setting})" if several and each.setting else each.system


def _line(each: LanguageFinding) -> list[str]:
    """Return a finding's line of the table, as `_HEADER` has it."""
    names = TWIN, "nonsense", "text_only", "translated_name"
    controls = [bounded(each.controls.get(name, (None, None, None))) for name in names]
    cognates = f"{bounded(each.without_cognates)} ({each.terms - each.cognates})" if each.cognates else NOTHING_TO_SHOW
    scores = [bounded(each.auroc), bounded(each.less_english, True), bounded(each.transfer, True), bounded(each.kept)]
    terms = f"{each.terms} of {each.terms + each.left_out}" if each.left_out else str(each.terms)
    return [each.language, terms, *scores, cognates, *controls, number(each.answer_language)]
