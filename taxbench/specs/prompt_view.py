"""What a record is to a person at a prompt or in a notebook: where it lies, one line, and a small table."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any, Self

from taxbench.specs.controls import control_title, in_order
from taxbench.util.text import number, plain


def html_table(lines: Iterable[Sequence[object]]) -> str:
    """Return lines as an HTML table, every text escaped; the first one is the header."""
    rows = ("".join(f"<td>{escape(plain(str(cell)))}</td>" for cell in line) for line in lines)
    head, *body = (f"<tr>{row}</tr>" for row in rows)
    return f"<table><thead>{head.replace('td>', 'th>')}</thead><tbody>{''.join(body)}</tbody></table>"


class PromptView:
    """How a `Result` shows itself. Nothing of it belongs to the record."""

    @cached_property
    def folder(self) -> Path | None:
        """Return the folder that holds the record and its predictions; None where it was read from none."""
        return None

    def lies_in(self, folder: Path) -> Self:
        """Note where the record lies, and return it."""
        self.__dict__["folder"] = folder
        return self

    def __repr__(self: Any) -> str:
        headline = self.run.task.headline
        f1 = number(self.scores[headline].macro_f1) if headline in self.scores else "none"
        names = f"{self.run.task.name} {self.lm} {self.encoder} {self.head} {self.run.dataset.label}"
        return f"<Result {plain(names)} seed {self.seed}: {headline} F1 {f1}>"

    __str__ = __repr__

    def _repr_html_(self: Any) -> str:
        """Return the scores of every split beside those of the controls, for notebooks."""
        controls = in_order(self.controls)
        lines: list[list[str]] = [["split", "F1", "AUROC", "accuracy", "questions", *map(control_title, controls)]]
        for split, own in self.scores.items():
            scores = [own.macro_f1, own.auroc, own.accuracy]
            beside = [self.controls[name].get(split) for name in controls]
            lines.append([split, *map(number, scores), f"{own.n_questions:,}",
                          *(number(each and each.macro_f1) for each in beside)])  # fmt: skip
        return f"<p>{escape(repr(self))}</p>{html_table(lines)}"
