"""Frozen causal language models: loading, the random-init twin, the output layer, and what training needs to know."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from taxbench.lms.frames import Frame
from taxbench.lms.gguf import unpack_gguf
from taxbench.registry.models import model_source
from taxbench.specs.sources import GGUF, LMSpec
from taxbench.util.errors import ModelError
from taxbench.util.hub import config_file, load_pretrained, load_tokenizer, read_json, weight_files, weights_digest
from taxbench.util.paths import cache_folder
from taxbench.util.progress import QUIET, Reporter
from taxbench.util.seeds import derive_seed

# What models that cannot be asked in a way are seen to raise.
REFUSALS = (ValueError, RuntimeError, LookupError, TypeError, AttributeError)
_EXACT, _ROUNDED = 1e-3, 0.05  # shares of the size of states: beyond the rounding of float32, and of shorter numbers


@dataclass(frozen=True, slots=True)
class FrozenLM:
    """A language model whose weights never change."""

    spec: LMSpec
    model: Any
    tokenizer: Any
    digest: str
    device: torch.device
    embed: Any = field(init=False)
    """The vectors that the model takes in the place of tokens, rescaled as it does.  # (...) int64 → (..., d)"""
    dtype: torch.dtype = field(init=False)
    """The type that the model computes in."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "embed", token_embedding(self.model, self.spec.name))
        object.__setattr__(self, "dtype", self.model.dtype)

    @property
    def width(self) -> int:
        """Return d, the width of the input embeddings."""
        return int(self.model.get_input_embeddings().weight.shape[1])

    @property
    def window(self) -> int | None:
        """Return how many positions back some layers look at most, or None where all see everything."""
        config = self.model.config.get_text_config()
        kinds = getattr(config, "layer_types", None)
        if kinds is not None and not any("sliding" in kind or "chunked" in kind for kind in kinds):
            return None
        sizes = (getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size", "window_size"))
        return min((size for size in sizes if isinstance(size, int)), default=None)

    @property
    def window_of_row(self) -> bool:
        """Say whether it looks so many columns of a row back, whatever mask it is given, as GPT-Neo does."""
        return isinstance(getattr(self.model.config.get_text_config(), "window_size", None), int)

    @property
    def positions(self) -> int | None:
        """Return how many positions the model knows, or None where it does not say."""
        found = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        return found if isinstance(found, int) and found > 0 else None  # XLNet says -1

    def embedding_rms(self) -> float:
        """Return the root mean square of the input embeddings, the scale at which soft tokens should start."""
        with torch.inference_mode():
            n = self.model.get_input_embeddings().weight.shape[0]
            ids = torch.arange(0, n, max(1, n // 4096), device=self.device)  # a spread sample is exact enough
            return float(self.embed(ids).float().square().mean().sqrt())

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text, without special tokens; raise ModelError where a text becomes none."""
        ids = [int(token) for token in self.tokenizer.encode(text, add_special_tokens=False)]
        if text.strip() and not ids:
            raise ModelError(f"The tokenizer of '{self.spec.name}' removes all of '{text.strip()}': no token is left.")
        return ids

    def bos(self) -> list[int]:
        """Return the token that opens a row, or nothing where the model has none."""
        token = self.tokenizer.bos_token_id
        return [] if token is None else [int(token)]

    def opening(self, frame: Frame) -> list[int]:
        """Return the tokens before an image: what opens a row, which a chat template may say itself, and the frame."""
        before = self.encode(frame.opening)
        return before if before[:1] == self.bos() else self.bos() + before


