"""`taxbench reproduce`: run a record again and say whether the scores agree."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from taxbench.cli.completion import complete_dataset, complete_encoder, complete_model
from taxbench.cli.options import json_option
from taxbench.util.progress import Reporter
from taxbench.util.text import number, plain_json

if TYPE_CHECKING:
    from taxbench.runs.reproduce import Reproduction


@click.command("reproduce")
@click.argument("result", type=click.Path(path_type=Path))
@click.option("--dataset", metavar="NAME", shell_complete=complete_dataset, help="What its dataset is called here.")
@click.option("--taxonomy", type=click.Path(path_type=Path), metavar="FILE", help="As for run.")
@click.option("--properties", type=click.Path(path_type=Path), metavar="FILE", help="As for run.")
@click.option(
    "--model", metavar="NAME", shell_complete=complete_model, help="What its LM, or its system, is called here."
)
@click.option("--encoder", metavar="NAME", shell_complete=complete_encoder, help="What its encoder is called here.")
@click.option("--device", metavar="NAME", help="auto, cpu, cuda or mps  [default: the kind it was made on]")
@click.option("--cache", type=click.Path(path_type=Path), metavar="DIR", help="Where features are kept.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Keep the new record there.")
@click.option("--tolerance", type=click.FloatRange(0, 1), default=0.03, show_default=True,
              help="How far any score may be off.")  # fmt: skip
@json_option
@click.pass_obj
def command(report: Reporter, /, result: Path, as_json: bool, **given: Any) -> None:
    """Train and ask again what RESULT, a result.json or its folder, records; exit with 1 if the scores do not agree.

    Task, head and settings are the record's own; only features may come from the cache. Names that were directories
    where the record was made need --dataset, --model or --encoder.
    """
    from taxbench.runs.reproduce import ReproduceOptions, reproduce

    found = reproduce(result, ReproduceOptions(**given), report)
    click.echo(plain_json(found, agrees=found.agrees, verdict=_verdict(found)) if as_json else _text(found))
    if not found.agrees:
        click.get_current_context().exit(1)


def _verdict(found: "Reproduction") -> str:
    """Say in a sentence whether a reproduced run agrees with its record, and where it does not."""
    if found.other_inputs:
        near = "agree" if found.scores_agree else "do not agree"
        return f"It is not the same run: other {', '.join(found.other_inputs)}. That its scores {near} says nothing."
    if found.same_bytes:
        return "The same bytes: every answer and every margin is as recorded."
    far = found.largest
    where = f"{far.score} of {far.of}, {far.split}: {number(far.recorded, 4)} recorded, {number(far.here, 4)} here"
    if found.agrees:
        return f"Agrees within {found.tolerance:g} (largest difference {far.difference:.4f}: {where})."
    many = sum(each.difference is None or each.difference > found.tolerance for each in found.scores)
    return (
        f"Does not agree within {found.tolerance:g}: {many} of {len(found.scores)} scores are farther off or missing; "
        f"farthest {where}."
    )


def _text(found: "Reproduction") -> str:
    """Return a reproduction as Markdown tables of scores and changed identities, then the verdict."""
    from taxbench.board.render.cells import markdown_table, markdown_text

    lines = [["of", "split", "score", "recorded", "here", "difference"]]
    for each in found.scores:
        values = (each.recorded, each.here, each.difference)
        lines.append([each.of, each.split, each.score, *(number(value, 4) for value in values)])
    blocks = [markdown_table([list(map(markdown_text, line)) for line in lines])]
    if found.identities:
        changed = [["not as recorded", "then", "now"]]
        changed += [[markdown_text(x) for x in (each.what, each.recorded, each.here)] for each in found.identities]
        blocks.append(markdown_table(changed))
    return "\n\n".join([*blocks, _verdict(found)])
