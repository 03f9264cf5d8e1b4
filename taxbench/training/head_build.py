"""Build a head that is to be trained through the frozen language model."""

import numpy as np

from taxbench.features.feature_rows import Images
from taxbench.heads.base import HeadShape, SoftHead, StateHead, first_weights
from taxbench.heads.loading import head_module
from taxbench.lms.frozen import FrozenLM
from taxbench.registry.heads import head_info
from taxbench.specs.run import HeadSpec


def build_head(spec: HeadSpec, images: Images, train_images: np.ndarray, lm: FrozenLM, seed: int) -> SoftHead:
    """Return an untrained head: first weights follow the seed, scales follow the training features and the LM.

    Raises:
        TaxbenchError: the head does not take such features.
    """
    module, kind = head_module(spec.name), head_info(spec.name)
    mean, std = images.statistics(train_images)
    shape = HeadShape(tokens=images.tokens, features=images.width, width=lm.width)
    head: SoftHead
    with first_weights(seed, spec.name):
        mapping = module.build(shape, module.Settings.model_validate(spec.settings))
        if kind.reads == "state":
            head = StateHead(mapping, mean, std, lm.embedding_rms(), lm.width)
        else:
            head = SoftHead(mapping, mean, std, lm.embedding_rms())
    return head.to(lm.device).eval()
