"""Time kernels and training steps, and record the results: ``make bench``."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
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
)


class SuiteError(Exception):
    """A suite that failed, as when a result was wrong."""


def run(
    what: str,
    *,
    device: str = "cpu",
    threads: int = 2,
    select: str | None = None,
    tests: Sequence[str] = (),
) -> dict[str, Any]:
    """Run a suite, or some `tests` of it, in a process of its own, and return its record.

    Raises SuiteError where that fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "benchmark.json")
        command = [sys.executable, "-m", "pytest", *(tests or [f"bench/test_{what}.py"]), *OPTIONS]
        command += [f"--benchmark-json={path}", *(("-k", select) if select else ())]
        code = start(command, device, threads, stdout=sys.stderr).wait()
        if code:
            raise SuiteError(f"the suite of {what} failed: pytest ended with code {code}")
        measured = json.loads(path.read_text())["benchmarks"]
    rows = [{**benchmark["extra_info"], "test": benchmark["fullname"]} for benchmark in measured]
    settings = {"threads": threads, "device": device, "data": load_data().source}
    return results.make(what, rows, device=device, settings=settings)


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
            record = run(what, device=chosen.device, threads=chosen.threads, select=chosen.select)
        except SuiteError as error:
            print(error, file=sys.stderr)
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
