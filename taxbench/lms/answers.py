"""The tokens by which an answer is read: the first token of "Yes" as it follows a question. Nothing heavy here."""

from collections.abc import Callable

from taxbench.errors import ModelError

Encode = Callable[[str], list[int]]
"""Turns a text into token ids, without special tokens."""


def first_tokens(
    encode: Encode, question: str, answers: tuple[tuple[str, ...], tuple[str, ...]]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the first tokens of the positive and of the negative answers, as they follow a question.

    Answers of one set that begin with the same token count once.

    Raises:
        ModelError: a positive and a negative answer begin with the same token.
    """
    positive, negative = ({_first(encode, question, text): text for text in texts} for texts in answers)
    for token in positive.keys() & negative.keys():
        raise ModelError(
            f"The answers '{positive[token]}' and '{negative[token]}' begin with the same token of this model; choose "
            "answers that differ in their first token."
        )
    return tuple(positive), tuple(negative)


def _first(encode: Encode, question: str, answer: str) -> int:
    prefix, ids = encode(question), encode(f"{question} {answer}")
    # A tokenizer may merge across the blank; the answer begins where the two encodings part.
    same = next((i for i, (a, b) in enumerate(zip(prefix, ids, strict=False)) if a != b), len(prefix))
    if same < len(prefix) or same >= len(ids):
        ids, same = encode(f" {answer}"), 0
    return ids[same]
