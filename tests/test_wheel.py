"""The wheel, built from this checkout and used where the checkout is not: everything that it needs travels with it."""

import os
import subprocess
import sys
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

from tests.test_docs import FRONT

pytest.importorskip("hatchling", reason="needs the test extra: hatchling")
ROOT = FRONT.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = ["pip", "wheel", str(ROOT), "--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", *build], check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def elsewhere(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the wheel's contents in `site`."""
    folder = tmp_path_factory.mktemp("elsewhere")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder


def typed(folder: Path, *arguments: str) -> str:
    """Run a command of the unpacked wheel in another folder; return what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(folder / "site"), "TAXBENCH_CACHE": str(folder / "cache")}
    command = [sys.executable, "-P", *arguments]  # without the current folder among the places to import from
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_tasks_published_results_and_citation_travel_along(elsewhere: Path) -> None:
    where = typed(elsewhere, "-c", "import taxbench; print(taxbench.__file__)").strip()
    assert Path(where) == elsewhere / "site" / "taxbench" / "__init__.py"
    assert "unseen_hypernym" in typed(elsewhere, "-m", "taxbench", "ls", "tasks")
    assert "no problem" in typed(elsewhere, "-m", "taxbench", "validate")
    assert "author" in typed(elsewhere, "-m", "taxbench", "cite")
    assert "visual similarity" in typed(elsewhere, "-m", "taxbench", "analyze", "--published")


def test_a_run_its_board_and_its_answers_need_nothing_but_the_wheel(elsewhere: Path) -> None:
    options = ["--head", "ridge_token", "--encoder", "pixels", "--limit", "2", "--set", "epochs=1"]
    assert "unseen_hypernym@2" in typed(elsewhere, "-m", "taxbench", "--quiet", "run", *options)
    page = typed(elsewhere, "-m", "taxbench", "--quiet", "leaderboard", "show", "results", "--format", "html")
    assert "ridge_token" in page and "taxbench board" in page
    typed(elsewhere, "-m", "taxbench", "--quiet", "view", "results")
    assert "Most confused" in (elsewhere / "view.html").read_text()


def test_its_metadata_is_what_an_index_wants(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [each for each in archive.namelist() if each.endswith("METADATA")]
        metadata = message_from_string(archive.read(name).decode())
        assert not [each for each in archive.namelist() if each.startswith(("tests", "leaderboard"))]
        assert any(each.endswith("licenses/LICENSE") for each in archive.namelist())
    assert metadata["Description-Content-Type"] == "text/markdown" and metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11" and any(
        "arxiv.org" in each for each in metadata.get_all("Project-URL")
    )
