"""What property tasks say as people read it."""

from taxbench.board.analysis.physical import PropertyFinding, PropertyFindings
from taxbench.board.analysis.physical_controls import APPARENT_SIZE, CATEGORY_MEAN
from taxbench.board.analysis.physical_pairs import GAPS, PairFinding
from taxbench.board.render.cells import markdown_table, markdown_text
from taxbench.specs.controls import CONTROLS, control_title
from taxbench.util.text import bounded, number

_LEGEND = (
    "AUROC is the mean over wordings; transfer is what it is above the random LM's. direct and reversed: of wordings "
    "that are answered Yes where the property holds, and where it does not. agreement: Spearman over leaves between "
    "these two, reversed turned around. number: Spearman of a leaf's mean margin with its number; within: among leaves "
    "of the same hypernyms. 95 % intervals are over leaves, for the wordings at hand. category mean: what is true of "
    "the other leaves of the same hypernyms; apparent size: the share of the picture that the thing takes."
)
_TRUTHS = (
    "Of leaves whose answer is not their pictures': AUROC against the name's answer, and against the picture's, which "
    "is one less that; of numbers, Spearman with the name's and with the picture's."
)


def physical_text(found: PropertyFindings) -> str:
    """Return the findings on property tasks as Markdown tables, one for each system, dataset and split."""
    blocks = []
    for key in dict.fromkeys((each.system, each.dataset, each.split) for each in found.findings):
        mine = [each for each in found.findings if (each.system, each.dataset, each.split) == key]
        seeds = ", ".join(map(str, mine[0].seeds))
        title = f"**{markdown_text(key[0])}**, {markdown_text(key[1])}, split {key[2]}, seeds {seeds}"
        blocks += [title, markdown_table([_HEADER, *map(_line, mine)])]
        there = [name for name in _CONTROLS if any(name in each.controls for each in mine)]
        header = ["AUROC of controls", *(control_title(name) for name in there)]
        lines = [[each.task, *(number(each.controls.get(name)) for name in there)] for each in mine]
        blocks.append(markdown_table([header, *lines]))
        if truths := [each for each in mine if each.differing is not None]:
            header = ["task", "differing leaves", "follows name", "follows picture", "number, name", "number, picture"]
            blocks.append(markdown_table([header, *map(_truths, truths)]))
    if found.pairs:
        blocks += ["**Which of two has more**", markdown_table([_PAIRS, *map(_pair_line, found.pairs)])]
    legend = [_LEGEND] + [_TRUTHS] * any(each.differing is not None for each in found.findings)
    return "\n\n".join([*blocks, *legend, *(markdown_text(note, 1000) for note in found.notes)]) + "\n"


_HEADER = ["task", "leaves", "AUROC", "transfer", "direct", "transfer", "reversed", "agreement", "number", "random LM",
           "within"]  # fmt: skip
_CONTROLS = (*CONTROLS, CATEGORY_MEAN, APPARENT_SIZE)


_PAIRS = ["system", "task", "split", "asked", "pairs", "told rightly", "random LM", *GAPS, "same answer both ways"]


def _pair_line(each: PairFinding) -> list[str]:
    """Return a finding's line of the table of pairs."""
    shown = [bounded(bounds) for bounds in (each.right, each.twin, *each.by_gap, each.same_answer)]
    return [each.system, each.task, each.split, each.asked, str(each.pairs), *shown]


def _line(each: PropertyFinding) -> list[str]:
    """Return a finding's line of the table, as `_HEADER` has it."""
    aurocs = (each.auroc, each.transfer, each.direct, each.direct_transfer, each.reversed, each.agreement)
    shown = [bounded(bounds, place in (1, 3, 5)) for place, bounds in enumerate(aurocs)]
    numbers = [bounded(bounds, True) for bounds in (each.number, each.number_twin, each.number_within)]
    return [each.task, str(each.leaves), *shown, *numbers]


def _truths(each: PropertyFinding) -> list[str]:
    """Return a re-paired finding's line of the table of two truths."""
    follows = [bounded(bounds) for bounds in (each.follows_name, each.follows_picture)]
    numbers = [bounded(bounds, True) for bounds in (each.number, each.number_of_picture)]
    return [each.task, str(each.differing), *follows, *numbers]
