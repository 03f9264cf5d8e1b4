"""What the options of a run resolve to: every name looked up. Only a setting of a head's own imports torch."""

from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, product
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from taxbench.heads.loading import head_spec
from taxbench.registry.heads import TOLD, HeadInfo, head_info
from taxbench.registry.heads import heads as all_heads
from taxbench.runs.inputs import Inputs, asked_of_systems, find_inputs, found
from taxbench.runs.language_options import LANGUAGE, in_languages, language_pair
from taxbench.runs.run_options import Options, OptionsError, Problem, names_in, seeds_in
from taxbench.specs.feature_key import FeatureOptions
from taxbench.specs.group import GroupSpec
from taxbench.specs.run import HeadSpec, ScoringSpec, TrainerSpec
from taxbench.specs.sources import READERS
from taxbench.specs.task import IMAGE, QUESTION, RAW, PromptSpec, TaskSpec
from taxbench.tasks.registry import find_tasks
from taxbench.tasks.validation import warnings_for
from taxbench.tasks.yaml_file import parse_scalar
from taxbench.util.errors import UsageError, did_you_mean

ALL = "all"
"""What stands for every head."""
DTYPES = ("auto", "float32", "bfloat16", "float16")
"""What language models may compute in."""
LOCAL, RAY = ENGINES = ("local", "ray")


@dataclass(frozen=True)
class GridCell:
    """One task with one head and one choice of settings: the defaults, under the task's own, under those typed."""

    task: TaskSpec
    head: HeadSpec
    features: FeatureOptions
    trainer: TrainerSpec
    scoring: ScoringSpec
    prompt: PromptSpec = RAW
    asking: PromptSpec | None = None
    """How the test is put where its language is not that of training; None: as `prompt` says."""
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
    dtype: str = "auto"
    """What language models compute in; auto: what suits the device."""
    limit: int | None = None
    """How many images of each leaf and split are used, for a first look; None: all."""
    engine: str = LOCAL
    """What does the work: this process and those it starts, or a Ray cluster."""
    workers: int = 1
    """How many processes share the runs, as far as is known beforehand."""

    @property
    def size(self) -> int:
        """Return the number of runs."""
        return len(self.seeds) * sum(len(self.cells_of(inputs)) for inputs in self.inputs)

    def cells_of(self, inputs: Inputs) -> list[GridCell]:
        """Return the cells that inputs are asked in."""
        return [cell for cell in self.cells if not inputs.system or cell.head.name == inputs.system.reads]

    def describe(self) -> str:
        """Return lines that name every option and setting in force."""
        named = (("dataset", [each.dataset for each in self.inputs]),
                 ("encoder", [each.encoder.name for each in self.inputs if not each.system]),
                 ("system" if self.inputs[0].system else "model", [each.lm.name for each in self.inputs]),
                 ("seeds", [*map(str, self.seeds)]))  # fmt: skip
        lists = " · ".join(f"{what} {', '.join(dict.fromkeys(names))}" for what, names in named if names)
        dtype = "" if self.dtype == "auto" else f" in {self.dtype}"
        lines = [f"{lists} · device {self.device}{dtype} · results in {self.out}"]
        for setting in dict.fromkeys(map(GridCell.describe, self.cells)):
            names = [cell.task.name for cell in self.cells if cell.describe() == setting]
            lines.append(f"tasks {', '.join(names)} · {setting}")
        return "\n".join(lines)

    def name_of(self, inputs: Inputs, cell: GridCell, seed: int) -> str:
        """Return what tells a run from the others: its task, its seed, and what there are several of."""
        several = (
            (inputs.lm.name, {each.lm for each in self.inputs}),
            (inputs.dataset, {each.dataset for each in self.inputs}),
            ("" if inputs.system else inputs.encoder.name, {each.encoder for each in self.inputs}),
            (cell.head.name, {each.head.name for each in self.cells}),
        )
        varied = [name for name, all_of_them in several if name and len(all_of_them) > 1]
        return " ".join([cell.task.name, *varied, *cell.varied, f"seed {seed}"])


