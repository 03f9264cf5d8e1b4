"""Task files and languages, as tests read and write them."""

from pathlib import Path

from taxbench.specs.task import TaskSpec
from taxbench.tasks.inheritance import BUILTIN, TaskPath
from taxbench.tasks.language_files import BUILTIN_LANGUAGES
from taxbench.tasks.registry import TaskRegistry


def load_task(path: Path) -> TaskSpec:
    """Return the task of a file that has one; raises TaskError with every problem, one a line."""
    (task,) = TaskRegistry(TaskPath((BUILTIN,))).file(str(path)).tasks
    return task


def write_german(folder: Path, code: str, *without: str) -> None:
    """Write German under another code, in which some terms have no reviewed label."""
    text = (BUILTIN_LANGUAGES / "de.yaml").read_text(encoding="utf-8").replace("language: de", f"language: {code}", 1)
    lines = [line for line in text.splitlines() if not any(line.startswith(f"  {term}: ") for term in without)]
    (folder / f"{code}.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
