"""What the constants of identity stand for: pixels, the answers of a tiny run, label vectors.

Nothing that is published goes by the bytes of source files, so moving or commenting code changes no identity. What
holds the numbers instead is here. When one of these tests fails after an edit: raise the constant it names, or undo the
edit. After raising it, `python -m tests.test_golden` writes the file of answers anew.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import taxbench
from taxbench._version import NUMERICS
from taxbench.lms.frozen import load_lm
from taxbench.lms.label_vectors import label_vectors
from taxbench.pocket.art import PICTURES, render
from taxbench.pocket.concepts import CONCEPT_NAMES
from taxbench.results.predictions import read_predictions
from taxbench.specs.sources import LMSpec
from taxbench.util import devices
from tests.conftest import save_tiny_lm, with_one_thread
from tests.made import make_photos

GOLDEN = Path(__file__).parent / "golden" / "numbers.json"
PACKAGE = Path(taxbench.__file__).parent
RAISE = "Numbers changed: raise taxbench._version.NUMERICS and write tests/golden anew, or undo the change."
SETTINGS = ("frame=raw", "epochs=1", "learning_rate=3e-3")
"""Said here, so that other defaults change no numbers."""
one_thread = pytest.fixture(with_one_thread)


def float32(patch: pytest.MonkeyPatch) -> None:
    """Compute in float32, whatever the processor is fast at."""
    patch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    devices.pick_dtype.cache_clear()


def measure(folder: Path) -> dict[str, Any]:
    """Run heads of both kinds and every control on a tiny random LM, and make label vectors through it."""
    make_photos(folder, 12, Image.Resampling.NEAREST)
    lm = save_tiny_lm("llama", folder / "tiny-llama")
    results = taxbench.run(
        quiet=True, task="unseen_hypernym,counterfactual_low", model=str(lm), encoder="pixels", head="mlp,ridge_token",
        dataset=f"folder:{folder / 'photos'}", taxonomy=str(folder / "photos.tsv"), seeds="7", device="cpu",
        cache=str(folder / "cache"), out=str(folder / "out"), settings=("hidden=8", *SETTINGS),
    )  # fmt: skip
    results += taxbench.run(
        quiet=True, task="counterfactual_low", model=str(lm), encoder="pixels", head="cca,itm",
        dataset=f"folder:{folder / 'photos'}", taxonomy=str(folder / "photos.tsv"), seeds="7", device="cpu",
        cache=str(folder / "cache"), out=str(folder / "out"), settings=("calibration=pmi", *SETTINGS),
    )  # fmt: skip
    found: dict[str, Any] = {}
    for result in results:
        name = f"{result.run.task.name} {result.run.head.name}"
        (path,) = (folder / "out").rglob(f"*{result.run.digest[:8]}/predictions.npz")
        predictions = read_predictions(path)
        found[name] = {
            "run": result.run.model_dump(mode="json")["trainer"],
            "questions": predictions.questions_digest(),
            "margins": {key: [round(float(v), 4) for v in values] for key, values in predictions.margins.items()},
        }
    vectors = label_vectors(load_lm(LMSpec(name="t", source=str(lm)), torch.device("cpu"), torch.float32), ("crow",))
    found["label vectors"] = {kind: [round(float(v), 4) for v in rows[0, :4]] for kind, rows in vectors.items()}
    return found


def test_the_same_run_has_the_same_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None) -> None:
    float32(monkeypatch)
    golden, found = json.loads(GOLDEN.read_text()), measure(tmp_path)
    devices.pick_dtype.cache_clear()
    assert golden["NUMERICS"] == NUMERICS, "write tests/golden anew: python -m tests.test_golden"
    assert found.keys() == golden["numbers"].keys()
    for name, numbers in found.items():
        known = golden["numbers"][name]
        if name == "label vectors":
            assert numbers.keys() == known.keys(), RAISE
            for kind, values in numbers.items():
                assert values == pytest.approx(known[kind], abs=2e-3), RAISE
            continue
        assert (numbers["questions"], numbers["run"]) == (known["questions"], known["run"]), RAISE
        for head, margins in numbers["margins"].items():  # other processors add up in another order
            assert margins == pytest.approx(known["margins"][head], abs=5e-3), f"{name} {head}: {RAISE}"


def test_pixels_of_every_concept_are_as_they_were() -> None:
    state = hashlib.blake2b(digest_size=16)
    for concept in CONCEPT_NAMES:
        for index in (0, 41):
            state.update(render(concept, index).tobytes())
    golden = json.loads(GOLDEN.read_text())
    assert (PICTURES, state.hexdigest()) == (golden["PICTURES"], golden["pixels"]), (
        "Pictures changed: change taxbench.pocket.art.PICTURES, train the encoder anew, and write tests/golden anew; "
        "or undo the change. A new Pillow may round an edge differently: then only the file is written anew."
    )


IDENTITIES = """
import json, torch
from taxbench.datasets.dataset import load_dataset
from taxbench.runs.environment import versions
from taxbench.features.encoders import describe_encoder
from taxbench.features.extract import Extraction, feature_key
from taxbench.lms.frozen import load_lm
from taxbench.lms.label_vectors import _key
from taxbench.heads.loading import head_spec
from taxbench.registry.models import find_encoder, find_lm
from taxbench.tasks.registry import find_tasks
from taxbench.specs.sources import LMSpec
dataset, card = load_dataset("pocket"), describe_encoder(find_encoder("pocket"))
how = Extraction(torch.device("cpu"), torch.float32, "float16")
lm = load_lm(find_lm("pocket"), torch.device("cpu"), torch.float32)
print(json.dumps([
    dataset.fingerprint, dataset.decoder, feature_key(dataset, card, card.reading(-1, "pooled"), how).digest,
    lm.digest, _key(lm, ("crow",)), versions().computing, head_spec("mlp", {}).model_dump(),
    sorted(task.identity for task in find_tasks().tasks.values()),
]))
"""
TEN = [
    "pocket/art/birds.py", "pocket/concepts.py", "protocol/protocol.py", "protocol/questions.py", "specs/run.py",
    "training/head_state.py", "lms/forward.py", "features/extract.py", "heads/mlp.py", "scoring/metrics.py",
]  # fmt: skip


def test_a_comment_in_a_source_file_changes_no_identity(tmp_path: Path) -> None:
    def identities(root: Path) -> Any:
        done = subprocess.run([sys.executable, "-c", IDENTITIES], env=os.environ | {"PYTHONPATH": str(root)},
                              cwd=root, capture_output=True, text=True, check=True)  # fmt: skip
        return json.loads(done.stdout)

    shutil.copytree(PACKAGE, tmp_path / "taxbench", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(PACKAGE.parent / "tasks", tmp_path / "tasks")
    before = identities(tmp_path)
    assert before[0] == "fd68f063403a422a"  # as in every published record
    for name in TEN:
        with (tmp_path / "taxbench" / name).open("a") as file:
            file.write("\n# A remark that computes nothing.\n")
    assert identities(tmp_path) == before


def write(folder: Path) -> None:
    """Write the golden numbers anew."""
    state = hashlib.blake2b(digest_size=16)
    for concept in CONCEPT_NAMES:
        for index in (0, 41):
            state.update(render(concept, index).tobytes())
    with pytest.MonkeyPatch.context() as patch:
        float32(patch)
        torch.set_num_threads(1)
        numbers = measure(folder)
    GOLDEN.parent.mkdir(exist_ok=True)
    golden = {"NUMERICS": NUMERICS, "PICTURES": PICTURES, "pixels": state.hexdigest(), "numbers": numbers}
    GOLDEN.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as place:
        write(Path(place))
