"""Find encoders, language models, systems: an alias of the YAML registry, a local directory, or a Hugging Face id."""

import os
import re
from collections.abc import Collection
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeVar

import yaml

from taxbench.registry.package_source import package_folders
from taxbench.specs.feature_key import IMPORTED
from taxbench.specs.sources import GGUF, PACKAGED, READERS, EncoderSpec, LMSpec, SystemSpec
from taxbench.util.errors import ModelError, UsageError, did_you_mean

S = TypeVar("S", EncoderSpec, LMSpec, SystemSpec)

ENTRY_POINTS = "taxbench.encoders"
"""The group under which installed packages offer encoders; what they must name: `features.encoders.EncoderCard`."""
LM_POINTS = "taxbench.lms"
"""The group of language models; they name a package and a folder in it in Hugging Face format: `package:folder`, with
dots for folders in folders."""
PLUGGED = "entry-point:"
"""How the source of an encoder from another package begins; the entry point's value follows."""
_REVISION = re.compile(r"([\w.-]+/[\w.-]+)@([\w./-]+)")
_RANDOM = "random-"
_TWIN = re.compile(f"{_RANDOM}(?!{_RANDOM})")  # which has none itself
_FILES = {EncoderSpec: "encoders.yaml", LMSpec: "lms.yaml", SystemSpec: "systems.yaml"}
_OPTIONS: dict[type[Any], str] = {LMSpec: "model", EncoderSpec: "encoder", SystemSpec: "system"}
BY_TEXTS = ("match", "chils", "odds")
"""The ways in which systems are asked that compare pictures with texts."""
SYSTEM_CLASSES: dict[str, tuple[str, ...]] = {
    "CLIPModel": BY_TEXTS,
    "SiglipModel": BY_TEXTS,
    "VisionTextDualEncoderModel": BY_TEXTS,
    "FlavaModel": BY_TEXTS,
    "FlavaForPreTraining": (*BY_TEXTS, "pair", "masked"),
    "Blip2ForImageTextRetrieval": ("match", "chils", "pair"),  # which has no scale of its own
    "Blip2ForConditionalGeneration": ("answer",),
    "LlavaForConditionalGeneration": ("answer",),
    "LlavaNextForConditionalGeneration": ("answer",),
    "ChameleonForConditionalGeneration": ("answer",),
    "SmolVLMForConditionalGeneration": ("answer",),
    "Idefics3ForConditionalGeneration": ("answer",),
    "Gemma3ForConditionalGeneration": ("answer",),
    "Molmo2ForConditionalGeneration": ("answer",),
    "Qwen3VLForConditionalGeneration": ("answer",),
}
"""Classes of transformers that are whole systems, with the ways in which each can be asked, the usual one first."""


def encoders() -> dict[str, EncoderSpec]:
    """Return the registered encoders by name: the built-in ones, then those of installed packages.

    No package's code is run, so a broken one cannot hide the others. A built-in name cannot be taken.
    """
    return _registered(EncoderSpec)


def lms() -> dict[str, LMSpec]:
    """Return the registered language models by name: the built-in ones, then those of installed packages."""
    return _registered(LMSpec)


def find_encoder(name: str) -> EncoderSpec:
    """Return the encoder a user means; `random-NAME` is NAME with random weights, `imported:NAME` imported features.

    Raises:
        UsageError: it is no alias, no directory and no hub id.
    """
    if name == IMPORTED:
        raise UsageError(f"--encoder {IMPORTED}NAME: say which features. Type 'taxbench cache ls' to see them.")
    if name.startswith(IMPORTED):
        return EncoderSpec(name=name, source=name)
    if _TWIN.match(name) and not Path(name).is_dir() and name not in encoders():
        trained = find_encoder(name.removeprefix(_RANDOM))
        return trained.model_copy(update={"name": _RANDOM + trained.name, "random": True})
    return _find(name, EncoderSpec, "encoder")


def find_lm(name: str) -> LMSpec:
    """Return the language model a user means.

    Raises:
        UsageError: it is no alias, no directory and no hub id.
    """
    return _find(name, LMSpec, "model")


def systems() -> dict[str, SystemSpec]:
    """Return the registered systems by name."""
    return _registered(SystemSpec)


def find_system(name: str) -> SystemSpec:
    """Return the system a user means; `random-NAME` is NAME with random weights, `READER:NAME` asked in another way,
    of an alias also `NAME-READER`.

    Raises:
        UsageError: it is no alias, no directory and no hub id.
        ModelError: it is not to be had, or no system that can be asked.
    """
    known = systems()
    if name in known:
        return known[name]
    if _TWIN.match(name) and not Path(name).is_dir():
        trained = find_system(name.removeprefix(_RANDOM))
        return trained.model_copy(update={"name": _RANDOM + trained.name, "random": True})
    reader, source = _asked_by(name, known)
    found = known[source] if source in known else _find(source, SystemSpec, "system")
    config = _config_of(found)
    classes = config.get("architectures") or [""]
    ways = SYSTEM_CLASSES.get(classes[0], ())
    if not ways:
        raise ModelError(_no_system(found.source, classes[0], config))
    if reader and reader not in ways:
        raise ModelError(f"'{found.source}' is a {classes[0]}, which can be asked by: {', '.join(ways)}; not {reader}.")
    named = f"{found.name}-{reader}" if reader else found.name
    return found.model_copy(update={"name": named, "reads": reader or ways[0]})


