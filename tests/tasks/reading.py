"""Read one task file, as the tests of the task language do."""

from pathlib import Path

from taxbench.specs.task import TaskSpec
from taxbench.tasks.inheritance import BUILTIN, TaskPath
from taxbench.tasks.registry import TaskRegistry


def load_task(path: Path) -> TaskSpec:
    """Return the task of a file that has one; raises TaskError with every problem, one a line."""
    (task,) = TaskRegistry(TaskPath((BUILTIN,))).file(str(path)).tasks
    return task
