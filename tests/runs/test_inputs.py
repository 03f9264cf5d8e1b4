"""Which tasks whole systems can be asked."""

import pytest

from taxbench.runs.inputs import asked_of_systems
from taxbench.tasks.registry import find_tasks
from taxbench.util.errors import UsageError

TASKS = find_tasks().tasks
SOME = ["unseen_hypernym", "property_alive", "property_alive_within", "compare_pair_size", "compare_pair_size_taught"]


@pytest.mark.parametrize(("reader", "kept"), [("answer", SOME[:2]), ("match", SOME[:1])])
def test_tasks_that_a_system_cannot_be_asked_are_left_out_with_a_reason(reader: str, kept: list[str]) -> None:
    found, notes = asked_of_systems([TASKS[name] for name in SOME], [reader])
    assert [task.name for task in found] == kept
    said = " ".join(notes)
    assert "property_alive_within: images and names are paired anew" in said
    assert "compare_pair_size, compare_pair_size_taught: they show two images at a time; left out." in said
    assert ("property_alive: they ask whole questions" in said) is (reader == "match")
    with pytest.raises(UsageError, match=r"two images at a time\. Systems are asked tasks such as unseen_hypernym"):
        asked_of_systems([TASKS["compare_pair_size"]], [reader])
