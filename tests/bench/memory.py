"""Peak memory while extracting ten times as many images."""

import subprocess
import sys
from pathlib import Path

from tests.bench.rounds import Ratio

_CODE = """
import resource, sys
from pathlib import Path
import torch
from taxbench.features.encoders import describe_encoder
from taxbench.features.extract import Extraction, features_of
from taxbench.util.progress import Reporter
from taxbench.registry.models import find_encoder
from tests.features.test_extract import numbered
card = describe_encoder(find_encoder("pocket"))
how = Extraction(torch.device("cpu"), torch.float32)
torch.set_num_threads(1)
dataset, reading = numbered(int(sys.argv[1])), card.reading(-1, "tokens")
features_of(dataset, card, [reading], how, Path(sys.argv[2]), Reporter(quiet=True))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def bench_memory(folder: Path, few: int = 3_000) -> Ratio:
    """Return the peak memory for `few` images relative to that for ten times as many; the limit is 5 % growth."""
    small, large = (_peak(folder / str(n), n) for n in (few, 10 * few))
    what = f"peak memory, {few} / {10 * few} pictures, pocket encoder, 36 tokens (KB in place of seconds)"
    return Ratio(what, small / large, small / large, small / large, 1, large, small, 1 / 1.05)


def _peak(cache: Path, n: int) -> float:
    command = [sys.executable, "-c", _CODE, str(n), str(cache)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
