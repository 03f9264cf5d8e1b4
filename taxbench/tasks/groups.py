"""Check the members of groups: that they are there, lead to no circle, and can be averaged where weights say so."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from taxbench.specs.task import GroupSpec
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
    checks = _Checks(known, {path.stem: path for path in broken})
    graph: Graph = {path: list(checks.groups_in(file)) for path, file in files.items()}
    circles = _circles(graph)
    inside_out = TopologicalSorter({path: () if path in circles else graph[path] for path in graph}).static_order()
    for path in (*circles, *inside_out):
        if path in files and path not in checks.found:
            checks.check(files[path], circles.get(path, []))
    return checks.found


@dataclass
class _Checks:
    known: Mapping[str, TaskFile]
    broken: dict[str, Path]
    """Names that cannot be used, and where they are defined."""
    found: dict[Path, tuple[Diagnostic, ...]] = field(default_factory=dict)

    def groups_in(self, file: TaskFile) -> Iterator[Path]:
        """Yield the files of a group's members that are groups."""
        for member in _spec(file).members:
            if member in self.known and self.known[member].is_group:
                yield self.known[member].path

    def check(self, file: TaskFile, circle: list[Path]) -> None:
        """Keep what is wrong with one group, after those that it names."""
        if problems := in_order([*self._members(file, circle), *self._circle(file, circle)]):
            self.found[file.path] = problems
            self.broken[_spec(file).group] = file.path

    def _members(self, file: TaskFile, circle: list[Path]) -> Iterator[Diagnostic]:
        group = _spec(file)
        for index, member in enumerate(group.members):
            other = self.known.get(member)
            if other is not None and other.path in circle:
                continue
            if other is None or other.path in self.found:
                why = f"is no task or group.{did_you_mean(member, self.known)}"
                if member in self.broken:
                    why = f"cannot be used, see {self.broken[member]}."
                yield file.locate(("members", index), f"members[{index}]: '{member}' {why}")
            elif group.weights is not None and other.group is not None and other.group.group == member:
                kind = "group" if other.is_group else "curve"
                yield file.locate(("weights",), f"weights: members must be tasks, '{member}' is a {kind}")

    def _circle(self, file: TaskFile, circle: list[Path]) -> Iterator[Diagnostic]:
        """Say that a group contains itself, at the member where that begins."""
        for index, member in enumerate(_spec(file).members):
            if circle and member in self.known and self.known[member].path == circle[1]:
                chain = in_short([path.stem for path in circle])
                yield file.locate(("members", index), f"members[{index}]: the group contains itself: {chain}")
                return


def _spec(file: TaskFile) -> GroupSpec:
    assert file.group is not None
    return file.group


def _circles(graph: Graph) -> dict[Path, list[Path]]:
    """Return the shortest way back of every group that contains itself."""
    sorter = TopologicalSorter(graph)
    try:
        sorter.prepare()
        return {}
    except CycleError:  # what can be sorted still is; the rest is in a circle, or leads to one
        left = set(graph)
        while ready := sorter.get_ready():
            left -= set(ready)
            sorter.done(*ready)
    return {path: way for path in graph if path in left and (way := _way_back(path, graph, left))}


def _way_back(goal: Path, graph: Graph, among: set[Path]) -> list[Path]:
    """Return the shortest chain from a group to itself, or nothing."""
    came_from: dict[Path, Path] = {}
    waiting = [goal]
    for path in waiting:
        for member in graph[path]:
            if member == goal:
                way = [path, goal]
                while way[0] != goal:
                    way.insert(0, came_from[way[0]])
                return way
            if member in among and member not in came_from:
                came_from[member] = path
                waiting.append(member)
    return []
