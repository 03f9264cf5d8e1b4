"""Trained heads, kept by everything that decides their weights, so that no head is ever trained twice."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from taxbench.heads.base import Head
from taxbench.specs.run import HeadKey
from taxbench.specs.spec import canonical_json
from taxbench.util.errors import CacheError
from taxbench.util.paths import replacing

_FOLDER = "heads"


def head_path(cache: Path, key: HeadKey) -> Path:
    """Return the file that holds, or would hold, the weights of a key."""
    return cache / _FOLDER / f"{key.digest}.safetensors"


def checkpoint_path(cache: Path, key: HeadKey) -> Path:
    """Return the file that holds how far the training of a key's head is."""
    return cache / _FOLDER / f"{key.digest}.checkpoint"


def load_head(cache: Path, key: HeadKey, head: Head) -> bool:
    """Put the cached weights of a key into a freshly built head; False when there are none.

    Raises:
        CacheError: the file is broken or holds another head.
    """
    path = head_path(cache, key)
    if not path.is_file():
        return False
    try:
        head.load_state_dict(load_file(path, device=str(head.mean.device)))
    except (SafetensorError, OSError, RuntimeError) as error:
        problem = str(error).splitlines()[0]
        raise CacheError(
            f"The cached head '{path}' is broken ({problem}). Remove it and run again: rm '{path}'"
        ) from None
    return True


def save_head(cache: Path, key: HeadKey, head: Head) -> None:
    """Write a trained head's weights, with its key as readable metadata; the checkpoint has served its time."""
    weights = {name: value.detach().cpu().contiguous() for name, value in head.state_dict().items()}
    with replacing(head_path(cache, key)) as partial:
        save_file(weights, partial, metadata={"key": canonical_json(key)})
    checkpoint_path(cache, key).unlink(missing_ok=True)
