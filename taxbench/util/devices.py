"""Which device and which number type to compute in."""

import resource
import sys
from functools import cache
from typing import Any

import torch

from taxbench.util.errors import UsageError


def pick_device(name: str) -> torch.device:
    """Return the device a user means; `auto` prefers CUDA, then the CPU.

    Raises:
        UsageError: this machine has no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"Invalid device '{name}': expected auto, cpu, cuda, cuda:N or mps.") from None
    mps = bool(torch.backends.mps.is_available())
    there = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(mps)}
    if (0 if device.type == "cpu" else device.index or 0) >= there.get(device.type, 0):
        raise UsageError(f"This machine has no '{name}' device. Leave --device out, or type --device cpu.")
    return device


@cache
def pick_dtype(device_type: str, name: str = "auto") -> torch.dtype:
    """Return the type of that name; `auto` is bfloat16 where the hardware multiplies it fast, else float32."""
    if name != "auto":
        chosen: torch.dtype = getattr(torch, name)
        return chosen
    if device_type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    if device_type == "cpu" and torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        # AMX, or AVX-512 with bfloat16 dot products: with both, two to three times faster than float32.
        checks = (getattr(torch.cpu, name, None) for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"))
        return torch.bfloat16 if any(check() for check in checks if check) else torch.float32
    return torch.float32


def dtype_name(dtype: torch.dtype) -> Any:
    """Return the name of a number type as records have it, such as float32."""
    return str(dtype).removeprefix("torch.")


def peak_memory(device: torch.device) -> int:
    """Return the most memory in bytes that this process has had: of the accelerator, or on CPUs resident."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
