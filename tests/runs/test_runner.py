"""Runs as a whole, on small real parts: several heads, settings and controls in one command, and each as if alone."""

import errno
import gc
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import taxbench
from taxbench.board.submit.examine import examine
from taxbench.lms.frozen import FrozenLM
from taxbench.results.predictions import read_predictions
from taxbench.results.records import read_result
from taxbench.runs import context, fit, runner
from taxbench.runs.config import resolve
from taxbench.runs.run_options import Options
from taxbench.runs.runner import run as run_all
from taxbench.specs.result import Result
from taxbench.tasks.registry import find_tasks
from taxbench.training.head_state import HeadTrainingState
from taxbench.util.errors import TaxbenchError, TrainingError, UsageError
from taxbench.util.progress import Reporter
from tests.conftest import save_tiny_lm
from tests.made import LEAVES, make_photos
from tests.registry.test_heads import package

TASK = """
name: {name}
version: 1
summary: Every control.
extends: unseen_hypernym
heldout_leaves: 0
evaluate: [leaf, unseen]
controls: [{controls}]
"""
EVERYTHING = "chance, random_lm, no_image, shuffled_features, label_oracle, text_only"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("suite")
    make_photos(folder, 12)
    (folder / "all.yaml").write_text(TASK.format(name="every_control", controls=EVERYTHING))
    (folder / "none.yaml").write_text(TASK.format(name="no_control", controls="chance"))
    yield folder


@pytest.fixture
def run(place: Path, tiny_llama: Path, tmp_path: Path):  # type: ignore[no-untyped-def]
    usual = {
        "task": str(place / "none.yaml"), "model": str(tiny_llama), "encoder": "pixels", "seeds": "1",
        "dataset": f"folder:{place / 'photos'}", "taxonomy": str(place / "photos.tsv"), "device": "cpu",
    }  # fmt: skip

    def run(out: str = "out", **options: str | tuple[str, ...]) -> list[Result]:
        places = {"cache": str(tmp_path / f"cache-{out}"), "out": str(tmp_path / out)}
        return taxbench.run(quiet=True, **{**usual, **places, **options})

    run.usual = {**usual, "cache": str(tmp_path / "cache"), "out": str(tmp_path / "out")}  # type: ignore[attr-defined]
    return run


def predictions(folder: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in folder.rglob("predictions.npz")}


