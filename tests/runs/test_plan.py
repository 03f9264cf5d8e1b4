"""What a grid costs is known before it starts: work is counted right, nothing is trained, and rates are measured."""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

import taxbench
from taxbench.cli.main import call
from taxbench.protocol.questions import QuestionSet
from taxbench.results.predictions import read_predictions
from taxbench.runs.config import resolve
from taxbench.runs.context import RunContext
from taxbench.runs.cost import CostModel, Stopwatch, trained_alone
from taxbench.runs.downloads import Download
from taxbench.runs.forecast import Forecast, forecast
from taxbench.runs.run_options import Options
from taxbench.runs.runner import PlannedRun, plan
from taxbench.runs.schedule import WorkLeft, makespan
from taxbench.scoring.comparison import SystemScores, compare
from taxbench.specs.side_files import Timing
from taxbench.util.progress import QUIET
from taxbench.util.text import duration
from tests.runs.small_grid import asking_of_pairs, typed
from tests.runs.test_sharing import options

__all__ = ["options"]


def first_run(options: dict[str, str]) -> tuple[RunContext, PlannedRun]:
    config = resolve(Options(**options))
    context = RunContext(config, config.inputs[0], QUIET)
    (_, planned), *_ = plan(context)
    assert isinstance(planned, PlannedRun)
    return context, planned


@pytest.mark.parametrize("settings", [
    ("frame=raw",), ("frame=An image of {image} {question}",), ("frame=raw", "order=question_first"),
])  # fmt: skip
def test_the_work_of_a_head_is_that_of_every_token_it_puts_to_the_lm(
    options: dict[str, str], settings: tuple[str, ...]
) -> None:
    context, run = first_run({**options, "seeds": "1", "head": "mlp", "settings": settings})  # type: ignore[dict-item]
    job, cost, protocol = run.heads["none"], CostModel(context), run.protocol
    lm = context.lm
    frozen = [weight for name, weight in lm.model.named_parameters() if "embed" not in name and "lm_head" not in name]
    assert cost.weights == sum(weight.numel() for weight in frozen)
    scorer = context.scorer(protocol, job.key.trainer.order, job.key.prompt, protocol.asked_texts)
    table = scorer.table
    before = (len(lm.bos()) if settings == ("frame=raw",) else 0) + 1 + len(table.stem)  # one soft token

    def tokens(questions: object) -> int:
        if scorer.path == "question_first":  # questions are kept, and each is put a soft token
            return len(questions)  # type: ignore[arg-type]
        per_image: dict[int, int] = {}
        for image, term in zip(questions.image.tolist(), questions.term.tolist(), strict=True):  # type: ignore[attr-defined]
            own = len(lm.encode(scorer.frame.around(protocol.questions[term]))) - len(table.stem)
            per_image[image] = per_image.get(image, before) + own
        return sum(per_image.values())

    epochs = job.key.trainer.epochs
    # Negatives are drawn anew in each epoch and for each seed, so that widths differ a little.
    assert cost.training(job) == pytest.approx(
        4 * cost.weights * epochs * tokens(protocol.train_questions(0)), rel=0.03
    )
    asked = [protocol.test("unseen"), protocol.validation()]
    assert cost.asking(job) == pytest.approx(2 * cost.weights * sum(map(tokens, asked)), rel=0.05)
    twice = replace(job, key=job.key.model_copy(update={"trainer": job.key.trainer.model_copy(update={"epochs": 8})}))
    assert cost.training(twice) == 2 * cost.training(job)


def test_protocols_of_all_seeds_are_priced_as_one_and_other_tasks_apart(options: dict[str, str]) -> None:
    context, run = first_run({**options, "seeds": "1"})
    cost, job = CostModel(context), run.heads["none"]
    other = job.protocol.task.model_copy(update={"heldout_leaves": 0.5})
    one, same, apart = (cost._alike(replace(job, protocol=each)).protocol for each in (
        job.protocol, replace(job.protocol, seed=2), replace(job.protocol, task=other)))  # fmt: skip
    assert one is same and one is not apart


