"""Files of a model in Hugging Face format: a local directory, the local hub cache, or the hub; with errors in words."""

import json
from pathlib import Path
from typing import Any

import torch
import xxhash
from safetensors import SafetensorError

from taxbench.util.errors import ModelError, first_line, with_network

# What holds the weights, the first that is there: one file, or the list of several.
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")


def model_files(source: str, gated: bool, extra: tuple[str, ...] = ()) -> dict[str, Path]:
    """Return the paths of `config.json` and of the `extra` files.

    Raises:
        ModelError: a file is not to be had; says whether to download, to ask for access, or to look for a typo.
    """
    return {name: _file(source, gated, name) for name in ("config.json", *extra)}


def weight_files(source: str, gated: bool) -> list[Path]:
    """Return the files that hold a model's weights, safetensors if there are any, else torch's; fetch them if need be.

    Raises:
        ModelError: there are none.
    """
    problems: list[ModelError] = []
    for name in _WEIGHTS:
        try:
            found = _file(source, gated, name)
        except ModelError as error:
            problems.append(error)
            continue
        if not name.endswith(".index.json"):
            return [found]
        shards = json.loads(found.read_text(encoding="utf-8"))["weight_map"].values()
        return [_file(source, gated, shard) for shard in sorted(set(shards))]
    raise problems[0]


def load_pretrained(auto: Any, source: str, gated: bool, dtype: torch.dtype, **options: Any) -> Any:
    """Load a model through a class of transformers; safetensors only, unless the options say otherwise.

    Raises:
        ModelError: it is missing, gated, incomplete, or not loadable by the installed transformers.
    """
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    options = {"use_safetensors": True, **options}
    try:
        model, loaded = auto.from_pretrained(source, dtype=dtype, output_loading_info=True, **options)
    except OSError as error:
        raise ModelError(_missing(source, gated, error)) from None
    except (ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"'{source}' cannot be loaded as a {auto.__name__}: {first_line(error)}") from None
    # Transformers draws what is missing at random and merely warns. The counter of batch norm is used in training only.
    lacking = sorted(name for name in loaded["missing_keys"] if not name.endswith("num_batches_tracked"))
    if lacking:
        raise ModelError(
            f"The weights of '{source}' are not those of a {type(model).__name__}: {len(lacking)} parts are missing "
            f"('{lacking[0]}' first)."
        )
    return model


def weights_digest(source: str, gated: bool, also: tuple[str, ...] = ()) -> str:
    """Digest the bytes of a model's configuration and weights, so that a renamed copy is the same model.

    Args:
        also: More files, of which those count that the model has on this machine.

    Raises:
        ModelError: a file is not to be had.
    """
    state = xxhash.xxh3_128()
    more = filter(None, (_local(source, name) for name in also))
    for path in (model_files(source, gated)["config.json"], *weight_files(source, gated), *more):
        state.update(path.name.encode())
        with path.open("rb") as file:
            while block := file.read(1 << 24):
                state.update(block)
    return state.hexdigest()


def _file(source: str, gated: bool, name: str) -> Path:
    """Return one file of a model, downloaded if it is neither in a directory nor in the local hub cache."""
    from huggingface_hub import errors, hf_hub_download

    if Path(source).is_dir():
        path = Path(source) / name
        if not path.is_file():
            raise ModelError(f"The model directory '{source}' has no {name}.")
        return path
    try:
        return Path(hf_hub_download(source, name))
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, errors.HFValidationError, OSError) as error:
        raise ModelError(_missing(source, gated, error)) from None


def _local(source: str, name: str) -> Path | None:
    """Return one file of a model if it is on this machine."""
    from huggingface_hub import try_to_load_from_cache

    if Path(source).is_dir():
        return path if (path := Path(source) / name).is_file() else None
    found = try_to_load_from_cache(source, name)
    return Path(found) if isinstance(found, str) else None


def _missing(source: str, gated: bool, error: Exception) -> str:
    """Return the message that a hub model or model directory is missing, and how to get it."""
    if Path(source).is_dir():
        return f"The model directory '{source}' cannot be loaded: {first_line(error)}"
    download = f"hf download {source}"
    if gated or "gated" in str(error).lower():
        return (
            f"The model '{source}' is gated: accept its licence at https://huggingface.co/{source}, then type "
            f"'hf auth login' and '{download}'."
        )
    return (
        f"The model '{source}' is not on this machine and cannot be fetched ({type(error).__name__}). {with_network()}"
        f"type '{download}', or give a local directory instead of the name."
    )
