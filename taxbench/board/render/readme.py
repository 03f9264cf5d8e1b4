"""The board as `leaderboard/README.md`: for someone who opens the repository's page and sees it for the first time."""

from collections.abc import Callable, Sequence
from textwrap import fill

from taxbench.board.board import NOTHING, Board, Entry, Reference, Row, controls_of
from taxbench.board.plots import plots
from taxbench.board.render.cells import (
    markdown_table,
    markdown_text,
    names_of,
    rank,
    said,
    seeds_of,
    task_name,
    with_interval,
)
from taxbench.board.roles import ROLES
from taxbench.datasets.known import known_datasets
from taxbench.specs.controls import CONTROLS, control_title
from taxbench.util.text import NOTHING_TO_SHOW, number

_OPENING = """\
# Leaderboard

<!-- Made by `taxbench leaderboard build`; do not edit. -->

A head is trained to map image features into a frozen language model, on leaf questions only ("Is there a crow in this
image?"), and is then asked hypernym questions that it never saw ("Is there a bird in this image?"). Entries are
ranked by macro-F1 on those **unseen** hypernyms, and every score stands beside its controls and its uncertainty. All
figures follow from the answers in [results/](results), and anyone can run them again.

**[index.html](index.html)** is the whole board as one page to sort, filter and open (download it; it works from
disk). For programs: [board.csv](board.csv), [board.json](board.json); for papers: [board.tex](board.tex) and
[figures/](figures). What the columns mean stands [below the tables](#how-to-read-this), and then how to [add a
row](#add-a-row).
"""

_CONTROLS = " ".join(f"**{control.title}**: {control.help}" for control in CONTROLS.values())
_READING = f"""\
## How to read this

- **leaf, seen, unseen F1**: macro-F1 on the words that heads are trained on; on hypernyms that training asked for; on
  hypernyms that it never asked for. For each term the mean of F1(Yes) and F1(No), then the mean over terms.
- **[low, high]**: 95 % interval over items: what other terms, leaves and images would change, for these trained heads.
  **± seeds**: standard deviation over seeds, each of which draws training, the split of the pictures, held-out leaves
  and wrong answers anew. They are not added up.
- **rank [best–worst]**: the place by unseen F1, with the places that 95 % intervals of the differences from all other
  entries allow at once. Entries of one **band** are not worse for sure than the best of it: read them as a tie.
- **transfer**: unseen F1 minus that of the same head trained through the same language model with random weights.
  What the language model brought along from text.
- **high, low, coherence effect**: unseen F1 when pictures are swapped between leaves of the same hypernyms, so that
  visual similarity stays high; when they are swapped between any leaves, which destroys it; and the first minus the
  second.
- **held-out AUROC**: hypernyms of pictures whose leaf training never named. AUROC does not care where the threshold
  between Yes and No lies: 0.5 knows nothing.
{fill(f"- **controls**: {_CONTROLS}", 120, subsequent_indent="  ", break_on_hyphens=False)}
- **incomplete** entries lack a task or a seed and are shown without a rank; **control** heads are told the answer or
  see no picture. "–" is no data, never zero.
"""

_ADDING = """\
## Add a row

```sh
taxbench run --model ./my-lm --encoder ./my-encoder --task taxonomic --seeds 42,218,7
taxbench leaderboard add results
taxbench leaderboard check
taxbench leaderboard build
```

`run` takes any decoder-only language model and image encoder in Hugging Face format, or an alias from `taxbench ls`.
`add` copies results with every answer, `check` recomputes all figures from the answers and refuses what does not
agree, `build` makes this page. `taxbench reproduce leaderboard/results/FOLDER` runs a record again and says whether
the figures agree.
"""


def readme(board: Board, figures: str = "figures") -> str:
    """Return the page in Markdown; `figures` is the folder of the PNG files, as seen from it."""
    blocks = [_OPENING]
    for dataset in dict.fromkeys(entry.dataset for entry in board.entries):
        blocks += _dataset([entry for entry in board.entries if entry.dataset == dataset])
    if not board.entries:
        blocks.append("There are no results yet.\n")
    blocks.append(_READING)
    pictures = [f"![{markdown_text(plot.caption, 200)}]({figures}/{plot.stem}.png)\n" for plot in plots(board)]
    if pictures:
        blocks += ["## Figures\n", *pictures]
    blocks += _others(board)
    blocks += _references(board.references)
    return "\n".join([*blocks, _ADDING])


def _dataset(entries: Sequence[Entry]) -> list[str]:
    """Return the main table and the table of controls of one dataset."""
    names = names_of(entries)
    head = ["rank", "band", *names, *_COLUMNS]
    lines = [[*_place(each), *_named(each, names), *_cells(each)] for each in entries]
    known = known_datasets().get(entries[0].dataset)
    about = f"{known.summary} " if known else ""
    title = f"## Dataset {markdown_text(entries[0].dataset)}\n\n{about}{seeds_of(entries).capitalize()} an entry.\n"
    blocks = [title, markdown_table(said([head, *lines], always=("rank",))) + "\n"]
    missing = [each for each in entries if each.missing and not each.is_control]
    if missing:
        blocks.append("Incomplete, and what is missing, or was not run with the same seeds:\n")
        blocks += [f"- {' · '.join(filter(None, _named(each, names)))}: {', '.join(each.missing)}" for each in missing]
        blocks.append("")
    return blocks + _controls(entries)


