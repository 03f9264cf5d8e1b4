"""Files of a model in Hugging Face format: a local directory, the local hub cache, or the hub; with errors in words.

Other libraries read these files, and raise whatever they happen to meet in them. `reading` is the one place that turns
it into which file it is, what is wrong with it, and what to do. Code that a checkpoint brings along never runs.
"""

import codecs
import json
import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import xxhash
from safetensors import SafetensorError, safe_open

from taxbench.util.errors import OF_DISKS, DiskError, ModelError, TaxbenchError, first_line, unreadable, with_network

# What holds the weights, the first that is there: one file, or the list of several.
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")

NOT_FETCHED = ("*.onnx*", "*.h5", "*.msgpack", "*.gguf", "*.pth", "*.ot", "onnx/*", "original/*")
"""Patterns of files in repositories of the hub that are for other programs."""


def revision_folder(model: str, revision: str) -> Path:
    """Return the local directory of a model of the hub at a branch, tag or commit; fetch what is not there yet.

    Raises:
        ModelError: it is not to be had.
        DiskError: the disk has no room for it.
    """
    from huggingface_hub import snapshot_download

    with _fetching(f"{model}@{revision}", gated=False):
        return Path(snapshot_download(model, revision=revision, ignore_patterns=list(NOT_FETCHED)))


def first_file(source: str, gated: bool, names: Iterable[str]) -> Path:
    """Return the first of some files of a model that is there; fetch it if need be.

    Raises:
        ModelError: none is to be had; says whether to download, to ask for access, or to look for a typo.
    """
    problems: list[ModelError] = []
    for name in names:
        try:
            return _file(source, gated, name)
        except ModelError as error:
            problems.append(error)
    raise problems[0]


def config_file(source: str, gated: bool) -> Path:
    """Return the path of a model's `config.json`; raise ModelError as `first_file` does."""
    return first_file(source, gated, ("config.json",))


def weight_files(source: str, gated: bool) -> list[Path]:
    """Return the files that hold a model's weights, safetensors if there are any, else torch's; fetch them if need be.

    Raises:
        ModelError: there are none.
    """
    named = read_json(config_file(source, gated)).get("transformers_weights")  # where transformers then looks
    found = first_file(source, gated, (str(named),) if named else _WEIGHTS)
    if not found.name.endswith(".index.json"):
        return [found]
    listed = read_json(found).get("weight_map")
    if not isinstance(listed, dict) or not listed:
        raise ModelError(f"'{found}' is no list of weights: it names none. Fetch it again.")
    shards = set(map(str, listed.values()))
    return [_file(source, gated, shard) for shard in sorted(shards)]


def weight_names(source: str, gated: bool) -> set[str]:
    """Return the names of a model's weights, which are not loaded."""
    names: set[str] = set()
    for path in weight_files(source, gated):
        with reading(source, gated, f"'{path}' cannot be read"), warnings.catch_warnings(action="ignore"):
            if path.suffix != ".safetensors":
                names.update(torch.load(path, "meta", weights_only=True, mmap=zipfile.is_zipfile(path)))
                continue
            with safe_open(path, "pt") as file:
                names.update(file.keys())
    return names


def load_pretrained(auto: Any, source: str, gated: bool, dtype: torch.dtype, **options: Any) -> Any:
    """Load a model through a class of transformers; safetensors only, unless the options say otherwise.

    Raises:
        ModelError: it is missing, gated, incomplete, or not loadable by the installed transformers.
    """
    options = {"use_safetensors": True, "trust_remote_code": False, "ignore_mismatched_sizes": True, **options}
    where = _where(source, options)
    with reading(where, gated, f"'{where}' cannot be loaded as a {auto.__name__}"):
        model, loaded = auto.from_pretrained(source, dtype=dtype, output_loading_info=True, **options)
    if getattr(model, "_hf_peft_config_loaded", False):
        raise ModelError(_ADAPTER.format(source))
    if wrong := sorted(loaded["mismatched_keys"]):
        name, there, wanted = wrong[0]
        raise ModelError(
            f"The weights of '{source}' do not fit its config.json: {len(wrong)} have another shape ('{name}' is "
            f"{tuple(there)}, not {tuple(wanted)})."
        )
    # Transformers draws what is missing at random and merely warns. The counter of batch norm is used in training only.
    lacking = sorted(name for name in loaded["missing_keys"] if not name.endswith("num_batches_tracked"))
    if lacking:
        raise ModelError(
            f"The weights of '{source}' are not those of a {type(model).__name__}: {len(lacking)} parts are missing "
            f"('{lacking[0]}' first)."
        )
    return model


def load_tokenizer(source: str, gated: bool, **options: Any) -> Any:
    """Load a tokenizer.

    Raises:
        ModelError: it is missing, or not readable by the installed transformers.
    """
    from transformers import AutoTokenizer

    if Path(source).is_dir() and not options and not _tokenizer_files(Path(source)):
        raise ModelError(f"The model directory '{source}' has no tokenizer, such as tokenizer.json or tokenizer.model.")
    where = _where(source, options)
    with reading(where, gated, f"The tokenizer of '{where}' cannot be loaded"):
        return AutoTokenizer.from_pretrained(source, trust_remote_code=False, **options)


