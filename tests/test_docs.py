"""What the pages say of files is true: paths exist, the front page stays short, its examples and citation hold."""

import json
import re
from pathlib import Path

import pytest
import yaml

from taxbench._version import __version__
from taxbench.cli.main import call
from tests.test_house import FILES, PACKAGE, ROOMS, SATELLITES, floor_of, room_of

ROOT = PACKAGE.parent
FRONT = ROOT / "README.md"
PAGES = [
    FRONT,
    ROOT / "cache" / "README.md",
    *(page for folder in ("taxbench", "tasks", "tests") for page in sorted((ROOT / folder).rglob("*.md"))),
]
FOLDERS = ("taxbench/", "tasks/", "tests/", "leaderboard/", "cache/")
USERS = {"leaderboard/results/unseen_hypernym/FOLDER"}
"""Paths in examples that stand for a reader's own."""
by_name = {"ids": lambda page: page.relative_to(ROOT).as_posix()}


def mentioned(page: Path) -> set[Path]:
    """Return the files and folders that a page links to, or names from the root or from its own folder."""
    text = page.read_text()
    links = re.findall(r"\]\(([^)#\s]+)[^)\s]*\)", text)
    found = {page.parent / link for link in links if "://" not in link}
    words = re.findall(r"[\w./*-]+/[\w./*-]*", re.sub(r"\]\([^)]*\)", "]", text))
    found |= {ROOT / word for word in words if word.startswith(FOLDERS) and word not in USERS and "*" not in word}
    return found | {page.parent / name for name in re.findall(r"`([a-z_0-9]+\.py)`", text)}


def reading_list() -> dict[str, list[Path]]:
    """Return the rooms that the front page lists, in its order, and the files of each that it calls the core."""
    block = FRONT.read_text().partition("<!-- reading list -->\n```text\n")[2].partition("\n```")[0]
    found: dict[str, list[Path]] = {}
    for line in block.splitlines():
        room, _, names = re.split(r"\s{2,}|\s+(?=-$)", line)
        folder = PACKAGE / room
        every = [path for path in sorted(folder.glob("*.py")) if path.stem != "__init__"]
        found[room] = every if names == "all" else [folder / f"{name}.py" for name in names.split() if name != "-"]
    return found


@pytest.mark.parametrize("page", PAGES, **by_name)
def test_every_path_on_a_page_exists(page: Path) -> None:
    assert sorted(path for path in mentioned(page) if not path.exists()) == []


def test_the_front_page_stays_short() -> None:
    lines = FRONT.read_text().splitlines()
    assert len(lines) <= 150
    assert [line for line in lines if line.startswith("|") and len(line) > 100] == []
    assert "<!-- test command -->\n```sh\npip install" in FRONT.read_text()  # what .ci/run runs


def test_the_reading_list_names_every_room_in_import_order_and_a_core_of_an_evening() -> None:
    listed = reading_list()
    rooms = [room for room in listed if room not in SATELLITES | {"cli"}]
    assert set(listed) == {room_of(path) for path in FILES} - {"__init__", "__main__", "_version"}
    assert rooms == sorted(rooms, key=floor_of) and set(rooms) == set().union(*ROOMS)
    core = [path for files in listed.values() for path in files]
    assert all(path.is_file() for path in core) and not any(listed[room] for room in SATELLITES)
    lines = sum(path.read_text().count("\n") for path in core)
    said = int(re.findall(r"about ([\d,]+) lines", FRONT.read_text())[0].replace(",", ""))
    assert lines < 7650 and abs(lines - said) < 200, f"README says {said:,} lines; the files it lists have {lines:,}"


def test_the_task_on_the_front_page_is_the_worked_example_of_the_tasks_page() -> None:
    example = re.findall(r"```yaml\n(.*?)```", FRONT.read_text(), re.S)[0]
    assert f"<!-- worked example -->\n```yaml\n{example}```" in (ROOT / "tasks" / "README.md").read_text()


def test_the_citation_is_of_this_release_and_of_the_paper() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()  # what CFF 1.2.0 requires
    assert (citation["cff-version"], citation["version"], citation["license"]) == ("1.2.0", __version__, "Apache-2.0")
    assert citation["authors"] == [{"name": "The taxbench authors"}]
    (paper,) = citation["references"]
    assert {"type", "title", "authors"} <= paper.keys() and len(paper["authors"]) == 5
    assert paper["identifiers"][0]["value"] == "arXiv:2603.07474"


def test_cite_prints_what_the_citation_file_says(capsys: pytest.CaptureFixture[str]) -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert call(["cite"]) == 0
    paper, software = capsys.readouterr().out.strip().split("\n\n")
    fields = dict(re.findall(r"^  (\w+) += \{?(.*?)\}?,$", paper, re.M))
    assert paper.startswith("@inproceedings{xu2026cross,\n") and fields["eprint"] == "2603.07474"
    assert fields["pages"] == "16319--16337" and fields["author"].count(" and ") == 4 and fields["month"] == "jul"
    assert citation["references"][0]["title"] in fields["title"] and __version__ in software
    assert all(entry.count("{") == entry.count("}") for entry in (paper, software))
    assert call(["cite", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["references"][0]["authors"][0]["family-names"] == "Xu"
