"""What errors of the system are told as."""

import pytest

from taxbench.util.errors import unreadable


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileNotFoundError(2, "No such file", "/x/y"), "'/x/y' cannot be read (No such file)."),
        (PermissionError(13, "Permission denied"), "[Errno 13] Permission denied."),
        (OSError("socket closed"), "socket closed."),
    ],
)
def test_an_error_with_or_without_a_file_is_one_sentence(error: OSError, said: str) -> None:
    assert unreadable(error) == said
