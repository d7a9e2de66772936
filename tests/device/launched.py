"""A pytest plugin: report which kernels ran on the simulator, as its last line."""

from __future__ import annotations

import pytest

from tests.device import simulator

HEADING = "kernels launched: "


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name each kernel once."""
    terminalreporter.write_line(HEADING + " ".join(sorted(simulator.launches)))