@pytest.mark.parametrize("head", ["qformer", "ridge_token"])
def test_two_images_in_one_question_have_twice_the_soft_tokens(options: dict[str, str], head: str) -> None:
    context, run = first_run({**asking_of_pairs(options), "seeds": "0", "head": head})  # by which work is counted
    job, cost, protocol = run.heads["none"], CostModel(context), run.protocol
    scorer = context.scorer(protocol, "image_first", job.key.prompt, protocol.asked_texts)
    table, k = scorer.table, {"qformer": 8, "ridge_token": 1}[head]
    widths, before = table.widths.numpy(), len(table.opening) - scorer.forward.kept + len(table.stem)

    def tokens(questions: QuestionSet, soft: int) -> int:
        return len(np.unique(questions.image)) * (before + soft) + int(widths[questions.term].sum())

    pairs, alone = protocol.test("unseen"), [protocol.test("leaf"), protocol.validation()]
    expected = tokens(pairs, 2 * k) + sum(tokens(each, k) for each in alone)
    assert cost.asking(job) == pytest.approx(2 * cost.weights * expected)
    text = run.heads["text_only"]  # which is asked every question too
    assert cost.asking(text) == pytest.approx(2 * cost.weights * (tokens(pairs, 2) + sum(tokens(e, 1) for e in alone)))


def test_heads_that_are_fitted_or_see_nothing_cost_what_they_ask(options: dict[str, str], tmp_path: Path) -> None:
    task = Path(options["task"])
    task.write_text(task.read_text().replace("random_lm", "no_image, text_only, feature_probe"))
    context, run = first_run({**options, "seeds": "1", "head": "ridge_token"})
    cost, jobs = CostModel(context), run.heads
    assert cost.training(jobs["none"]) == 0 < cost.asking(jobs["none"])
    assert cost.asking(jobs["feature_probe"]) == 0 == cost.training(jobs["feature_probe"])
    assert cost.training(jobs["no_image"]) > 0
    # No question is asked twice of a head to which images look alike.
    assert 0 < cost.asking(jobs["no_image"]) < cost.asking(jobs["text_only"]) < cost.asking(jobs["none"])


def test_a_plan_says_what_is_left_and_trains_nothing(options: dict[str, str], tmp_path: Path,
                                                     capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    words = typed(options)

    def planned() -> dict[str, object]:
        capsys.readouterr()
        assert call(["plan", *words, "--json"]) == 0
        found: dict[str, object] = json.loads(capsys.readouterr().out)
        return found

    found = planned()
    (inputs,) = found["inputs"]  # type: ignore[misc]
    assert (inputs["runs"], inputs["done"], inputs["heads"], inputs["cached_heads"]) == (6, 0, 12, 0)
    assert (inputs["images"], inputs["missing_features"]) == (32, 1)
    assert inputs["train_flops"] > inputs["evaluate_flops"] > 0 and set(inputs["seconds"]) == {
        "features", "train", "evaluate",
    }  # fmt: skip
    assert inputs["rates"]["source"] == "a probe of some seconds"
    assert not (tmp_path / "out").exists() and not list((tmp_path / "cache").rglob("*.safetensors"))
    assert not list((tmp_path / "cache").rglob("*.h5"))
    taxbench.run(quiet=True, **{**options, "seeds": "1,2"})
    timings = [Timing.model_validate_json(path.read_text()) for path in (tmp_path / "out").rglob("timing.json")]
    done = sum(timing.work["train"] for timing in timings)
    assert done == pytest.approx(inputs["train_flops"] * 2 / 3)
    (inputs,) = planned()["inputs"]  # type: ignore[misc]
    assert (inputs["done"], inputs["cached_heads"], inputs["missing_features"]) == (4, 8, 0)
    taxbench.run(quiet=True, **options)
    (inputs,) = planned()["inputs"]  # type: ignore[misc]
    assert (inputs["done"], inputs["seconds"], inputs["rates"]) == (6, {}, None)
    plot = tmp_path / "scaling.png"
    assert call(["plan", *words, "--plot", str(plot)]) == 0
    assert "nothing is left to do" in capsys.readouterr().out and not plot.exists()
    assert call(["plan", *words, "--seeds", "9", "--plot", str(plot)]) == 0
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert call(["plan", *words, "--plot", "scaling.gif"]) == 2
    assert "expected a file that ends in .png or .pdf" in capsys.readouterr().err


def test_a_grid_without_a_trained_head_is_planned_too(options: dict[str, str], tmp_path: Path) -> None:
    task = Path(options["task"])
    task.write_text(task.read_text().replace(", random_lm", ""))
    found = forecast(resolve(Options(**{**options, "head": "ridge_token", "seeds": "1"})), QUIET, time.time())
    (inputs,) = found.inputs
    assert (inputs.heads, inputs.train_flops, inputs.seconds["train"]) == (0, 0.0, 0.0)
    assert inputs.seconds["evaluate"] > 0


def test_a_head_that_does_not_fit_is_told_before_it_is_run(
    options: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = Path(shutil.copytree(options["model"], tmp_path / "short"))
    config = json.loads((short / "config.json").read_text())
    (short / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 40}))
    words = typed({**options, "model": str(short), "head": "linear", "seeds": "1,2"})
    assert call(["plan", *words, "--set", "pool=tokens,pooled"]) == 0
    said = capsys.readouterr().out
    assert "cannot be run: mine pool=tokens seed 1, mine pool=tokens seed 2: A row of 64 soft tokens" in said
    assert "runs      2, 0 of them done" in said and "· train " in said
    assert call(["plan", *words, "--set", "pool=tokens"]) == 0
    said = capsys.readouterr().out
    assert "cannot be run: mine seed 1, mine seed 2: A row of 64" in said and "runs " not in said


