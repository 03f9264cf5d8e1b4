"""The tokens of answers, as they follow a question in a tokenizer's own way."""

from collections.abc import Callable

from taxbench.util.errors import ModelError

Encode = Callable[[str], list[int]]
"""Turns a text into token ids, without special tokens."""
Strings = tuple[tuple[int, ...], ...]
"""Answers, each as its token ids."""


def answer_tokens(
    encode: Encode, question: str, answers: tuple[tuple[str, ...], tuple[str, ...]], blanks: tuple[str, ...] = (" ",)
) -> tuple[Strings, Strings]:
    """Return the tokens of the positive and of the negative answers, as they follow a question.

    An answer that goes on where another one of its set has ended says nothing new and is left out.

    Args:
        answers: The positive and the negative ones.
        blanks: What may stand between question and answer.

    Raises:
        ModelError: a positive and a negative answer are the same tokens, or one of them begins with the other.
    """
    positive, negative = (
        {_after(encode, question, blank + text): text for blank in blanks for text in texts} for texts in answers
    )
    for tokens, text in positive.items():
        for others, other in negative.items():
            if _begins(tokens, others) or _begins(others, tokens):
                raise ModelError(
                    f"The answers '{text}' and '{other}' cannot be told apart: as this model's tokens, one begins with "
                    "all of the other. Choose answers that part somewhere."
                )
    return _shortest(tuple(positive)), _shortest(tuple(negative))


def _shortest(strings: Strings) -> Strings:
    """Return the answers' token strings of which no other one is a beginning."""
    return tuple(x for x in strings if not any(x != other and _begins(x, other) for other in strings))


def _begins(tokens: tuple[int, ...], start: tuple[int, ...]) -> bool:
    """Tell whether the tokens of an answer begin with those of another."""
    return tokens[: len(start)] == start


def _after(encode: Encode, question: str, answer: str) -> tuple[int, ...]:
    """Return the tokens of an answer as they follow a question."""
    prefix, ids = encode(question), encode(question + answer)
    # A tokenizer may merge across the border; the answer begins where the two encodings part.
    same = next((i for i, (a, b) in enumerate(zip(prefix, ids, strict=False)) if a != b), len(prefix))
    if same < len(prefix) or same >= len(ids):
        ids, same = encode(answer), 0
    return tuple(ids[same:])
