"""Files of a model in Hugging Face format: a local directory, the local hub cache, or the hub; with errors in words."""

from pathlib import Path
from typing import Any

import torch
import xxhash

from taxbench.errors import ModelError


def model_files(source: str, gated: bool, extra: tuple[str, ...] = ()) -> dict[str, Path]:
    """Return the paths of `config.json` and of the `extra` files.

    Raises:
        ModelError: a file is not to be had; says whether to download, to ask for access, or to look for a typo.
    """
    from huggingface_hub import errors, hf_hub_download

    found: dict[str, Path] = {}
    for name in ("config.json", *extra):
        if Path(source).is_dir():
            if not (Path(source) / name).is_file():
                raise ModelError(f"The model directory '{source}' has no {name}.")
            found[name] = Path(source) / name
            continue
        try:
            found[name] = Path(hf_hub_download(source, name))
        except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, errors.HFValidationError, OSError) as error:
            raise ModelError(_missing(source, gated, error)) from None
    return found


def load_pretrained(auto: Any, source: str, gated: bool, dtype: torch.dtype) -> Any:
    """Load a model through a transformers Auto class, safetensors only.

    Raises:
        ModelError: it is missing, gated, or not loadable by the installed transformers.
    """
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        return auto.from_pretrained(source, dtype=dtype, use_safetensors=True)
    except OSError as error:
        raise ModelError(_missing(source, gated, error)) from None
    except (ValueError, KeyError, RuntimeError) as error:
        raise ModelError(f"'{source}' cannot be loaded as a {auto.__name__}: {_first_line(error)}") from None


def weights_digest(source: str, gated: bool) -> str:
    """Digest the bytes of a model's configuration and weights, so that a renamed copy is the same model."""
    folder = model_files(source, gated)["config.json"].parent
    state = xxhash.xxh3_128()
    for path in sorted([folder / "config.json", *folder.glob("*.safetensors")]):
        state.update(path.name.encode())
        with path.open("rb") as file:
            while block := file.read(1 << 24):
                state.update(block)
    return state.hexdigest()


def _missing(source: str, gated: bool, error: Exception) -> str:
    if Path(source).is_dir():
        return f"The model directory '{source}' cannot be loaded: {_first_line(error)}"
    download = f"hf download {source}"
    if gated or "gated" in str(error).lower():
        return (
            f"The model '{source}' is gated: accept its licence at https://huggingface.co/{source}, then type "
            f"'hf auth login' and '{download}'."
        )
    return (
        f"The model '{source}' is not on this machine and cannot be fetched ({type(error).__name__}). With network, "
        f"type '{download}', or give a local directory instead of the name."
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
