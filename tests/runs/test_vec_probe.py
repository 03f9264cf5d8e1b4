"""VEC's questions: read as published, both orders asked, and what an LM says of them counted by pair."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taxbench.cli.main import call
from taxbench.runs.vec_probe import CHOICES, RELATIONS, read_pairs, vec_probe
from taxbench.scoring.pairs import pair_share
from taxbench.util.errors import DataError, UsageError
from taxbench.util.progress import QUIET

SIZES = {"ant": 1, "cup": 10, "house": 900, "elephant": 300}


def vec(folder: Path) -> Path:
    """Write files as VEC has them: every pair in both orders."""
    pairs = [(a, b) for a in SIZES for b in SIZES if a != b]
    for relation in RELATIONS:
        lines = [{"obj1": a, "obj2": f"{b} ", "label": int(SIZES[a] > SIZES[b])} for a, b in pairs]
        write(folder, relation.name, lines)
    for choice in CHOICES:
        write(folder, choice.name, [{"sub": "apple", "obj": "red", "alt": "blue"}, {"sub": "sky", "obj": "blue",
                                                                                   "alt": "red"}])  # fmt: skip
    return folder


def write(folder: Path, name: str, lines: list[dict[str, Any]]) -> None:
    (folder / f"{name}.json").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_pair_is_asked_both_ways_and_for_more_and_less(tmp_path: Path) -> None:
    pairs = read_pairs(vec(tmp_path), RELATIONS[0])
    assert len(pairs.first) == 6 and pairs.things == ("ant", "cup", "elephant", "house")  # each pair once
    more, less = pairs.wordings
    assert ("Is a cup larger than an ant?", "Is an ant larger than a cup?") in more
    assert ("Is an ant smaller than a cup?", "Is a cup smaller than an ant?") in less
    choice = read_pairs(tmp_path, CHOICES[2])
    assert choice.wordings[0][0] == ("Is an apple made of red?", "Is an apple made of blue?")


def test_the_verb_prints_a_row_a_concept_and_frame(tiny_llama: Path, tmp_path: Path, capsys: Any) -> None:
    assert call(["probe", "-q", "--model", str(tiny_llama), "--vec", str(vec(tmp_path))]) == 0
    text = capsys.readouterr().out
    assert text.count("| temperature | ") == 2 and "Chance is 0.5" in text
    rows = vec_probe(str(tiny_llama), tmp_path, "cpu", str(tmp_path / "cache"), QUIET).rows
    assert [row.pairs for row in rows[:8]] == [2, 2, 2, 6, 6, 6, 6, 6]
    assert all(0 <= (row.accuracy[0] or 0) <= 1 and 0 <= row.same_answer <= 1 for row in rows)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"obj1": "ant", "obj2": "cup"}', "size.json:13: expected an object with obj1, obj2, label"),
        ('{"obj1": "ant", "obj2": "cup", "label": 2}', "size.json:13: 'label': expected 0 or 1"),
        ('{"obj1": "ant", "obj2": " ", "label": 1}', "size.json:13: 'obj2': expected a word"),
        ("ant cup", "size.json:13: expected an object"),
    ],
)
def test_a_line_that_is_not_vecs_is_named(tmp_path: Path, line: str, said: str) -> None:
    with (vec(tmp_path) / "size.json").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DataError) as caught:
        read_pairs(tmp_path, RELATIONS[0])
    assert said in str(caught.value)
    (tmp_path / "size.json").write_text("")
    with pytest.raises(DataError, match=r"size\.json' is empty: expected lines with obj1, obj2, label"):
        read_pairs(tmp_path, RELATIONS[0])


def test_missing_files_say_where_they_come_from(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no 'color.json'.*github.com/TobiasLee/VEC.*states no licence"):
        vec_probe("pocket", tmp_path, "cpu", None, QUIET)


def test_a_share_of_pairs_weighs_a_pair_by_both_its_things() -> None:
    first, second = np.array([0, 0, 1]), np.array([1, 2, 2])
    value, low, high = pair_share(np.array([1, 0, 1]), first, second, ("a", "b", "c"))
    assert value == pytest.approx(2 / 3) and low is not None and high is not None and low < 2 / 3 < high
    assert pair_share(np.ones(3), first, second, ("a", "b", "c")) == (1.0, 1.0, 1.0)
    assert pair_share(np.zeros(0), first[:0], second[:0], ()) == (None, None, None)
