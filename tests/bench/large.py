"""Language models and encoders of the size people use, with random weights: what training through them costs."""

from collections.abc import Iterator
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, PretrainedConfig, Qwen3Config

from taxbench.features.encoders import describe_encoder, load_encoder
from taxbench.lms.frozen import FrozenLM
from taxbench.registry.models import find_lm, model_source
from taxbench.specs.sources import EncoderSpec, LMSpec
from tests.bench.extraction import save_encoder
from tests.bench.rounds import Ratio
from tests.bench.training import Work, against_naive, flops, lower_bound, make_work

# Shapes as published with the weights.
LMS = {
    "Llama-3.2-1B": LlamaConfig(
        hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, num_attention_heads=32, num_key_value_heads=8,
        head_dim=64, vocab_size=128256, tie_word_embeddings=True, max_position_embeddings=131072,
    ),
    "Qwen3-0.6B": Qwen3Config(
        hidden_size=1024, intermediate_size=3072, num_hidden_layers=28, num_attention_heads=16, num_key_value_heads=8,
        head_dim=128, vocab_size=151936, tie_word_embeddings=True, max_position_embeddings=40960,
    ),
}  # fmt: skip
# Dense bfloat16 operations a second, as the maker says.
_PEAK = {"H100": 989e12, "H200": 989e12, "A100": 312e12}


def bench_large(device: torch.device, folder: Path, rounds: int) -> Iterator[Ratio]:
    """Yield the packed trainer beside the naive loop, and the share of the device's peak that each makes use of."""
    source = save_encoder(folder / "dinov2-large", "large")
    encoder = load_encoder(describe_encoder(EncoderSpec(name="large", source=str(source))), device, torch.bfloat16)
    for name, config in LMS.items():
        lm = random_lm(name, config, device)
        work = make_work(lm, encoder, "tokens", 3, folder)
        label = f"{name} and DINOv2-L shapes, {work.rows.tokens} image tokens, 8 questions an image, 3 epochs, bfloat16"
        for ratio in against_naive(work, label, rounds, None):
            yield ratio
            if ratio.what.startswith("training / loop with"):
                yield from utilisation(work, ratio, label)
        yield from flops(work, label)


def random_lm(name: str, config: PretrainedConfig, device: torch.device) -> FrozenLM:
    """Return a language model of a shape with random weights, and the tokenizer of the pocket LM."""
    torch.manual_seed(0)
    with device:
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model = model.eval().requires_grad_(False)
    tokenizer = AutoTokenizer.from_pretrained(model_source(find_lm("pocket").source))
    return FrozenLM(LMSpec(name=name, source=name), model, tokenizer, name, device)


def utilisation(work: Work, training: Ratio, label: str) -> Iterator[Ratio]:
    """Yield questions a second, and the FLOPs that they need at least as a share of the device's peak."""
    asked = len(work.protocol.train_questions(0)) * work.trainer.epochs
    yield Ratio(f"questions a second, packed and naive: {label}", training.median, training.lowest, training.highest,
                training.rounds, asked / training.seconds, asked / training.baseline)  # fmt: skip
    device = torch.cuda.get_device_name(work.lm.device) if work.lm.device.type == "cuda" else ""
    peak = next((value for name, value in _PEAK.items() if name in device), None)
    if peak:
        needed = asked * lower_bound(work) / peak
        ours, theirs = needed / training.seconds, needed / training.baseline
        yield Ratio(f"share of peak FLOP/s, packed and naive: {label}", training.median, training.lowest,
                    training.highest, training.rounds, ours, theirs)  # fmt: skip
