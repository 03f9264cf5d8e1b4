"""Trained heads in the cache: a file of weights for each key, and a checkpoint while it is being trained."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from taxbench.heads.base import Head
from taxbench.specs.run import HeadKey
from taxbench.specs.side_files import LossCurve
from taxbench.specs.spec import canonical_json, identity_of
from taxbench.util.errors import CacheError, first_line
from taxbench.util.paths import replacing

_FOLDER = "heads"
_ABOUT = "about"
"""The metadata of a head's file: its key and its losses, as JSON."""


def head_path(cache: Path, key: HeadKey) -> Path:
    """Return the file that holds, or would hold, the weights of a key."""
    return cache / _FOLDER / f"{key.digest}.safetensors"


def checkpoint_path(cache: Path, key: HeadKey) -> Path:
    """Return the file that holds how far the training of a key's head is."""
    return cache / _FOLDER / f"{key.digest}.checkpoint"


def load_head(cache: Path, key: HeadKey, head: Head) -> None:
    """Put the cached weights of a key into a freshly built head.

    Raises:
        CacheError: there are none, the file is broken, or it holds another head.
    """
    path = head_path(cache, key)
    if not path.is_file():
        raise CacheError(f"The cached head '{path}' was removed while it was needed. Run again.")
    try:
        head.load_state_dict(load_file(path, device=str(head.mean.device)))
    except (SafetensorError, OSError, RuntimeError) as error:
        raise _broken(path, error) from None


def save_head(cache: Path, key: HeadKey, head: Head, curve: LossCurve) -> None:
    """Write a trained head's weights, with its key and losses as metadata; the checkpoint has served its time."""
    weights = {name: value.detach().cpu().contiguous() for name, value in head.state_dict().items()}
    about = canonical_json({"key": identity_of(key), "losses": curve.model_dump(mode="json")})
    with replacing(head_path(cache, key)) as partial:
        # One entry of metadata: safetensors writes several in any order. Its own errors do not say that a disk is full.
        partial.write_bytes(save(weights, metadata={_ABOUT: about}))
    checkpoint_path(cache, key).unlink(missing_ok=True)


def read_curve(cache: Path, key: HeadKey) -> LossCurve | None:
    """Return how the loss of a cached head fell; None: it was not trained, or by an earlier release.

    Raises:
        CacheError: its file is broken.
    """
    path = head_path(cache, key)
    if not path.is_file():
        return None
    try:
        with safe_open(path, "np") as file:
            losses = json.loads((file.metadata() or {}).get(_ABOUT, "{}")).get("losses")
        return LossCurve.model_validate(losses) if losses else None
    except (SafetensorError, OSError, ValueError, AttributeError) as error:
        raise _broken(path, error) from None


def _broken(path: Path, error: Exception) -> CacheError:
    """Say that the file of a cached head is broken."""
    return CacheError(f"The cached head '{path}' is broken ({first_line(error)}). Remove it and run again: rm '{path}'")