def test_runs_that_cannot_be_asked_are_named_and_the_others_have_their_price(options: dict[str, str]) -> None:
    mine = Path(options["task"])
    held, leaf = mine.with_name("held.yaml"), mine.with_name("leaf.yaml")
    text = mine.read_text().replace("mine", "held").replace("heldout_leaves: 0", "heldout_leaves: 0.01")
    held.write_text(text.replace("[unseen]", "[unseen, heldout_leaf]"))
    leaf.write_text(mine.read_text().replace("mine", "named").replace("[unseen]", "[leaf]"))

    def planned(*tasks: Path) -> Forecast:
        task = ",".join(map(str, tasks))
        return forecast(resolve(Options(**{**options, "task": task, "seeds": "1,2"})), QUIET, time.time())

    found, alone = planned(held, leaf, mine), [planned(leaf), planned(mine)]
    (why,) = found.failing
    assert why.startswith("held mlp seed 1, held linear seed 1, held mlp seed 2, held linear seed 2: There is no test")
    (inputs,), parts = found.inputs, [each.inputs[0] for each in alone]
    assert (inputs.runs, inputs.heads) == (8, 8) and inputs.seconds["train"] > 0
    assert inputs.train_flops == parts[0].train_flops == parts[1].train_flops  # of the heads that both share
    assert parts[0].evaluate_flops != parts[1].evaluate_flops  # what each asks of them
    assert inputs.evaluate_flops == pytest.approx(sum(each.evaluate_flops for each in parts))


class _Hub(BaseHTTPRequestHandler):
    """Answers as the hub does of one model."""

    def do_GET(self) -> None:
        sizes = {"config.json": 700, "model.safetensors": 5_000_000_000, "pytorch_model.bin": 5_000_000_000,
                 "onnx/model.onnx": 9_000_000_000}  # fmt: skip
        said = {"id": "owner/real-lm", "modelId": "owner/real-lm", "gated": False, "tags": ["license:apache-2.0"],
                "siblings": [{"rfilename": name, "size": size} for name, size in sizes.items()]}  # fmt: skip
        found = self.path.startswith("/api/models/owner/real-lm")
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(json.dumps(said).encode() if found else b"{}")

    def log_message(self, *_: object) -> None:
        pass


def test_models_that_are_not_there_are_listed_and_the_others_planned(options: dict[str, str]) -> None:
    words = typed({**options, "model": f"{options['model']},owner/real-lm,owner/other", "head": "ridge_token"})
    with ThreadingHTTPServer(("127.0.0.1", 0), _Hub) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        online = {**os.environ, "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HUB_OFFLINE": "0",
                  "HF_HOME": options["cache"]}  # fmt: skip
        command = [sys.executable, "-m", "taxbench", "plan", *words, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=online)
        server.shutdown()
    found = json.loads(done.stdout)
    assert len(found["inputs"]) == 1 and found["inputs"][0]["runs"] == 3
    assert [each["model"] for each in found["downloads"]] == ["owner/real-lm", "owner/other"]
    assert (found["downloads"][0]["bytes"], found["downloads"][0]["licence"]) == (5_000_000_700, "apache-2.0")
    assert found["downloads"][1]["bytes"] is None
    assert Download("a/b@c", True, 25 * 10**8, "llama3.2").describe() == (
        "a/b@c, 2.5 GB, licence llama3.2 (gated: accept its licence at https://huggingface.co/a/b): "
        "hf download a/b --revision c"
    )