def _where(source: str, options: dict[str, Any]) -> str:
    """Return what is read by these options: a GGUF file in a directory, or the directory or hub id itself."""
    return str(Path(source, options["gguf_file"])) if "gguf_file" in options else source


@contextmanager
def reading(source: str, gated: bool, failed: str) -> Iterator[None]:
    """Have transformers read a model's files, silently; whatever it raises becomes a ModelError that can be acted upon.

    Its message begins with `failed`, which says what could not be done.
    """
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    except (TaxbenchError, MemoryError):
        raise
    except Exception as error:
        raise ModelError(_explained(source, gated, failed, error)) from None


def _explained(source: str, gated: bool, failed: str, error: Exception) -> str:
    """Say what is wrong with a model's files and what to do, from what was raised and from the files themselves."""
    folder = Path(source)
    if problem := next(filter(None, map(_problem_of, _inside(folder))), None):
        return problem
    if "trust_remote_code" in str(error) or "custom code" in str(error):
        return (
            f"'{source}' brings code of its own ('auto_map' in its configuration), and taxbench runs none. Give a "
            "model of an architecture that transformers knows."
        )
    if isinstance(error, ImportError):
        config = folder / "config.json"
        quantised = read_json(config).get("quantization_config") if config.is_file() else None
        method = (quantised or {}).get("quant_method")
        way = f"It is quantised ({method}): give its plain weights or a GGUF file. " if method else ""
        return f"{failed}: a package is missing. {way}{first_line(error)}"
    if "backend tokenizer" in str(error) or "tiktoken" in str(error):
        there = ", ".join(path.name for path in _tokenizer_files(folder)) if folder.is_dir() else "its files"
        return f"{failed}: {there} are damaged, or not all that make one (tokenizer.json, or tokenizer.model)."
    if isinstance(error, OSError):
        return _missing(source, gated, error)
    said = f"no {error}" if isinstance(error, KeyError) and error.args else first_line(error, all_lines=True)
    problem = f"{failed}: {said.rstrip('.')}."
    newer = type(error) is Exception or "does not recognize this architecture" in said  # tokenizers raise no other
    return f"{problem} Files of a newer format want: pip install -U transformers tokenizers" if newer else problem


def _inside(folder: Path) -> list[Path]:
    """Return the files of a local model directory that transformers reads."""
    if not (folder / "config.json").is_file():
        return []
    kinds = ("*.safetensors", "*.bin", "*.index.json", "*processor_config.json")
    weights = [path for pattern in kinds for path in sorted(folder.glob(pattern))]
    return [folder / "config.json", *weights, *_tokenizer_files(folder)]


def _tokenizer_files(folder: Path) -> list[Path]:
    """Return the files of a directory that decide how text becomes tokens."""
    return sorted(path for path in folder.iterdir() if _TOKENIZER.fullmatch(path.name) and path.is_file())


def lfs_pointer(path: Path) -> str:
    """Say how to fetch a file in whose place git-lfs left a few lines; the empty string for others."""
    with path.open("rb") as file:
        is_pointer = file.read(40).startswith(b"version https://git-lfs")
    fetch = f"git -C '{path.parent}' lfs pull"
    return f"'{path}' is a git-lfs pointer and not the file itself. To fetch it, type: {fetch}" if is_pointer else ""


