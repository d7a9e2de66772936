"""Which backends are timed, and what may not be in the results."""

from __future__ import annotations

from typing import Any


def pytest_benchmark_update_machine_info(config: Any, machine_info: dict[str, Any]) -> None:
    """Leave out the host's name."""
    machine_info.pop("node", None)
