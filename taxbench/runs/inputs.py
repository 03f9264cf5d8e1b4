"""The images, the encoder and the language model of runs, or the whole system in the place of both."""

from collections.abc import Callable, Iterable
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


@dataclass(frozen=True)
class Inputs:
    """The images, the encoder and the language model of a run."""

    dataset: str
    taxonomy: Path | None
    encoder: EncoderSpec
    lm: LMSpec
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


def origin_of(dataset: str, taxonomy: Path | None, encoder: EncoderSpec) -> Origin:
    """Return what `cache verify` needs to find the pictures and the encoder again, from any folder."""
    kind, _, path = dataset.partition(":")
    local = Path(path).expanduser()
    if path and (kind in ("folder", "things", "cifar100") or (kind == "hf" and local.is_dir())):
        dataset = f"{kind}:{local.resolve()}"
    return Origin(
        dataset=dataset,
        taxonomy=None if taxonomy is None else str(taxonomy if str(taxonomy) == WORDNET else taxonomy.resolve()),
        encoder=encoder.source if Path(encoder.source).is_dir() else encoder.name,
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
    datasets, text = names_in(options.dataset), str(options.taxonomy or _OWN)
    found(wrong, "dataset", datasets, check_dataset)
    taxonomies = [text] if Path(text).expanduser().exists() else [name.strip() for name in text.split(",")]
    if len(taxonomies) not in (1, len(datasets)):
        expected = f"expected one file for all {len(datasets)} datasets, or one for each in their order"
        problem = f"--taxonomy {text}: {expected}, with {_OWN} where a dataset brings its own."
        wrong.append(Problem("taxonomy", "", UsageError(problem)))
        return ()
    paths = [None if name == _OWN else Path(name).expanduser() for name in taxonomies]
    pairs = list(zip(datasets, paths if len(paths) > 1 else paths * len(datasets), strict=True))
    return tuple(Inputs(*pair, encoder, lm, system)
                 for of_lm in parts for pair in pairs for encoder, lm, system in of_lm)  # fmt: skip


def asked_of_systems(tasks: list[TaskSpec]) -> tuple[list[TaskSpec], list[str]]:
    """Return the tasks that a system can be asked, and what is left out: it never saw a pairing of ours.

    Raises:
        UsageError: that is all of them.
    """
    kept = [task for task in tasks if task.counterfactual.kind == "none"]
    names = ", ".join(task.name for task in tasks if task not in kept)
    why = f"{names}: images and names are paired anew, which a system that was trained elsewhere never saw"
    if not kept:
        raise UsageError(f"{why}. Systems are asked tasks without a counterfactual, such as unseen_hypernym.")
    return kept, [f"{why}; left out."] if names else []
