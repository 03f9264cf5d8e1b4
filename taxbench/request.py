"""What a user asks for: options as typed, and the request they resolve to. Nothing here imports torch."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from pydantic import ValidationError

from taxbench.errors import UsageError, did_you_mean
from taxbench.registry.heads import head_module_fields, head_spec
from taxbench.registry.models import find_encoder, find_lm
from taxbench.registry.tasks import find_tasks
from taxbench.specs.features import IMPORTED, FeatureOptions, Origin
from taxbench.specs.models import EncoderSpec, LMSpec
from taxbench.specs.run import HeadSpec, TrainerSpec
from taxbench.specs.task import TaskSpec

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

D = TypeVar("D", bound="DataclassInstance")


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
    """`key=value` for the features, the trainer or the head."""


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
    features: FeatureOptions
    device: str
    cache: Path | None
    out: Path

    @property
    def imported(self) -> str | None:
        """Return the name of imported features, where the user asked for such."""
        return self.encoder.name.removeprefix(IMPORTED) if self.encoder.name.startswith(IMPORTED) else None

    @property
    def origin(self) -> Origin:
        """Return what is recorded beside extracted features."""
        return origin_of(self.dataset, self.taxonomy, self.encoder)

    def describe(self) -> str:
        """Return one line that names everything in force."""
        head = ", ".join(f"{key}={value}" for key, value in self.head.settings.items())
        trainer = ", ".join(f"{key}={value}" for key, value in self.trainer.model_dump().items())
        features = ", ".join(f"{key}={value}" for key, value in self.features.model_dump().items())
        return (
            f"tasks {', '.join(task.name for task in self.tasks)} · dataset {self.dataset} · "
            f"encoder {self.encoder.name} ({features}) · model {self.lm.name} · head {self.head.name} ({head}) · "
            f"trainer ({trainer}) · seeds {', '.join(map(str, self.seeds))} · device {self.device} · "
            f"results in {self.out}"
        )


def resolve(options: Options) -> Request:
    """Turn names into specs; every name is checked before any work begins.

    Raises:
        UsageError: a name, a seed or a setting is wrong.
        TaskError: a task file is broken.
    """
    features, trainer, head = _settings(options)
    return Request(
        tasks=tuple(find_tasks().resolve(options.task.split(","))),
        encoder=encoder_spec(options.encoder),
        lm=find_lm(options.model),
        head=head,
        trainer=trainer,
        dataset=options.dataset,
        taxonomy=Path(options.taxonomy).expanduser() if options.taxonomy else None,
        seeds=_seeds(options.seeds),
        features=features,
        device=options.device,
        cache=Path(options.cache) if options.cache else None,
        out=Path(options.out).expanduser(),
    )


def options_from(kind: type[D], given: dict[str, Any]) -> D:
    """Build options from keyword arguments of the Python interface.

    Raises:
        UsageError: there is no such option.
    """
    known = [field.name for field in fields(kind)]
    for name in given:
        if name not in known:
            raise UsageError(f"There is no option '{name}'.{did_you_mean(name, known)} Options: {', '.join(known)}.")
    return kind(**given)


def _seeds(text: str) -> tuple[int, ...]:
    try:
        seeds = tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise UsageError(f"--seeds '{text}': expected whole numbers separated by commas, such as 42,218,7.") from None
    if any(seed < 0 for seed in seeds):
        raise UsageError(f"--seeds '{text}': seeds are not negative.")
    return seeds


def encoder_spec(name: str) -> EncoderSpec:
    """Return the encoder a user means, or what stands for imported features.

    Raises:
        UsageError: there is no such encoder.
    """
    return EncoderSpec(name=name, source=name) if name.startswith(IMPORTED) else find_encoder(name)


def origin_of(dataset: str, taxonomy: Path | None, encoder: EncoderSpec) -> Origin:
    """Return what `cache verify` needs to find the pictures and the encoder again, from any folder."""
    kind, colon, path = dataset.partition(":")
    if kind == "folder":
        dataset = f"{kind}{colon}{Path(path).expanduser().resolve()}"
    return Origin(
        dataset=dataset,
        taxonomy=str(taxonomy.resolve()) if taxonomy else None,
        encoder=encoder.source if Path(encoder.source).is_dir() else encoder.name,
    )


def _settings(options: Options) -> tuple[FeatureOptions, TrainerSpec, HeadSpec]:
    """Sort `--set key=value` into fields of the features, the trainer, and the head's settings."""
    owners = {name: "features" for name in FeatureOptions.model_fields}
    owners |= {name: "trainer" for name in TrainerSpec.model_fields}
    owners |= {name: "head" for name in head_module_fields(options.head)}
    given: dict[str, dict[str, Any]] = {"features": {}, "trainer": {}, "head": {}}
    for setting in options.settings:
        key, equals, text = setting.partition("=")
        if not equals or key not in owners:
            raise UsageError(
                f"--set '{setting}': expected KEY=VALUE.{did_you_mean(key, owners)} Keys: {', '.join(owners)}."
            )
        given[owners[key]][key] = yaml.safe_load(text)
    try:
        features = FeatureOptions.model_validate(given["features"])
        trainer = TrainerSpec.model_validate(given["trainer"])
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UsageError(f"--set {first['loc'][0]}={first['input']}: {first['msg']}.") from None
    return features, trainer, head_spec(options.head, given["head"])
