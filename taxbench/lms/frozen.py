"""Frozen causal language models: loading, the random-init twin, and what training through one needs to know."""

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from taxbench.errors import ModelError
from taxbench.hub import load_pretrained, model_files, weights_digest
from taxbench.registry.models import POCKET_LM
from taxbench.seeds import derive_seed
from taxbench.specs.models import LMSpec

# What decides how text becomes tokens, whichever of them a model has.
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
              "merges.txt", "tokenizer.model")  # fmt: skip


@dataclass(frozen=True, slots=True)
class FrozenLM:
    """A language model whose weights never change."""

    spec: LMSpec
    model: Any
    tokenizer: Any
    digest: str
    device: torch.device

    @property
    def width(self) -> int:
        """Return d, the width of the input embeddings."""
        return int(self.model.get_input_embeddings().weight.shape[1])

    @property
    def dtype(self) -> torch.dtype:
        """Return the type that the model computes in."""
        return cast(torch.dtype, self.model.dtype)

    def embed(self, ids: Tensor) -> Tensor:
        """Return the input embeddings of tokens, rescaled as the model itself does.  # (..., d)"""
        return cast(Tensor, self.model.get_input_embeddings()(ids))

    def embedding_rms(self) -> float:
        """Return the root mean square of the input embeddings, the scale at which soft tokens should start."""
        with torch.inference_mode():
            n = self.model.get_input_embeddings().weight.shape[0]
            ids = torch.arange(0, n, max(1, n // 4096), device=self.device)  # a spread sample is exact enough
            return float(self.embed(ids).float().square().mean().sqrt())

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text, without special tokens."""
        return [int(token) for token in self.tokenizer.encode(text, add_special_tokens=False)]

    def bos(self) -> list[int]:
        """Return the token that opens a row, or nothing where the model has none."""
        token = self.tokenizer.bos_token_id
        return [] if token is None else [int(token)]


def lm_source(spec: LMSpec) -> str:
    """Return the directory or the hub id that a model is loaded from."""
    return str(POCKET_LM) if spec.source == "pocket" else spec.source


def load_lm(spec: LMSpec, device: torch.device, dtype: torch.dtype) -> FrozenLM:
    """Load a causal LM and its tokenizer from the package, a local directory or the Hugging Face cache/hub.

    Raises:
        ModelError: it is missing, gated, or no causal language model.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = lm_source(spec)
    model_files(source, spec.gated)
    model = load_pretrained(AutoModelForCausalLM, source, spec.gated, dtype)
    # On CPUs the fused attention's backward takes about twice the time of the plain one on rows this short.
    model.set_attn_implementation("eager" if device.type == "cpu" else "sdpa")
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"The tokenizer of '{spec.source}' cannot be loaded: {str(error).splitlines()[0]}") from None
    return FrozenLM(spec, _freeze(model, device), tokenizer, weights_digest(source, spec.gated, _TOKENIZER), device)


def random_twin(lm: FrozenLM, seed: int) -> FrozenLM:
    """Return the same architecture and tokenizer with freshly initialised weights: the control that knows no words."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "random_lm"))
        model = type(lm.model)(lm.model.config).to(lm.dtype)
    return FrozenLM(lm.spec, _freeze(model, lm.device), lm.tokenizer, f"{lm.digest}-random-{seed}", lm.device)


def _freeze(model: nn.Module, device: torch.device) -> nn.Module:
    return model.to(device).eval().requires_grad_(False)