def resolve(options: Options) -> RunConfig:
    """Turn the options of a run into specs; every name is checked before any work begins.

    Raises:
        OptionsError: names, task files, seeds or settings are wrong; all at once.
    """
    wrong: list[Problem] = []
    named = names_in(options.task)
    registry = find_tasks(options.include, names=named)
    for_each = partial(found, wrong)
    for_each("task", named, lambda name: registry.select([name]))
    tasks, groups = ([], []) if wrong else registry.select(named)
    of_inputs: list[Problem] = []
    inputs = find_inputs(of_inputs, options)
    named_heads: list[str] = list(dict.fromkeys(each.system.reads for each in inputs if each.system))
    names = named_heads or list(chain(*for_each("head", [options.head], _head_names)))
    heads = for_each("head", names, head_info)
    seeds = for_each("seeds", [options.seeds], seeds_in)
    of_heads = heads if 0 < len(heads) == len(names) else [*map(head_info, all_heads())]
    settings = _settings(wrong, of_heads, options.settings)
    of_languages: list[Problem] = []
    pairs = found(of_languages, "set", settings.pop(LANGUAGE, []), language_pair)
    wrong += [replace(each, name=LANGUAGE) for each in of_languages]
    wrong += of_inputs
    if not options.out.strip():
        wrong.append(Problem("out", "", UsageError("--out '': the name of the folder is empty.")))
    if options.limit is not None and options.limit < 2:
        problem = f"--limit {options.limit}: expected 2 images of a leaf or more, one to train on and one to test."
        wrong.append(Problem("limit", "", UsageError(problem)))
    for option, known in (("engine", ENGINES), ("dtype", DTYPES)):
        given = getattr(options, option)
        if given not in known:
            problem = f"--{option} {given}: expected {' or '.join(known)}.{did_you_mean(given, known)}"
            wrong.append(Problem(option, given, UsageError(problem)))
    if wrong:
        raise OptionsError(wrong)
    notes = [*map(str, warnings_for(registry, named, tasks))]
    if pairs:
        tasks, left_out = in_languages(tasks, pairs)
        notes += left_out
    if options.system:
        tasks, left_out = asked_of_systems(tasks, named_heads)
        notes += left_out
    return RunConfig(
        tasks=tuple(tasks),
        notes=tuple(notes),
        groups=tuple(groups),
        cells=_grid(tasks, heads, settings),
        inputs=inputs,
        seeds=seeds[0],
        device=options.device,
        dtype=options.dtype,
        cache=Path(options.cache) if options.cache else None,
        out=Path(options.out).expanduser(),
        limit=options.limit,
        engine=options.engine,
    )


def _head_names(text: str) -> list[str]:
    """Return the names of heads that `--head` gives: one, several by commas, or `all`."""
    names = list(all_heads()) if text == ALL else names_in(text)
    if readers := [name for name in names if name in READERS]:
        raise UsageError(
            f"--head {readers[0]}: that reads whole systems. Type --system NAME; see 'taxbench ls systems'."
        )
    if ALL in names:
        raise UsageError(f"--head {text}: '{ALL}' is every head and stands alone. Type --head {ALL}.")
    return names


def _settings(wrong: list[Problem], heads: list[HeadInfo], settings: tuple[str, ...]) -> dict[str, list[str]]:
    """Return the values that `--set KEY=VALUE,VALUE,...` gives to each key, the last where it is given twice."""
    known = list(dict.fromkeys([*(name for head in heads for name in head.known), LANGUAGE]))
    values: dict[str, list[str]] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        hint = did_you_mean(key, known)
        if not equals:
            problem = f"--set '{setting}': expected KEY=VALUE.{'' if key in known else hint}"
            wrong.append(Problem("set", key, UsageError(problem)))
            continue
        if key not in known:
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
    given |= {key: _value(key, text) for key, text in chosen.items() if key in head.known}
    of_features, of_trainer, of_scoring, of_prompt = (
        {key: value for key, value in {**usual, **given}.items() if key in model.model_fields}
        for model, usual in (
            (FeatureOptions, {"pool": head.pool}),
            (TrainerSpec, head.trainer),
            (ScoringSpec, {}),
            (PromptSpec, {"frame": "auto", "answer_form": "auto"} if head.system else {"frame": task.questions.frame}),
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
        problem = f"--set {key}={chosen.get(key, first['input'])}: {first['msg']}."
        raise OptionsError([Problem("set", key, UsageError(problem))]) from None
    if trainer.loss == "full_text" and head.reads == "state":
        raise UsageError(
            f"The head '{head.name}' reads the LM's state: its loss is 'answer'. Type --set loss=answer, or name other "
            "heads."
        )
    if head.reads in TOLD and task.in_pairs:
        problem = f"The head '{head.name}' is told of one image, and '{task.name}' asks of two. Name other heads."
        raise UsageError(problem)
    spec = head_spec(head.name, {key: given[key] for key, _, _ in head.settings if key in given})
    named = tuple(f"{key}={value}" for key, value in chosen.items() if key in varied and key in head.known)
    return GridCell(task, spec, features, trainer, scoring, prompt, varied=named)


def _value(key: str, text: str) -> Any:
    """Return the value of `--set KEY=VALUE`, YAML's or a frame as it is typed; raise OptionsError where it is none."""
    if IMAGE in text or QUESTION in text:
        return text.replace("\\n", "\n")  # nobody types a line break
    try:
        return parse_scalar(text)
    except ValueError as error:
        raise OptionsError([Problem("set", key, UsageError(f"--set '{key}={text}': {error}"))]) from None
