"""Real language models: which share of the machine's own rate of matrix products training and asking reach."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from taxbench.features.encoders import describe_encoder, load_encoder
from taxbench.lms.frozen import FrozenLM, load_lm
from taxbench.protocol.questions import QuestionSet
from taxbench.registry.models import find_encoder, find_lm
from taxbench.training.parallel import side_by_side
from taxbench.training.predict import FittedHead, predict_margins
from taxbench.training.stack import train_stack
from taxbench.util.devices import pick_dtype
from taxbench.util.paths import cache_folder
from tests.bench.rounds import Ratio, compare
from tests.bench.training import QUIET, Work, make_work


def bench_real(models: Sequence[str], device: torch.device, folder: Path, rounds: int) -> Iterator[Ratio]:
    """Yield the time of the products that are needed at least, over that of the whole: the share that is reached.

    An image is asked two questions, as by default, behind one soft token. Needed are the products of the LM's linear
    layers, each token once and an image's prefix once for its questions: forward in asking, in training back as well.
    """
    dtype = pick_dtype(device.type)
    encoder = load_encoder(describe_encoder(find_encoder("pocket")), device, dtype)
    for name in models:
        lm = load_lm(find_lm(name), device, dtype, cache_folder(None))
        work = make_work(lm, encoder, "pooled", 1, folder, questions=2)
        train, asked = work.protocol.train_questions(0), work.asked
        steps = -(-len(work.protocol.images("train")) // work.trainer.batch_images)
        yield compare(
            f"training / its products alone: {lm.spec.name}, {str(dtype)[6:]}, {steps} steps of 16 images",
            partial(_train, work),
            partial(_products, lm, _tokens(work, train), steps, True),
            rounds,
            0.5,
        )
        yield compare(
            f"asking / its products alone: {lm.spec.name}, {str(dtype)[6:]}, {len(asked)} questions of two heads",
            partial(_ask, work, FittedHead(work.trainee(work.rows).head.eval(), work.rows, work.scorer())),
            partial(_products, lm, 2 * _tokens(work, asked), 8, False),
            rounds,
            0.5,
        )


def _train(work: Work) -> None:
    """Train one head for an epoch."""
    trainee, scorer = work.trainee(work.rows), work.scorer()
    side_by_side([lambda: train_stack([trainee], scorer, QUIET, lambda _: None)], work.lm.device, QUIET)


def _ask(work: Work, fitted: FittedHead) -> None:
    """Ask two heads, as runs do: their own and that of a control."""
    side_by_side([lambda: predict_margins(fitted, work.asked, QUIET)] * 2, work.lm.device, QUIET)


def _tokens(work: Work, asked: QuestionSet) -> int:
    """Return how many tokens questions need at least."""
    table = work.scorer().table
    prefix = len(table.opening) + work.rows.tokens + len(table.stem)
    return int(prefix * len(np.unique(asked.image)) + table.widths.cpu().numpy()[asked.term].sum())


@torch.inference_mode()
def _products(lm: FrozenLM, tokens: int, parts: int, backward: bool) -> None:
    """Multiply as many tokens as are needed with every linear layer, in parts as large as steps, and nothing else."""
    named = lm.model.named_parameters()
    weights = [w for name, w in named if w.ndim == 2 and "embed" not in name and "head" not in name]
    rows = -(-tokens // parts)
    widest = max(max(weight.shape) for weight in weights)
    values = torch.randn(rows, widest, dtype=lm.dtype, device=lm.device)
    for _ in range(parts):
        for weight in weights:
            values[:, : weight.shape[1]] @ weight.T
            if backward:
                values[:, : weight.shape[0]] @ weight
