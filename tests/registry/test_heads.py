"""The registry of heads: what a source says, that looking runs nothing, and that what is broken hides nothing."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from taxbench.heads.loading import head_module, head_spec
from taxbench.registry.heads import broken_heads, head_info, heads, read_head, settings_defaults
from taxbench.util.errors import UsageError
from tests.made import offer

HEAD = '''"""Twice what it gets,

by a small package."""

from pydantic import Field
from torch import nn

from taxbench.specs.spec import Spec

READS: str = "state"
POOL = "tokens"


class Settings(Spec, strict=True):
    """Options."""

    depth: int = Field(2, ge=1)
    """How deep;
    not very."""
    word: str = "a"


def build(shape, settings):
    return nn.Linear(shape.features, shape.width)
'''
BARE = '"""X."""\nclass Settings(Spec):\n    """O."""\n'
BUILD, FIT = "def build(shape, settings): ...\n", "def fit(data, settings): ...\n"


def package(root: Path, points: str, **files: str) -> None:
    """Install a package in a folder, as pip would leave it."""
    offer(root, "taxbench.heads", points)
    folder = root / points.partition("= ")[2].partition(".")[0]
    folder.mkdir()
    for name, text in {"__init__": "", **files}.items():
        (folder / f"{name}.py").write_text(text)


@pytest.mark.parametrize("name", sorted(heads()))
def test_what_is_read_of_a_built_in_head_is_what_its_module_says(name: str) -> None:
    module, info = head_module(name), head_info(name)
    assert settings_defaults(name) == module.Settings().model_dump()
    assert head_spec(name, {}).settings == module.Settings().model_dump(mode="json")  # the first is not imported
    assert all(text for _, _, text in head_info(name).settings) and info.summary == heads()[name] != ""
    said = [getattr(module, constant, None) for constant in ("READS", "SEES", "POOL")]
    assert [info.reads, info.sees, info.pool] == [said[0] or "answers", said[1] or "features", said[2] or "pooled"]
    assert info.trainer == getattr(module, "TRAINER", {}) and info.control is getattr(module, "CONTROL", False)
    assert hasattr(module, "build" if info.learns == "through the LM" else "fit")


def test_no_built_in_head_is_broken_and_helpers_are_no_heads() -> None:
    assert not broken_heads()
    assert {"linear", "mlp", "qformer", "no_image"} <= set(heads())
    assert [name for name in heads() if head_info(name).control] == [
        "feature_probe", "label_oracle", "name_probe", "no_image", "text_only",
    ]  # fmt: skip
    assert not {"__init__", "base", "closed_form", "moments", "label_head"} & set(heads())


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ('"""X."""\n' + BUILD, "my.head defines no class Settings"),
        (BARE, r"must define either build\(shape, settings\) or fit\(data, settings\), found neither"),
        (BARE + BUILD + FIT, "found build and fit"),
        (
            BARE + FIT + 'READS = "state"\n',
            'READS of my.head, which defines fit: expected "answers" or "labels" or "names" or "terms"',
        ),
        (BARE + BUILD + 'READS = "labels"\n', 'which defines build: expected "answers" or "state"'),
        (BARE + BUILD + "READS = other.READS\n", "READS of my.head"),
        (BARE + FIT + 'SEES = "names"\n', 'SEES of my.head, .*: expected "features" or "name"'),
        (BARE + BUILD + 'POOL = "grid"\n', "POOL of my.head: .*expected pooled, tokens or gridK"),
        (BARE + BUILD + "POOL: str = 4\n", "POOL of my.head"),
        (BARE + BUILD + "CONTROL = 1\n", "CONTROL of my.head: expected True or False"),
        (BARE + BUILD + 'TRAINER = {"rate": 1}\n', "TRAINER of my.head: Extra inputs"),
        (BARE + BUILD + 'TRAINER = {"epochs": 0}\n', "TRAINER of my.head: .*greater"),
        (BARE + BUILD + "TRAINER = given\n", "TRAINER of my.head"),
        (BARE + "    depth: int\n" + BUILD, "setting 'depth' of my.head needs a literal as its default"),
        (BARE + "    depth: int = Field(ge=1)\n" + BUILD, "setting 'depth' of my.head needs a literal"),
        (BARE + "    depth: int = 2 * WIDE\n" + BUILD, "setting 'depth' of my.head needs a literal"),
        (BARE + "    depth: int = twice(2)\n" + BUILD, "setting 'depth' of my.head needs a literal"),
        (BARE + "    epochs: int = 2\n" + BUILD, "setting 'epochs' of my.head is also one of the trainer"),
        (BARE + "    layer: int = 2\n" + BUILD, "setting 'layer' of my.head is also one of the features"),
        (BARE + "def build(:\n", r"my\.head, line 4"),
    ],
)
def test_a_source_that_is_no_head_is_told_why(source: str, told: str) -> None:
    with pytest.raises((ValueError, SyntaxError), match=told):
        read_head("x", "my.head", source)


def test_defaults_are_what_most_heads_have() -> None:
    info = read_head("x", "my.head", BARE + BUILD)
    assert (info.reads, info.sees, info.pool, info.learns) == ("answers", "features", "pooled", "through the LM")
    assert info.trainer == {}
    assert read_head("x", "my.head", BARE + FIT).learns == "fit"
    told = read_head("x", "my.head", BARE + BUILD + 'TRAINER = {"epochs": 2}\n')
    assert told.trainer == {"epochs": 2}


def test_a_reader_of_systems_is_a_reference_and_learns_nothing() -> None:
    info = read_head("x", "my.head", BARE + "SYSTEM = True\n")
    assert (info.system, info.control, info.pool, info.learns) == (True, True, "tokens", "fit")
    assert info.note.startswith("reference")
    assert read_head("x", "my.head", BARE + 'SYSTEM = True\nNOTE = "mine"\n').note == "mine"


def test_a_package_adds_a_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path, "twice = plugged.twice\n", twice=HEAD)
    monkeypatch.syspath_prepend(tmp_path)
    assert heads()["twice"] == "Twice what it gets, From the package plugged 2.0."
    info = head_info("twice")
    assert (info.reads, info.sees, info.pool, info.learns) == ("state", "features", "tokens", "through the LM")
    assert info.settings == (("depth", 2, "How deep; not very."), ("word", "a", ""))
    assert head_spec("twice", {"depth": 3}).settings == {"depth": 3, "word": "a"}
    assert {"depth", "word", "epochs", "pool"} <= set(head_info("twice").known)
    monkeypatch.undo()
    assert "twice" not in heads()


def test_looking_at_heads_runs_no_code_and_what_is_broken_hides_nothing(tmp_path: Path) -> None:
    points = (
        "good = plugged.inside.good\nmlp = plugged.inside.good\nall = plugged.inside.good\n"
        "worse = plugged.inside.worse\nnone = plugged.inside.none\nattr = plugged.inside.good:build\n"
        "gone = no_such_package\ncompiled = math\n"
    )
    bomb = "raise SystemExit('imported')\n"
    package(tmp_path, points, __init__=bomb)
    (tmp_path / "plugged" / "inside").mkdir()
    for name, text in (("__init__", bomb), ("good", HEAD + bomb), ("worse", HEAD + FIT + bomb)):
        (tmp_path / "plugged" / "inside" / f"{name}.py").write_text(text)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from taxbench.registry.heads import broken_heads, head_info, heads\n"
        "assert {'good', 'mlp', 'linear'} <= set(heads()) and head_info('mlp').module == 'taxbench.heads.mlp'\n"
        "print([name for name in ('plugged', 'torch', 'numpy') if name in sys.modules])\n"
        "for name, told in broken_heads().items(): print(name, '|', told)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, *lines = done.stdout.splitlines()
    told = dict(line.split(" | ") for line in lines)
    assert first == "[]"
    assert sorted(told) == sorted(["all", "attr", "compiled", "gone", "mlp of plugged.inside.good", "none", "worse"])
    assert all(text.endswith(" From the package plugged 2.0.") for text in told.values())
    assert "the name is taken" in told["mlp of plugged.inside.good"] and "found build and fit" in told["worse"]
    assert "no module 'no_such_package'" in told["gone"] and "no module 'plugged.inside.none'" in told["none"]
    assert "found 'plugged.inside.good:build'" in told["attr"] and "'all' cannot be the name" in told["all"]


def test_a_head_that_fails_when_it_is_imported_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path, "late = tardy.late\nworse = tardy.worse\n", late=HEAD + "import no_such_module\n", worse=BARE)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match=r"'late' cannot be used: importing tardy\.late: No module named 'no_such"):
        head_module("late")
    with pytest.raises(UsageError, match=r"'worse' cannot be used: tardy\.worse must define .* package plugged 2\.0"):
        head_info("worse")


@pytest.mark.parametrize(
    ("name", "settings", "told"),
    [
        ("qformr", {}, r"Unknown head 'qformr'\. Did you mean 'qformer'\? Heads: .*linear"),
        ("mlp", {"hiden": 3}, r"'mlp' has no setting 'hiden'\. Did you mean 'hidden'\? Its settings: tokens, hidden"),
        ("text_only", {"tokens": 3}, r"'text_only' has no setting 'tokens'\. It has none\."),
        ("mlp", {"hidden": 0}, r"Setting 'hidden' of the head 'mlp': .*greater than or equal to 1"),
    ],
)
def test_mistakes_are_named_with_the_nearest_match(name: str, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        head_spec(name, settings)