def _place(entry: Entry) -> list[str]:
    """Return the README's cells of an entry's place: rank and band."""
    return [rank(entry), "" if entry.rank is None else str(entry.rank.band)]


def _named(entry: Entry, names: dict[str, Callable[[Entry], str]]) -> list[str]:
    """Return the README's cells that name an entry: LM, encoder, head and what else tells entries apart."""
    return [markdown_text(show(entry)) for show in names.values()]


_COLUMNS = ("unseen F1", "± seeds", "transfer", "coherence effect", "leaf F1", "seen F1", "high", "low",
            "held-out AUROC")  # fmt: skip


def _cells(entry: Entry) -> list[str]:
    """Return an entry's scores as cells of the README's main table."""
    leaf, seen, unseen, high, low = (entry.rows.get(role) for role in ROLES)
    f1 = unseen.f1 if unseen else NOTHING
    return [
        with_interval(f1),
        number(f1.sd),
        with_interval(unseen.transfer if unseen else NOTHING),
        with_interval(entry.coherence_effect),
        *(number(row.f1.mean if row else None) for row in (leaf, seen, high, low)),
        number(unseen.heldout_auroc.mean if unseen else None),
    ]


def _controls(entries: Sequence[Entry]) -> list[str]:
    """Return what F1 on unseen hypernyms would be without what is claimed."""
    rows = [(entry, entry.rows["unseen"]) for entry in entries if "unseen" in entry.rows]
    controls = controls_of(row for _, row in rows)
    if not controls:
        return []
    names = names_of(entries)
    lines = [[*names, "unseen F1", *(markdown_text(control_title(name)) for name in controls)]]
    for entry, row in rows:
        cells = [number(row.controls.get(name, NOTHING).mean) for name in controls]
        lines.append([*_named(entry, names), number(row.f1.mean), *cells])
    why = "**Controls**: F1 on the same unseen hypernyms without the thing that is claimed.\n"
    return [why, markdown_table(lines) + "\n"]


def _others(board: Board) -> list[str]:
    """Return the tasks that are not part of an entry, folded up, and the averages of groups."""
    rows = board.others
    blocks = []
    if rows:
        head = ["dataset", "LM", "encoder", "head", "setting", "task", "split", "F1", "AUROC", "transfer"]
        lines = [head, *(_other(row, rows) for row in rows)]
        blocks += [
            "## Other tasks\n",
            _folded(f"{len(rows)} rows: curves and other designs", markdown_table(said(lines))),
        ]
    if board.groups:
        head = ["dataset", "LM", "encoder", "head", "setting", "group", "average", ""]
        lines = [head]
        for each in board.groups:
            dataset, lm, encoder, name, setting = each.place
            cells = map(markdown_text, (dataset, lm, encoder, name, setting, each.group))
            lines.append([*cells, str(each.average), markdown_text(each.blank_because, 120)])
        blocks.append(_folded("Averages over groups of tasks", markdown_table(said(lines))))
    return blocks


def _other(row: Row, rows: Sequence[Row]) -> list[str]:
    """Return a row of another task as cells of the README's table of other tasks."""
    names = (row.dataset, row.lm, row.encoder, row.head, row.setting, task_name(row, rows), row.split)
    scores = [with_interval(row.f1), number(row.auroc.mean), with_interval(row.transfer)]
    return [*map(markdown_text, names), *scores]


def _folded(title: str, text: str) -> str:
    """Return a part of the README in a Markdown block that opens on a click."""
    return f"<details><summary>{title}</summary>\n\n{text}\n\n</details>\n"


_PAIRINGS = {
    "original": "unseen F1",
    "within_category": "swapped inside categories",
    "across_category": "swapped across categories",
}


def _references(references: Sequence[Reference]) -> list[str]:
    """Return the published figures without any hypernym evidence, one line a system."""
    systems: dict[tuple[str, str, str, str], dict[str, str]] = {}
    for each in references:
        if each.deprivation != "full" or each.pairing not in (("original",) if each.split == "leaf" else _PAIRINGS):
            continue
        key = each.dataset, each.encoder, each.lm, each.source
        column = "leaf F1" if each.split == "leaf" else _PAIRINGS[each.pairing]
        column = f"random LM, {column}" if each.random_lm else column
        cells = systems.setdefault(key, {})
        cells[column] = str(each.estimate)
        if each.chance_f1 is not None and column == "unseen F1":
            cells["chance"] = number(each.chance_f1)
    if not systems:
        return []
    columns = ["leaf F1", *_PAIRINGS.values(), "random LM, unseen F1", "chance"]
    lines = [["dataset", "LM", "encoder", *columns]]
    for (dataset, encoder, lm, _), cells in systems.items():
        names = [markdown_text(name) for name in (dataset, lm, encoder)]
        lines.append([*names, *(cells.get(column, NOTHING_TO_SHOW) for column in columns)])
    sources = "; ".join(dict.fromkeys(markdown_text(key[3], 120) for key in systems))
    return [
        "## Published figures: reported, not re-run\n",
        f"From {sources}. Another protocol, and never ranked against the rows above. Training saw no hypernym\n"
        "question; F1 is the mean ± standard deviation over seeds, without terms asked with one answer only.\n"
        f"All {len(references)} cells stand in [published/](published/README.md).\n",
        markdown_table(said(lines)) + "\n",
    ]
