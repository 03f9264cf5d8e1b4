"""What a user asks for, as typed on the command line or written in Python; `config.py` resolves the names."""

from dataclasses import dataclass, fields
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from taxbench.util.errors import TaxbenchError, UsageError, did_you_mean

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
    properties: str | None = None
    """A table of properties of the leaves, or one for each dataset, as for `taxonomy`."""
    head: str = "mlp"
    system: str = ""
    """Whole systems by commas, in the place of models, encoders and heads; empty: none."""
    seeds: str = "42"
    device: str = "auto"
    dtype: str = "auto"
    """What language models compute in."""
    engine: str = "local"
    cache: str | None = None
    out: str = "results"
    settings: tuple[str, ...] = ()
    """`key=value` for the features, the trainer or the head."""
    include: tuple[Path, ...] = ()
    """Folders with more task files."""
    limit: int | None = None
    """How many images of each leaf and split are used; None: all."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with an option, or with one of the names that it lists."""

    option: str
    name: str
    error: TaxbenchError


class OptionsError(UsageError):
    """Several options, or names that they list, are wrong."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem.error) for problem in problems))
        self.problems = problems
        self.exit_code = max(problem.error.exit_code for problem in problems)  # a missing model is no wrong usage


@dataclass(frozen=True, slots=True)
class NamesHere:
    """What a record does not say of its inputs, or what has another name here."""

    dataset: str | None = None
    taxonomy: Path | None = None
    properties: Path | None = None
    model: str | None = None
    encoder: str | None = None
    device: str | None = None
    """None: the kind of device that the record names."""
    cache: Path | None = None
    """Where features are kept."""


def options_from(kind: type[D], given: dict[str, Any]) -> D:
    """Build options from keyword arguments of the Python interface, in the words of Python or of the command line.

    Args:
        kind: Which options.
        given: Their values: what would be typed, or numbers, paths, and lists where several are separated by commas;
            None is the default. `settings` may be a dictionary.

    Raises:
        UsageError: there is no such option, or a value is of another kind.
    """
    known = {field.name: field.default for field in fields(kind)}
    for name in given:
        if name not in known:
            raise UsageError(f"Unknown option '{name}'.{did_you_mean(name, known)} Options: {', '.join(known)}.")
    return kind(**{name: _typed(name, value, known[name]) for name, value in given.items() if value is not None})


def _typed(name: str, value: Any, usual: Any) -> Any:
    """Return the value of an option as the command line would have it, from what Python people write."""
    if isinstance(usual, tuple):  # settings, and folders of tasks
        if isinstance(value, dict):
            value = [f"{key}={_words(name, each)}" for key, each in value.items()]
        several = value if isinstance(value, list | tuple) else [value]
        return tuple(Path(each) if name == "include" else _words(name, each) for each in several)
    if isinstance(usual, bool | int) or name in ("workers", "limit"):
        if not isinstance(value, int):
            raise UsageError(f"Invalid {name}: expected a whole number, found a {type(value).__name__}.")
        return value
    return f"folder:{value}" if name == "dataset" and isinstance(value, Path) else _words(name, value)


def _words(name: str, value: Any) -> str:
    """Return the text of a value, or of several separated by commas; raise UsageError where it has none."""
    value = value.tolist() if hasattr(value, "tolist") else value  # of NumPy or pandas
    if isinstance(value, list | tuple | range):
        return ",".join(_words(name, each) for each in value)
    if not isinstance(value, str | Real | Path):
        raise UsageError(
            f"Invalid {name}: expected text, a number, a path or a list of them, found a {type(value).__name__}."
        )
    return str(value)


def names_in(text: str) -> list[str]:
    """Return names separated by commas, each once; a path that is there may have commas of its own."""
    kind, _, argument = text.partition(":")
    if "," in text and "," not in kind and Path(argument or text).expanduser().exists():
        return [text]
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip())) or [text]


def seeds_in(text: str) -> tuple[int, ...]:
    """Return the seeds that `--seeds` lists by commas, each once; raise UsageError for others."""
    try:
        seeds = tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise UsageError(f"--seeds '{text}': expected whole numbers separated by commas, such as 42,218,7.") from None
    if any(seed < 0 for seed in seeds):
        raise UsageError(f"--seeds '{text}': seeds are not negative.")
    return seeds
