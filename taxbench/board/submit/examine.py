"""Check one record: what a stranger sends is parsed under limits, recomputed, and never run.

What this can hold: a record says of itself what is true (digests, names, task, questions), and its scores follow from
its predictions. What it cannot: that the predictions are those of the model named. `taxbench reproduce` is for that.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from taxbench.board.load import PREDICTIONS
from taxbench.board.submit.names import name_problems, value_problems, word_problems
from taxbench.board.submit.question_check import question_problems, size_problems
from taxbench.board.submit.record_files import read_plain
from taxbench.registry.heads import head_info, heads, settings_defaults
from taxbench.results.migrations import migrate
from taxbench.results.predictions import Predictions, parse_predictions
from taxbench.results.records import RESULT, parse_json, parse_result
from taxbench.scoring.rescore import differences, rescore
from taxbench.specs.controls import CONTROLS
from taxbench.specs.result import SCHEMA_VERSION, PredictionsFile, Result
from taxbench.specs.sources import READERS
from taxbench.specs.task import TaskSpec
from taxbench.tasks.registry import TaskRegistry
from taxbench.util.errors import DataError, did_you_mean, first_few
from taxbench.util.text import escaped

_MOST_REASONS = 12
_OLDEST = 2
"""The first form of records whose predictions can be scored anew."""
_AGAIN = "Run it again with this version."


@dataclass(frozen=True, slots=True)
class Examined:
    """A record that was looked at, with the very bytes that were."""

    folder: Path
    reasons: tuple[str, ...]
    """Why it is refused; none: it is fine."""
    result: Result | None = None
    """None: it could not be read."""
    record: bytes = b""
    predictions: bytes = b""


def examine(folder: Path, registry: TaskRegistry) -> Examined:
    """Check one record; what is wrong with it is a reason, never an exception."""
    result, reasons, record, content = None, list[str](), b"", b""
    try:
        record = read_plain(folder / RESULT)
        raw = parse_json(record, RESULT)
        version = raw.get("schema_version")
        if type(version) is int and 0 < version < _OLDEST:
            raise DataError(
                f"{RESULT} is of form {version}, whose predictions cannot be scored anew; expected form {_OLDEST} to "
                f"{SCHEMA_VERSION}. {_AGAIN}"
            )
        result = parse_result(record, RESULT)
        of_task = [*_task_problems(result.run.task, registry)]
        if result.run.dataset.limit is not None:
            reasons.append(f"It is a first look, made with --limit {result.run.dataset.limit}. Run it again without.")
        reasons += value_problems(migrate(raw), result.model_dump(mode="json"))
        reasons += [*name_problems(result), *of_task, *_head_problems(result)]
        content = read_plain(folder / PREDICTIONS)
        reasons += _prediction_problems(result, content, known_task=not of_task)
    except DataError as error:
        reasons.append(str(error))
    shown = [escaped(reason) for reason in dict.fromkeys(reasons)]
    more = len(shown) - _MOST_REASONS
    if more > 0:
        shown[_MOST_REASONS:] = [f"And {more} more reasons."]
    return Examined(folder, tuple(shown), result, record, content)


def _task_problems(task: TaskSpec, registry: TaskRegistry) -> Iterator[str]:
    """Yield how the task of an examined record differs from the registry's task of that name."""
    own = registry.tasks.get(task.name) or _in_language(task, registry)
    if own is None:
        yield (
            f"Unknown task '{task.name}' here.{did_you_mean(task.name, registry.tasks)} If its file is at hand, "
            "name its folder with --include-path."
        )
        return
    if task.identity != own.identity:
        what = "another version" if task.version != own.version else "the same version with other content"
        yield f"The task is {task.identity}, which is {what} than here, {own.identity}. {_AGAIN}"
        return
    own = own.as_run()
    expected = tuple(name for name in own.controls if name in task.controls or not CONTROLS[name].added)
    own = own.model_copy(update={"controls": expected})
    for name in TaskSpec.model_fields:
        if name not in ("summary", "tags", "world_scope") and getattr(task, name) != getattr(
            own, name
        ):  # those are for people
            yield f"run.task.{name} is {getattr(task, name)}; {own.identity} here has {getattr(own, name)}. {_AGAIN}"


