"""What the options of a run resolve to: every name looked up. Only a setting of a head's own imports torch."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from taxbench.datasets.known import check_dataset
from taxbench.heads.loading import head_spec
from taxbench.registry.heads import HeadInfo, head_info
from taxbench.registry.heads import heads as all_heads
from taxbench.registry.models import find_encoder, find_lm
from taxbench.runs.run_options import Options, OptionsError, Problem, names_in, seeds_in
from taxbench.specs.feature_key import IMPORTED, FeatureOptions, Origin
from taxbench.specs.group import GroupSpec
from taxbench.specs.run import HeadSpec, ScoringSpec, TrainerSpec
from taxbench.specs.sources import EncoderSpec, LMSpec
from taxbench.specs.task import IMAGE, QUESTION, RAW, PromptSpec, TaskSpec
from taxbench.tasks.registry import find_tasks
from taxbench.tasks.validation import warnings_for
from taxbench.tasks.yaml_file import parse_scalar
from taxbench.taxonomy.taxonomy import WORDNET
from taxbench.util.errors import TaxbenchError, UsageError, did_you_mean

T = TypeVar("T")
_OWN = "-"
_PER_DATASET = ("taxonomy", "properties")
"""The options that give a file for each dataset."""
ALL = "all"
"""What stands for every head."""


@dataclass(frozen=True)
class GridCell:
    """One task with one head and one choice of settings: the defaults, under the task's own, under those typed."""

    task: TaskSpec
    head: HeadSpec
    features: FeatureOptions
    trainer: TrainerSpec
    scoring: ScoringSpec
    prompt: PromptSpec = RAW
    varied: tuple[str, ...] = ()
    """The `key=value` of settings that were given several values."""

    def describe(self) -> str:
        """Return one line that names every setting of the cell."""
        parts = (("features", self.features.model_dump()), ("trainer", self.trainer.model_dump()),
                 ("scoring", self.scoring.model_dump()), ("prompt", self.prompt.model_dump()),
                 (f"head {self.head.name}", self.head.settings))  # fmt: skip
        return " · ".join(f"{name} ({', '.join(f'{key}={value}' for key, value in part.items())})"
                          for name, part in parts if part)  # fmt: skip


@dataclass(frozen=True)
class Inputs:
    """The images, the encoder and the language model of a run."""

    dataset: str
    taxonomy: Path | None
    encoder: EncoderSpec
    lm: LMSpec
    properties: Path | None = None

    @property
    def imported(self) -> str | None:
        """Return the name of imported features, where the user asked for such."""
        return self.encoder.name.removeprefix(IMPORTED) if self.encoder.name.startswith(IMPORTED) else None

    @property
    def origin(self) -> Origin:
        """Return what is recorded beside extracted features."""
        return origin_of(self.dataset, self.taxonomy, self.encoder)


@dataclass(frozen=True)
class RunConfig:
    """The options with every name resolved."""

    tasks: tuple[TaskSpec, ...]
    cells: tuple[GridCell, ...]
    """Every task with every head and every choice of settings."""
    groups: tuple[GroupSpec, ...]
    """The groups and curves that were named."""
    notes: tuple[str, ...]
    """What the user should know about the files that were named."""
    inputs: tuple[Inputs, ...]
    """Every language model with every dataset and every encoder, in this order."""
    seeds: tuple[int, ...]
    device: str
    cache: Path | None
    out: Path
    limit: int | None = None
    """How many images of each leaf and split are used, for a first look; None: all."""

    @property
    def size(self) -> int:
        """Return the number of runs."""
        return len(self.inputs) * len(self.seeds) * len(self.cells)

    def describe(self) -> str:
        """Return lines that name every option and setting in force."""
        named = (("dataset", [each.dataset for each in self.inputs]),
                 ("encoder", [each.encoder.name for each in self.inputs]),
                 ("model", [each.lm.name for each in self.inputs]), ("seeds", map(str, self.seeds)))  # fmt: skip
        lists = " · ".join(f"{what} {', '.join(dict.fromkeys(names))}" for what, names in named)
        lines = [f"{lists} · device {self.device} · results in {self.out}"]
        for setting in dict.fromkeys(map(GridCell.describe, self.cells)):
            names = [cell.task.name for cell in self.cells if cell.describe() == setting]
            lines.append(f"tasks {', '.join(names)} · {setting}")
        return "\n".join(lines)

    def name_of(self, inputs: Inputs, cell: GridCell, seed: int) -> str:
        """Return what tells a run from the others: its task, its seed, and what there are several of."""
        several = (
            (inputs.lm.name, {each.lm for each in self.inputs}),
            (inputs.dataset, {each.dataset for each in self.inputs}),
            (inputs.encoder.name, {each.encoder for each in self.inputs}),
            (cell.head.name, {each.head.name for each in self.cells}),
        )
        varied = [name for name, all_of_them in several if len(all_of_them) > 1]
        return " ".join([cell.task.name, *varied, *cell.varied, f"seed {seed}"])


