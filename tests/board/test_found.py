"""Records on disk."""

from pathlib import Path

import pytest

from taxbench.board.found import find
from taxbench.errors import UsageError


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_a_folder_without_records_is_told_with_the_next_command(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="taxbench run"):
        find([tmp_path / name])