@torch.inference_mode()
def token_embedding(model: Any, name: str) -> Any:
    """Return what makes vectors of tokens that a model answers to as to the tokens themselves; seen on eight of them.

    Most models rescale embeddings inside their embedding layer, or whatever they are given. Falcon-H1 does it where it
    looks tokens up and nowhere else, so its vectors have to come rescaled.

    Raises:
        ModelError: there is no such scale: the model does more with tokens than to embed them.
    """
    table, config = model.get_input_embeddings(), model.config.get_text_config()
    n = table.weight.shape[0]
    limit = _EXACT if table.weight.dtype == torch.float32 else _ROUNDED
    ids = (torch.arange(8, device=table.weight.device) * (n // 16) + n // 8)[None]
    try:
        own = model.base_model(input_ids=ids, use_cache=False).last_hidden_state.float()
        scales = (1.0, *(config_number(config, each) for each in ("embedding_multiplier", "embed_scale", "scale_emb")))
        far = []
        for scale in filter(None, scales):
            given = model.base_model(inputs_embeds=table(ids) * scale, use_cache=False).last_hidden_state.float()
            far.append(float((given - own).square().mean().sqrt() / own.square().mean().sqrt()))
            if not far[-1] > limit:  # NaN is for the check of its answers
                return table if scale == 1 else lambda ids, scale=scale: table(ids) * scale
    except REFUSALS:
        return table  # what it says to vectors will be told when it is asked
    raise ModelError(
        f"'{name}' answers otherwise to a token's embedding than to the token (its states move by {min(far):.1%}): "
        "what stands in the place of an image would not be read as it reads words."
    )


def config_number(config: Any, name: str) -> float | None:
    """Return a number of a language model's configuration; None where it has none."""
    value = getattr(config, name, None)
    return float(value) if isinstance(value, int | float) else None  # mpt has a word here


def text_tokens(lm: FrozenLM, text: str, after: str) -> Tensor:
    """Return a text's tokens as they follow another text, be a blank between them part of the first or not.  # (t,)"""
    before, ids = lm.encode(after), lm.encode(after + text)
    ids = ids[len(before) :] if ids[: len(before)] == before and len(ids) > len(before) else lm.encode(text)
    return torch.tensor(ids, device=lm.device)


def find_files(spec: LMSpec, cache: Path | None = None, report: Reporter = QUIET) -> tuple[str, str | None]:
    """Return the directory or hub id that a model is loaded from, and the digest of a GGUF file it was unpacked from.

    GGUF files are unpacked into `cache`.

    Raises:
        ModelError: it is missing, gated, or damaged.
    """
    if spec.source.lower().endswith(GGUF) and not Path(spec.source).is_dir():
        folder, digest = unpack_gguf(spec, cache_folder(cache), report)
        return str(folder), digest
    source = model_source(spec.source)
    config_file(source, spec.gated)
    return source, None


def load_lm(
    spec: LMSpec, device: torch.device, dtype: torch.dtype, cache: Path | None = None, report: Reporter = QUIET
) -> FrozenLM:
    """Load a causal LM and its tokenizer from a package, a directory, a GGUF file or the Hugging Face cache/hub.

    Raises:
        ModelError: it is missing, gated, or no causal language model.
    """
    from transformers import AutoModelForCausalLM

    source, digest = find_files(spec, cache, report)
    _check_kind(source, read_json(config_file(source, spec.gated)))
    # Older models (GPT-J, OPT) come as torch's files only, of which transformers then reads nothing but tensors.
    safe = weight_files(source, spec.gated)[0].suffix == ".safetensors"
    model = load_pretrained(AutoModelForCausalLM, source, spec.gated, dtype, use_safetensors=safe)
    # On CPUs the fused attention's backward takes about twice the time of the plain one on rows this short.
    with suppress(ValueError):  # a model without fused attention keeps its own
        model.set_attn_implementation("eager" if device.type == "cpu" else "sdpa")
    tokenizer = load_tokenizer(source, spec.gated)
    digest = digest or weights_digest(source, spec.gated, tokenizer)
    lm = FrozenLM(spec, _freeze(model, device), tokenizer, digest, device)
    lm.encode("Yes")  # now, and not once in every frame
    return lm


def random_twin(lm: FrozenLM, seed: int) -> FrozenLM:
    """Return the same architecture and tokenizer with freshly initialised weights: the control that knows no words."""
    on_cpu = lm.device.type == "cpu"
    with torch.random.fork_rng(devices=[lm.device] if lm.device.type == "cuda" else []):
        torch.manual_seed(derive_seed(seed, "random_lm"))
        # On an accelerator weights are drawn there, in the type they are used in: billions do not fit elsewhere first.
        with nullcontext() if on_cpu else _made_on(lm.device, lm.dtype):
            model = type(lm.model)(lm.model.config).to(lm.dtype)
    return FrozenLM(lm.spec, _freeze(model, lm.device), lm.tokenizer, f"{lm.digest}-random-{seed}", lm.device)


def _check_kind(source: str, config: dict[str, Any]) -> None:
    """Refuse models that are no causal language models, some of which transformers would load all the same."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

    if config.get("is_encoder_decoder"):
        kind = "an encoder-decoder model"
    elif config.get("vision_config") or config.get("audio_config"):
        kind = "a model of pictures or sound and text"
    elif config.get("model_type") in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not config.get("is_decoder"):
        kind = "an encoder: it sees the words that it should predict"
    else:
        return
    raise ModelError(
        f"'{source}' is {kind} ({config.get('model_type')}). --model takes causal language models, which go on with a "
        "text from left to right; 'taxbench ls models' lists some."
    )


@contextmanager
def _made_on(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """Make new tensors on a device and floating-point ones of a type."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with device:
            yield
    finally:
        torch.set_default_dtype(before)


def _freeze(model: nn.Module, device: torch.device) -> nn.Module:
    """Move a language model to a device, in evaluation mode and without gradients."""
    return model.to(device).eval().requires_grad_(False)


# Fewer rows than this and CPUs multiply by another routine, which rounds otherwise: a row would feel its neighbours.
CPU_ROWS = 16


@dataclass(frozen=True, slots=True)
class OutputLayer:
    """Turns hidden states into logits as the model itself does: weights, bias, and the rescaling some models add."""

    weight: Tensor  # (vocabulary, d)
    bias: Tensor | None
    scale: float
    cap: float | None
    done: bool = False  # what it is given are logits already

    @classmethod
    def of(cls, lm: FrozenLM, done: bool = False) -> "OutputLayer":
        """Take the output layer of a language model.

        Args:
            done: Whether it will be given the logits of the model itself and only has to pick from them.
        """
        layer, config = lm.model.get_output_embeddings(), lm.model.config.get_text_config()
        cap = config_number(config, "final_logit_softcapping")
        scale = (config_number(config, "logit_scale") or 1.0) * (config_number(config, "lm_head_multiplier") or 1.0)
        scale /= config_number(config, "logits_scaling") or 1.0
        return cls(layer.weight, getattr(layer, "bias", None), scale, cap, done)

    def logits_of(self, hidden: Tensor, tokens: Sequence[int]) -> Tensor:
        """Return the logits of a few tokens; all others would be thrown away.  # (..., d) → (..., tokens) float32"""
        rows = list(tokens)
        if self.done:
            return hidden[..., rows].float()
        # Products and sums instead of a matrix product this thin, which rounds by how many rows it has.
        logits = (hidden.float()[..., None, :] * self.weight[rows].float()).sum(-1)
        logits = logits if self.bias is None else logits + self.bias[rows].float()
        return logits if self.scale == 1 and self.cap is None else self._scaled(logits)

    def nll(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Return −log p of one token each, among the whole vocabulary.  # (..., d), (...) → (...) float32"""
        logits = hidden.reshape(-1, hidden.shape[-1])
        if not self.done:
            short = max(0, CPU_ROWS - len(logits))
            logits = self._scaled(F.linear(F.pad(logits, (0, 0, 0, short)), self.weight, self.bias).float())
            logits = logits[: len(logits) - short]
        return F.cross_entropy(logits.float(), targets.reshape(-1), reduction="none").reshape(targets.shape)

    def _scaled(self, logits: Tensor) -> Tensor:
        """Rescale and soft-cap logits as the language model's configuration says."""
        logits = logits * self.scale if self.scale != 1 else logits
        return logits if self.cap is None else (torch.tanh(to_float64(logits) / self.cap) * self.cap).to(logits.dtype)


def to_float64(x: Tensor) -> Tensor:
    """Compute in float64 on CPUs: the last bit of their exp, log and tanh depends on how many numbers there are."""
    return x.double() if x.device.type == "cpu" else x
