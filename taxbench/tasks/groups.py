"""Check the members of groups: that they are there, lead to no circle, and can be averaged where weights say so."""

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from taxbench.tasks.diagnostics import Diagnostic, in_order, in_short
from taxbench.tasks.task_files import TaskFile
from taxbench.util.errors import did_you_mean

Graph = dict[Path, list[Path]]
"""By the file of each group, the files of the groups among its members."""


def group_problems(
    groups: Iterable[TaskFile], known: Mapping[str, TaskFile], broken: Iterable[Path]
) -> dict[Path, tuple[Diagnostic, ...]]:
    """Return what is wrong with groups, by file; a group with a member that cannot be used cannot be used either.

    Args:
        groups: The files of the groups.
        known: The file of every name.
        broken: The files that cannot be used, for saying why a member is not known.
    """
    files = {file.path: file for file in groups}
    graph = {path: [known[member].path for member in file.group.members if member in known and known[member].is_group]
             for path, file in files.items() if file.group}  # fmt: skip
    circles: dict[Path, list[Path]] = {}
    try:
        inside_out = list(TopologicalSorter(graph).static_order())
    except CycleError:
        circles = {path: circle for path in graph if (circle := _way_back(path, graph))}
        others = {path: [] if path in circles else members for path, members in graph.items()}
        inside_out = [*circles, *TopologicalSorter(others).static_order()]
    unusable = {path.stem: path for path in broken}
    problems: dict[Path, tuple[Diagnostic, ...]] = {}
    for path in inside_out:
        group = files[path].group if path in files and path not in problems else None
        if group is None:
            continue
        circle = circles.get(path, [])
        errors: list[Diagnostic] = []
        for index, member in enumerate(group.members):
            file, text = known.get(member), ""
            if file is not None and file.path in circle:
                if file.path == circle[1]:
                    text = f"members[{index}]: the group contains itself: {in_short([one.stem for one in circle])}"
            elif file is None or file.path in problems:
                why = f"cannot be used, see {unusable[member]}." if member in unusable else ""
                why = why or f"is not a task or group.{did_you_mean(member, known)}"
                text = f"members[{index}]: '{member}' {why}"
            elif group.weights is not None and file.group is not None and file.group.group == member:
                kind = "group" if file.is_group else "curve"
                errors.append(
                    files[path].locate(("weights",), f"weights: members must be tasks, '{member}' is a {kind}")
                )
            if text:
                errors.append(files[path].locate(("members", index), text))
        if errors:
            problems[path] = in_order(errors)
            unusable[group.group] = path
    return problems


def _way_back(goal: Path, graph: Graph) -> list[Path]:
    """Return the shortest chain from a group to itself, or nothing."""
    came_from: dict[Path, Path] = {}
    waiting = [goal]
    for path in waiting:
        for member in graph.get(path, ()):
            if member == goal:
                way = [path, goal]
                while way[0] != goal:
                    way.insert(0, came_from[way[0]])
                return way
            if member not in came_from:
                came_from[member] = path
                waiting.append(member)
    return []
