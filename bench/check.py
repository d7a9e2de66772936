"""Compare fresh results with the last recorded ones of this kind of machine: ``make bench-check``.

Without files the suites are run for it. A result counts as slower if its time has grown by more
than 10 %, and so has its ratio to the yardstick measured beside it (a copy, the products alone):
where only the former is true the machine was busy. What seems slower is measured twice more, and
the fastest time counts.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import machine, results
from bench.run import SUITES, SuiteError, add_options, apply_backends, run
from bench.summaries import microseconds
from bench.tables import table

LIMIT = 1.10
REPEATS = 2
REGRESSION, NOTHING_TO_COMPARE = 1, 2
"""Exit codes."""


def growth(fresh: dict[str, Any], last: dict[str, Any]) -> float:
    """How many times as long as last time, of the time itself or relative to the yardstick.

    The lesser of the two: a busy machine shows in the one, an inexact yardstick in the other.
    """
    ratio = fresh["seconds"] / last["seconds"]
    if fresh["yardstick"] is None or last["yardstick"] is None:
        return ratio
    return min(ratio, ratio * last["yardstick"] / fresh["yardstick"])


def ours(record: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Results of nnkit itself, by name: not those of other code that was timed beside it."""
    return {
        row["name"]: row
        for row in record["results"]
        if row.get("peer", "nnkit").startswith("nnkit")
        and not row.get("version", "").startswith("plain")
    }


def slower(fresh: dict[str, Any], last: dict[str, Any]) -> dict[str, float]:
    """Names of the results that grew by more than the limit, and by how much."""
    before, now = ours(last), ours(fresh)
    grown = {name: growth(now[name], before[name]) for name in now if name in before}
    return {name: ratio for name, ratio in grown.items() if ratio > LIMIT}


def merge(record: dict[str, Any], again: dict[str, Any]) -> dict[str, Any]:
    """Take a repeated result where its ratio to the yardstick is smaller."""
    repeated = {row["name"]: row for row in again["results"]}

    def cost(row: dict[str, Any]) -> float:
        return row["seconds"] / (row["yardstick"] or 1)

    rows = [min(row, repeated.get(row["name"], row), key=cost) for row in record["results"]]
    return {**record, "results": rows}


def measure(what: str, last: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Run a suite, and again what seems slower than the last time."""
    how = {"device": options.device, "threads": options.threads}
    fresh = run(what, select=options.select, **how)
    for _ in range(REPEATS):
        suspects = slower(fresh, last)
        if not suspects:
            break
        tests = [row["test"] for row in fresh["results"] if row["name"] in suspects]
        fresh = merge(fresh, run(what, tests=tests, **how))
    return fresh


def report(fresh: dict[str, Any], last: dict[str, Any]) -> str:
    """Say what has changed by more than the limit, either way."""
    before, now = ours(last), ours(fresh)
    common = [name for name in now if name in before]
    rows = []
    for name in common:
        ratio = growth(now[name], before[name])
        back = growth(before[name], now[name])
        if max(ratio, back) > LIMIT:
            times = (microseconds(row[name]["seconds"]) for row in (before, now))
            verdict = "SLOWER" if ratio > LIMIT else "faster"
            rows.append((name, *times, f"{ratio if ratio > LIMIT else 1 / back:.2f}x", verdict))
    kind, date = last["machine"]["kind"], last["date"]
    head = f"{fresh['what']}: {len(common)} results against {date}, {last['commit']}, {kind}"
    if set(before) - set(now):
        head += f"; {len(set(before) - set(now))} were not measured"
    if not rows:
        return f"{head}: none changed by more than {LIMIT - 1:.0%}"
    return f"{head}\n{table(('', 'us then', 'us now', 'change', ''), rows)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 1 where something is slower, 2 where there is nothing to compare with."""
    parser = argparse.ArgumentParser(prog="python -m bench.check", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="fresh results (default: measure)")
    parser.add_argument("--against", type=Path, default=results.FOLDER, help="default: %(default)s")
    parser.add_argument("--suites", default=",".join(SUITES), help="default: %(default)s")
    add_options(parser)
    options = parser.parse_args(arguments)
    apply_backends(options.backends)
    given = {path.resolve(): results.load(path) for path in options.files}
    pairs = [(record["what"], record) for record in given.values()]
    codes = set()
    for what, fresh in pairs or [(what, None) for what in options.suites.split(",")]:
        kind = (fresh or {"machine": machine.describe(options.device)})["machine"]["kind"]
        last = results.latest(what, kind, options.against, exclude=given)
        if last is None:
            print(f"{what}: nothing is recorded on {kind}; make bench records")
            codes.add(NOTHING_TO_COMPARE)
            continue
        threads = (fresh or {"settings": vars(options)})["settings"]["threads"]
        if last["settings"]["threads"] != threads:
            print(f"{what}: recorded with {last['settings']['threads']} threads, not {threads}")
            codes.add(NOTHING_TO_COMPARE)
            continue
        try:
            now = fresh or measure(what, last, options)
        except SuiteError as error:
            print(error)
            return REGRESSION
        print(report(now, last))
        codes |= {REGRESSION} if slower(now, last) else set()
    return min(codes, default=0)


if __name__ == "__main__":
    sys.exit(main())
