"""Ten task files, each wrong in one way and most of them in others too, with the line of every one of their errors."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Malformed:
    """A file, and what must be found: line and words of each finding, in order."""

    text: str
    found: tuple[tuple[int, str], ...]


FILES = {
    "misspelt.yaml": Malformed(
        "name: misspelt\nversion: 1\nsummary: A task.\ndeprivation: {kind: random, fraktion: 0.3}\n"
        "evaluate: [leaf, unseen]\nmetrics:\n  - {naem: macro_f1, primary: true}\n  - {name: auroc, primry: false}\n"
        "qestions: {template: x}\n",
        (
            (4, "deprivation: unknown field 'fraktion'. Did you mean 'fraction'?"),
            (7, "metrics[0]: unknown field 'naem'. Did you mean 'name'?"),
            (8, "metrics[1]: unknown field 'primry'. Did you mean 'primary'?"),
            (9, "unknown field 'qestions'. Did you mean 'questions'?"),
        ),
    ),
    "enum.yaml": Malformed(
        "name: enum\nversion: 1\nsummary: A task.\ndeprivation: {kind: fool}\n"
        "counterfactual: {kind: within_categories}\nevaluate:\n  - leaf\n  - unsen\n"
        "questions: {negatives: siblings}\ncontrols: [chance, randomlm]\nmetrics: [{name: f1, primary: true}]\n",
        (
            (4, "expected one of none, random, systematic, full, found 'fool'. Did you mean 'full'?"),
            (5, "Did you mean 'within_category'?"),
            (8, "evaluate[1]: expected one of leaf, seen, unseen, heldout_leaf, found 'unsen'. Did you mean 'unseen'?"),
            (9, "questions.negatives: expected one of uniform, distinct, sibling, fixed, found 'siblings'"),
            (10, "feature_probe, name_probe, translated_name, nonsense, found 'randomlm'"),
            (11, "metrics[0].name: expected one of macro_f1, auroc, accuracy, found 'f1'"),
        ),
    ),
    "duplicate.yaml": Malformed(
        "name: duplicate\nversion: 1\nsummary: A task.\nversion: 2\ndeprivation: {kind: full}\n"
        "evaluate: [leaf, unseen]\nquestions:\n  negatives_per_positive: 1\n  negatives_per_positive: 99\nsummary: x\n",
        (
            (4, "'version' is given twice (first on line 2)"),
            (8, "expected a value less than or equal to 16, found 99"),
            (9, "'negatives_per_positive' is given twice (first on line 8)"),
            (10, "'summary' is given twice (first on line 3)"),
        ),
    ),
    "indentation.yaml": Malformed(
        "name: indentation\nversion: 1\ndeprivation:\n  kind: full\n evaluate: [leaf]\nsummary: x\n",
        ((5, "not valid YAML"),),
    ),
    "no_parent.yaml": Malformed(
        "name: no_parent\nextends: unseen_hypernim\nheldout_leaves: 1.5\nfoo: 1\nevaluate: leaf\n",
        (
            (2, "extends 'unseen_hypernim', but there is no unseen_hypernim.yaml. Did you mean 'unseen_hypernym'?"),
            (3, "heldout_leaves: expected a value less than 1, found 1.5"),
            (4, "unknown field 'foo'"),
            (5, "evaluate: expected a list, found 'leaf'"),
        ),
    ),
    "circle.yaml": Malformed(
        "name: circle\nversion: one\nextends: _back\n",
        ((2, "version: expected a whole number, found 'one'"), (3, "in a circle: circle → _back → circle")),
    ),
    "yes_no.yaml": Malformed(
        "name: yes_no\nversion: 1\nsummary: yes\nextends: unseen_hypernym\nquestions:\n  answers:\n"
        "    positive: [YES, true, 'on']\n    negative: No\n",
        (
            (7, 'other YAML readers take an unquoted YES for a boolean; write "YES" in quotes'),
            (7, "questions.answers.positive[1]: expected text, found the boolean true"),
            (8, 'other YAML readers take an unquoted No for a boolean; write "No" in quotes'),
        ),
    ),
    "placeholder.yaml": Malformed(
        "name: placeholder\nextends: unseen_hypernym\nquestions:\n  template: Is it {a_trem} or {thing}?\n"
        "evaluate: [leaf, seen]\n",
        (
            (4, "unknown placeholder {a_trem}; known: {a_term}, {term}, {plural}. Did you mean 'a_term'?"),
            (4, "unknown placeholder {thing}; known: {a_term}, {term}, {plural}"),
            (5, "deprivation 'full' leaves no 'seen' hypernyms to evaluate"),
        ),
    ),
    "wrong_type.yaml": Malformed(
        "name: wrong_type\nversion: one\nsummary: [A, b]\ntags: x\ndeprivation: full\nevaluate: {leaf: 1}\n"
        "questions:\n  answers: {positive: [], negative: {a: 1}}\n  negatives_per_positive: many\nsettings: [a]\n",
        (
            (2, "version: expected a whole number, found 'one'"),
            (3, "summary: expected text, found a list"),
            (4, "tags: expected a list, found 'x'"),
            (5, "deprivation: expected a choice such as {kind: full}, found 'full'"),
            (6, "evaluate: expected a list, found a mapping"),
            (8, "questions.answers.positive: expected at least 1 of them, found 0"),
            (8, "questions.answers.negative: expected a list, found a mapping"),
            (9, "questions.negatives_per_positive: expected a whole number, found 'many'"),
            (10, "settings: expected a mapping, found a list"),
        ),
    ),
    "same_name.yaml": Malformed(
        "version: 1\nname: leaf\nextends: unseen_hypernym\n",
        ((2, "the name 'leaf' is taken by"),),
    ),
}


def write_all(folder: Path) -> None:
    """Write the ten files, and the second half of the circle."""
    for name, file in FILES.items():
        (folder / name).write_text(file.text, encoding="utf-8")
    (folder / "_back.yaml").write_text("extends: circle\n", encoding="utf-8")
