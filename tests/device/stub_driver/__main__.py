"""Carry out one scenario and print what it found as JSON."""

from __future__ import annotations

import json
import os
import sys
import traceback
import warnings

from tests.device.stub_driver import process


def main() -> None:
    """Leave without the interpreter's end, at which CuPy would call what is there no more."""
    status = 1
    try:
        warnings.simplefilter("error")
        backend = process.start()
        from tests.device.stub_driver import runs, scenarios

        runs.prepare()
        report = scenarios.SCENARIOS[sys.argv[1]](backend)
        print(json.dumps({**report, **process.state()}))
        status = 0
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(status)


main()
