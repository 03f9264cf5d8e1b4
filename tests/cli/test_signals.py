"""What a command leaves behind when it is told to stop, and how it goes on."""

import subprocess
import sys
from pathlib import Path

from tests.datasets.test_folder import make


def test_a_terminated_training_goes_on_where_it_was(tmp_path: Path, tiny_llama: Path) -> None:
    root, taxonomy = make(tmp_path / "photos")
    command = [sys.executable, "-m", "taxbench", "run", "--model", str(tiny_llama), "--encoder", "pixels",
               "--dataset", f"folder:{root}", "--taxonomy", str(taxonomy), "--task", "leaf", "--set", "epochs=3000",
               "--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "out")]  # fmt: skip
    left, label = [], "train"
    for _ in range(2):
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith(
                label
            ):  # the first line of progress, ten seconds after the start; then of the same heads
                break
        process.terminate()
        said = process.communicate(timeout=60)[1]
        assert process.returncode == 143, said
        assert "the same command goes on from there" in said
        assert list((tmp_path / "cache" / "heads").glob("*.checkpoint"))
        assert not (tmp_path / "out").exists() or not list((tmp_path / "out").rglob("result.json"))
        label = line.split(":")[0]
        left.append(int(line.split("/")[1].split(" ")[0]))  # questions to go at the start
    assert left[1] < left[0]
