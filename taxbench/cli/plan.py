"""`taxbench plan`: what a run would do, and how long it would take, without starting it."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from taxbench.cli.options import json_option
from taxbench.cli.run import config_from, run_options
from taxbench.util.errors import UsageError
from taxbench.util.progress import Reporter
from taxbench.util.text import duration, plain_json

if TYPE_CHECKING:
    from taxbench.runs.forecast import Forecast

_BEGAN = time.time()
_PLOTS = (".png", ".pdf")


@click.command("plan")
@run_options
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Draw how fast several processes would be, as FILE.png or FILE.pdf.",
)
@json_option
@click.pass_obj
def command(report: Reporter, /, file: Path | None, plot: Path | None, as_json: bool, **options: Any) -> None:
    """Say what 'taxbench run' with the same options would do, what is there already, and how long it would take.

    Nothing is extracted, trained or written, but for --plot. Rates are those of earlier runs in --out on this machine,
    else of a probe of some seconds.
    """
    if plot and plot.suffix not in _PLOTS:
        raise UsageError(f"--plot {plot}: expected a file that ends in {' or '.join(_PLOTS)}.")
    config = config_from(file, options)
    report.say(config.describe())

    from taxbench.runs.forecast import forecast

    found = forecast(config, report, _BEGAN)
    if plot and found.seconds <= found.preparing:
        report.say(f"Nothing is left to do, so {plot} is not drawn.")
    elif plot:
        from taxbench.board.render.paper_figures import scaling_figure
        from taxbench.util.paths import replacing

        with replacing(plot) as partial:
            partial.write_bytes(scaling_figure(found.by_workers, plot.suffix.removeprefix(".")))
    if as_json:
        click.echo(plain_json(found, seconds=found.seconds))
    else:
        _show(found)


def _show(found: "Forecast") -> None:
    """Print a forecast for people."""
    for each in found.inputs:
        click.secho(f"{each.model} ← {each.encoder} · {each.dataset}", bold=True)
        click.echo(f"  runs      {each.runs}, {each.done} of them done")
        click.echo(f"  heads     {each.heads} to be trained through the LM, {each.cached_heads} of them cached")
        size = f", about {each.feature_bytes / 1e9:.2g} GB" if each.missing_features else ""
        click.echo(f"  features  {each.images:,} images; {each.missing_features} sets to be extracted{size}")
        flops = f"; {each.train_flops / 1e12:.3g} TFLOPs to train, {each.evaluate_flops / 1e12:.3g} to ask"
        click.echo(f"  LM        {each.model_bytes / 1e9:.2g} GB of weights{flops if each.evaluate_flops else ''}")
        if each.rates:
            click.echo(f"  rates     {each.rates.train / 1e9:.3g} and {each.rates.evaluate / 1e9:.3g} GFLOP/s, "
                       f"measured by {each.rates.source}")  # fmt: skip
            if each.rates.memory:
                click.echo(f"  memory    {each.rates.memory / 1e9:.2g} GB at its peak there")
        phases = " · ".join(f"{phase} {duration(seconds)}" for phase, seconds in each.seconds.items())
        click.echo(f"  time      {phases or 'nothing is left to do'}")
    for download in found.downloads:
        click.secho(f"to be downloaded: {download.describe()}", fg="yellow")
    if found.detectable:
        told = ", ".join(f"{name} {difference:.3f}" for name, difference in found.detectable.items())
        click.echo(f"Differences in macro-F1 that two runs of one seed would show (power .8): {told}")
    for line in found.left_out:
        click.echo(line)
    for line in found.failing:
        click.secho(f"cannot be run: {line}", fg="red")
    if found.seconds > found.preparing:
        shown = ", ".join(f"{n}: {duration(seconds)}" for n, seconds in found.by_workers.items())
        click.echo(f"By so many processes, each on a machine like this: {shown}.")
    click.echo(f"In all about {duration(found.seconds)} by one process on this machine, {duration(found.preparing)} of "
               "them to load and plan.")  # fmt: skip
