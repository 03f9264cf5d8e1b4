"""What a user asks for: options as typed, and the request they resolve to. Nothing here imports torch."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError

from taxbench.errors import UsageError, did_you_mean
from taxbench.registry.heads import head_module_fields, head_spec
from taxbench.registry.models import find_encoder, find_lm
from taxbench.registry.tasks import find_tasks
from taxbench.specs.features import PoolName
from taxbench.specs.models import EncoderSpec, LMSpec
from taxbench.specs.run import HeadSpec, TrainerSpec
from taxbench.specs.task import TaskSpec


@dataclass(frozen=True)
class Options:
    """The options of a run as typed, with the suite's defaults."""

    task: str = "unseen_hypernym"
    model: str = "pocket"
    encoder: str = "pocket"
    dataset: str = "pocket"
    taxonomy: str | None = None
    head: str = "mlp"
    seeds: str = "42"
    device: str = "auto"
    cache: str | None = None
    out: str = "results"
    settings: tuple[str, ...] = ()
    """`key=value` for the trainer, the head, or `pool`."""


@dataclass(frozen=True)
class Request:
    """The options with every name resolved."""

    tasks: tuple[TaskSpec, ...]
    encoder: EncoderSpec
    lm: LMSpec
    head: HeadSpec
    trainer: TrainerSpec
    dataset: str
    taxonomy: Path | None
    seeds: tuple[int, ...]
    pool: PoolName
    device: str
    cache: Path | None
    out: Path

    def describe(self) -> str:
        """Return one line that names everything in force."""
        head = ", ".join(f"{key}={value}" for key, value in self.head.settings.items())
        trainer = ", ".join(f"{key}={value}" for key, value in self.trainer.model_dump().items())
        return (
            f"tasks {', '.join(task.name for task in self.tasks)} · dataset {self.dataset} · "
            f"encoder {self.encoder.name} ({self.pool}) · model {self.lm.name} · head {self.head.name} ({head}) · "
            f"trainer ({trainer}) · seeds {', '.join(map(str, self.seeds))} · device {self.device} · "
            f"results in {self.out}"
        )


def resolve(options: Options) -> Request:
    """Turn names into specs; every name is checked before any work begins.

    Raises:
        UsageError: a name, a seed or a setting is wrong.
        TaskError: a task file is broken.
    """
    trainer, head, pool = _settings(options)
    return Request(
        tasks=tuple(find_tasks().resolve(options.task.split(","))),
        encoder=find_encoder(options.encoder),
        lm=find_lm(options.model),
        head=head,
        trainer=trainer,
        dataset=options.dataset,
        taxonomy=Path(options.taxonomy).expanduser() if options.taxonomy else None,
        seeds=_seeds(options.seeds),
        pool=pool,
        device=options.device,
        cache=Path(options.cache) if options.cache else None,
        out=Path(options.out).expanduser(),
    )


def options_from(given: dict[str, Any]) -> Options:
    """Build options from keyword arguments of the Python interface.

    Raises:
        UsageError: there is no such option.
    """
    known = [field.name for field in fields(Options)]
    for name in given:
        if name not in known:
            raise UsageError(f"There is no option '{name}'.{did_you_mean(name, known)} Options: {', '.join(known)}.")
    return Options(**given)


def _seeds(text: str) -> tuple[int, ...]:
    try:
        seeds = tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise UsageError(f"--seeds '{text}': expected whole numbers separated by commas, such as 42,218,7.") from None
    if any(seed < 0 for seed in seeds):
        raise UsageError(f"--seeds '{text}': seeds are not negative.")
    return seeds


def _settings(options: Options) -> tuple[TrainerSpec, HeadSpec, PoolName]:
    """Sort `--set key=value` into the trainer's fields, `pool`, and the head's settings."""
    trainer: dict[str, Any] = {}
    head: dict[str, Any] = {}
    pool: Any = "pooled"
    head_fields = head_module_fields(options.head)
    known = [*TrainerSpec.model_fields, *head_fields, "pool"]
    for setting in options.settings:
        key, equals, text = setting.partition("=")
        if not equals or key not in known:
            raise UsageError(
                f"--set '{setting}': expected KEY=VALUE.{did_you_mean(key, known)} Keys: {', '.join(known)}."
            )
        value = yaml.safe_load(text)
        if key == "pool":
            pool = value
        else:
            (trainer if key in TrainerSpec.model_fields else head)[key] = value
    if pool not in get_args(PoolName):
        raise UsageError(f"--set pool={pool}: expected one of {', '.join(get_args(PoolName))}.")
    try:
        return TrainerSpec.model_validate(trainer), head_spec(options.head, head), pool
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UsageError(f"--set {first['loc'][0]}={trainer[str(first['loc'][0])]}: {first['msg']}.") from None
