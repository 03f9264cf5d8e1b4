"""Results as runs of an experiment tracker: trackio, or Weights & Biases, whose interface it shares."""

from collections import defaultdict
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from taxbench.board.load import folder_of
from taxbench.board.notebook import Place, results_in
from taxbench.board.rows import settings_of
from taxbench.results.predictions import OWN
from taxbench.results.records import LOSSES, read_beside
from taxbench.specs.result import Result
from taxbench.specs.side_files import TrainingLosses
from taxbench.util.errors import TaxbenchError, UsageError, first_line


def send(tracker: str, project: str, places: Sequence[Place]) -> list[str]:
    """Log every result as a run of a project: names and settings, how its losses fell, and its scores.

    Where it goes is the tracker's affair: by default a server for wandb (WANDB_MODE=offline: a folder), and a database
    of this machine for trackio. A run is named after the result's folder, which its settings and seed name.

    Args:
        tracker: The module of one: 'trackio' or 'wandb'.

    Returns:
        The names of the runs.

    Raises:
        UsageError: the tracker is not installed, or there are no results.
        TaxbenchError: it fails.
    """
    try:
        library = import_module(tracker)
    except ModuleNotFoundError as error:
        raise UsageError(f"'{error.name}' is not installed. Type: pip install {tracker}") from None
    found = results_in(places)
    try:
        return [_send(library, project, result) for result in found]
    except Exception as error:  # of the tracker, which has classes of its own: no key, no network
        raise TaxbenchError(f"{tracker}: {first_line(error)}") from error


def _send(library: Any, project: str, result: Result) -> str:
    """Log one result, and return the name of its run."""
    run, name = result.run, folder_of(result).name
    names = {"task": run.task.identity, "dataset": run.dataset.label, "model": run.lm.name, "encoder": run.encoder.name}
    config = {**settings_of(result), **names, "head": run.head.name, "seed": run.seed}
    library.init(project=project, name=name, config=config)
    for step, losses in _steps(folder_of(result)).items():
        library.log(losses, step=step)
    scored = {"": result.scores, **{f"{control}/": scores for control, scores in result.controls.items()}}
    library.log({
        f"{prefix}{split}/{metric}": value
        for prefix, scores in scored.items()
        for split, score in scores.items()
        for metric, value in (("macro_f1", score.macro_f1), ("auroc", score.auroc))
        if value is not None
    })  # fmt: skip
    library.finish()
    return name


def _steps(folder: Path) -> dict[int, dict[str, float]]:
    """Return the losses of each step at which some are known, in order; of the head itself without a prefix."""
    steps = defaultdict[int, dict[str, float]](dict)
    recorded = read_beside(folder / LOSSES, TrainingLosses)
    for head, curve in recorded.heads.items() if recorded else ():
        prefix = "" if head == OWN else f"{head}/"
        for step, loss in zip(curve.step, curve.loss, strict=True):
            steps[step][f"{prefix}train/loss"] = loss
        for step, loss in curve.validation:
            steps[step][f"{prefix}validation/loss"] = loss
    return dict(sorted(steps.items()))
