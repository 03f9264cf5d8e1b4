"""What a record was made from, found again here: its inputs, its settings, and the context to run or apply it in."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import get_args

from taxbench.heads.loading import head_spec
from taxbench.registry.models import find_encoder, find_lm, find_system
from taxbench.runs.config import GridCell, RunConfig
from taxbench.runs.context import RunContext
from taxbench.runs.inputs import Inputs
from taxbench.runs.run_options import NamesHere
from taxbench.runs.runner import check
from taxbench.specs.feature_key import FeatureOptions, StorageDtype
from taxbench.specs.result import Result
from taxbench.specs.sources import READERS, SystemSpec
from taxbench.util.errors import DataError, UsageError
from taxbench.util.progress import Reporter

_DIRECTORY = "If it was a directory where the record was made, type {}."


def recorded_context(record: Result, again: NamesHere, folders: tuple[Path, Path], report: Reporter) -> RunContext:
    """Return the context of a recorded run, with its device, dataset and models found here.

    Args:
        folders: The cache, and where results go.

    Raises:
        UsageError: something the record names is not known here; the message says which option names it.
        TaxbenchError: as for any run.
    """
    context = _context(_config(record, again, folders), record, again, report)
    check([context])
    context.config = _stored_alike(context, record)
    return context


def _config(record: Result, again: NamesHere, folders: tuple[Path, Path]) -> RunConfig:
    """Return what was asked for when the record was made."""
    run = record.run
    system: SystemSpec | None = None
    with _named("model", run.lm.name, _DIRECTORY.format("--model DIR"), again.model):
        if run.head.name in READERS:
            encoder, lm, system = find_system(again.model or run.lm.name).parts
        else:
            lm = find_lm(again.model or run.lm.name)
    with _named("encoder", run.encoder.name, _DIRECTORY.format("--encoder DIR"), again.encoder):
        encoder = encoder if system else find_encoder(again.encoder or run.encoder.name)
    with _named("head", run.head.name, "Install the versions that the record names under 'versions', and its package."):
        head = head_spec(run.head.name, dict(run.head.settings))
    features, asking = run.encoder.options or FeatureOptions(), run.language.prompt if run.language else None
    cell = GridCell(run.task, head, features, run.trainer, run.scoring, run.prompt, asking)
    return RunConfig(
        tasks=(run.task,),
        cells=(cell,),
        groups=(),
        notes=(),
        inputs=(Inputs(again.dataset or record.dataset, again.taxonomy, encoder, lm, again.properties, system),),
        seeds=(record.seed,),
        device=again.device or run.device,
        dtype=run.lm.dtype,
        cache=folders[0],
        out=folders[1],
        limit=run.dataset.limit,
    )


@contextmanager
def _named(what: str, name: str, how: str, given: str | None = None) -> Iterator[None]:
    """Say of a name that is not known here that the record has it, and how to say what it means.

    Args:
        given: What the user said it means, who then knows better.
    """
    try:
        yield
    except (UsageError, DataError) as error:
        if given is not None:
            raise
        raise UsageError(f"The record names the {what} '{name}', which cannot be had here. {error} {how}") from None


def _context(config: RunConfig, record: Result, again: NamesHere, report: Reporter) -> RunContext:
    """Return the context of a recorded run, after finding its device and dataset here."""
    context, run = RunContext(config, config.inputs[0], report), record.run
    try:
        _ = context.device
    except UsageError as error:
        if again.device:
            raise
        raise UsageError(
            f"The record was made on '{run.device}', which this machine does not have. Type --device auto; "
            "scores may then be farther off, since every kind of device rounds differently."
        ) from error
    how = _DIRECTORY.format("--dataset KIND:DIR and --taxonomy FILE")
    with _named("dataset", record.dataset, how, again.dataset):
        _ = context.dataset
    return context


def _stored_alike(context: RunContext, record: Result) -> RunConfig:
    """Return what to run with features stored as the record's key says: before version 3 no option said it."""
    (cell,) = context.config.cells
    for storage in get_args(StorageDtype):
        options = cell.features.model_copy(update={"storage": storage})
        if context.features(options).key.digest == record.run.encoder.features:
            return replace(context.config, cells=(replace(cell, features=options),))
    return context.config
