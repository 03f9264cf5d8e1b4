"""The check at the start: does a faster way of asking leave this model's answers alone?"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from taxbench.lms.frozen import FrozenLM
from taxbench.util.errors import ModelError, first_line

Margins = Callable[[Tensor, Tensor], Tensor]
"""A way of asking.  # (b, k, d), (b, q) → (b, q)"""
# What models that cannot be asked in a way are seen to raise.
REFUSALS = (ValueError, RuntimeError, LookupError, TypeError, AttributeError)


@dataclass(frozen=True, slots=True)
class EquivalenceCheck:
    """Two questions about four random images, and what the model itself answers.

    How far rounding alone moves an answer depends on the model and the number type, so that is measured: the model
    itself again, with soft tokens that differ in their last bits. Packing moved answers at most 1.3 times as far in
    bfloat16 for models that can be packed, 6 to 12 times under ALiBi, 30 times and more where logits are rescaled. (A
    fixed tolerance refused a Llama of 1 B parameters in bfloat16 on a GPU.)
    """

    soft_tokens: Tensor  # (4, 2, d)
    terms: Tensor  # (4, 2)
    expected: Tensor  # (4, 2)
    rounding: float

    @torch.inference_mode()
    def problem(self, margins: Margins) -> str | None:
        """Say how a way of asking fails, or nothing."""
        try:
            found = margins(self.soft_tokens, self.terms)
        except torch.OutOfMemoryError:
            raise
        except REFUSALS as error:
            return first_line(error)
        moved = _distance(found, self.expected)
        if moved <= max(3 * self.rounding, 1e-4):  # `not >`, so that NaN is a problem too
            return None
        return f"margins move by {moved:.2g}, by {self.rounding:.2g} from rounding alone"


@torch.inference_mode()
def equivalence_check(lm: FrozenLM, questions: int, margins: Margins) -> EquivalenceCheck:
    """Ask the model itself.

    Args:
        questions: How many there are; the first and the last are asked.
        margins: The model's own unpacked forward and its full output layer.

    Raises:
        ModelError: not even that works.
    """
    generator = torch.Generator().manual_seed(0)
    soft = torch.randn(4, 2, lm.width, generator=generator).to(lm.device) * lm.embedding_rms()
    terms = torch.tensor([[0, questions - 1]], device=lm.device).expand(len(soft), -1)
    try:
        expected, again = (margins(x, terms) for x in (soft, soft * (1 + 2 * torch.finfo(lm.dtype).eps)))
    except torch.OutOfMemoryError:
        raise
    except REFUSALS as error:
        raise ModelError(f"'{lm.spec.name}' cannot be asked about vectors: {first_line(error)}") from None
    if not torch.isfinite(expected).all():
        raise ModelError(f"'{lm.spec.name}' answers with NaN in {lm.dtype}: its weights are damaged, or overflow.")
    return EquivalenceCheck(soft, terms, expected, _distance(again, expected))


def _distance(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).square().mean().sqrt())
