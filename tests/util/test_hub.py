"""Checkpoints as people have them: what cannot be read is named, with what to do; nothing of theirs runs."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from taxbench.features.encoders import describe_encoder, load_encoder
from taxbench.lms.frozen import FrozenLM, load_lm
from taxbench.lms.question_scorer import QuestionScorer
from taxbench.registry.models import find_encoder, find_lm
from taxbench.util.errors import DiskError, ModelError, UsageError
from taxbench.util.hub import config_file
from tests.conftest import UNPRIVILEGED
from tests.features.tiny_encoders import TINY


@pytest.fixture
def lm(tiny_llama: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_llama, tmp_path / "lm"))


def load(folder: Path) -> FrozenLM:
    return load_lm(find_lm(str(folder)), torch.device("cpu"), torch.float32)


def edit(folder: Path, name: str, **fields: object) -> None:
    said = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**said, **fields}))


def saved_as(name: str, encoding: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text((folder / name).read_text(), encoding=encoding) and None


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"weight": torch.nn.Linear(2, 2)}, folder / "pytorch_model.bin")


def pickled_of_old(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with tarfile.open(folder / "pytorch_model.bin", "w") as archive:
        archive.addfile(tarfile.TarInfo("pickle"))


def cut_of_torch(folder: Path) -> None:
    pickled(folder)
    (folder / "pytorch_model.bin").write_bytes((folder / "pytorch_model.bin").read_bytes()[:500])


def pointer(folder: Path) -> None:
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")


def cut(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])


def newer_tokenizer(folder: Path) -> None:
    said = json.loads((folder / "tokenizer.json").read_text())
    edit(folder, "tokenizer.json", model={**said["model"], "type": "BPE2"})


def no_tokenizer(folder: Path) -> None:
    for path in folder.glob("*token*"):
        path.unlink()


def quantised(method: str) -> Callable[[Path], None]:
    return lambda folder: edit(folder, "config.json", quantization_config={"quant_method": method, "bits": 4})


def adapter(folder: Path) -> None:
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')


@pytest.mark.parametrize(("damage", "said"), [
    (pointer, r"model\.safetensors' is a git-lfs pointer.*git -C '.*lm' lfs pull"),
    (cut, r"model\.safetensors' is cut short or damaged"),
    (lambda folder: (folder / "tokenizer.json").write_text("{"), r"tokenizer\.json' is cut short or damaged"),
    (newer_tokenizer, r"The tokenizer of .* cannot be loaded.*pip install -U transformers tokenizers"),
    (no_tokenizer, r"has no tokenizer, such as tokenizer\.json"),
    (quantised("gptq"), r"quantised \(gptq\): give its plain weights or a GGUF file"),
    (quantised("awq"), r"quantised \(awq\)"),
    (adapter, r"has an adapter beside its weights.*merge_and_unload"),
    *((saved_as(name, encoding), rf"{name}' begins with a byte order mark\. Save it as plain UTF-8")
      for name in ("config.json", "tokenizer.json", "tokenizer_config.json") for encoding in ("utf-16", "utf-8-sig")),
    (lambda folder: (folder / "tokenizer_config.json").write_bytes(b'{"a": "\xe4"}'), "config.json' is cut short or d"),
    *((lambda folder, name=name, text=text: (folder / name).write_text(text), rf"{name}' holds no mapping in JSON")
      for name in ("config.json", "tokenizer_config.json") for text in ("[]", "null", "3", '"a"')),
    (pickled, "cannot be loaded.*: it holds Python objects besides numbers, or is damaged"),
    (pickled_of_old, "cannot be loaded.*: it holds Python objects besides numbers, or is damaged"),
    (cut_of_torch, r"pytorch_model\.bin' is cut short or damaged"),
])  # fmt: skip
def test_an_lm_that_cannot_be_read_says_which_file_and_what_to_do(
    lm: Path, damage: Callable[[Path], None], said: str
) -> None:
    load(lm)
    damage(lm)
    with pytest.raises(ModelError, match=re.compile(said)) as raised:
        load(lm)
    assert not re.search(r"\n|weights_only|allow_pickle|\x1b", str(raised.value))


@pytest.mark.parametrize(("damage", "said"), [
    (pointer, "is a git-lfs pointer"), (cut, "is cut short or damaged"), (adapter, "has an adapter beside its weights"),
    (pickled, "it holds Python objects besides numbers"),
    (saved_as("config.json", "utf-16"), "config.json' begins with a byte order mark"),
    (saved_as("preprocessor_config.json", "utf-16"), "preprocessor_config.json' begins with a byte order mark"),
])  # fmt: skip
def test_an_encoder_that_cannot_be_read_says_so_too(tmp_path: Path, damage: Callable[[Path], None], said: str) -> None:
    folder = TINY["vit"].save(tmp_path / "encoder")
    damage(folder)
    with pytest.raises(ModelError, match=said):
        load_encoder(describe_encoder(find_encoder(str(folder))), torch.device("cpu"), torch.float32)


def test_what_may_not_be_read_says_how_to_allow_it(lm: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.util.test_hub import load; lm = Path(sys.argv[1])\n"
        "for name, mode in (('config.json', 0), ('tokenizer.json', 0), ('model.safetensors', 0), ('', 0o600)):\n"
        "    before = (lm / name).stat().st_mode; (lm / name).chmod(mode)\n"
        "    try: load(lm)\n"
        "    except Exception as error: print(error)\n"
        "    lm.chmod(0o700); (lm / name).chmod(before)"
    )
    done = subprocess.run([*UNPRIVILEGED, sys.executable, "-c", code, lm], capture_output=True, text=True, check=True)
    *files, folder = done.stdout.splitlines()
    assert files == [
        f"'{lm / name}' cannot be read (Permission denied). To allow it, type: chmod -R u+rX '{lm / name}'"
        for name in ("config.json", "tokenizer.json", "model.safetensors")
    ]
    assert folder == f"The model directory '{lm}' may not be read. To allow it, type: chmod -R u+rX '{lm}'"


def test_code_of_a_checkpoint_never_runs(lm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = tmp_path / "ran"
    mine = {"AutoConfig": "configuration_mine.C", "AutoModelForCausalLM": "modeling_mine.M", "AutoTokenizer": "t.T"}
    edit(lm, "config.json", model_type="mine", auto_map=mine)
    for name in ("configuration_mine", "modeling_mine", "t"):
        (lm / f"{name}.py").write_text(f"open({str(ran)!r}, 'w')\n")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked whether to run it"))
    with pytest.raises(ModelError, match=r"brings code of its own.*taxbench runs none"):
        load(lm)
    assert not ran.exists()


def test_every_load_forbids_code() -> None:
    package = Path(__file__).parents[2] / "taxbench"
    calls = [
        (path.name, call)
        for path in package.rglob("*.py")
        if "train" not in path.parts  # which loads what it has just made
        for call in re.findall(r"from_pretrained\([^\n]*", path.read_text())
    ]
    assert len(calls) >= 3
    assert [call for call in calls if "trust_remote_code=False" not in call[1] and "**options" not in call[1]] == []


@pytest.mark.parametrize("name", ["vocab.tiktoken", "tokenizer.model.v3", "spiece.model", "tekken.json"])
def test_a_tokenizer_s_files_are_of_the_model_s_digest_whatever_they_are_called(lm: Path, name: str) -> None:
    before = load(lm).digest  # type: ignore[attr-defined]
    (lm / name).write_text("{{ messages }}")
    after = load(lm).digest  # type: ignore[attr-defined]
    assert before != after
    (lm / "README.md").write_text("x")
    (lm / "tokenizer").mkdir()
    (lm / "vocab.txt").symlink_to("nowhere")
    assert load(lm).digest == after  # type: ignore[attr-defined]


def test_a_tokenizer_that_knows_more_tokens_than_its_model_is_refused(lm: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(lm)
    model.resize_token_embeddings(40)
    model.save_pretrained(lm)
    with pytest.raises(ModelError, match=r"gives token \d+, and the model has 40: they do not belong together"):
        QuestionScorer.of(load(lm), ("Is there a crow in this image?",), (("Yes",), ("No",)))  # type: ignore[arg-type]


@pytest.mark.parametrize(("files", "said"), [
    (["adapter_config.json"], "It is an adapter alone"),
    (["checkpoint-400/config.json", "checkpoint-500/config.json"], "2 that could be meant, such as '.*checkpoint-500'"),
    (["model-q4.gguf"], "1 that could be meant, such as '.*model-q4.gguf'"),
    (["snapshots/0123/config.json", "refs/main"], "such as '.*snapshots/0123'"),
    (["notes.txt"], r"\*\.safetensors\)\.$"),
])  # fmt: skip
def test_a_folder_that_is_no_model_says_what_it_holds(tmp_path: Path, files: list[str], said: str) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    with pytest.raises(UsageError, match=said):
        find_lm(str(tmp_path))


def test_weights_of_another_name_are_those_that_are_digested(lm: Path) -> None:
    before = load(lm)
    edit(lm, "config.json", transformers_weights="alt.safetensors")
    with pytest.raises(ModelError, match=r"has no alt\.safetensors"):
        load(lm)
    digests = set()
    for factor in (1.5, 0.5):
        weights = {name: weight * factor for name, weight in load_file(lm / "model.safetensors").items()}
        save_file(weights, lm / "alt.safetensors", {"format": "pt"})
        found = load(lm)
        digests.add(found.digest)
        scale = found.model.lm_head.weight.norm() / before.model.lm_head.weight.norm()
        assert float(scale) == pytest.approx(factor)
    assert len(digests) == 2


@pytest.mark.parametrize("text", [
    "version https://git-lfs.github.com/spec/v1\n", "{", "[]", "{}", '{"weight_map": null}', '{"weight_map": 3}',
    '{"weight_map": {}}', '{"weight_map": {"a": "gone.safetensors"}}',
])  # fmt: skip
def test_a_list_of_weights_that_cannot_be_read_is_named(lm: Path, text: str) -> None:
    (lm / "model.safetensors").unlink()
    (lm / "model.safetensors.index.json").write_text(text)
    with pytest.raises(ModelError, match=r"model\.safetensors\.index\.json'|has no gone\.safetensors"):
        load(lm)


def test_a_revision_of_the_hub_can_be_named(lm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "hub" / "models--owner--name"
    for revision, step in (("0" * 40, "step3000"), ("1" * 40, "step4000")):
        shutil.copytree(lm, kept / "snapshots" / revision)
        (kept / "refs").mkdir(exist_ok=True)
        (kept / "refs" / step).write_text(revision)
    edit(kept / "snapshots" / ("1" * 40), "config.json", rms_norm_eps=0.5)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    def loaded(name: str) -> FrozenLM:
        return load_lm(find_lm(name), torch.device("cpu"), torch.float32)

    early, late, local = loaded("owner/name@step3000"), loaded("owner/name@step4000"), loaded(str(lm))
    assert early.spec.name == "owner/name@step3000" and early.digest == local.digest != late.digest
    assert (early.model.config.rms_norm_eps, late.model.config.rms_norm_eps) == (local.model.config.rms_norm_eps, 0.5)
    with pytest.raises(ModelError, match="type 'hf download owner/name --revision step5000'"):
        loaded("owner/name@step5000")
    with pytest.raises(ModelError, match=r"OWNER/NAME@REVISION, .* Did you mean 'owner/name@step3000'\?"):
        loaded("owner/name:step3000")


@pytest.fixture
def waited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the seconds that the hub's library waits, which pass at once; its cache is empty."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    seconds = list[float]()
    monkeypatch.setattr("huggingface_hub.utils._http.time", SimpleNamespace(sleep=seconds.append))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    return seconds


def hub_at(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"http://127.0.0.1:{port}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", url)


def test_without_network_a_model_is_missing_at_once(
    waited: list[float], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hub_at(9, monkeypatch)
    with pytest.raises(ModelError, match=r"cannot be fetched .* type 'hf download owner/nothing'"):
        config_file("owner/nothing", gated=False)
    assert not caplog.records and not waited


class _Busy(BaseHTTPRequestHandler):
    """A hub that is too busy to answer at first."""

    statuses: list[int]

    def do_HEAD(self) -> None:
        self.send_response(self.statuses.pop() if self.statuses else 200)
        for name, value in (("ETag", '"1"'), ("X-Repo-Commit", "0" * 40), ("Content-Length", "2")):
            self.send_header(name, value)
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def busy(waited: list[float], monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Busy]]:
    _Busy.statuses = []
    with ThreadingHTTPServer(("127.0.0.1", 0), _Busy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            hub_at(server.server_port, monkeypatch)
            yield _Busy
        finally:
            server.shutdown()


def test_a_hub_that_is_busy_is_asked_again(busy: type[_Busy], waited: list[float]) -> None:
    busy.statuses = [503, 429, 503]
    assert config_file("owner/name", gated=False).read_text() == "{}"
    assert len(waited) == 1


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize(("number", "raised"), [(errno.ENOSPC, DiskError), (errno.EACCES, ModelError)])
def test_a_disk_without_room_for_a_model_is_said_to_be_full(
    number: int, raised: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("huggingface_hub.file_download._chmod_and_move", refuse)
    with pytest.raises(raised):
        config_file("owner/name", gated=False)


def test_a_fault_of_our_own_is_not_blamed_on_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taxbench.util.hub._local", lambda *_: {}["name"])
    with pytest.raises(KeyError):
        config_file("owner/name", gated=False)


def test_weights_of_another_shape_are_named(lm: Path) -> None:
    edit(lm, "config.json", vocab_size=7)
    with pytest.raises(
        ModelError, match=r"do not fit its config\.json: 2 have another shape \('.*' is \(\d+, .*not \(7, "
    ):
        load(lm)


@pytest.mark.parametrize("kept", [["tokenizer_config.json"], ["tokenizer_config.json", "tokenizer.model"]])
def test_a_tokenizer_without_its_files_says_what_is_there(lm: Path, kept: list[str]) -> None:
    (lm / "tokenizer.json").unlink()
    for name in set(kept) - {path.name for path in lm.iterdir()}:
        (lm / name).write_bytes(b"garbage")
    with pytest.raises(
        ModelError, match=r"tokenizer.* (are damaged, or not all that make one|has no tokenizer|missing)"
    ):
        load(lm)


def test_a_pointer_of_git_lfs_is_no_gguf_file(tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    (tmp_path / "lm.gguf").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    with pytest.raises(ModelError, match=r"lm\.gguf' is a git-lfs pointer"):
        load_lm(find_lm(str(tmp_path / "lm.gguf")), torch.device("cpu"), torch.float32, tmp_path)


def test_a_directory_may_be_called_like_a_gguf_file(lm: Path, tmp_path: Path) -> None:
    shutil.copytree(lm, tmp_path / "my.gguf")
    assert load(tmp_path / "my.gguf").digest == load(lm).digest
