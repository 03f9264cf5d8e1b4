"""Models of a grid that are not on this machine: how much there is to download, and under which licence."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from taxbench.runs.inputs import Inputs
from taxbench.specs.sources import GGUF
from taxbench.util.hub import NOT_FETCHED, has_weights


@dataclass(frozen=True)
class Download:
    """A model of the hub that is fetched before it is run."""

    model: str
    """Its id on the hub."""
    gated: bool
    bytes: int | None = None
    """None where the hub cannot be asked."""
    licence: str | None = None
    """None where the hub cannot be asked, or does not say."""

    def describe(self) -> str:
        """Return one line for people, with what to type."""
        model, _, revision = self.model.partition("@")
        size = "size unknown without the hub" if self.bytes is None else f"{self.bytes / 1e9:.2g} GB"
        licence = f", licence {self.licence}" if self.licence else ""
        gated = f" (gated: accept its licence at https://huggingface.co/{model})" if self.gated else ""
        return f"{self.model}, {size}{licence}{gated}: hf download {model}{revision and f' --revision {revision}'}"


def missing_models(inputs: Iterable[Inputs]) -> dict[Inputs, list[Download]]:
    """Return what has to be downloaded for each of some inputs, those left out for which all is there."""
    known: dict[str, Download | None] = {}
    missing: dict[Inputs, list[Download]] = {}
    for each in inputs:
        for source, gated in {each.lm.source: each.lm.gated, each.encoder.source: each.encoder.gated}.items():
            if source not in known:
                known[source] = _download(source, gated)
            if download := known[source]:
                missing.setdefault(each, []).append(download)
    return missing


def _download(source: str, gated: bool) -> Download | None:
    """Return what the hub says of a model that is neither on this machine nor anything but a model of the hub."""
    elsewhere = ":" in source or "/" not in source or source.lower().endswith(GGUF) or Path(source).is_dir()
    if elsewhere or has_weights(source):
        return None
    from huggingface_hub import HfApi

    model, _, revision = source.partition("@")
    try:
        said = HfApi().model_info(model, revision=revision or None, files_metadata=True, timeout=10)
    except Exception:  # no network, no access, an answer that the hub's library does not know: all the same here
        return Download(source, gated)
    sizes = {file.rfilename: file.size or 0 for file in said.siblings or ()}
    safe = any(name.endswith(".safetensors") for name in sizes)
    ignored = [*NOT_FETCHED, "*.bin"] if safe else NOT_FETCHED
    fetched = [name for name in sizes if not any(fnmatch(name, pattern) for pattern in ignored)]
    licence = next((tag.partition(":")[2] for tag in said.tags or () if tag.startswith("license:")), None)
    return Download(source, bool(said.gated), sum(map(sizes.__getitem__, fetched)), licence)
