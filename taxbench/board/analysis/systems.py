"""The sides of a comparison: each one system, named by a folder or chosen among results, and all the tasks of both."""

import re
import shlex
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from taxbench.board.load import load_predictions, load_records
from taxbench.board.roles import task_order
from taxbench.board.rows import chosen_settings, grouped, record_key
from taxbench.scoring.comparison import Comparison, SystemScores, compare, holm
from taxbench.specs.result import Result
from taxbench.util.errors import UsageError, did_you_mean, first_few
from taxbench.util.seeds import rng

_NAMES = ("dataset", "encoder", "lm", "head")
_ALIASES = {"model": "lm"}


@dataclass(frozen=True, slots=True)
class System:
    """One system: of every task it was asked, the runs that differ in nothing but the seed."""

    name: str
    """What the user called it."""
    tasks: dict[str, list[Result]]
    """Its results by `name@version#hash`."""

    def in_order(self) -> list[str]:
        """Return its tasks, those of the question first."""
        return sorted(self.tasks, key=lambda task: task_order(self.tasks[task][0].run.task))

    def side(self, task: str, seeds: Sequence[int]) -> SystemScores:
        """Return the system's answers to one task, as one side of a comparison.

        Raises:
            DataError: predictions are missing or damaged, not those of the record, or of an older form.
        """
        results = [result for result in self.tasks[task] if result.seed in seeds]
        predictions = map(load_predictions, results)
        return SystemScores(self.name, tuple(seeds), tuple(predictions))


@dataclass(frozen=True, slots=True)
class TaskComparison:
    """Both sides on one task."""

    task: str
    comparison: Comparison
    holm_p: float | None
    """p of the permutation test, adjusted for how many tasks are compared."""


@dataclass(frozen=True, slots=True)
class FieldDiff:
    """One fact in which two systems differ."""

    fact: str
    a: str
    b: str


@dataclass(frozen=True, slots=True)
class SystemComparison:
    """Two systems on all tasks that both have."""

    a: str
    b: str
    apart: tuple[FieldDiff, ...]
    tasks: tuple[TaskComparison, ...]
    notes: tuple[str, ...]
    """What is not compared, and why; what is noted of a side, such as that it is an upper bound."""


def find_sides(a: str, b: str, results: Sequence[Path], also: str = "") -> tuple[System, System]:
    """Return the systems that a user means by a folder with results each, or by `head=mlp,encoder=pocket`.

    Args:
        results: Folders in which names are looked up.
        also: What else was typed, for the command that an error proposes.

    Raises:
        UsageError: a side has no system, or more than one: the message lists them and what tells them apart.
        DataError: a record is broken.
    """
    sides = [_named(name, results) for name in (a, b)]
    if any(len(side.systems) > 1 for side in sides):
        raise UsageError(_several(sides, also))
    one, other = (System(side.name, {group[0].task: group for group in side.groups}) for side in sides)
    return one, other


def compare_systems(a: System, b: System, tasks: Iterable[str] = (), split: str | None = None) -> SystemComparison:
    """Compare two systems on the tasks that both have, with the seeds that both have.

    Args:
        tasks: Names of tasks; none: all.
        split: None: each task's headline split.

    Raises:
        UsageError: no task can be compared; says why, task by task.
        DataError: predictions are missing or damaged.
    """
    shared, notes, found = _shared(a, b, tuple(tasks)), _alone(a, b), dict[str, Comparison]()
    for task in shared:
        try:
            found[task] = _compared(a, b, task, split, notes)
        except UsageError as error:
            notes.append(f"{task} is not compared. {error}")
    if not found:
        raise UsageError("\n".join(notes))
    tested = {task: each.permutation_p for task, each in found.items() if each.permutation_p is not None}
    adjusted = dict(zip(tested, holm(list(tested.values())), strict=True))
    rows = tuple(TaskComparison(task, each, adjusted.get(task)) for task, each in found.items())
    first = [side.tasks[next(iter(found))][0] for side in (a, b)]
    notes += [f"{side}: {result.note}." for side, result in zip("AB", first, strict=True) if result.note]
    mine, yours = map(facts, first)
    # Settings that only one side's head has follow from the head.
    shared_facts = [name for name in mine if name in yours and mine[name] != yours[name]]
    apart = tuple(FieldDiff(name, mine[name], yours[name]) for name in shared_facts)
    return SystemComparison(a.name, b.name, apart, rows, tuple(notes))


