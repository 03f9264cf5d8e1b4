"""Datasets that installed packages offer: found by their entry point, and unable to harm the others."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from taxbench.datasets.dataset import load_dataset
from taxbench.datasets.known import ENTRY_POINTS, known_datasets
from taxbench.util.errors import UsageError
from tests.made import offer


@pytest.fixture
def offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    points = "pocket = pictured:load\nodd = pictured\nlate = pictured:load\nthings = pictured:load\n"
    points += "boom = plain:boom\nfive = plain:five\n"
    offer(tmp_path, ENTRY_POINTS, points)
    (tmp_path / "plain.py").write_text(
        "def boom(path, taxonomy):\n    raise RuntimeError('boom')\ndef five(path, taxonomy):\n    return 5\n"
    )
    (tmp_path / "pictured.py").write_text('"""Pictures of another package."""\nimport nowhere\n')
    monkeypatch.syspath_prepend(tmp_path)
    known_datasets.cache_clear()
    yield
    known_datasets.cache_clear()


def test_no_package_takes_a_name_that_is_there(offered: None) -> None:
    known = known_datasets()
    assert known["pocket"].loader.startswith("taxbench.pocket") and known["things"].loader.startswith("taxbench.")
    for name in ("pocket of pictured:load", "things of pictured:load"):
        assert "the name is taken" in known[name].summary
    assert known["late"].summary == "Pictures of another package."


@pytest.mark.parametrize("name", ["odd", "late", "late:x"])
def test_a_broken_package_is_named(offered: None, name: str) -> None:
    with pytest.raises(UsageError, match=f"The dataset '{name.partition(':')[0]}' cannot be used: importing pictured"):
        load_dataset(name)


@pytest.mark.parametrize(("name", "said"), [("boom", r"fails \(RuntimeError: boom\)"), ("five", "returns a int")])
def test_a_package_that_fails_is_blamed(offered: None, name: str, said: str) -> None:
    with pytest.raises(UsageError, match=f"The dataset '{name}', of another package, {said}"):
        load_dataset(name)


def test_an_installation_without_its_entry_points_says_how_to_mend_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taxbench.datasets.known.entry_points", lambda **_: ())
    known_datasets.cache_clear()
    with pytest.raises(UsageError, match=r"Unknown dataset 'pocket'.*pip install -e \. again"):
        load_dataset("pocket")
    known_datasets.cache_clear()
