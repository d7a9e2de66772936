"""Time kernels and training steps, and record the results: ``make bench``."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bench import results, selection
from bench.children import start
from bench.networks import load_data
from bench.summaries import headline, show

SUITES = ("kernels", "steps")
OPTIONS = (
    *("--benchmark-only", "--benchmark-quiet", "--benchmark-disable-gc"),
    *("--benchmark-max-time=0.25", "--benchmark-min-rounds=7", "--benchmark-warmup=on"),
    *("--benchmark-warmup-iterations=3", "-q", "-p", "no:cacheprovider", "--no-header"),
    *("-W", "default::DeprecationWarning", "-W", "default::PendingDeprecationWarning"),
    *("-W", "default::FutureWarning"),  # of libraries newer than those that the suite knows
)
ROWS = "NNKIT_BENCH_ROWS"
"""The variable that names the file to which the suites append each result, as a line of JSON."""


class SuiteError(Exception):
    """A suite that failed, as when a result was wrong, and the record of the others."""

    def __init__(self, message: str, record: dict[str, Any]) -> None:
        super().__init__(message)
        self.record = record


def run(
    what: str,
    *,
    device: str = "cpu",
    threads: int = 2,
    select: str | None = None,
    tests: Sequence[str] = (),
    keep: Callable[[dict[str, Any]], object] | None = None,
) -> dict[str, Any]:
    """Run a suite, or some `tests` of it, in a process of its own, and return its record.

    Meanwhile `keep` is given the record of what has been measured so far. Raises SuiteError, with
    that record, where the suite fails.
    """
    settings = {"threads": threads, "device": device, "data": load_data().source}
    record = results.make(what, [], device=device, settings=settings)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.jsonl")
        command = [sys.executable, "-m", "pytest", *(tests or [f"bench/test_{what}.py"]), *OPTIONS]
        command += ["-k", select] if select else []
        process = start(command, device, threads, {ROWS: str(path)}, stdout=sys.stderr)
        code = None
        while code is None:
            code, rows = _wait(process), _read(path)
            if keep is not None and len(rows) > len(record["results"]):
                keep(results.partly(record | {"results": rows}))
            record["results"] = rows
    if code:
        message = f"the suite of {what} failed: pytest ended with code {code}"
        raise SuiteError(message, results.partly(record))
    return results.check(record)


def _wait(process: subprocess.Popen[str]) -> int | None:
    """Wait for the end, for a second; returns the exit code if there is one."""
    try:
        return process.wait(1)
    except subprocess.TimeoutExpired:
        return None


def _read(path: Path) -> list[dict[str, Any]]:
    """Rows that have been written to their end."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument("suites", nargs="*", help=f"some of: {', '.join(SUITES)} (default: all)")
    add_options(parser)
    parser.add_argument("--output", type=Path, default=results.FOLDER, help="default: %(default)s")
    chosen = parser.parse_args(arguments)
    apply_backends(chosen.backends)
    for what in chosen.suites or SUITES:
        if what not in SUITES:
            parser.error(f"{what!r} is none of the suites {', '.join(SUITES)}")
        try:
            record = run(
                what,
                device=chosen.device,
                threads=chosen.threads,
                select=chosen.select,
                keep=partial(results.save, folder=chosen.output),
            )
        except SuiteError as error:
            print(show(error.record), error, sep="\n\n")
            return 1
        print(f"{show(record)}\n\n{results.save(record, chosen.output)}\n{headline(record)}")
    return 0


def add_options(parser: argparse.ArgumentParser) -> None:
    """What decides how the suites are run."""
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    parser.add_argument("--backends", help="names, with commas (default: all that work here)")
    parser.add_argument("-k", dest="select", help="only benchmarks like this, as pytest's -k")


def apply_backends(names: str | None) -> None:
    """Have the suites time these backends alone."""
    if names:
        os.environ[selection.VARIABLE] = names


if __name__ == "__main__":
    sys.exit(main())
