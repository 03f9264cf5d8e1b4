"""Check the members of groups: that they are there, lead to no circle, and can be averaged where weights say so."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from taxbench.tasks.diagnostics import Diagnostic, in_order
from taxbench.tasks.task_files import TaskFile
from taxbench.util.errors import did_you_mean

Problems = dict[Path, tuple[Diagnostic, ...]]


def group_problems(groups: Iterable[TaskFile], known: Mapping[str, TaskFile], broken: Iterable[Path]) -> Problems:
    """Return what is wrong with groups, by file; a group with a member that cannot be used cannot be used either.

    Args:
        known: The file of every name.
        broken: The files that cannot be used, for saying why a member is not known.
    """
    circles = {file.path: (file, _way_back(file, known)) for file in groups}
    problems: Problems = {}
    while True:  # until no group is the worse for another one
        unusable = {path.stem: path for path in broken} | {
            file.group.group: path for path, (file, _) in circles.items() if path in problems and file.group
        }
        found = {path: in_order(_wrong(file, circle, known, unusable)) for path, (file, circle) in circles.items()}
        found = {path: wrong for path, wrong in found.items() if wrong}
        if found.keys() == problems.keys():
            return found
        problems = found


def _wrong(
    file: TaskFile, circle: list[Path], known: Mapping[str, TaskFile], unusable: Mapping[str, Path]
) -> Iterable[Diagnostic]:
    """Yield what is wrong with one group, some of whose members may be unusable."""
    assert file.group is not None
    for index, name in enumerate(file.group.members):
        member, key = known.get(name), ("members", index)
        if member is not None and member.path in circle:
            if member.path == circle[1]:
                chain = " → ".join(path.stem for path in circle)
                yield file.locate(key, f"members[{index}]: the group contains itself: {chain}")
        elif member is None or member.path in unusable.values():
            why = f"cannot be used, see {unusable[name]}." if name in unusable else ""
            why = why or f"is not a task or group.{did_you_mean(name, known)}"
            yield file.locate(key, f"members[{index}]: '{name}' {why}")
        elif file.group.weights is not None and member.group is not None and member.group.group == name:
            kind = "group" if member.is_group else "curve"
            yield file.locate(("weights",), f"weights: members must be tasks, '{name}' is a {kind}")


def _way_back(goal: TaskFile, known: Mapping[str, TaskFile]) -> list[Path]:
    """Return the shortest chain of files from a group to itself, or nothing."""
    waiting, came_from = [goal], {goal.path: [goal.path]}
    for file in waiting:
        for name in file.group.members if file.is_group and file.group else ():
            member = known.get(name)
            if member is not None and member.path == goal.path:
                return [*came_from[file.path], goal.path]
            if member is not None and member.path not in came_from:
                came_from[member.path] = [*came_from[file.path], member.path]
                waiting.append(member)
    return []
