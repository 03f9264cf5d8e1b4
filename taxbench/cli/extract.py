"""`taxbench extract`: put features into the cache, ahead of the runs that want them."""

import click

from taxbench.cli.completion import complete_encoder
from taxbench.cli.options import dataset_options, device_option, json_option
from taxbench.util.progress import Reporter


@click.command("extract")
@dataset_options
@click.option("--encoder", default="pocket", show_default=True, help="Alias, random-ALIAS, pixels, directory, hub id.",
              shell_complete=complete_encoder)  # fmt: skip
@click.option("--pool", default="pooled", show_default=True, help="pooled, tokens, or gridK; several by commas.")
@click.option("--layers", default="-1", show_default=True, help="Hidden states by commas; -1 is the output.")
@click.option("--storage", type=click.Choice(["float16", "bfloat16"]), default="float16", show_default=True)
@click.option("--crop", type=click.Choice(["none", "center"]), default="none", show_default=True,
              help="none: resized straight to the input; center: as the encoder's own processor does.")  # fmt: skip
@device_option
@click.option("--batch", type=click.IntRange(1), default=64, show_default=True, help="Images the encoder sees at once.")
@click.option("--workers", type=click.IntRange(0), help="Decoding processes [default: one a core, at most 16].")
@click.option("--compile", "compiled", is_flag=True, help="Compile the encoder first; pays off on GPUs.")
@click.option("--cache", type=click.Path(), help="Where features are kept [default: as for run].")
@json_option
@click.pass_obj
def command(report: Reporter, /, as_json: bool, **options: object) -> None:
    """Encode a dataset's pictures once; runs find the features in the cache.

    All layers and pools asked for are computed in one pass. An interrupted extraction goes on where it stopped, and
    several processes may be started on the same command, one for each GPU: they share the work.
    """
    from taxbench.runs.feature_cache import ExtractOptions, extract
    from taxbench.util.text import plain_json

    entries = extract(ExtractOptions(**options), report)  # type: ignore[arg-type]
    click.echo(plain_json(entries) if as_json else "\n".join(entry.line() for entry in entries))
    if any(entry.undecodable or entry.not_finite for entry in entries):
        click.get_current_context().exit(1)
