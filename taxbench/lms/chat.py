"""What a tokenizer's own chat template makes of what a user says."""

from datetime import datetime
from typing import Any

from taxbench.specs.task import IMAGE, QUESTION
from taxbench.util.errors import ModelError, first_line

SIGNS = {IMAGE: "\ue000", QUESTION: "\ue001"}
"""What stands for an image and a question while a template says them: letters that nothing else has."""
_DAY = datetime(2024, 7, 26)  # what templates take for today, so that a run is the same tomorrow
_ANOTHER = "Choose another frame, such as --set frame=qa."


def in_chat(content: Any, tokenizer: Any) -> str:
    """Have the tokenizer's own template say what a user says, up to where the answer begins; thinking is off.

    Raises:
        ModelError: there is no template, or it fails.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise ModelError(f"The model has no chat template. {_ANOTHER}")
    try:
        said = tokenizer.apply_chat_template(
            [{"role": "user", "content": content}],
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=False,
            date_string=_DAY.strftime("%d %b %Y"),
            strftime_now=_DAY.strftime,
        )
    except Exception as error:  # a template is a program, and may raise whatever it likes
        raise ModelError(f"The model's chat template fails ({first_line(error)}). {_ANOTHER}") from None
    return str(said)


def around_in_chat(text: str, tokenizer: Any) -> str:
    """Have the template say a text around an image and a question, with `SIGNS` in their places.

    Raises:
        ModelError: as for `in_chat`, or it does not say both once and in their order.
    """
    for name, sign in SIGNS.items():
        text = text.replace(name, sign)
    chat = in_chat(text, tokenizer)
    for name, sign in SIGNS.items():
        if (times := chat.count(sign)) != 1:
            raise ModelError(f"The model's chat template says the {name} {times} times, not once. {_ANOTHER}")
    image, question = SIGNS.values()
    if (chat.index(image) < chat.index(question)) != (text.index(image) < text.index(question)):
        raise ModelError(f"The model's chat template exchanges image and question. {_ANOTHER}")
    return chat