def resolve(options: Options) -> RunConfig:
    """Turn the options of a run into specs; every name is checked before any work begins.

    Raises:
        OptionsError: names, task files, seeds or settings are wrong; all at once.
    """
    wrong: list[Problem] = []
    named = [name.strip() for name in options.task.split(",")]
    registry = find_tasks(options.include, names=named)
    for_each = partial(_found, wrong)
    for_each("task", named, lambda name: registry.select([name]))
    tasks, groups = ([], []) if wrong else registry.select(named)
    heads = for_each("head", names := _head_names(options.head), head_info)
    seeds = for_each("seeds", [options.seeds], seeds_in)
    settings = _settings(wrong, heads if len(heads) == len(names) else [], options.settings)
    inputs = _inputs(wrong, options)
    if options.limit is not None and options.limit < 2:
        problem = f"--limit {options.limit}: expected 2 images of a leaf or more, one to train on and one to test."
        wrong.append(Problem("limit", "", UsageError(problem)))
    if wrong:
        raise OptionsError(wrong)
    return RunConfig(
        tasks=tuple(tasks),
        notes=tuple(map(str, warnings_for(registry, named, tasks))),
        groups=tuple(groups),
        cells=_grid(tasks, heads, settings),
        inputs=inputs,
        seeds=seeds[0],
        device=options.device,
        cache=Path(options.cache) if options.cache else None,
        out=Path(options.out).expanduser(),
        limit=options.limit,
    )


def _found(wrong: list[Problem], option: str, names: Iterable[str], find: Callable[[str], T]) -> list[T]:
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


def _inputs(wrong: list[Problem], options: Options) -> tuple[Inputs, ...]:
    """Return every model with every dataset and encoder that the options name; add to what is wrong."""
    lms = _found(wrong, "model", names_in(options.model), find_lm)
    encoders = _found(wrong, "encoder", names_in(options.encoder), find_encoder)
    datasets = names_in(options.dataset)
    _found(wrong, "dataset", datasets, check_dataset)
    taxonomies, properties = (_files(wrong, name, getattr(options, name), len(datasets)) for name in _PER_DATASET)
    sources = list(zip(datasets, taxonomies, properties, strict=False))
    return tuple(Inputs(dataset, taxonomy, encoder, lm, table)
                 for lm, (dataset, taxonomy, table), encoder in product(lms, sources, encoders))  # fmt: skip


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


def _head_names(text: str) -> list[str]:
    """Return the names of heads that `--head` gives: one, several by commas, or `all`."""
    names = list(all_heads()) if text == ALL else names_in(text)
    if ALL in names:
        raise UsageError(f"--head {text}: '{ALL}' is every head and stands alone. Type --head {ALL}.")
    return names


def _settings(wrong: list[Problem], heads: list[HeadInfo], settings: tuple[str, ...]) -> dict[str, list[str]]:
    """Return the values that `--set KEY=VALUE,VALUE,...` gives to each key, the last where it is given twice."""
    known = list(dict.fromkeys(name for head in heads for name in head.known))
    values: dict[str, list[str]] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        hint = did_you_mean(key, known)
        if not equals:
            problem = f"--set '{setting}': expected KEY=VALUE.{'' if key in known else hint}"
            wrong.append(Problem("set", key, UsageError(problem)))
        elif known and key not in known:  # with an unknown head, not all settings are
            listed = f"Settings: {', '.join(known)}; see 'taxbench ls settings'."
            problem = f"--set {setting}: nothing has the setting '{key}'.{hint} {listed}"
            wrong.append(Problem("set", key, UsageError(problem)))
        is_frame = IMAGE in text or QUESTION in text  # which may have commas
        values[key] = [text] if is_frame else list(dict.fromkeys(text.split(",")))
    return values


def _grid(tasks: list[TaskSpec], heads: list[HeadInfo], values: dict[str, list[str]]) -> tuple[GridCell, ...]:
    """Return every task with every head and every combination of the values of settings."""
    varied = frozenset(key for key, texts in values.items() if len(texts) > 1)
    cells: list[GridCell] = []
    for task, head, texts in product(tasks, heads, product(*values.values())):
        cell = _cell(task, head, dict(zip(values, texts, strict=True)), varied)
        if cell not in cells:  # heads without a setting that others vary
            cells.append(cell)
    return tuple(cells)


def _cell(task: TaskSpec, head: HeadInfo, chosen: dict[str, str], varied: frozenset[str]) -> GridCell:
    """Sort a task's settings and those typed into fields of the features, the trainer, the scoring, and the head."""
    # What a task sets, or a user for several heads, of another head does not apply here.
    given = {key: value for key, value in task.settings.items() if key in head.known}
    given |= {key: _value(f"{key}={text}", text) for key, text in chosen.items() if key in head.known}
    of_features, of_trainer, of_scoring, of_prompt = (
        {key: value for key, value in {**usual, **given}.items() if key in model.model_fields}
        for model, usual in (
            (FeatureOptions, {"pool": head.pool}),
            (TrainerSpec, head.trainer),
            (ScoringSpec, {}),
            (PromptSpec, {"frame": task.questions.frame}),
        )
    )
    try:
        features = FeatureOptions.model_validate(of_features)
        trainer = TrainerSpec.model_validate(of_trainer)
        scoring = ScoringSpec.model_validate(of_scoring)
        prompt = PromptSpec.model_validate(of_prompt)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = str(first["loc"][0])
        raise UsageError(f"--set {key}={chosen.get(key, first['input'])}: {first['msg']}.") from None
    if trainer.loss == "full_text" and head.reads == "state":
        raise UsageError(
            f"The head '{head.name}' reads the LM's state: its loss is 'answer'. Type --set loss=answer, or name other "
            "heads."
        )
    spec = head_spec(head.name, {key: given[key] for key, _, _ in head.settings if key in given})
    named = tuple(f"{key}={value}" for key, value in chosen.items() if key in varied and key in head.known)
    return GridCell(task, spec, features, trainer, scoring, prompt, named)


def _value(setting: str, text: str) -> Any:
    """Return the value of `--set KEY=VALUE`, YAML's or a frame as it is typed; raise UsageError where it is none."""
    if IMAGE in text or QUESTION in text:
        return text.replace("\\n", "\n")  # nobody types a line break
    try:
        return parse_scalar(text)
    except ValueError as error:
        raise UsageError(f"--set '{setting}': {error}") from None
