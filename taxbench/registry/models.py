"""Find encoders and language models: an alias of the YAML registry, a local directory, or a Hugging Face id."""

from importlib.metadata import entry_points
from pathlib import Path
from typing import TypeVar

import yaml

from taxbench.specs.sources import EncoderSpec, LMSpec
from taxbench.util.errors import UsageError, did_you_mean
from taxbench.util.paths import PACKAGE

S = TypeVar("S", EncoderSpec, LMSpec)

_HERE = Path(__file__).parent
_POCKET = PACKAGE / "pocket" / "weights"
POCKET_ENCODER = _POCKET / "pocket-conv"
POCKET_LM = _POCKET / "wordnet-lm"

ENTRY_POINTS = "taxbench.encoders"
"""The group under which installed packages offer encoders; what they must name: `features.encoders.EncoderCard`."""
PLUGGED = "entry-point:"
"""How the source of an encoder from another package begins; the entry point's value follows."""
_RANDOM = "random-"


def encoders() -> dict[str, EncoderSpec]:
    """Return the registered encoders by name: the built-in ones, then those of installed packages.

    No package's code is run, so a broken one cannot hide the others. A built-in name cannot be taken.
    """
    found = _read("encoders.yaml", EncoderSpec)
    for point in sorted(entry_points(group=ENTRY_POINTS)):
        package = f"From the package {point.dist.name} {point.dist.version}." if point.dist else ""
        found.setdefault(point.name, EncoderSpec(name=point.name, source=PLUGGED + point.value, summary=package))
    return found


def lms() -> dict[str, LMSpec]:
    """Return the registered language models by name."""
    return _read("lms.yaml", LMSpec)


def find_encoder(name: str) -> EncoderSpec:
    """Return the encoder a user means; `random-NAME` is the encoder NAME with random weights.

    Raises:
        UsageError: it is no alias, no directory and no hub id.
    """
    known = encoders()
    if name.startswith(_RANDOM) and not name.startswith(2 * _RANDOM) and name not in known and not Path(name).is_dir():
        trained = find_encoder(name.removeprefix(_RANDOM))
        return trained.model_copy(update={"name": _RANDOM + trained.name, "random": True})
    return _find(name, known, EncoderSpec, "encoder")


def find_lm(name: str) -> LMSpec:
    """Return the language model a user means.

    Raises:
        UsageError: it is no alias, no directory and no hub id.
    """
    return _find(name, lms(), LMSpec, "model")


def _read(file: str, kind: type[S]) -> dict[str, S]:
    entries = yaml.safe_load((_HERE / file).read_text(encoding="utf-8"))
    return {name: kind.model_validate({"name": name, **fields}) for name, fields in entries.items()}


def _find(name: str, known: dict[str, S], kind: type[S], word: str) -> S:
    if name in known:
        return known[name]
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise UsageError(
                f"The {word} directory '{name}' has no config.json: expected a Hugging Face model directory "
                "(config.json and *.safetensors)."
            )
        return kind(name=path.resolve().name, source=str(path.resolve()))
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        return kind(name=name, source=name)
    hint = did_you_mean(name, known)
    raise UsageError(
        f"There is no {word} '{name}': it is no alias, no directory and no Hugging Face id (owner/name).{hint} "
        f"Type 'taxbench ls {word}s' to see the aliases."
    )