def read_json(path: Path) -> dict[str, Any]:
    """Return what a file of a checkpoint says in JSON.

    Raises:
        ModelError: it cannot be read, or not as transformers reads it.
    """
    if problem := _problem_of(path):
        raise ModelError(problem)
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def _problem_of(path: Path) -> str:
    """Say why a file of a checkpoint cannot be read, and what to do; the empty string where it can."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
        if path.suffix == ".safetensors" and not lfs_pointer(path):
            with safe_open(path, "pt"):
                pass
        elif path.suffix == ".json" and not isinstance(json.loads(path.read_bytes().decode()), dict):
            return f"'{path}' holds no mapping in JSON, as {{\"key\": ...}}. Fetch it again."
        elif start == b"PK\3\4" and not zipfile.is_zipfile(path):
            raise ValueError
    except OSError as error:
        return unreadable(error)
    except (SafetensorError, ValueError):
        if start.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return f"'{path}' begins with a byte order mark. Save it as plain UTF-8, or fetch it again."
        return lfs_pointer(path) or f"'{path}' is cut short or damaged. Fetch it again."
    return lfs_pointer(path)


_ADAPTER = (
    "'{}' has an adapter beside its weights (adapter_config.json). Merge it into them (peft: merge_and_unload, then "
    "save_pretrained), or move it away."
)

# Files that decide how text becomes tokens. The first ones have been digested in this order from the beginning.
_TOKENIZING = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
               "merges.txt", "tokenizer.model", "chat_template.jinja")  # fmt: skip
_TOKENIZER = re.compile(
    r"tokenizer.*|special_tokens_map\.json|added_tokens\.json|.*vocab.*|.*merges.*|.*\.(model|tiktoken|spm|bpe|jinja)|"
    r"chat_template.*|normalizer\.json|.*tekken.*\.json|bpe\.codes|dict\.txt"
)


def weights_digest(source: str, gated: bool, tokenizer: Any = None) -> str:
    """Digest the bytes of a model's configuration and weights, so that a renamed copy is the same model.

    Args:
        tokenizer: The model's; the files that make it count as well, whatever they are called: all of a directory, of a
            model of the hub those that it names, however many others were fetched.

    Raises:
        ModelError: a file is not to be had, or an adapter lies beside them, which transformers may load or not.
    """
    if _local(source, "adapter_config.json"):
        raise ModelError(_ADAPTER.format(source))
    state = xxhash.xxh3_128()
    config = config_file(source, gated)
    names: set[str] = set()
    if tokenizer is not None:
        named = {*_TOKENIZING, *getattr(tokenizer, "vocab_files_names", {}).values()}
        there = {path.name for path in _tokenizer_files(config.parent)}
        names = there if Path(source).is_dir() else there & named
    ordered = [*(name for name in _TOKENIZING if name in names), *sorted(names.difference(_TOKENIZING))]
    for path in (config, *weight_files(source, gated), *(config.parent / name for name in ordered)):
        state.update(path.name.encode())
        with path.open("rb") as file:
            while block := file.read(1 << 24):
                state.update(block)
    return state.hexdigest()


def _file(source: str, gated: bool, name: str) -> Path:
    """Return one file of a model, downloaded if it is neither in a directory nor in the local hub cache.

    Raises:
        ModelError: it is not to be had.
        DiskError: the disk has no room for it.
    """
    from huggingface_hub import hf_hub_download, hf_hub_url

    if Path(source).is_dir():
        path = Path(source) / name
        if not path.is_file():
            raise ModelError(f"The model directory '{source}' has no {name}.")
        return path
    with _fetching(source, gated):
        if _local(source, name) is None:
            _check_connection(hf_hub_url(source, name))
        return Path(hf_hub_download(source, name))


def _check_connection(url: str) -> None:
    """Raise what the hub's library does where no connection can be made: a download would try, and chat, for 23 s."""
    from huggingface_hub import errors, get_hf_file_metadata

    try:
        get_hf_file_metadata(url)
    except errors.HTTPError as error:  # type: ignore[attr-defined]
        if type(error).__name__ == "ConnectError":  # of httpx, or of httpx2
            raise  # all else a download meets again, and tries again where that may help


@contextmanager
def _fetching(source: str, gated: bool) -> Iterator[None]:
    """Fetch from the hub; what is in the way becomes a ModelError, or a DiskError where that is the disk's fault."""
    from huggingface_hub import errors

    try:
        yield
    except (
        errors.HTTPError,  # type: ignore[attr-defined]
        errors.HFValidationError,
        errors.EntryNotFoundError,
        RuntimeError,  # of hf_xet
        OSError,
    ) as error:
        if isinstance(error, OSError) and error.errno in OF_DISKS:
            raise DiskError(f"'{source}' cannot be kept: {first_line(error)}. Make room, or set HF_HOME.") from None
        raise ModelError(_missing(source, gated, error)) from None


def _local(source: str, name: str) -> Path | None:
    """Return one file of a model if it is on this machine."""
    from huggingface_hub import try_to_load_from_cache

    if Path(source).is_dir():
        return path if (path := Path(source) / name).is_file() else None
    found = try_to_load_from_cache(source, name)
    return Path(found) if isinstance(found, str) else None


def has_weights(source: str) -> bool:
    """Tell whether the weights of a model of the hub are on this machine."""
    from huggingface_hub import snapshot_download

    model, at, revision = source.partition("@")
    if at:
        try:
            return Path(snapshot_download(model, revision=revision, local_files_only=True)).is_dir()
        except OSError:
            return False
    return any(_local(source, name) for name in _WEIGHTS)


def _missing(source: str, gated: bool, error: Exception) -> str:
    """Return the message that a hub model or model directory is missing, and how to get it."""
    if Path(source).is_dir():
        return f"The model directory '{source}' cannot be loaded: {first_line(error)}"
    model, _, revision = source.partition("@")
    if type(error).__name__ == "HFValidationError":
        hint = f" Did you mean '{source.replace(':', '@', 1)}'?" if ":" in source else ""  # as Ollama and Docker say it
        expected = "expected OWNER/NAME, or OWNER/NAME@REVISION, or a local directory."
        return f"'{source}' is no model of the hub: {expected}{hint}"
    download = f"hf download {model}" + (f" --revision {revision}" if revision else "")
    if gated or "gated" in str(error).lower():
        return (
            f"The model '{source}' is gated: accept its licence at https://huggingface.co/{model}, then type "
            f"'hf auth login' and '{download}'."
        )
    return (
        f"The model '{source}' is not on this machine and cannot be fetched ({type(error).__name__}). {with_network()}"
        f"type '{download}', or give a local directory instead of the name."
    )
