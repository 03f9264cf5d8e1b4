"""What `--set language=` makes of tasks."""

from taxbench.specs.language_pair import ENGLISH, LanguagePair
from taxbench.specs.task import TaskSpec
from taxbench.tasks.language_files import find_language, own_folder
from taxbench.util.errors import UsageError

LANGUAGE = "language"
"""What `--set` changes of the tasks themselves."""


def language_pair(text: str) -> LanguagePair:
    """Return what a user calls a language: `de`, asked after training in English, or `de:en`, training first.

    Raises:
        UsageError: it is none of that, the language is unknown, or none of its words is reviewed.
        TaskError: its file is broken.
    """
    train, colon, test = text.strip().rpartition(":")
    for code in (train, test) if colon else (test,):
        if code != ENGLISH and not any(label.reviewed for label in find_language(code).labels.values()):
            raise UsageError(
                f"None of the words of the language '{code}' is reviewed, and what is not is never asked. Write "
                f"reviewed: true at those that are right in {own_folder() / code}.yaml."
            )
    return LanguagePair(train=train or ENGLISH, test=test)


def in_languages(tasks: list[TaskSpec], pairs: list[LanguagePair]) -> tuple[list[TaskSpec], list[str]]:
    """Return tasks in English, which the others are compared with, then in some languages; and what is left out.

    Raises:
        UsageError: one of the tasks says its languages itself, or none can be asked in others.
    """
    if named := [task.name for task in tasks if not task.questions.language.is_english]:
        raise UsageError(f"--set {LANGUAGE}=…: '{named[0]}' says its languages itself. Name the task that it extends.")
    fit = [task for task in tasks if task.property_questions is None and not task.questions.second_image]
    if not fit:
        raise UsageError(
            f"--set {LANGUAGE}=…: tasks about properties are in English only, as are those about two images."
        )
    all_of_them = dict.fromkeys((LanguagePair(), *pairs))
    left_out = ", ".join(task.name for task in tasks if task not in fit)
    notes = [f"{left_out}: about properties or two images, in English only; left out."] if left_out else []
    return [task.in_languages(pair) for task in fit for pair in all_of_them], notes