def facts(result: Result) -> dict[str, str]:
    """Return everything that tells a result's system from others, as text by name; task and seed are not of it."""
    run = result.run
    known = {
        **{name: getattr(result, name) for name in _NAMES},
        "features": run.encoder.reading,
        "limit": run.dataset.limit or "none",
        **(run.head.settings | chosen_settings(run)),  # a head's own settings tell systems apart before others
        "properties_digest": (run.dataset.properties or "none")[:8],
        "dataset_digest": run.dataset.fingerprint[:8],
        "encoder_digest": run.encoder.digest[:8],
        "features_digest": run.encoder.features[:8],
        "lm_digest": run.lm.digest[:8],
        "head_digest": run.head.source[:8],
        "dtype": run.lm.dtype,
        "device": run.device,
        **result.versions.model_dump(exclude_none=True),  # the release, named taxbench, and numerics among them
    }
    if run.language:
        known |= {
            "test_frame": run.language.prompt.frame,
            "test_answer_form": run.language.prompt.answer_form,
            "taught_words_digest": (run.language.taught or "none")[:8],
            "asked_words_digest": (run.language.asked or "none")[:8],
        }
    return {name: str(value) for name, value in known.items()}


_Facts = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Named:
    """All systems that a user may mean by the name of one side."""

    name: str
    chosen: dict[str, str]
    """The facts that it names; of a folder none."""
    folders: Sequence[Path]
    """Where they were looked up."""
    groups: list[list[Result]]
    """Their results, grouped over seeds."""
    systems: dict[_Facts, list[list[Result]]]
    """The groups of each, by what tells it apart."""

    def call(self, system: _Facts) -> str:
        """Return what to type for one of them."""
        told = ",".join(f"{key}={value}" for key, value in system)
        return self.name if len(self.systems) == 1 else f"{self.name},{told}" if self.chosen else told


def _named(name: str, results: Sequence[Path]) -> _Named:
    """Return the systems that a side's name may mean, one at least."""
    path = Path(name).expanduser()
    chosen = {} if path.exists() or "=" not in name else _choice(name)
    folders = results if chosen else [path.parent if path.is_file() else path]
    found = [load_records([folder]) for folder in folders]
    there = [result for each in found for result in each.results]
    mine = [result for result in there if chosen.items() <= facts(result).items()]
    if not mine:
        raise UsageError(_nothing(name, chosen, there))
    groups = grouped(mine)
    return _Named(name, chosen, folders, groups, _systems(groups))


def _choice(text: str) -> dict[str, str]:
    """Return the facts that a selector names; a comma belongs to a value unless another KEY= follows."""
    chosen = dict[str, str]()
    for part in re.split(r",\s*(?=\w+=)", text):
        key, equals, value = part.partition("=")
        if not equals:
            raise UsageError(f"'{text}' names no system: expected a folder, or KEY=VALUE,KEY=VALUE such as head=mlp.")
        chosen[_ALIASES.get(key.strip(), key.strip())] = value.strip()
    return chosen


def _nothing(name: str, chosen: dict[str, str], results: Sequence[Result]) -> str:
    """Say why no result is of the system that was named."""
    there = defaultdict[str, set[str]](set)
    for result in results:
        for key, value in facts(result).items():
            there[key].add(value)
    for key, value in chosen.items():
        if key not in there:
            return f"'{name}': no result has '{key}'.{did_you_mean(key, there)} Names: {first_few(there, 12)}."
        if value not in there[key]:
            close = did_you_mean(value, there[key])
            return f"'{name}': no result has {key}={value}.{close} There are {first_few(sorted(there[key]), 10)}."
    return f"'{name}': no result has all of that together. See what is there: taxbench leaderboard show"


def _systems(groups: list[list[Result]]) -> dict[_Facts, list[list[Result]]]:
    """Return the groups of each system by what tells it apart: names, and of what differs behind them the fewest.

    Tasks may bring settings of their own, so other facts count only within a task.
    """
    said = [facts(group[0]) for group in groups]
    telling = {name for name in _NAMES if len({each[name] for each in said}) > 1}
    alike = defaultdict[tuple[str, ...], list[dict[str, str]]](list)
    for group, each in zip(groups, said, strict=True):
        alike[group[0].task, *(each[name] for name in _NAMES)].append(each)
    for block in alike.values():
        for name in block[0]:
            if _kinds(block, telling | {name}) > _kinds(block, telling):
                telling.add(name)
    systems = defaultdict[_Facts, list[list[Result]]](list)
    for group, each in zip(groups, said, strict=True):
        systems[tuple((name, each[name]) for name in each if name in telling)].append(group)
    return systems


