"""The board in the forms of others: Every Eval Ever, and the Hugging Face hub's results of models."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import yaml

from taxbench._version import __version__
from taxbench.board.board import Board, Estimate, Row
from taxbench.board.render.cells import short_task
from taxbench.registry.models import lms
from taxbench.scoring.bootstrap import REPLICATES
from taxbench.util.errors import UsageError
from taxbench.util.text import plain

_SCHEMA = "0.3.0"
"""Of Every Eval Ever (2026, arXiv 2606.14516): https://github.com/evaleval/every_eval_ever, eval.schema.json."""
_METRICS = {
    "macro_f1": ("f1", "Mean over asked terms of the mean of F1 of Yes and of No.", 0.0),
    "auroc": ("auroc", "Mean over asked terms of the area under the ROC curve.", 0.0),
    "transfer": ("f1_difference", "Macro-F1 minus that of the same head through the LM with random weights.", -1.0),
}
"""What is exported of a row: its kind, what it is, and the least that it can be."""
_HUB_ID = re.compile(r"[\w-][\w.-]{0,99}/[\w-][\w.-]{0,99}", re.ASCII)


def every_eval_ever(board: Board, organization: str, now: int) -> dict[str, str]:
    """Return the files of Every Eval Ever, one a system and dataset, by their paths.

    Args:
        organization: Who provides the results.
        now: When they are exported, in seconds since 1970.
    """
    systems = defaultdict[tuple[str, ...], list[Row]](list)
    for row in board.rows:
        systems[row.place].append(row)
    files = {}
    for place, rows in systems.items():
        first = rows[0]
        name = plain(f"{first.lm} ← {first.head} ← {first.encoder}" + (f" ({first.setting})" if first.setting else ""))
        model = _model_id(first.lm)
        key = uuid5(NAMESPACE_URL, json.dumps([place, [each.digest for row in rows for each in row.records]]))
        record = {
            "schema_version": _SCHEMA,
            "evaluation_id": f"taxbench-{first.dataset}/{model}/{key}/{now}",
            "retrieved_timestamp": str(now),
            "source_metadata": {
                "source_name": "taxbench leaderboard",
                "source_type": "evaluation_run",
                "source_organization_name": organization,
                "evaluator_relationship": "other",
            },
            "eval_library": {"name": "taxbench", "version": __version__},
            "model_info": {
                "name": name,
                "id": model,
                "additional_details": {
                    "deployment_type": "self_deployed",
                    "model_availability": "open_weights",
                    **{part: plain(getattr(first, part)) for part in ("lm", "encoder", "head", "features", "setting")},
                    **{f"{part} identity": value for part, value in first.identities.items()},
                },
            },
            "evaluation_results": [result for row in rows for result in _results(row)],
        }
        path = f"data/taxbench-{_word(first.dataset)}/{model}/{key}.json"
        files[path] = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    return files


def _results(row: Row) -> Iterable[dict[str, Any]]:
    """Yield the scores of a row that are known, as Every Eval Ever has them."""
    for metric, score in {"macro_f1": row.f1, "auroc": row.auroc, "transfer": row.transfer}.items():
        if score.mean is None:
            continue
        kind, about, least = _METRICS[metric]
        task = short_task(row.task.identity)
        yield {
            "evaluation_result_id": f"{row.task.identity}/{metric}",
            "evaluation_name": task,
            "source_data": {"dataset_name": row.dataset, "source_type": "other"},
            "metric_config": {
                "evaluation_description": f"{row.task.summary} {about}",
                "metric_id": metric,
                "metric_kind": kind,
                "metric_unit": "proportion",
                "lower_is_better": False,
                "score_type": "continuous",
                "min_score": least,
                "max_score": 1.0,
            },
            "score_details": {"score": score.mean, **_uncertainty(score), "details": _details(row, score)},
        }


def _uncertainty(score: Estimate) -> dict[str, Any]:
    """Return the interval of a score; nothing where there is none."""
    if score.low is None or score.high is None:
        return {}
    bounds = {"lower": score.low, "upper": score.high, "confidence_level": 0.95, "method": "bootstrap"}
    return {"uncertainty": {"confidence_interval": bounds, "num_bootstrap_samples": REPLICATES}}


def _details(row: Row, score: Estimate) -> dict[str, str]:
    """Return what else is to be said of a score, as text."""
    said = {
        "split": row.split,
        "seeds": " ".join(map(str, row.seeds)),
        "records": " ".join(record.digest for record in row.records),
    }
    if score.sd is not None:
        said["standard deviation over seeds"] = f"{score.sd:.6f}"
    controls = {f"control {name}": each.mean for name, each in row.controls.items() if each.mean is not None}
    return said | {name: f"{mean:.6f}" for name, mean in controls.items()}


def check_repository(name: str) -> None:
    """Raise UsageError where a name is not that of a repository of the hub."""
    if not _HUB_ID.fullmatch(name):
        found = f", found '{name}'" if name else ""
        raise UsageError(f"hub: expected the leaderboard's dataset repository{found}. Type --benchmark owner/name")


def hub_results(board: Board, benchmark: str) -> dict[str, str]:
    """Return `.eval_results` of each language model for its repository on the hub, and the benchmark's `eval.yaml`.

    The format is the hub's: https://huggingface.co/docs/hub/eval-results. Revisions of one model share the file of its
    repository, and the notes of a score say which one it is of.

    Args:
        benchmark: The dataset repository of the leaderboard, owner/name, as `check_repository` wants it.
    """
    models = defaultdict[str, list[dict[str, Any]]](list)
    source = {"url": f"https://huggingface.co/datasets/{benchmark}", "name": "taxbench leaderboard"}
    scored = [row for row in board.rows if row.f1.mean is not None and not row.is_control]
    for row in scored:
        assert row.f1.mean is not None
        seeds = f"seed{'s' * (len(row.seeds) > 1)} {', '.join(map(str, row.seeds))}"
        notes = f"macro-F1; LM {row.lm}, encoder {row.encoder}, head {row.head}, dataset {row.dataset}, {seeds}"
        models[_model_id(row.lm)].append({
            "dataset": {"id": benchmark, "task_id": row.name},
            "value": round(row.f1.mean, 4),
            **({"date": row.finished} if row.finished else {}),
            "source": dict(source),  # the same one twice would become an alias
            "notes": plain(f"{notes}, {row.setting}" if row.setting else notes),
        })  # fmt: skip
    about = {
        "name": "taxbench",
        "description": "Does what a frozen language model knows from text carry over to images?",
        "evaluation_framework": "taxbench",
        "tasks": [{"id": task, "config": "board", "split": "train"} for task in sorted({row.name for row in scored})],
    }
    files = {f"models/{model}/.eval_results/taxbench.yaml": _yaml(rows) for model, rows in models.items()}
    return files | {"eval.yaml": _yaml(about)}


def _model_id(lm: str) -> str:
    """Return the hub id of a language model; of one that has none, taxbench/NAME."""
    known = lms()
    source = (known[lm].source if lm in known else lm).partition("@")[0]
    return source if _HUB_ID.fullmatch(source) else f"taxbench/{_word(lm)}"


def _word(text: str) -> str:
    """Return a name as a part of a path: nothing in it can lead elsewhere."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", plain(text)).strip("-")[:60] or "unnamed"


def _yaml(content: Any) -> str:
    """Return YAML with keys in their order."""
    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)
    return text
