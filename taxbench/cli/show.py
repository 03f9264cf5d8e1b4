"""`taxbench show`: a task with all it inherits, and what a dataset makes of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from taxbench.cli.completion import complete_task
from taxbench.cli.options import dataset_options, include_path, json_option, properties_option, seed_option
from taxbench.util.text import plain_json

if TYPE_CHECKING:
    from taxbench.protocol.task_preview import TaskReport
    from taxbench.specs.task import TaskSpec
    from taxbench.tasks.registry import TaskRegistry
    from taxbench.tasks.task_files import TaskFile


@click.command("show")
@click.argument("task", shell_complete=complete_task)
@dataset_options
@properties_option
@seed_option
@include_path
@json_option
def command(task: str, as_json: bool, include: tuple[Path, ...], **how: Any) -> None:
    """Print TASK (a name or a YAML file) as it holds, where each value comes from, and what a dataset makes of it.

    Of a curve or a group, its members.
    """
    from taxbench.tasks.registry import find_tasks

    registry = find_tasks(include, names=[task])
    file = registry.file(task)
    if file.group is not None and task not in registry.tasks:
        _show_members(registry, task, file, as_json)
        return
    spec = registry.tasks[task] if task in registry.tasks else file.tasks[0]
    _show_task(registry, spec, file, how, as_json)


def _show_members(registry: "TaskRegistry", name: str, file: "TaskFile", as_json: bool) -> None:
    """Print a group or curve and the tasks in it, as text or JSON."""
    group, members = file.group, registry.resolve([name])
    assert group is not None
    kind = "group" if file.is_group else "curve"
    if as_json:
        rows = [{"name": each.name, "identity": each.identity, "summary": each.summary} for each in members]
        click.echo(plain_json({"kind": kind, **dict(group), "tasks": rows}))
        return
    click.echo(f"{kind} {group.group}: {group.summary}")
    averaged = {None: "not averaged", "equal": "averaged, all alike"}
    said = "averaged by weight" if isinstance(group.weights, dict) else averaged[group.weights]
    click.echo(f"{len(members)} tasks, {said}:")
    width = max(len(each.identity) for each in members)
    for each in members:
        weight = (
            f"  {group.weights[each.name]:g}" if isinstance(group.weights, dict) and each.name in group.weights else ""
        )
        click.echo(f"  {each.identity.ljust(width)}{weight}  {each.summary}")


def _show_task(
    registry: "TaskRegistry", task: "TaskSpec", file: "TaskFile", how: dict[str, Any], as_json: bool
) -> None:
    """Print a task's values with their sources and the report on a dataset, as text or JSON."""
    from taxbench.datasets.dataset import load_dataset
    from taxbench.protocol.task_preview import report_task
    from taxbench.tasks.diagnostics import dotted
    from taxbench.tasks.provenance import as_yaml, values_of

    values = values_of(task, file, registry.task_path)
    report = report_task(task, load_dataset(how["dataset"], how["taxonomy"], how["properties"]), how["seed"])
    if as_json:
        sources = {dotted(each.key): {"value": each.value, "from": each.source} for each in values}
        row = {"name": task.name, "identity": task.identity, "file": str(file.path), "values": sources}
        click.echo(plain_json(row, report=report))
        return
    click.echo(f"{as_yaml(values)}\nidentity {task.identity}\n")
    for line in _report_lines(report):
        click.echo(line)


def _report_lines(report: "TaskReport") -> Iterator[str]:
    """Yield the lines that show what a dataset makes of a task: splits, evidence, sample questions."""
    yield (
        f"dataset {report.dataset}, seed {report.seed}: {report.images} images, {report.leaves} leaves, "
        f"{report.hypernyms} hypernyms"
    )
    for note in report.notes:
        yield f"  {note}"
    if report.splits:
        yield "\n  split         questions   images  terms  positive  terms with one answer only"
    for row in report.splits:
        yield (
            f"  {row.split:<12} {row.questions:>10} {row.images:>8} {row.terms:>6} {row.positive:>8.1%}"
            f"  {row.one_class or '-':>5}"
        )
    if report.evidence:
        found = report.evidence
        removed = "none to remove" if found.removed_fraction is None else f"{found.removed_fraction:.1%} removed"
        yield f"\ntraining: {found.n_leaf_questions} leaf and {found.n_hypernym_questions} hypernym questions an epoch"
        yield f"  hypernym evidence: {removed}"
        for what, names in (
            ("removed hypernyms", found.removed_hypernyms),
            ("held-out leaves", found.heldout_leaves),
            ("leaves that name a denied hypernym", tuple(map(str, found.leaks))),
            ("of them left out of training", found.dropped_leaves),
            ("leaves without a training picture", found.unpictured_leaves),
            ("leaves whose name says a word of a question, not asked it", found.unasked_leaves),
            ("leaves not moved by the re-pairing", found.fixed_points),
        ):
            if names:
                yield f"  {what} ({len(names)}): {', '.join(names)}"
    if report.samples:
        yield "\nten questions (an epoch of training, and the test)"
    for sample in report.samples:
        yield f"  {sample.split:<12} {sample.question} {sample.answer}   [{sample.image}]"
