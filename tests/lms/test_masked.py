"""Rows with positions of their own reach the model only with the right mask."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from taxbench.lms.forward import additive, masked_forward
from taxbench.util.errors import ModelError
from tests.lms.naive import load

ALLOWED = torch.ones(2, 5, 5, dtype=torch.bool).tril()


@pytest.mark.parametrize(
    "mask",
    [
        None,
        ALLOWED[:, None],
        additive(ALLOWED, torch.bfloat16),
        additive(ALLOWED, torch.float32)[:1],
        additive(ALLOWED, torch.float32)[:, 0],
        torch.ones(2, 5),
    ],
    ids=["missing", "bool", "another type", "one image", "three dimensions", "two dimensions"],
)
def test_a_missing_boolean_or_misshapen_mask_cannot_be_passed(mask: Tensor | None, tiny_llama: Path) -> None:
    lm = load(tiny_llama)
    rows, positions = torch.zeros(2, 5, lm.width), torch.arange(5).expand(2, -1)
    assert masked_forward(lm, rows, additive(ALLOWED, torch.float32), positions).shape == rows.shape
    with pytest.raises(ModelError, match="additive mask"):
        masked_forward(lm, rows, mask, positions)


def test_no_other_code_passes_a_model_positions_of_its_own() -> None:
    package = Path(__file__).parents[2] / "taxbench"
    files = [path for path in package.rglob("*.py") if "pocket" not in path.parts]  # that trains a model of its own
    found = [path.name for path in files if "position_ids" in path.read_text()]
    assert sorted(found) == ["answering.py", "forward.py"]  # the former tries what it does on the whole model
