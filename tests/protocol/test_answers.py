"""Which tokens an answer is, and which answers a tokenizer cannot tell apart."""

import pytest

from taxbench.protocol.answer_tokens import answer_tokens
from taxbench.util.errors import ModelError


def words(text: str) -> list[int]:
    """Tokenise by words; 'Yep' is two tokens that begin as 'Yes' might."""
    return [ord(part[0]) * 100 + len(part) for part in text.replace("Yep", "Y ep").split()]


def merging(text: str) -> list[int]:
    """Tokenise by characters, the question mark and the blank after it together."""
    return [ord(part) for part in text.replace("? ", "¿")]


def test_answers_are_what_follows_the_question() -> None:
    positive, negative = answer_tokens(words, "Is it?", (("Yes", "Yep"), ("No",)))
    assert positive == (tuple(words("Yes")), tuple(words("Yep")))
    assert negative == (tuple(words("No")),)
    assert answer_tokens(merging, "Is it?", (("Yes",), ("No",)))[1] == (tuple(map(ord, " No")),)


def test_answers_that_go_on_where_another_one_of_their_set_ended_count_once() -> None:
    assert answer_tokens(words, "Is it?", (("Yes indeed", "Yes", "Yes"), ("No",)))[0] == (tuple(words("Yes")),)


@pytest.mark.parametrize("negative", ["Yes", "Yes not"])
def test_answers_of_both_kinds_that_begin_with_each_other_are_refused(negative: str) -> None:
    with pytest.raises(ModelError, match=f"'Yes' and '{negative}' cannot be told apart"):
        answer_tokens(words, "Is it?", (("Yes",), (negative,)))
