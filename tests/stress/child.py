"""The process that makes attempts: ``python -m tests.stress.child MODULE:FUNCTION FIRST LAST``."""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

from tests.stress import guard


def attempt_all(attempt: Callable[[int, Path], str], seeds: range) -> None:
    """Make the attempts, a line for each: its seed when it begins, what came of it at its end."""
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps({"begun": seed}), flush=True)
            try:
                with guard.guarded(Path(folder)):
                    result = {"outcome": attempt(seed, Path(folder))}
            except KeyboardInterrupt:
                raise
            except BaseException:
                result = {"fault": traceback.format_exc()[-4000:]}
            print(json.dumps({"seed": seed, **result}), flush=True)


def main() -> None:
    """Import the function, and make its attempts with every warning shown as an error.

    A function `prepare` beside it is called before anything is forbidden: it may import, say.
    """
    where, first, last = sys.argv[1:]
    module, _, function = where.partition(":")
    imported = importlib.import_module(module)
    attempt = getattr(imported, function)
    getattr(imported, "prepare", lambda: None)()
    warnings.simplefilter("error")
    guard.install()
    attempt_all(attempt, range(int(first), int(last)))


if __name__ == "__main__":
    main()
