"""What is in the results, and what may not be: each as soon as it is measured, no host's name."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.run import ROWS


@pytest.fixture(autouse=True)
def _kept(request: pytest.FixtureRequest) -> Iterator[None]:
    """Append a benchmark's result to the file that `bench.run` reads meanwhile."""
    benchmark = request.getfixturevalue("benchmark")
    yield
    if ROWS in os.environ and benchmark.extra_info:
        row = {**benchmark.extra_info, "test": benchmark.fullname}
        with Path(os.environ[ROWS]).open("a") as file:
            print(json.dumps(row), file=file)


def pytest_benchmark_update_machine_info(config: Any, machine_info: dict[str, Any]) -> None:
    """Leave out the host's name."""
    machine_info.pop("node", None)
