"""Where image and question stand in the text, by name, by the user's own words, and by a model's chat template."""

from types import SimpleNamespace
from typing import Any

import pytest
from jinja2 import Environment
from pydantic import ValidationError

from taxbench.lms.frames import Frame, frame_of
from taxbench.specs.task import FRAMES, PromptSpec
from taxbench.util.errors import ModelError, UsageError

YES_NO = (("Yes",), ("No",))
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    "{% if enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}"
)


def tokenizer(template: str | None) -> Any:
    def apply(messages: list[dict[str, str]], tokenize: bool, **options: Any) -> str:
        return Environment().from_string(template or "").render(messages=messages, **options)

    return SimpleNamespace(chat_template=template, apply_chat_template=apply)


def frame(name: str, order: Any = "image_first", template: str | None = None, form: Any = "blank") -> Frame:
    return frame_of(PromptSpec(frame=name, answer_form=form), YES_NO, order, tokenizer(template))


@pytest.mark.parametrize("name", [name for name in FRAMES if name != "chat"])
@pytest.mark.parametrize("order", ["image_first", "question_first"])
def test_a_frame_in_pieces_is_its_text(name: str, order: Any) -> None:
    found = frame(name, order)
    image = found.said("crow") if name != "raw" else "IMAGE"
    whole = [found.opening, image, found.around("Is it?")] if found.image_first else [found.around("Is it?"), image]
    text = FRAMES[name][order == "question_first"]
    named = "A crow" if text.startswith("{image}") or "\n{image}" in text else "a crow"
    expected = text.replace("{image}", "IMAGE" if name == "raw" else named).replace("{question}", "Is it?")
    assert "".join([*whole, found.ending]) == expected


def test_the_published_frame_is_the_image_and_the_question() -> None:
    found = frame("raw")
    assert (found.opening, found.around("Is it?"), found.ending, found.said("crow")) == ("", "Is it?", "", " crow")


def test_a_chat_is_the_tokenizer_s_own_with_thinking_off() -> None:
    found = frame("chat", template=CHATML, form="bare")
    assert found.opening == "<|im_start|>user\nThis is an image of" and found.said("owl") == " an owl"
    assert found.around("Is it?") == (
        ". Is it? Answer Yes or No.<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    )
    assert found.blanks == ("",)
    turned = frame("chat", "question_first", CHATML)
    assert turned.around("Is it?").endswith("Is it? This is an image of") and "assistant" in turned.ending


@pytest.mark.parametrize(("template", "said"), [
    (None, "no chat template"), ("{{ raise_exception('roles') }}", "chat template fails"),
    ("{{ messages[0].content[:9] }}", "says the {image} 0 times"),
    ("{{ messages[0].content }}{{ messages[0].content }}", "says the {image} 2 times"),
    ("{{ messages[0].content.split('. ')[1] }} {{ messages[0].content.split('. ')[0] }}", "exchanges image and"),
])  # fmt: skip
def test_a_chat_template_that_cannot_serve_is_refused(template: str | None, said: str) -> None:
    with pytest.raises(ModelError, match=rf"{said}.*--set frame=qa"):
        frame("chat", template=template)


def test_a_chat_is_the_same_tomorrow_and_may_speak_of_places() -> None:
    dated = "Today is {{ strftime_now('%d %b %Y') }}, {image}: {{ messages[0].content }}"
    assert frame("chat", template=dated).before == "Today is 26 Jul 2024, {image}: This is an image of "


def test_a_frame_of_the_other_order_says_what_to_type() -> None:
    with pytest.raises(UsageError, match="Type --set order=question_first"):
        frame("{question} Look: {image}")
    assert frame("{question} Look: {image}!", "question_first").ending == "!"


@pytest.mark.parametrize("text", ["", "qaa", "{image}", "{question} only", "{image} {question} {image}"])
def test_a_frame_without_image_and_question_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="stand once each"):
        PromptSpec(frame=text)
