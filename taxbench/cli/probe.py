"""`taxbench probe`: what a language model knows before it sees any picture."""

import json
from dataclasses import asdict

import click

from taxbench.cli.completion import complete_model
from taxbench.cli.options import dataset_options, device_option
from taxbench.util.progress import Reporter


@click.command("probe")
@click.option("--model", default="pocket", show_default=True, help="Alias, directory, GGUF file or hub id.",
              shell_complete=complete_model)  # fmt: skip
@dataset_options
@click.option("--task", default="unseen_hypernym", show_default=True, help="The task whose questions are asked.")
@click.option("--names", type=click.IntRange(2), default=64, show_default=True, help="How many names to ask about.")
@device_option
@click.option("--cache", type=click.Path(), help="Where files are kept [default: as for run].")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.pass_context
def command(ctx: click.Context, /, as_json: bool, **options: str) -> None:
    """Say what a language model knows of names, asked in every frame, and which one suits it.

    A name stands where the picture would be. Identity: a named crow, is it a crow or an anvil? Hypernym: is it a bird?
    Where identity is near 0.5 in every frame, no head can show anything through this model.
    """
    from taxbench.board.render.cells import markdown_table
    from taxbench.runs.text_probe import ProbeOptions, probe

    found = probe(ProbeOptions(**options), Reporter(quiet=bool(ctx.find_root().params["quiet"])))
    if as_json:
        click.echo(json.dumps(asdict(found) | {"chosen": found.chosen.model_dump()}, indent=1, ensure_ascii=False))
        return
    lines = [["frame", "answers", "identity AUROC", "hypernym AUROC", "F1", "F1 at 0", "yes", ""]]
    for row in found.rows:
        values = (row.identity_auroc, row.hypernym_auroc, row.hypernym_f1, row.hypernym_f1_at_zero, row.yes_rate)
        mark = "chosen" if (row.frame, row.answer_form) == (found.chosen.frame, found.chosen.answer_form) else ""
        lines.append([row.frame, row.answer_form, *(f"{value:.2f}" for value in values), mark])
    click.echo(
        f"**{found.model}** on the names of {found.dataset}: {found.questions} questions on {found.names} names\n"
    )
    click.echo(markdown_table(lines))
    for each in found.left_out:
        click.echo(f"left out: {each}")
    weakest = sorted(found.hypernyms, key=lambda each: each[1])
    click.echo("\nHypernyms, from the least known: " + ", ".join(f"{name} {auroc:.2f}" for name, auroc in weakest))
    click.echo("\nWithout an image: " + " · ".join(f"“{text}” {auroc:.2f}" for text, auroc in found.text_only))
