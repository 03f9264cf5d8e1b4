"""The images, the encoder and the language model of runs, or the whole system in the place of both."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from taxbench.datasets.known import check_dataset
from taxbench.registry.models import find_encoder, find_lm, find_system
from taxbench.runs.run_options import Options, Problem, names_in
from taxbench.specs.feature_key import IMPORTED, Origin
from taxbench.specs.sources import EncoderSpec, LMSpec, SystemSpec
from taxbench.specs.task import TaskSpec
from taxbench.taxonomy.taxonomy import WORDNET
from taxbench.util.errors import TaxbenchError, UsageError

T = TypeVar("T")
_OWN = "-"
_PER_DATASET = ("taxonomy", "properties")
"""The options that give a file for each dataset."""


@dataclass(frozen=True)
class Inputs:
    """The images, the encoder and the language model of a run."""

    dataset: str
    taxonomy: Path | None
    encoder: EncoderSpec
    lm: LMSpec
    properties: Path | None = None
    """The table of properties of the leaves, where the dataset brings none or another."""
    system: SystemSpec | None = None
    """What both are parts of, where it is asked as a whole."""

    @property
    def imported(self) -> str | None:
        """Return the name of imported features, where the user asked for such."""
        return self.encoder.name.removeprefix(IMPORTED) if self.encoder.name.startswith(IMPORTED) else None

    @property
    def origin(self) -> Origin:
        """Return what is recorded beside extracted features."""
        return origin_of(self.dataset, self.taxonomy, self.encoder)


def found(wrong: list[Problem], option: str, names: Iterable[str], find: Callable[[str], T]) -> list[T]:
    """Return what the names that an option lists stand for; add to what is wrong those that stand for nothing."""
    good = []
    for name in names:
        try:
            good.append(find(name))
        except TaxbenchError as error:
            wrong.append(Problem(option, name, error))
    return good


def origin_of(dataset: str, taxonomy: Path | None, encoder: EncoderSpec | None = None) -> Origin:
    """Return what `cache verify` needs to find the pictures and the encoder again, from any folder."""
    kind, _, path = dataset.partition(":")
    local = Path(path).expanduser()
    if path and (kind in ("folder", "things", "cifar100") or (kind == "hf" and local.is_dir())):
        dataset = f"{kind}:{local.resolve()}"
    return Origin(
        dataset=dataset,
        taxonomy=None if taxonomy is None else str(taxonomy if str(taxonomy) == WORDNET else taxonomy.resolve()),
        encoder="" if encoder is None else encoder.source if Path(encoder.source).is_dir() else encoder.name,
    )


def find_inputs(wrong: list[Problem], options: Options) -> tuple[Inputs, ...]:
    """Return every model with every dataset and encoder that the options name; add to what is wrong."""
    parts: list[list[tuple[EncoderSpec, LMSpec, SystemSpec | None]]]
    if options.system:
        if given := [name for name in ("model", "encoder", "head") if getattr(options, name) != getattr(Options, name)]:
            typed = " and ".join(f"--{name}" for name in given)
            problem = f"--system {options.system} is asked as a whole: leave out {typed}, or run that on its own."
            wrong.append(Problem("system", "", UsageError(problem)))
        systems = found(wrong, "system", names_in(options.system), find_system)
        parts = [[each.parts] for each in systems]
    else:
        lms = found(wrong, "model", names_in(options.model), find_lm)
        encoders = found(wrong, "encoder", names_in(options.encoder), find_encoder)
        parts = [[(encoder, lm, None) for encoder in encoders] for lm in lms]
    datasets = names_in(options.dataset)
    found(wrong, "dataset", datasets, check_dataset)
    taxonomies, properties = (_files(wrong, name, getattr(options, name), len(datasets)) for name in _PER_DATASET)
    sources = list(zip(datasets, taxonomies, properties, strict=False))
    return tuple(Inputs(dataset, taxonomy, encoder, lm, table, system)
                 for of_lm in parts for dataset, taxonomy, table in sources
                 for encoder, lm, system in of_lm)  # fmt: skip


def _files(wrong: list[Problem], option: str, given: str | None, n: int) -> list[Path | None]:
    """Return the file that an option gives for each of n datasets; add to what is wrong where their numbers differ."""
    text = str(given or _OWN)
    names = [text] if Path(text).expanduser().exists() else [name.strip() for name in text.split(",")]
    if len(names) not in (1, n):
        expected = f"expected one file for all {n} datasets, or one for each in their order"
        problem = f"--{option} {text}: {expected}, with {_OWN} where a dataset brings its own."
        wrong.append(Problem(option, "", UsageError(problem)))
    paths = [None if name == _OWN else Path(name).expanduser() for name in names]
    return paths if len(paths) > 1 else paths * n


def asked_of_systems(tasks: list[TaskSpec], readers: Collection[str]) -> tuple[list[TaskSpec], list[str]]:
    """Return the tasks that systems of some readers can be asked, and what is left out, with why.

    Raises:
        UsageError: that is all of them.
    """
    reasons = dict[str, list[str]]()
    for task in tasks:
        if why := _why_not(task, readers):
            reasons.setdefault(why, []).append(task.name)
    left_out = [f"{', '.join(names)}: {why}" for why, names in reasons.items()]
    kept = [task for task in tasks if not _why_not(task, readers)]
    if not kept:
        raise UsageError(f"{'; '.join(left_out)}. Systems are asked tasks such as unseen_hypernym.")
    return kept, [f"{each}; left out." for each in left_out]


def _why_not(task: TaskSpec, readers: Collection[str]) -> str:
    """Say why systems of some readers cannot be asked a task; nothing where they can."""
    if task.counterfactual.kind != "none":
        return "images and names are paired anew, which a system that was trained elsewhere never saw"
    if task.in_pairs:
        return "they show two images at a time"
    if task.property_questions and set(readers) != {"answer"}:
        return "they ask whole questions, which only systems that answer can read"
    if task.questions.language.foreign:
        return "they are in another language, and systems are asked in English"
    return ""
