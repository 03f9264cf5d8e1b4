"""taxbench: does what a frozen language model knows from text carry over to images?

import taxbench
results = taxbench.run(task="unseen_hypernym", model="pocket", seeds=[42, 218, 7])
results[0].scores["unseen"].macro_f1, results[0].folder
answers = taxbench.load_answers(results[0])      # a DataFrame; taxbench.picture(answers.loc[0]) is its picture
entries = taxbench.extract(encoder="dinov2", layers=[-1, -2])
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex, TypeAlias

from taxbench._version import __version__

if TYPE_CHECKING:
    from pandas import DataFrame
    from PIL.Image import Image

    from taxbench.board.notebook import Results
    from taxbench.runs.trained import TrainedHead
    from taxbench.specs.feature_key import EntryInfo
    from taxbench.specs.result import Result

__all__ = ["__version__", "extract", "load_answers", "load_head", "load_results", "load_table", "picture", "run"]

Names: TypeAlias = str | Path | Sequence[str | Path]
"""One name or path, or several: a list, or text with commas."""
Numbers: TypeAlias = str | SupportsIndex | Sequence[SupportsIndex]
"""One whole number or several; text with commas as well."""
_Setting: TypeAlias = str | bool | float
Settings: TypeAlias = str | Sequence[str] | Mapping[str, _Setting | Sequence[_Setting]]
"""Settings by name, with a value or a list of values to be tried; or texts as `--set` takes them."""


def run(  # noqa: PLR0913
    *,
    task: Names = "unseen_hypernym",
    model: Names = "pocket",
    encoder: Names = "pocket",
    dataset: Names = "pocket",
    taxonomy: Names | None = None,
    properties: Names | None = None,
    head: Names = "mlp",
    system: Names = "",
    seeds: Numbers = 42,
    settings: Settings = (),
    device: str | Sequence[str] = "auto",
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto",
    engine: Literal["local", "ray"] = "local",
    limit: int | None = None,
    include: Names = (),
    cache: str | Path | None = None,
    out: str | Path = "results",
    quiet: bool = False,
) -> "Results":
    """Run tasks as `taxbench run` does and return their results; what is finished is read and not repeated.

    Every combination of several tasks, models, encoders, datasets, heads, seeds and values of settings is run.

    Args:
        task: Tasks, groups or YAML files.
        model: Frozen LMs: aliases, directories, GGUF files, hub ids.
        encoder: Frozen image encoders: aliases, directories, hub ids.
        dataset: Datasets, such as `folder:PATH`; a `Path` is an image folder.
        taxonomy: The taxonomy of an image folder, or one for each dataset.
        properties: The table of properties of the leaves, or one for each dataset.
        head: Mappings, or `all`.
        system: Whole systems, instead of `model`, `encoder` and `head`.
        seeds: Seeds of splits, draws and training.
        settings: Of the features, the trainer, the scoring, the prompt or the head: `{"epochs": 2, "hidden": [8, 16]}`.
        device: auto, cpu, cuda, cuda:1 or mps; several share the runs.
        dtype: What LMs compute in; auto: bfloat16 where the device multiplies it fast, else float32.
        engine: What does the work: this process, or a Ray cluster.
        limit: How many images of each leaf and split are used, for a first look; None: all.
        include: Folders with more task files.
        cache: Where features are kept; None: TAXBENCH_CACHE, or a standard place.
        out: Where results are written.
        quiet: No progress and no notes on standard error.

    Raises:
        TaxbenchError: anything a user can mend; the text says how.
    """
    given = {name: value for name, value in locals().items() if name != "quiet"}
    from taxbench.board.notebook import Results
    from taxbench.runs.config import resolve
    from taxbench.runs.run_options import Options, options_from
    from taxbench.runs.runner import run as run_all
    from taxbench.util.progress import Reporter

    return Results(run_all(resolve(options_from(Options, given)), Reporter(quiet)))


def extract(  # noqa: PLR0913
    *,
    dataset: str | Path = "pocket",
    taxonomy: str | Path | None = None,
    encoder: str | Path = "pocket",
    pool: Names = "pooled",
    layers: Numbers = -1,
    storage: Literal["float16", "bfloat16"] = "float16",
    crop: Literal["none", "center"] = "none",
    device: str = "auto",
    batch: int = 64,
    workers: int | None = None,
    compiled: bool = False,
    cache: str | Path | None = None,
    quiet: bool = False,
) -> "list[EntryInfo]":
    """Put features into the cache as `taxbench extract` does; return what was made.

    Args:
        dataset: A dataset, such as `folder:PATH`; a `Path` is an image folder.
        taxonomy: The taxonomy of an image folder.
        encoder: An alias, a directory or a hub id.
        pool: pooled, tokens, or gridK; several are taken off one pass.
        layers: Hidden states, -1 the last; several are taken off one pass.
        storage: The type on disk.
        crop: How pictures are brought to the encoder's size: resized, or cut as its own processor does.
        device: auto, cpu, cuda, cuda:1 or mps.
        batch: Pictures a batch.
        workers: Processes that decode; None: as many as there are cores.
        compiled: Compile the encoder.
        cache: Where features are kept; None: TAXBENCH_CACHE, or a standard place.
        quiet: No progress and no notes on standard error.

    Raises:
        TaxbenchError: anything a user can mend; the text says how.
    """
    given = {name: value for name, value in locals().items() if name != "quiet"}
    from taxbench.runs.feature_cache import ExtractOptions
    from taxbench.runs.feature_cache import extract as put
    from taxbench.runs.run_options import options_from
    from taxbench.util.progress import Reporter

    return put(options_from(ExtractOptions, given), Reporter(quiet))


def load_results(*folders: str | Path) -> "Results":
    """Read every `result.json` below the folders (default: `results`)."""
    from taxbench.board.notebook import load_results

    return load_results(folders or ("results",))


def load_table(*places: "str | Path | Result", per_seed: bool = False, quiet: bool = False) -> "DataFrame":
    """Return the table of results below folders (default: `results`), one line for every task and system.

    Figures are means over seeds in columns of their own, with `_sd` over seeds and `_low` and `_high`, the 95 %
    interval over items. Every setting is a column, so that `table.groupby("learning_rate")` works.

    Args:
        places: Folders, `result.json` files, or results that `run` returned.
        per_seed: One line for every result instead, with its `seed` and `folder`, and no intervals.
        quiet: No progress and no notes on standard error.

    Raises:
        TaxbenchError: there is no result, or a record is broken.
    """
    from taxbench.board.notebook import load_table
    from taxbench.util.progress import Reporter

    return load_table(places or ("results",), per_seed, Reporter(quiet))


def load_answers(*places: "str | Path | Result") -> "DataFrame":
    """Return every test question of results with its answers, one line a question.

    Columns: the names of the run; `split`, `image`, `leaf` (under the task's pairing) and `term`; `answer`, whether the
    term is true; `said`, what the head answered, and whether that is `right`; `margin`, its log p(Yes) − log p(No), and
    `margin_CONTROL`, that of each control; `folder`, where the record lies. Where a question is about two images,
    `image` and `leaf` name both: "a & b".

    Args:
        places: Folders, `result.json` files, or results that `run` returned (default: `results`).

    Raises:
        TaxbenchError: there is no result, or predictions are not those of their record.
    """
    from taxbench.board.notebook import load_answers

    return load_answers(places or ("results",))


def picture(row: Any, *, dataset: str | None = None, taxonomy: str | Path | None = None) -> "Image":
    """Return the picture of a row of `load_answers`; of two images in one question both, side by side.

    Args:
        row: A row, as `answers.loc[0]` or one of `answers.itertuples()`.
        dataset: Where the pictures are now, as for `run`; None: where they were when their features were extracted.
        taxonomy: As for `run`.

    Raises:
        TaxbenchError: the dataset or the picture is not found.
    """
    from taxbench.board.notebook import picture

    return picture(row, dataset, Path(taxonomy) if taxonomy else None)


def load_head(  # noqa: PLR0913
    place: "str | Path | Result",
    control: str = "",
    *,
    dataset: str | Path | None = None,
    taxonomy: str | Path | None = None,
    properties: str | Path | None = None,
    model: str | Path | None = None,
    encoder: str | Path | None = None,
    device: str | None = None,
    cache: str | Path | None = None,
    train: bool = False,
    quiet: bool = False,
) -> "TrainedHead":
    """Return the head of a result, to apply: `head(features)` gives soft tokens, `head.margins` what the LM answers.

    `head.features(images)` gives the features of pictures by their ids, `head.attention(features)` where it looks.

    Args:
        place: A result that `run` returned, a `result.json`, or its folder.
        control: Whose head: the result's own where empty, else that of a control, such as `random_lm`.
        dataset: Where its pictures are now, as for `run`; None: where the record says.
        taxonomy: As for `run`.
        properties: As for `run`.
        model: What its LM, or its system, is called here; None: as in the record.
        encoder: The same of its encoder.
        device: As for `run`; None: the kind that the record names.
        cache: The cache of its run; None: TAXBENCH_CACHE, or a standard place.
        train: Train it where the cache lacks it.
        quiet: No progress and no notes on standard error.

    Raises:
        TaxbenchError: its inputs are not found here, or the head is not in the cache.
    """
    from taxbench.board.notebook import results_in
    from taxbench.runs.run_options import NamesHere
    from taxbench.runs.trained import trained_head
    from taxbench.util.errors import UsageError
    from taxbench.util.progress import Reporter

    found = results_in([place])
    if len(found) > 1:
        raise UsageError(f"'{place}' holds {len(found)} results; a head is of one of them, such as {found[0].folder}.")
    here = NamesHere(
        dataset=f"folder:{dataset}" if isinstance(dataset, Path) else dataset,
        taxonomy=Path(taxonomy) if taxonomy else None,
        properties=Path(properties) if properties else None,
        model=str(model) if model else None,
        encoder=str(encoder) if encoder else None,
        device=device,
        cache=Path(cache) if cache else None,
    )
    return trained_head(found[0], control, here, Reporter(quiet), train)
