"""Tests of language models compute with one thread."""

import pytest

from tests.conftest import with_one_thread

one_thread = pytest.fixture(autouse=True, scope="package")(with_one_thread)
