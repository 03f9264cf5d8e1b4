"""Train the pocket pair: the pocket encoder as it is, and a small text tower that reads captions of its pictures.

Locked-image tuning (Zhai et al. 2022, https://arxiv.org/abs/2111.07991): pictures go through the frozen encoder once,
and a linear map of them and a small BERT are trained by the contrastive loss of CLIP. Half of the captions name a
picture's leaf, half one of its hypernyms: what the heads of the benchmark never hear, systems are trained on.

    taxbench pocket train-clip FOLDER
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import trange
from transformers import (
    AutoModel,
    BertConfig,
    PreTrainedTokenizerFast,
    VisionTextDualEncoderConfig,
    VisionTextDualEncoderModel,
)

from taxbench.pocket.concepts import CONCEPTS, Concept
from taxbench.pocket.train.encoder import TrainingReport, render_pool, save_model
from taxbench.pocket.train.probe import encoder_features
from taxbench.pocket.train.tokenizer import save_tokenizer, train_tokenizer
from taxbench.protocol.words import with_article
from taxbench.registry.models import find_encoder, model_source
from taxbench.systems.text_side import TEMPLATES
from taxbench.util.errors import TrainingError


@dataclass(frozen=True, slots=True)
class ClipTraining:
    """Say how the pair is trained. Same settings, one thread: same weights on one machine."""

    steps: int = 1500
    batch: int = 256  # pictures and captions a step
    per_concept: int = 60  # pictures drawn of each concept
    pool_seed: int = 1  # the encoder's; the benchmark draws with seed 0
    seed: int = 0
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    vocabulary: int = 768
    width: int = 64
    depth: int = 2
    projection: int = 64  # width of the space in which pictures and texts are compared


def captions(concept: Concept) -> list[str]:
    """Return what is said of the pictures of a concept: as often its own name as one of its hypernyms."""
    names = [concept.name] * 2 + list(concept.hypernyms * 2)[:2]
    return [template.format(with_article(name)) for name in names for template in TEMPLATES]


def train_clip(out_dir: Path, settings: ClipTraining, pool_dir: Path) -> TrainingReport:
    """Train the pair and write it to `out_dir` in Hugging Face format, the encoder with it.

    Pictures are drawn into `pool_dir` once, with the seed of the encoder's own training pictures.

    Raises:
        TrainingError: there are fewer pictures than a batch has.
    """
    encoder, start = Path(model_source(find_encoder("pocket").source)), time.monotonic()
    pool = render_pool(pool_dir, settings.per_concept, settings.pool_seed)
    if len(pool) < settings.batch:
        raise TrainingError(f"A batch of {settings.batch} pictures is more than the {len(pool)} drawn.")
    seen = torch.from_numpy(encoder_features(encoder, pool))  # (n, f); picture i is of concept i modulo their number
    said = [text for concept in CONCEPTS for text in captions(concept)]
    each = len(said) // len(CONCEPTS)
    save_tokenizer(train_tokenizer(said, settings.vocabulary), out_dir)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(out_dir)
    tokens = tokenizer(said, padding=True, return_tensors="pt")
    torch.manual_seed(settings.seed)
    model = make_pair(encoder, len(tokenizer), settings).train()
    trained = [weight for name, weight in model.named_parameters() if not name.startswith("vision_model.")]
    optimiser = torch.optim.AdamW(trained, settings.learning_rate, weight_decay=settings.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.learning_rate, settings.steps)
    losses: list[float] = []
    for _ in trange(settings.steps, desc="pocket pair", unit="step"):
        pictures = torch.randperm(len(pool))[: settings.batch]
        text = pictures % len(CONCEPTS) * each + torch.randint(each, pictures.shape)
        loss = pair_loss(model, seen[pictures], {name: ids[text] for name, ids in tokens.items()})
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
    save_model(model, out_dir)
    return TrainingReport(len(pool), len(losses), time.monotonic() - start, float(np.mean(losses[-50:])))


def make_pair(encoder: Path, words: int, settings: ClipTraining) -> VisionTextDualEncoderModel:
    """Return the untrained pair around a trained encoder.

    Args:
        words: How many tokens the text tower reads.
    """
    vision, width = AutoModel.from_pretrained(encoder, dtype=torch.float32), settings.width
    text = BertConfig(
        vocab_size=words,
        hidden_size=width,
        num_hidden_layers=settings.depth,
        num_attention_heads=width // 32,
        intermediate_size=2 * width,
        max_position_embeddings=64,
        type_vocab_size=1,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    vision.config.name_or_path = ""  # weights travel without the path they were loaded from
    seen = vision.config.to_dict() | {"hidden_size": vision.config.hidden_sizes[-1]}  # which a ResNet does not call so
    config = VisionTextDualEncoderConfig(
        vision_config=seen, text_config=text.to_dict(), projection_dim=settings.projection
    )
    return VisionTextDualEncoderModel(config, vision_model=vision)


def pair_loss(model: Any, seen: Tensor, tokens: dict[str, Tensor]) -> Tensor:
    """Return CLIP's loss (Radford et al. 2021): each picture finds its caption, and each caption its picture.

    Args:
        seen: What the encoder makes of pictures.  # (b, f)
        tokens: A caption of each.  # each (b, l)
    """
    images = F.normalize(model.visual_projection(seen), dim=-1)
    texts = F.normalize(model.get_text_features(**tokens).pooler_output, dim=-1)
    logits = model.logit_scale.exp() * images @ texts.T
    own = torch.arange(len(seen))
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
