"""Fixtures for the operations: sizes, and the comparison with the reference."""

from __future__ import annotations

import numpy as np
import pytest

from nnkit.backends import Backend
from tests.helpers import Check
from tests.operations.shared import SHAPES, name


@pytest.fixture(params=SHAPES, ids=name)
def shape(request: pytest.FixtureRequest) -> tuple[int, int]:
    """Each size in turn."""
    return request.param


@pytest.fixture
def check(backend: Backend, dtype: np.dtype) -> Check:
    """Run an operation on the backend under test and on the reference, and compare."""
    return Check(backend, dtype)