def test_a_run_gives_the_same_bytes_alone_and_among_many(run, place: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    task = str(place / "all.yaml")
    together = run("many", head="mlp,linear", seeds="1,2", settings=("hidden=8,16",), task=task)
    assert [(each.head, each.seed, each.run.head.settings.get("hidden")) for each in together] == [
        ("mlp", 1, 8), ("mlp", 1, 16), ("linear", 1, None), ("mlp", 2, 8), ("mlp", 2, 16), ("linear", 2, None),
    ]  # fmt: skip
    run("mlp", seeds="2", settings=("hidden=16",), task=task)
    run("linear", head="linear", task=task)
    many, alone = predictions(tmp_path / "many"), predictions(tmp_path / "mlp") | predictions(tmp_path / "linear")
    assert len(alone) == 2 and all(many[name] == content for name, content in alone.items())


def test_every_control_is_scored_beside_the_run(run, place: Path) -> None:  # type: ignore[no-untyped-def]
    (result,) = run(task=str(place / "all.yaml"))
    assert set(result.controls) == set(EVERYTHING.split(", "))
    assert all(set(each) == {"leaf", "unseen"} for each in result.controls.values())
    blind = result.controls["no_image"]["leaf"]
    assert blind.auroc == 0.5  # per term, all images look the same
    assert result.scores["leaf"] != result.controls["shuffled_features"]["leaf"]
    assert result.controls["text_only"] != result.controls["label_oracle"]
    (same,) = run("own", head="no_image")
    assert same.scores["leaf"] == blind  # one head, whether it is asked for or a control
    assert same.note == "control: sees no image"


def test_every_head_runs_and_says_what_it_chose(run) -> None:  # type: ignore[no-untyped-def]
    results = run(head="all", settings=("steps=20", "words=8"))
    assert len({each.head for each in results}) == len(results) >= 18
    chosen = {each.head: each.fitted for each in results}
    assert "alpha" in chosen["ridge"] and "labels" in chosen["cca"] and chosen["mlp"] == {}
    assert all(each.scores["leaf"].n_questions for each in results)


def test_a_head_that_cannot_be_made_does_not_stop_the_others(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(TaxbenchError, match=r"1 of 2 runs failed[\s\S]*pool2x2[\s\S]*--set pool=grid4"):
        run(head="linear,pool2x2", settings=("pool=pooled",))
    assert len(predictions(tmp_path / "out")) == 1


@pytest.mark.parametrize(("code", "begun", "said"), [
    (errno.ENOSPC, 2, r"^'\S+result\.json' cannot be written \(No space left on device\)\. Nothing was .*again\.$"),
    (errno.EROFS, 2, r"^'\S+result\.json' cannot be written \(Read-only file system\)\. Nothing was .*again\.$"),
    (errno.EACCES, 4, r"^3 of 4 runs failed\.\n(?s:.*)Permission denied"),
])  # fmt: skip
def test_a_disk_that_takes_nothing_more_stops_a_grid(  # type: ignore[no-untyped-def]
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, begun: int, said: str
) -> None:
    asked, written, train, write = list[str](), list[Path](), runner.train, Path.write_bytes

    def training(planned: runner.PlannedRun, *given):  # type: ignore[no-untyped-def]
        asked.append(planned.spec.head.name)
        return train(planned, *given)

    def writing(path: Path, content: bytes) -> int:
        if path.name.startswith(".result.json"):
            written.append(path)
            if len(written) > 1:
                raise OSError(code, os.strerror(code), str(path))
        return write(path, content)

    monkeypatch.setattr(runner, "train", training)
    monkeypatch.setattr(Path, "write_bytes", writing)
    with pytest.raises(TaxbenchError, match=said):
        run(head="ridge_token,ridge", seeds="1,2")
    assert len(asked) == begun and len(predictions(tmp_path / "out")) == 1
    monkeypatch.setattr(Path, "write_bytes", write)
    assert len(run(head="ridge_token,ridge", seeds="1,2")) == 4


def test_what_stops_every_run_is_said_once(
    run,
    tiny_llama: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],  # type: ignore[no-untyped-def]
) -> None:
    lm = Path(shutil.copytree(tiny_llama, tmp_path / "lm"))
    (lm / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(TaxbenchError, match=r"^2 of 2 runs failed\.\n.*seed 1, .*seed 2: .*is cut short") as raised:
        taxbench.run(**{**run.usual, "model": str(lm), "seeds": "1,2"})
    assert str(raised.value).count("is cut short") == 1
    assert capsys.readouterr().err.count("is cut short") == 1


def test_a_head_of_another_package_that_fails_is_named_and_stops_nothing(
    run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,  # type: ignore[no-untyped-def]
) -> None:
    start = '"""Made to fail."""\nfrom torch import nn\nfrom taxbench.specs.spec import Spec\nclass Settings(Spec):\n'
    start += '    """None."""\n'
    package(
        tmp_path,
        "crash = faulty.crash\nnarrow = faulty.narrow\nlate = faulty.late\n",
        crash=start + "def fit(lesson, settings):\n    return 1 / 0\n",
        narrow=start + "def build(shape, settings):\n    return nn.Linear(shape.features, 5)\n",
        late=start + "def build(a, b): ...\nraise RuntimeError('boom')\n",
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TaxbenchError) as caught:
        run(head="crash,narrow,linear")
    for said in ("2 of 3 runs failed", "'crash', of another package, fails (ZeroDivisionError", "'narrow', of another",
                 "one image gives (1, 1, 5), not (1, k, 32)"):  # fmt: skip
        assert said in str(caught.value)
    assert len(predictions(tmp_path / "out")) == 1
    with pytest.raises(UsageError, match=r"The head 'late' cannot be used: importing faulty\.late: boom"):
        run(head="late")


def test_heads_are_trained_once_for_all_tasks_that_train_alike(
    run,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,  # type: ignore[no-untyped-def]
) -> None:
    run(task=str(place / "all.yaml"))
    monkeypatch.setattr(fit, "train_stack", lambda *_: pytest.fail("trained again"))
    run(task=str(place / "none.yaml"))
    run(settings=("calibration=pmi",))


def margins(folder: Path, result: Result, name: str = "none") -> tuple[np.ndarray, list[str]]:
    (path,) = folder.rglob(f"*{result.digest[:8]}/predictions.npz")
    found = read_predictions(path)
    rows = found.rows_of("leaf")
    return found.margins[name][rows].astype(np.float64), [found.terms[term] for term in found.term[rows]]


def test_calibrations_take_a_bias_off_the_lm_s_margins(run, place: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    results = run(task=str(place / "all.yaml"), settings=("calibration=none,pmi,contextual,batch",))
    (plain, terms), (pmi, _), (contextual, _), (batch, _) = (margins(tmp_path / "out", each) for each in results)
    taken = {term: {round(x, 3) for x, own in zip(plain - pmi, terms, strict=True) if own == term} for term in terms}
    assert all(max(some) - min(some) < 0.01 for some in taken.values()) and len({min(x) for x in taken.values()}) > 1
    # up to half precision, in which margins are kept
    assert np.ptp(plain - contextual) < 4e-3 and abs(batch.mean()) < 2e-3 and np.ptp(plain - batch) < 4e-3
    told = [margins(tmp_path / "out", each, "label_oracle")[0] for each in results[:2]]
    assert (told[0] == told[1]).all()  # names know no empty image


def test_a_training_that_broke_off_leaves_no_half_trained_head(
    run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,  # type: ignore[no-untyped-def]
) -> None:
    steps, right = [], HeadTrainingState.learn

    def learn(self: HeadTrainingState, loss: float) -> None:
        steps.append(self)
        if len(steps) == 3:
            raise TrainingError("something unforeseen")
        right(self, loss)

    run("clean", head="linear")
    monkeypatch.setattr(HeadTrainingState, "learn", learn)
    with pytest.raises(TaxbenchError, match="1 of 2 runs failed"):
        run("broken", head="mlp,linear")
    heads = [sorted((tmp_path / f"cache-{name}" / "heads").glob("*.safetensors")) for name in ("clean", "broken")]
    assert heads[0][0].name in {path.name for path in heads[1]}
    assert heads[0][0].read_bytes() == (heads[1][0].parent / heads[0][0].name).read_bytes()


def test_a_broken_checkpoint_is_the_trouble_of_its_own_run(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    run("probe", seeds="3")
    (path,) = (tmp_path / "cache-probe" / "heads").glob("*.safetensors")
    checkpoint = tmp_path / "cache-out" / "heads" / f"{path.stem}.checkpoint"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"broken")
    with pytest.raises(TaxbenchError, match=r"1 of 3 runs failed[\s\S]*seed 3[\s\S]*rm '"):
        run(seeds="1,2,3")
    assert len(predictions(tmp_path / "out")) == 2


def test_a_broken_head_in_the_cache_fails_every_run_that_needs_it(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    run("probe")
    (path,) = (tmp_path / "cache-probe" / "heads").glob("*.safetensors")
    (tmp_path / "cache-out" / "heads").mkdir(parents=True)
    (tmp_path / "cache-out" / "heads" / path.name).write_bytes(path.read_bytes()[:-8])
    with pytest.raises(TaxbenchError, match=r"2 of 2 runs failed[\s\S]*rm '"):
        run(settings=("calibration=none,pmi",))
    assert not predictions(tmp_path / "out")


def test_a_head_that_cannot_be_built_is_told_before_its_controls_are_trained(
    run,
    place: Path,
    tmp_path: Path,  # type: ignore[no-untyped-def]
) -> None:
    with pytest.raises(TaxbenchError, match="--set pool=grid4"):
        run(head="pool2x2", settings=("pool=pooled",), task=str(place / "all.yaml"))
    assert not list((tmp_path / "cache-out" / "heads").glob("*.safetensors"))


def test_a_result_comes_before_the_features_of_the_next_run(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    wanted = resolve(Options(**{**run.usual, "settings": ("pool=pooled,grid2",)}))
    results = run_all(wanted, Reporter(quiet=True))
    first = next(results)
    assert len(list((tmp_path / "cache" / "features").rglob("manifest.json"))) == 1
    (second,) = results
    assert first.run.encoder.features != second.run.encoder.features
    assert all(
        "features" in json.loads(path.read_text())["seconds"] for path in (tmp_path / "out").rglob("timing.json")
    )


def test_a_run_that_another_process_did_meanwhile_is_read(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    wanted = resolve(Options(**{**run.usual, "seeds": "1,2"}))
    results = run_all(wanted, Reporter(quiet=True))
    next(results)
    run(seeds="2")
    (path,) = (each for each in (tmp_path / "out").rglob("result.json") if read_result(each).seed == 2)
    before = path.stat().st_mtime_ns
    next(results)
    assert path.stat().st_mtime_ns == before


def test_a_record_whose_predictions_are_damaged_is_made_anew(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    run()
    ((name, whole),) = predictions(tmp_path / "out").items()
    (path,) = (tmp_path / "out").rglob("predictions.npz")
    for damage in (lambda: path.write_bytes(whole[:100]), path.unlink):
        damage()
        run()
        assert predictions(tmp_path / "out") == {name: whole}


def test_only_one_random_twin_is_in_memory(run, place: Path) -> None:  # type: ignore[no-untyped-def]
    (place / "twin.yaml").write_text(TASK.format(name="twin", controls="random_lm"))

    def count() -> int:
        gc.collect()
        return sum(type(each) is FrozenLM for each in gc.get_objects())

    before, alive = count(), []
    options = {"head": "ridge", "task": str(place / "twin.yaml"), "seeds": "1,2,3"}
    for _ in run_all(resolve(Options(**{**run.usual, **options})), Reporter(quiet=True)):
        alive.append(count() - before)
    assert alive == [2, 2, 2]


def options(**given: object) -> Options:
    return Options(**given)  # type: ignore[arg-type]


def test_heads_and_settings_multiply() -> None:
    config = resolve(options(head="mlp,linear,mlp", settings=("hidden=8,16", "epochs=1", "epochs=2,3")))
    said = [(cell.head.name, cell.head.settings.get("hidden"), cell.trainer.epochs) for cell in config.cells]
    assert said == [
        ("mlp", 8, 2),
        ("mlp", 8, 3),
        ("mlp", 16, 2),
        ("mlp", 16, 3),
        ("linear", None, 2),
        ("linear", None, 3),
    ]
    names = [config.name_of(*config.inputs, cell, 42) for cell in config.cells]
    assert (names[1], names[5]) == (
        "unseen_hypernym mlp hidden=8 epochs=3 seed 42",
        "unseen_hypernym linear epochs=3 seed 42",
    )
    plain = resolve(options())
    assert plain.name_of(*plain.inputs, *plain.cells, 42) == "unseen_hypernym seed 42"


def test_a_head_brings_its_own_features_and_trainer_settings_and_the_user_overrides_them() -> None:
    (cell,) = resolve(options(head="qformer")).cells
    assert cell.features.pool == "grid4" and cell.trainer.learning_rate == 1e-3
    (cell,) = resolve(options(head="qformer", settings=("pool=pooled", "learning_rate=0.01"))).cells
    assert cell.features.pool == "pooled" and cell.trainer.learning_rate == 0.01


@pytest.mark.parametrize(("given", "said"), [
    ({"head": "mlpp"}, "Did you mean 'mlp'"), ({"head": ""}, "Unknown head ''"),
    ({"head": "mlp,liner"}, "Did you mean 'linear'"),
    ({"head": "linear", "settings": ("hidden=3",)}, "setting 'hidden'"),
    ({"head": "itm", "settings": ("loss=full_text",)}, "--set loss=answer"),
    ({"head": "all,mlp"}, "'all' is every head and stands alone"), ({"settings": ("hidden",)}, r"KEY=VALUE\.$"),
    ({"settings": ("calibration=",)}, "--set calibration=: "), ({"settings": ("hidden=8,x",)}, "integer; found 'x'"),
    ({"settings": ("calibration=pmj",)}, "calibration"),
])  # fmt: skip
def test_wrong_heads_and_settings_are_named(given: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        resolve(options(**given))


def test_a_grid_of_inputs_gives_the_bytes_of_its_runs_alone(
    run,  # type: ignore[no-untyped-def]
    place: Path,
    tiny_llama: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = save_tiny_lm("gpt2", tmp_path / "other")
    loaded: list[str] = []
    load = context.load_lm
    monkeypatch.setattr(context, "load_lm", lambda spec, *rest: (loaded.append(spec.name), load(spec, *rest))[1])
    models, task = [tiny_llama, other], str(place / "all.yaml")
    results = run("many", model=",".join(map(str, models)), encoder="pixels,pocket", task=task)
    names = [(each.run.lm.name, each.run.encoder.name) for each in results]
    assert names == [(model.name, encoder) for model in models for encoder in ("pixels", "pocket")]
    assert loaded == [model.name for model in models]  # once, whatever is asked through it
    run("alone", model=str(other), encoder="pocket", task=task)
    many, alone = predictions(tmp_path / "many"), predictions(tmp_path / "alone")
    assert len(many) == 4 and len(alone) == 1 and all(many[name] == content for name, content in alone.items())


def test_inputs_are_named_where_there_are_several(place: Path, tiny_llama: Path) -> None:
    several = options(model=f"pocket,{tiny_llama}", encoder="pixels", head="mlp,linear",
                      dataset=f"pocket,folder:{place / 'photos'}", taxonomy=f"-,{place / 'photos.tsv'}")  # fmt: skip
    config = resolve(several)
    assert [(each.lm.name, each.dataset, each.taxonomy) for each in config.inputs] == [
        (model, dataset, taxonomy)
        for model in ("pocket", tiny_llama.name)
        for dataset, taxonomy in (("pocket", None), (f"folder:{place / 'photos'}", place / "photos.tsv"))
    ]
    assert config.size == 8
    assert config.name_of(config.inputs[0], config.cells[1], 42) == "unseen_hypernym pocket pocket linear seed 42"


def test_all_that_is_wrong_with_inputs_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UsageError) as raised:
        resolve(options(model="poket,gemma-4", encoder="dinov2,pixel", dataset="pocket,cifar100", taxonomy="a,b,c"))
    said = str(raised.value).splitlines()
    assert [words in line for words, line in zip(("'poket'", "'gemma-4'", "'pixel'", "--taxonomy"), said, strict=True)]
    missing = options(model="owner/one,owner/two", dataset="pocket,folder:nowhere", cache=str(tmp_path))
    with pytest.raises(TaxbenchError) as raised_too:
        list(run_all(resolve(missing), Reporter(quiet=True)))
    assert all(name in str(raised_too.value) for name in ("owner/one", "owner/two", "nowhere"))


def test_a_path_may_have_commas_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "a,b").mkdir()
    (config,) = resolve(options(dataset=f"folder:{tmp_path / 'a,b'}")).inputs
    assert config.dataset == f"folder:{tmp_path / 'a,b'}"


def test_a_first_look_uses_some_images_of_each_leaf_and_is_marked(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (whole,), (look,) = run(), run("look", limit=4)
    assert (look.run.dataset.limit, look.run.dataset.label) == (4, "folder:photos (first 4)")
    assert look.run.dataset.name == whole.run.dataset.name == whole.run.dataset.label
    assert look.run.dataset.fingerprint != whole.run.dataset.fingerprint
    answers = read_predictions(next((tmp_path / "look").rglob("predictions.npz")))
    assert len(answers.images) == len(LEAVES)  # a quarter of each leaf's is asked
    assert all(Path(name).stem < "04" for name in answers.images)
    (folder,) = (path.parent for path in (tmp_path / "look").rglob("result.json"))
    reasons = examine(folder, find_tasks()).reasons
    assert "It is a first look, made with --limit 4. Run it again without." in reasons
