"""The output layer of a frozen LM: logits as the model itself gives them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from taxbench.lms.frozen import FrozenLM

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
        cap = _number(config, "final_logit_softcapping")
        scale = (_number(config, "logit_scale") or 1.0) * (_number(config, "lm_head_multiplier") or 1.0)
        scale /= _number(config, "logits_scaling") or 1.0
        return cls(layer.weight, getattr(layer, "bias", None), scale, cap, done)

    def some(self, hidden: Tensor, tokens: Sequence[int]) -> Tensor:
        """Return the logits of a few tokens; all others would be thrown away.  # (..., d) → (..., tokens) float32"""
        rows = list(tokens)
        if self.done:
            return hidden[..., rows].float()
        # Products and sums instead of a matrix product this thin, which rounds by how many rows it has.
        logits = (hidden.float()[..., None, :] * self.weight[rows].float()).sum(-1)
        return self._scaled(logits if self.bias is None else logits + self.bias[rows].float())

    def nll(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Return −log p of one token each, among the whole vocabulary.  # (..., d), (...) → (...) float32"""
        logits = hidden.reshape(-1, hidden.shape[-1])
        if not self.done:
            short = max(0, CPU_ROWS - len(logits))
            logits = self._scaled(F.linear(F.pad(logits, (0, 0, 0, short)), self.weight, self.bias).float())
            logits = logits[: len(logits) - short]
        return F.cross_entropy(logits.float(), targets.reshape(-1), reduction="none").reshape(targets.shape)

    def _scaled(self, logits: Tensor) -> Tensor:
        logits = logits * self.scale if self.scale != 1 else logits
        return logits if self.cap is None else (torch.tanh(to_float64(logits) / self.cap) * self.cap).to(logits.dtype)


def _number(config: Any, name: str) -> float | None:
    value = getattr(config, name, None)
    return float(value) if isinstance(value, int | float) else None  # mpt has a word here


def to_float64(x: Tensor) -> Tensor:
    """Compute in float64 on CPUs: the last bit of their exp, log and tanh depends on how many numbers there are."""
    return x.double() if x.device.type == "cpu" else x
