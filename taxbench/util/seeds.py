"""The one place where randomness begins: a seed and a path of names give a generator, and nothing else does."""

import hashlib

import numpy as np

Part = str | int


def derive_seed(seed: int, *path: Part) -> int:
    """Return a 63-bit seed for one purpose.

    `path` names the purpose ("negatives", epoch, ...), so adding a new consumer of randomness never shifts the
    numbers another one draws. Stable across platforms, processes and hash seeds.
    """
    text = "/".join(str(part) for part in (seed, *path))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def rng(seed: int, *path: Part) -> np.random.Generator:
    """Return a numpy generator for one purpose; see `derive_seed`."""
    return np.random.Generator(np.random.PCG64(derive_seed(seed, *path)))
