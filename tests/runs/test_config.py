"""What a run resolves its names with: few files, few functions, no torch, and a word where a name is not certain."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from taxbench.runs.config import resolve
from taxbench.runs.feature_cache import ExtractOptions
from taxbench.runs.run_file import resolve_file
from taxbench.runs.run_options import Options, options_from
from taxbench.tasks.inheritance import BUILTIN
from taxbench.tasks.registry import find_tasks
from taxbench.tasks.validation import validate
from taxbench.util.devices import pick_device, pick_dtype
from taxbench.util.errors import UsageError


def read(*names: str, include: tuple[Path, ...] = ()) -> list[str]:
    """Return the names of the files that are read to resolve some names."""
    return [file.path.name for file in find_tasks(include, names=names).all_files]


def test_only_the_files_that_names_need_are_read(tmp_path: Path) -> None:
    assert read("unseen_hypernym") == ["unseen_hypernym.yaml"]
    assert read("deprivation_random-0.3", " leaf") == ["deprivation_random.yaml", "leaf.yaml"]
    assert read("taxonomic") == ["counterfactual_high.yaml", "counterfactual_low.yaml", "leaf.yaml",
                                 "seen_hypernym.yaml", "taxonomic.yaml", "unseen_hypernym.yaml"]  # fmt: skip
    (tmp_path / "file.yaml").write_text("{extends: leaf, name: other}\n")
    assert read("other", include=(tmp_path,)) == ["file.yaml"]
    assert read(str(tmp_path / "file.yaml"), "leaf") == ["leaf.yaml"]


@pytest.mark.parametrize("name", ["lef", "deprivation_random-0.35", "file", "./nowhere", ""])
def test_all_files_are_read_where_a_name_is_not_found(tmp_path: Path, name: str) -> None:
    (tmp_path / "file.yaml").write_text("name: other\nextends: leaf\n")
    assert len(read(name, "leaf", include=(tmp_path,))) == len(find_tasks([tmp_path]).all_files)


def test_a_name_is_resolved_alike_whether_few_files_are_read_or_all(tmp_path: Path) -> None:
    (tmp_path / "group.yaml").write_text("group: mine\nsummary: x\nmembers: [deprivation_random-0.3, curve, leaf]\n")
    (tmp_path / "curve.yaml").write_text("name: curve\nextends: deprivation_random\nlevels: {values: [0.2]}\n")
    every = find_tasks([tmp_path])
    for name in [*every.files, str(tmp_path / "group.yaml"), str(tmp_path / "curve.yaml")]:
        assert find_tasks([tmp_path], names=[name]).select([name]) == every.select([name])


def test_a_file_that_claims_the_name_of_a_task_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: other\nextends: leaf\n")
    (tmp_path / "b.yaml").write_text("version: 1\nname: leaf\nextends: leaf\n")
    config = resolve(Options(task="leaf", include=(tmp_path,)))
    assert [task.identity for task in config.tasks] == [find_tasks().tasks["leaf"].identity]
    (note,) = config.notes
    assert note.startswith(f"{tmp_path / 'b.yaml'}:2:1: the name 'leaf' is taken by {BUILTIN / 'leaf.yaml'}:1")
    (tmp_path / "deprivation_random.yaml").write_text("name: deprivation_random\nextends: deprivation_random\n")
    assert "is taken by" in resolve(Options(task="deprivation_random-0.3", include=(tmp_path,))).notes[0]
    assert resolve(Options(task="other", include=(tmp_path,))).notes == ()


def test_a_version_whose_content_changed_is_told(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nextends: leaf\n")
    validate([tmp_path]).lock()
    path.write_text("name: mine\nextends: leaf\nheldout_leaves: 0.3\n")
    for options in (Options(task="mine", include=(tmp_path,)), Options(task=str(path))):
        (note,) = resolve(options).notes
        assert "content changed but version is still 2" in note


def test_resolving_the_default_run_imports_no_torch_and_enters_few_functions() -> None:
    code = (
        "import sys\nfrom taxbench.runs.config import Options, resolve\nentered = set()\n"
        "def note(frame, event, argument):\n"
        "    code = frame.f_code\n"
        "    if event == 'call' and '/taxbench/' in code.co_filename and '<' not in code.co_name:\n"
        "        entered.add((code.co_filename, code.co_qualname))\n"
        "sys.setprofile(note)\nresolve(Options())\nsys.setprofile(None)\nprint(len(entered), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    functions, torch = done.stdout.split()
    assert int(functions) <= 49 and torch == "False"


def test_settings_of_heads_make_a_grid_without_repetitions() -> None:
    config = resolve(Options(head="linear,mlp", settings=("hidden=64,32,64", "epochs=2")))
    assert [config.name_of(*config.inputs, cell, 42).removesuffix(" seed 42") for cell in config.cells] == [
        "unseen_hypernym linear", "unseen_hypernym mlp hidden=64", "unseen_hypernym mlp hidden=32"
    ]  # fmt: skip
    with pytest.raises(UsageError, match="nothing has the setting 'hiden'"):
        resolve(Options(settings=("hiden=3",)))


def test_a_task_s_settings_apply_and_the_command_line_overrides_them(tmp_path: Path) -> None:
    for name, lines in {"short": "settings: {epochs: 1, hidden: 8, dropout: 0.0}\n", "plain": ""}.items():
        (tmp_path / f"{name}.yaml").write_text(f"name: {name}\nextends: leaf\n{lines}")
    both = ",".join(str(tmp_path / f"{name}.yaml") for name in ("short", "plain"))
    short, plain = resolve(Options(task=both, settings=("hidden=16", "batch_images=64"))).cells
    assert (short.trainer.epochs, plain.trainer.epochs) == (1, 4)
    assert short.head.settings == {"tokens": 1, "hidden": 16, "dropout": 0.0}
    assert plain.head.settings == {"tokens": 1, "hidden": 16, "dropout": 0.3}


def test_options_in_python_s_own_words_are_those_of_the_command_line() -> None:
    typed = Options(task="leaf,seen_hypernym", head="mlp,linear", seeds="42,7", dataset="folder:photos",
                    taxonomy="t.tsv", settings=("hidden=8,16", "frame=qa"), include=(Path("mine"),))  # fmt: skip
    given = {"task": ["leaf", "seen_hypernym"], "head": ("mlp", "linear"), "seeds": [42, 7], "dataset": Path("photos"),
             "taxonomy": Path("t.tsv"), "settings": {"hidden": [8, 16], "frame": "qa"}, "include": "mine",
             "device": None, "model": None}  # fmt: skip
    assert options_from(Options, given) == typed
    assert options_from(Options, {"seeds": 42, "settings": "hidden=8"}) == Options(settings=("hidden=8",))
    assert options_from(Options, {"seeds": range(3)}).seeds == "0,1,2"
    assert options_from(Options, {"seeds": np.int64(7)}).seeds == "7"
    assert options_from(ExtractOptions, {"layers": [-1, -2], "workers": 0}) == ExtractOptions(layers="-1,-2", workers=0)


@pytest.mark.parametrize(("given", "words"), [
    ({"seed": 42}, "Unknown option 'seed'. Did you mean 'seeds'?"),
    ({"head": object()}, "Invalid head: expected text, a number, a path or a list of them, found a object."),
    ({"settings": {"hidden": {8}}}, "Invalid settings: .*found a set"),
    ({"batch": "many"}, "Invalid batch: expected a whole number, found a str"),
])  # fmt: skip
def test_options_of_another_kind_are_told(given: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        options_from(ExtractOptions if "batch" in given else Options, given)


def test_the_number_type_of_language_models_is_chosen_and_told_where_it_is_unknown(tmp_path: Path) -> None:
    assert resolve(Options()).dtype == "auto" and "device auto · " in resolve(Options()).describe()
    chosen = resolve(Options(dtype="float16"))
    assert chosen.dtype == "float16" and "device auto in float16" in chosen.describe()
    with pytest.raises(UsageError, match=r"--dtype float61: expected auto or .* Did you mean 'float16'"):
        resolve(Options(dtype="float61"))
    (tmp_path / "run.yaml").write_text("dtype: bfloat16\n")
    assert resolve_file(tmp_path / "run.yaml", {}).dtype == "bfloat16"
    assert (pick_dtype("cpu", "float16"), pick_dtype("cpu")) == (torch.float16, pick_dtype("cpu", "auto"))


def test_a_device_beyond_the_last_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device("cuda:1").index == 1 and pick_device("cpu").type == "cpu"
    for name in ("cuda:2", "meta", "cuda:99"):
        with pytest.raises(UsageError, match=f"This machine has no '{name}' device"):
            pick_device(name)
