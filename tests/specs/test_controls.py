"""The table of controls: complete, in agreement with the heads it names, and read by the schema."""

from typing import get_args

from taxbench.registry.heads import head_info, heads
from taxbench.specs.controls import CONTROLS, ControlName, control_title, in_order
from taxbench.tasks.schema import task_file_schema


def test_the_table_has_every_control_that_a_task_may_name() -> None:
    assert set(CONTROLS) == set(get_args(ControlName)) and all(name == each.name for name, each in CONTROLS.items())
    assert {name: control.variant for name, control in CONTROLS.items() if control.variant != "none"} == {
        "random_lm": "random_lm", "shuffled_features": "shuffled_features",
    }  # fmt: skip


def test_controls_with_a_head_of_their_own_and_heads_that_are_controls_are_the_same() -> None:
    named = {control.head for control in CONTROLS.values() if control.head}
    assert named == {name for name in heads() if head_info(name).control}
    assert all((control.changes == "head") is bool(control.head) for control in CONTROLS.values())


def test_the_schema_of_a_task_explains_each() -> None:
    text = str(task_file_schema())
    assert all(f"`{name}`: {control.help}" in text.replace('\\"', '"') for name, control in CONTROLS.items())


def test_controls_of_a_newer_release_follow_in_the_order_of_their_names() -> None:
    assert in_order({"zeal", "text_only", "a_new_one", "chance"}) == ["chance", "text_only", "a_new_one", "zeal"]
    assert control_title("a_new_one") == "a new one" and control_title("shuffled_features") == "shuffled"