def _in_language(task: TaskSpec, registry: TaskRegistry) -> TaskSpec | None:
    """Return what `--set language=` makes of the registry's task that an examined task says it was made of."""
    pair = task.questions.language
    name, dash, level = task.name.partition("-")
    base = registry.tasks.get(name.removesuffix(f"_{str(pair).replace(':', '_')}") + dash + level)
    return base.in_languages(pair) if base and base.property_questions is None and not pair.is_english else None


def _head_problems(result: Result) -> Iterator[str]:
    """Yield how an examined record contradicts its head: origin, settings, note, control."""
    head = result.run.head
    if head.name not in {*heads(), *READERS} or not head_info(head.name).module.startswith("taxbench.heads."):
        if not head.source:
            yield (
                f"The head '{head.name}' is not one of taxbench's and carries no digest of a package's code in "
                f"run.head.source.{did_you_mean(head.name, heads())} See 'taxbench ls heads'."
            )
        return
    if head.source:
        yield f"The head '{head.name}' is taxbench's own, but run.head.source says a package's code ({head.source})."
    known = settings_defaults(head.name)
    for key in head.settings.keys() - known.keys():
        hint = did_you_mean(key, known)
        yield f"The head '{head.name}' has no setting '{key}'.{hint} Its settings: {first_few(known, 20)}."
    for key, default in known.items():
        if key not in head.settings:
            yield f"run.head.settings lacks '{key}', a setting of the head '{head.name}'. {_AGAIN}"
        elif not _like(head.settings[key], default):
            yield f"run.head.settings.{key} is {head.settings[key]!r}; expected a value like {default!r}."
    own = head_info(head.name)
    for name, given, expected in (("note", result.note, own.note), ("is_control", result.is_control, own.control)):
        if given != expected:
            yield f"{name} is '{given}'; beside the head '{head.name}' stands '{expected}'."


def _like(value: object, default: object) -> bool:
    """Say whether a setting is of its default's kind. The head itself would know more, but is not imported here."""
    if value is None or default is None:
        return default is None and isinstance(value, bool | int | float | str | None)
    if isinstance(value, bool) or isinstance(default, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    return isinstance(value, int | float if isinstance(default, int | float) else type(default))


def _prediction_problems(result: Result, content: bytes, *, known_task: bool) -> Iterator[str]:
    """Yield how an examined record's predictions fail: digest, columns, questions, scores anew."""
    said = result.predictions
    if said is None:
        yield f"{RESULT} names no predictions, so nothing can be scored anew. {_AGAIN}"
        return
    if (found := hashlib.sha256(content).hexdigest()) != said.sha256:
        yield (
            f"{PREDICTIONS} has the SHA-256 {found[:12]}…, not {said.sha256[:12]}… as {RESULT} says: it was edited, "
            "damaged, or is that of another run. Send both files as they were written."
        )
    predictions = parse_predictions(content, PREDICTIONS)
    problems = [*_column_problems(result.run.task, said, predictions)]
    yield from problems
    if known_task:
        yield from question_problems(result, predictions)
    if not problems:  # else nothing sensible can be compared
        yield from (f"{difference}." for difference in differences(result, rescore(result, predictions)))


def _column_problems(task: TaskSpec, said: PredictionsFile, predictions: Predictions) -> Iterator[str]:
    """Yield how the columns contradict the record."""
    for what in ("images", "splits", "leaves", "terms"):
        yield from word_problems(what, getattr(predictions, what))
    if predictions.splits != task.evaluate:
        yield (
            f"{PREDICTIONS} has the splits {first_few(predictions.splits)}; the task's are {first_few(task.evaluate)}."
        )
    controls = tuple(name for name in task.controls if name != "chance")
    if set(predictions.controls) != set(controls):
        found = first_few(predictions.controls, 9)
        yield f"{PREDICTIONS} has the controls {found}; the task's are {first_few(controls, 9)}."
    if len(predictions) != said.n_questions:
        yield f"{PREDICTIONS} has {len(predictions):,} questions, not {said.n_questions:,} as {RESULT} says."
    yield from size_problems(predictions)
    if (digest := predictions.questions_digest()) != said.questions:
        yield (
            f"The questions in {PREDICTIONS} have the digest {digest[:12]}…, not {said.questions[:12]}… as {RESULT} "
            "says: they were edited."
        )
