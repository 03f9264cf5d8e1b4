"""`taxbench probe`: what a language model knows before it sees any picture."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from taxbench.cli.completion import complete_model
from taxbench.cli.options import dataset_options, device_option, json_option
from taxbench.util.progress import Reporter
from taxbench.util.text import plain_json

if TYPE_CHECKING:
    from taxbench.runs.text_probe import TextProbe
    from taxbench.runs.vec_probe import VecProbe


@click.command("probe")
@click.option("--model", default="pocket", show_default=True, help="Alias, directory, GGUF file or hub id.",
              shell_complete=complete_model)  # fmt: skip
@dataset_options
@click.option("--task", default="unseen_hypernym", show_default=True, help="The task whose questions are asked.")
@click.option("--names", type=click.IntRange(2), default=64, show_default=True, help="How many names to ask about.")
@device_option
@click.option("--cache", type=click.Path(), help="Where files are kept [default: as for run].")
@click.option("--vec", type=click.Path(path_type=Path), metavar="FOLDER",
              help="Ask VEC's questions about size, weight, colour ... in words; its files lie in FOLDER.")  # fmt: skip
@json_option
@click.pass_obj
def command(report: Reporter, /, as_json: bool, vec: Path | None, **options: Any) -> None:
    """Say what a language model knows of names, asked in every frame, and which one suits it.

    A name stands where the picture would be. Identity: a named crow, is it a crow or an anvil? Hypernym: is it a bird?
    Where identity is near 0.5 in every frame, no head can show anything through this model.
    """
    if vec is not None:
        from taxbench.runs.vec_probe import vec_probe

        said = vec_probe(options["model"], vec, options["device"], options["cache"], report)
        click.echo(plain_json(said) if as_json else vec_text(said))
        return
    from taxbench.runs.text_probe import ProbeOptions, probe

    found = probe(ProbeOptions(**options), report)
    click.echo(plain_json(found) if as_json else probe_text(found))


def vec_text(found: "VecProbe") -> str:
    """Return the table of what an LM says of VEC's concepts."""
    from taxbench.board.render.cells import markdown_table
    from taxbench.util.text import bounded

    lines = [["concept", "frame", "pairs", "accuracy", "asked for less", "same answer both ways", "yes"]]
    for row in found.rows:
        shown = bounded(row.accuracy), bounded(row.less), f"{row.same_answer:.2f}", f"{row.yes_rate:.2f}"
        lines.append([row.concept, row.frame, str(row.pairs), *shown])
    note = "Chance is 0.5. 95 % intervals are over things. Right is which of two questions gets more of a Yes."
    return "\n".join([f"**{found.model}**, VEC's questions in words\n", markdown_table(lines), note])


def probe_text(found: "TextProbe") -> str:
    """Return the table of a text probe, the chosen prompt marked, and what was found by hypernym and by wording."""
    from taxbench.board.render.cells import markdown_table

    lines = [["frame", "answers", "identity AUROC", "hypernym AUROC", "F1", "F1 at 0", "yes", ""]]
    for row in found.rows:
        values = (row.identity_auroc, row.hypernym_auroc, row.hypernym_f1, row.hypernym_f1_at_zero, row.yes_rate)
        mark = "chosen" if (row.frame, row.answer_form) == (found.chosen.frame, found.chosen.answer_form) else ""
        lines.append([row.frame, row.answer_form, *(f"{value:.2f}" for value in values), mark])
    weakest = sorted(found.hypernyms, key=lambda each: each[1])
    return "\n".join([
        f"**{found.model}**, names of {found.dataset}: {found.questions} questions on {found.names} names\n",
        markdown_table(lines),
        *(f"left out: {each}" for each in found.left_out),
        "\nHypernyms, from the least known: " + ", ".join(f"{name} {auroc:.2f}" for name, auroc in weakest),
        "\nWithout an image: " + " · ".join(f"“{text}” {auroc:.2f}" for text, auroc in found.text_only),
    ])  # fmt: skip