def test_a_plan_says_which_difference_earlier_runs_would_have_shown(options: dict[str, str], tmp_path: Path) -> None:
    config = resolve(Options(**{**options, "seeds": "1"}))
    assert forecast(config, QUIET, time.time()).detectable == {}
    taxbench.run(quiet=True, **{**options, "seeds": "1"})
    found = forecast(config, QUIET, time.time())
    a, b = (read_predictions(path) for path in sorted((tmp_path / "out").rglob("predictions.npz")))
    sides = [SystemScores(name, (1,), (one,)) for name, one in (("a", a), ("b", b))]
    assert found.detectable == {"mine": compare(*sides, "unseen", np.random.default_rng(0)).detectable}
    timings = [Timing.model_validate_json(path.read_text()) for path in (tmp_path / "out").rglob("timing.json")]
    assert all(10**8 < timing.memory < 10**11 for timing in timings)


def test_several_processes_share_what_can_be_shared() -> None:
    heads = {f"head {i}": 10.0 for i in range(8)}
    alone = WorkLeft(8.0, heads, [([f"head {i}"], 1.0) for i in range(8)])
    assert [makespan(alone, n) for n in (1, 2, 4, 8)] == [96.0, 48.0, 24.0, 12.0]
    assert makespan(alone, 64) == 8 / 64 + 11  # no more than one head each
    together = WorkLeft(0.0, heads, [(list(heads), 1.0), (list(heads)[:2], 1.0)])
    assert makespan(together, 1) == 82.0 and makespan(together, 3) == 31.0  # 3 heads after one another, then a run
    assert makespan(WorkLeft(0.0, {}, []), 5) == 0.0


def test_the_time_of_one_process_is_that_of_all_its_phases(options: dict[str, str]) -> None:
    found = forecast(resolve(Options(**options)), QUIET, time.time())
    assert found.by_workers[1] == pytest.approx(found.seconds)
    times = list(found.by_workers.values())
    assert times == sorted(times, reverse=True) and times[1] < times[0]


@pytest.mark.parametrize(("heads", "alone"), [("linear", 2), ("linear,mlp", 0)])
def test_random_twins_of_later_seeds_are_trained_alone(options: dict[str, str], heads: str, alone: int) -> None:
    config = resolve(Options(**options | {"seeds": "3,4,5", "head": heads}))
    runs = plan(RunContext(config, config.inputs[0], QUIET))
    jobs = [job for _, run in runs if isinstance(run, PlannedRun) for job in run.heads.values()]
    assert sum("random_lm" in job.key.variant for job in jobs if job.key.digest in trained_alone(jobs)) == alone


def test_wrong_names_are_told_as_run_tells_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["plan", "--task", "leef"]) == 2
    assert "Did you mean 'leaf'?" in capsys.readouterr().err


def test_sizes_and_times_are_said_as_people_say_them() -> None:
    assert [duration(seconds) for seconds in (0.4, 59, 61, 7000, 7300, 200_000)] == [
        "0 s", "59 s", "1 min", "117 min", "2.0 h", "2.3 days"
    ]  # fmt: skip


def test_a_rate_of_few_steps_counts_from_the_beginning() -> None:
    watch = Stopwatch()

    def work() -> None:
        time.sleep(0.1)
        for label in "two", "jobs":  # which end at one time
            with watch.bar(label, 10, "q") as advance:
                advance(10)

    assert 0 < watch.rate(work) <= 200


def test_a_user_s_interrupt_ends_a_probe_and_its_own_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Stopwatch()

    def work(interrupted: bool) -> None:
        with watch.bar("ask", 10**9, "q") as advance:
            while True:
                advance(10)
                if interrupted:
                    raise KeyboardInterrupt

    monkeypatch.setattr("taxbench.runs.cost._PROBE_SECONDS", 0.05)
    assert watch.rate(lambda: work(False)) > 0
    with pytest.raises(KeyboardInterrupt):
        watch.rate(lambda: work(True))