def _asked_by(name: str, known: Collection[str]) -> tuple[str, str]:
    """Return the reader that a name of a system asks for, or nothing, and the rest of the name."""
    reader, colon, source = name.partition(":")
    if colon and reader in READERS:
        return reader, source
    source, _, reader = name.rpartition("-")
    return (reader, source) if reader in READERS and source in known else ("", name)


def _config_of(spec: SystemSpec) -> dict[str, Any]:
    """Return what `config.json` of a system says."""
    from taxbench.util.hub import config_file, read_json

    return read_json(config_file(model_source(spec.source), spec.gated))


def _no_system(source: str, kind: str, config: Collection[str]) -> str:
    """Say that a checkpoint is no system that can be asked, and what to do with it."""
    known = ", ".join(SYSTEM_CLASSES)
    sees = any(re.search("visi|visual|^mm_|ima?ge?_", key) for key in config)
    if sees and re.search("CausalLM|LMHead", kind):  # as its authors' own code calls it
        return (
            f"'{source}' ({kind}) is of a class that transformers does not have. Give its checkpoint for transformers, "
            "often one whose name ends in -hf."
        )
    if re.search("CausalLM|LMHead", kind):
        return f"'{source}' is a language model alone ({kind}), and no whole system. Give it as --model."
    if re.search("Vision|Image(Model|Classification)|ViT|Dino|MAE|Beit|ResNet|ConvNext|MobileNet", kind):
        return f"'{source}' is an image encoder alone ({kind}), and no whole system. Give it as --encoder."
    if kind == "Siglip2Model":
        return f"'{source}' is a NaFlex model, which takes pictures of any shape. Give a fixed-resolution checkpoint."
    return f"'{source}' ({kind or 'its config.json names no class'}) cannot be asked. Known classes: {known}."


def model_source(source: str) -> str:
    """Return the directory or the hub id that a model of a registry is loaded from.

    Raises:
        ModelError: it should lie in a package, and does not; or it is a revision that cannot be fetched.
    """
    if revision := _REVISION.fullmatch(source):
        from taxbench.util.hub import revision_folder

        return str(revision_folder(*revision.groups()))
    if not source.startswith(PACKAGED):
        return source
    package, _, inside = source.removeprefix(PACKAGED).partition("/")
    try:
        folders = [folder / inside for folder in package_folders(package)]
    except (ImportError, ValueError, AttributeError) as error:
        raise ModelError(f"'{source}' cannot be loaded: {error}.") from None
    folder = next((folder for folder in folders if folder.is_dir()), None)
    if folder is None:
        raise ModelError(f"'{source}' cannot be loaded: the package has no folder '{inside}'. Install it anew.")
    return str(folder)


def _instead(folder: Path, gguf: bool) -> str:
    """Say what a folder that is no model holds: an adapter alone, a GGUF file, checkpoints, the snapshots of a hub."""
    if (folder / "adapter_config.json").is_file():
        return " It is an adapter alone: merge it into the model it was made for (peft: merge_and_unload)."
    inside = sorted(folder.glob(f"*{GGUF}")) if gguf else []
    for level in ("*", "*/*"):
        inside += [path.parent for path in sorted(folder.glob(f"{level}/config.json"))]
    return f" It holds {len(inside)} that could be meant, such as '{inside[-1]}'." if inside else ""


def _registered(kind: type[S]) -> dict[str, S]:
    """Return the models of one kind by alias: those of the YAML registry, and those that packages offer."""
    text = Path(__file__).with_name(_FILES[kind]).read_text(encoding="utf-8")
    entries = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # libyaml takes a tenth of the time
    known = {name: kind(name=name, **fields) for name, fields in entries.items()}
    for point in sorted(entry_points(group=ENTRY_POINTS if kind is EncoderSpec else LM_POINTS)):
        package = f"From the package {point.dist.name} {point.dist.version}." if point.dist else ""
        folder = f"{PACKAGED}{point.module}/{point.attr.replace('.', '/')}"
        source = PLUGGED + point.value if kind is EncoderSpec else folder
        known.setdefault(point.name, kind(name=point.name, source=source, summary=package))
    return known


def _find(name: str, kind: type[S], word: str) -> S:
    """Return the model that an alias, a directory or a Hugging Face id names."""
    known = _registered(kind)
    if name in known:
        return known[name]
    path = Path(name).expanduser()
    if path.is_dir():
        if not os.access(path, os.R_OK | os.X_OK):
            raise UsageError(
                f"The {word} directory '{name}' may not be read. To allow it, type: chmod -R u+rX '{name}'"
            )
        if not (path / "config.json").is_file():
            raise UsageError(
                f"The {word} directory '{name}' has no config.json: expected a Hugging Face model directory "
                f"(config.json and *.safetensors).{_instead(path, kind is LMSpec)}"
            )
        return kind(name=path.resolve().name, source=str(path.resolve()))
    if kind is LMSpec and path.suffix.lower() == GGUF:
        if not path.is_file():
            raise UsageError(f"There is no file '{name}'.")
        return kind(name=path.stem, source=str(path.resolve()))
    if name.partition("@")[0].count("/") == 1 and not name.startswith((".", "/", "~")):
        return kind(name=name, source=name)
    of = next((option for other, option in _OPTIONS.items() if name in _registered(other)), None)
    hint = f" '{name}' goes with --{of}." if of else did_you_mean(name, known)
    file = ", a GGUF file" if kind is LMSpec else ""
    raise UsageError(
        f"Unknown {word} '{name}': expected an alias, a directory{file} or a Hugging Face id (owner/name, or "
        f"owner/name@revision).{hint} "
        f"Type 'taxbench ls {word}s' to see the aliases."
    )