def _kinds(systems: list[dict[str, str]], names: set[str]) -> int:
    """Return how many systems some facts tell apart."""
    return len({tuple(each.get(name) for name in sorted(names)) for each in systems})


def _several(sides: Sequence[_Named], also: str) -> str:
    """List the systems of each side that has several, what tells them apart, and a command in which each has one."""
    blocks = {side.name: _listed(side) for side in sides if len(side.systems) > 1}
    pair = max(product(*(side.systems.items() for side in sides)), key=lambda pair: _alike(*(each for _, each in pair)))
    words = [side.call(system) for side, (system, _) in zip(sides, pair, strict=True)]
    folders = dict.fromkeys(folder for side in sides if side.chosen or side.name in blocks for folder in side.folders)
    where = "".join(f" --results {shlex.quote(str(folder))}" for folder in folders)
    return "\n".join([*blocks.values(), f"Say which: taxbench compare {shlex.join(words)}{where}{also}"])


def _listed(side: _Named) -> str:
    """List the systems of a side."""
    lines = [f"'{side.name}' holds {len(side.systems)} systems, and a side is one:"]
    for system, groups in side.systems.items():
        tasks = dict.fromkeys(group[0].task.partition("@")[0] for group in groups)
        seeds = sorted({result.seed for group in groups for result in group})
        told = ",".join(f"{key}={value}" for key, value in system)
        lines.append(f"  {told}  ({first_few(tasks, 3)}; seeds {first_few(seeds)})")
    return "\n".join([*lines[:21], *([f"  and {len(lines) - 21} more"] if len(lines) > 21 else [])])


def _alike(one: list[list[Result]], other: list[list[Result]]) -> tuple[bool, int, int]:
    """Return how well two systems can be compared: whether they are two, by shared tasks and seeds, by shared facts."""
    mine, yours = ({(each.task, each.seed): record_key(each) for group in side for each in group}
                   for side in (one, other))  # fmt: skip
    said, told = (facts(side[0][0]).items() for side in (one, other))
    return mine != yours, len(mine.keys() & yours.keys()), len(said & told)


def _shared(a: System, b: System, names: tuple[str, ...]) -> list[str]:
    """Return the tasks to compare: those that both systems have, or of them the ones that are named."""
    both = [task for task in a.in_order() if task in b.tasks]
    if not both:
        raise UsageError("\n".join([f"'{a.name}' and '{b.name}' have no task in common.", *_alone(a, b)]))
    called = {task: (task, task.partition("@")[0]) for task in both}
    known = [*both, *(name for _, name in called.values())]
    for name in names:
        if name not in known:
            raise UsageError(
                f"'{a.name}' and '{b.name}' do not both have the task '{name}'.{did_you_mean(name, known)} "
                f"Both have {first_few(both, 12)}."
            )
    return [task for task in both if not names or {*called[task]} & {*names}]


def _alone(a: System, b: System) -> list[str]:
    """Say which tasks only one side has; another version or content of a task is another task."""
    alone = {one.name: [task for task in one.in_order() if task not in other.tasks] for one, other in ((a, b), (b, a))}
    return [f"Only '{name}' has {first_few(tasks, 12)}." for name, tasks in alone.items() if tasks]


def _compared(a: System, b: System, task: str, split: str | None, notes: list[str]) -> Comparison:
    """Compare two systems on one task, and note the seeds that are left out."""
    mine, yours = ({result.seed for result in side.tasks[task]} for side in (a, b))
    both = sorted(mine & yours)
    if not both:
        first, second = (first_few(sorted(each)) for each in (mine, yours))
        raise UsageError(
            f"'{a.name}' and '{b.name}' have no seed in common ({first} and {second}), and questions follow the seed. "
            f"Run one of them with the other's: taxbench run --seeds {second.replace(' ', '')}"
        )
    if left := sorted(mine ^ yours):
        notes.append(f"{task}: of the seeds, {first_few(left)} only one side has; compared are {first_few(both)}.")
    headline = split or a.tasks[task][0].run.task.headline
    return compare(a.side(task, both), b.side(task, both), headline, rng(0, "compare", task, headline))
