"""Text of figures, and texts of strangers made harmless."""

import pytest

from taxbench.util.text import escaped, has_unseen, number, plain, seen, short, signed
from tests.board.boards import HOSTILE


def test_figures_are_never_a_negative_zero_and_no_data_is_a_dash() -> None:
    assert (number(None), number(-0.0001), signed(0.05), signed(-0.0001)) == ("–", "0.000", "+0.050", "+0.000")


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_becomes_one_short_line_of_seen_letters(name: str) -> None:
    assert len(short(name)) <= 60 and plain(name).isprintable() and not has_unseen(seen(name))
    assert len(seen(name)) == len(name)


def test_what_is_printed_can_be_seen() -> None:
    assert escaped("a\x1b[2J\u202e\ud800") == r"a\u{1b}[2J\u{202e}\u{d800}"
    assert escaped("x" * 1000, 10) == "xxxxxxxxxx… (1,000 letters)"
