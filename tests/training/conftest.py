"""What tests of training share: a tiny LM, a small protocol, and features that tell its leaves apart."""

from pathlib import Path

import numpy as np
import pytest
import torch

from taxbench.features.feature_rows import FeatureRows
from taxbench.lms.frozen import load_lm
from taxbench.lms.question_scorer import QuestionScorer
from taxbench.protocol.protocol import Protocol
from taxbench.specs.sources import LMSpec
from taxbench.util.progress import Reporter
from tests.conftest import with_one_thread
from tests.protocol.test_protocol import dataset, task

QUIET = Reporter(quiet=True)
ANSWERS = (("Yes",), ("No",))
CPU = torch.device("cpu")


one_thread = pytest.fixture(autouse=True, scope="package")(with_one_thread)


def make_protocol(seed: int = 1, name: str = "unseen_hypernym") -> Protocol:
    return Protocol(task(name), dataset(per_leaf=12), seed=seed)


@pytest.fixture(scope="module")
def protocol() -> Protocol:
    return make_protocol()


@pytest.fixture(scope="module")
def scorer(tiny_llama: Path, protocol: Protocol) -> QuestionScorer:
    lm = load_lm(LMSpec(name="tiny", source=str(tiny_llama)), CPU, torch.float32)
    return QuestionScorer.of(lm, protocol.questions, ANSWERS)


@pytest.fixture(scope="module")
def images(protocol: Protocol) -> FeatureRows:
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(len(protocol.vocabulary.terms), 16))  # one cluster a leaf: easy to tell apart
    rows = centres[protocol.leaf] + 0.1 * draw.normal(size=(len(protocol.leaf), 16))
    return FeatureRows(torch.from_numpy(rows[:, None].astype(np.float32)), CPU)
