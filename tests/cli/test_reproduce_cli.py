"""`taxbench reproduce`: the same again, farther off, other inputs, and names that are not known here."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from taxbench.cli.main import call
from taxbench.cli.reproduce import command
from taxbench.results.records import read_result, result_bytes
from taxbench.runs import fit
from taxbench.runs.reproduce import TOLERANCE, ReproduceOptions
from taxbench.specs.spec import content_hash
from tests.conftest import with_one_thread
from tests.datasets.test_folder import make

TASK = (
    "name: mine\nextends: unseen_hypernym\nheldout_leaves: 0\nevaluate: [leaf, unseen]\ncontrols: [chance, no_image]\n"
)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    yield from with_one_thread()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path) -> Path:
    """A record on pictures and an LM that are known by directories only, its features not stored as by default."""
    folder = tmp_path_factory.mktemp("reproduce")
    root, taxonomy = make(folder / "photos")
    (folder / "mine.yaml").write_text(TASK)
    done = call(["-q", "run", "--task", str(folder / "mine.yaml"), "--model", str(tiny_llama), "--encoder", "pixels",
                 "--dataset", f"folder:{root}", "--taxonomy", str(taxonomy), "--seeds", "3", "--device", "cpu",
                 "--set", "hidden=8", "--set", "storage=bfloat16", "--set", "epochs=2",
                 "--cache", str(folder / "cache"), "--out", str(folder / "out")])  # fmt: skip
    assert done == 0
    return folder


@pytest.fixture
def named(place: Path, tiny_llama: Path) -> list[str]:
    return ["--model", str(tiny_llama), "--dataset", f"folder:{place / 'photos'}", "--taxonomy",
            str(place / "taxonomy.tsv"), "--cache", str(place / "cache")]  # fmt: skip


def record(place: Path) -> Path:
    (path,) = (place / "out").rglob("result.json")
    return path


def changed(place: Path, tmp_path: Path, **parts: object) -> str:
    """Write the record with other scores or another run."""
    made = read_result(record(place))
    (tmp_path / "result.json").write_bytes(result_bytes(made.model_copy(update=parts)))
    return str(tmp_path)


def test_the_same_machine_gives_the_same_bytes_and_trains_anew(
    place: Path, named: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained, train = [], fit.train_stack
    monkeypatch.setattr(fit, "train_stack", lambda *given: (trained.append(given), train(*given)))
    heads = sorted((place / "cache" / "heads").iterdir())
    assert call(["-q", "reproduce", str(record(place)), *named, "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert trained and sorted((place / "cache" / "heads").iterdir()) == heads
    assert said.endswith("The same bytes: every answer and every margin is as recorded.\n")
    assert "not as recorded" not in said
    (again,) = tmp_path.rglob("predictions.npz")
    assert again.read_bytes() == record(place).with_name("predictions.npz").read_bytes()
    assert call(["-q", "reproduce", str(record(place)), *named, "--out", str(tmp_path)]) == 2
    assert "holds this run already" in capsys.readouterr().err


@pytest.mark.parametrize("case", [
    (0.02, 0, "Agrees within 0.03 (largest difference 0.0200: macro_f1 of scores, leaf"),
    (0.04, 1, "Does not agree within 0.03: 1 of 14 scores"), (None, 1, "farthest macro_f1 of scores, leaf: – recorded"),
])  # fmt: skip
def test_scores_that_are_off_are_found(
    place: Path,
    named: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    case: tuple[float | None, int, str],
) -> None:
    (by, code, said), made = case, read_result(record(place))
    leaf = made.scores["leaf"]
    assert leaf.macro_f1 is not None
    other = leaf.model_copy(update={"macro_f1": None if by is None else leaf.macro_f1 + by})
    versions = made.versions.model_copy(update={"torch": "1\x1b[31m"})
    folder = changed(place, tmp_path, scores=made.scores | {"leaf": other}, versions=versions)
    assert call(["-q", "reproduce", folder, *named]) == code
    text = capsys.readouterr().out
    assert said in text and "| torch " in text and "\x1b" not in text


def test_another_dataset_is_not_the_same_run(
    place: Path, named: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = read_result(record(place)).run
    folder = changed(place, tmp_path, run=run.model_copy(
        update={"dataset": run.dataset.model_copy(update={"fingerprint": content_hash("other")})}))  # fmt: skip
    assert call(["-q", "reproduce", folder, *named, "--tolerance", "1", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["agrees"] and "It is not the same run: other dataset." in found["verdict"]
    assert [each["what"] for each in found["identities"]] == ["dataset"]


@pytest.mark.parametrize("case", [
    ("head", {"settings": {"widht": 3}}, "", "has no setting 'widht'"),
    ("head", {"name": "mpl"}, "", "The record names the head 'mpl', which cannot be had here"),
    ("lm", {}, "--model", "type --model DIR"), ("encoder", {"name": "my-eye"}, "", "type --encoder DIR"),
    ("dataset", {}, "--dataset", "type --dataset KIND:DIR and --taxonomy FILE"),
    ("device", "mps", "", "The record was made on 'mps', which this machine does not have. Type --device auto"),
])  # fmt: skip
def test_what_is_not_known_here_is_said_before_any_work(
    place: Path,
    named: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    case: tuple[str, object, str, str],
) -> None:
    (part, update, without, said), run = case, read_result(record(place)).run
    new = getattr(run, part).model_copy(update=update) if isinstance(update, dict) else update
    folder = changed(place, tmp_path, run=run.model_copy(update={part: new}))
    pairs = zip(named[::2], named[1::2], strict=True)
    options = [word for pair in pairs if pair[0] != without for word in pair]
    assert call(["-q", "reproduce", folder, *options]) == 2
    assert said in capsys.readouterr().err


def test_a_record_that_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["reproduce", str(tmp_path / "nothing")]) == 2
    assert "No such record" in capsys.readouterr().err


def test_the_tolerance_of_the_command_is_that_of_the_library() -> None:
    (option,) = [each for each in command.params if each.name == "tolerance"]
    assert option.default == TOLERANCE == ReproduceOptions().tolerance
