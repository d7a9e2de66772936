"""Write tables from the recorded results into Markdown files: ``python -m bench.report README.md``.

A table goes between two comments, and what is there is replaced:

    <!-- bench:ratios amd-epyc-avx512-2-cores -->
    <!-- bench:end -->

Behind the table's name stands the kind of machine, the name of a folder in bench/results. Without
it the most recent results of any are taken, which may be another's than the text speaks of.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import results
from bench.summaries import TABLES
from bench.tables import markdown

MARKED = re.compile(r"(<!-- bench:(?!end)(\S+)(?: (\S+))? -->\n).*?(<!-- bench:end -->)", re.DOTALL)
SHOWN_VERSIONS = ("numpy", "numba", "cupy", "torch", "jax", "scikit-learn")
SHOWN_OF_CUDA = ("cuda-runtime", "cuda-driver", "cublaslt")


class ReportError(Exception):
    """Markers that ask for what there is not."""


def fill(text: str, folder: Path = results.FOLDER) -> str:
    """Return a text with the tables between its markers; raises ReportError where that fails."""
    if not MARKED.search(text):
        raise ReportError("there is no table to fill: see bench/report.py for the markers")
    return MARKED.sub(lambda m: f"{m[1]}{section(m[2], m[3] or '*', folder)}\n{m[4]}", text)


def section(name: str, kind: str, folder: Path) -> str:
    """Make a table and the line below it that says what it was measured with."""
    if name not in TABLES:
        raise ReportError(f"there is no table {name!r}: choose one of {', '.join(TABLES)}")
    what, make, text_columns = TABLES[name]
    record = results.latest(what, kind, folder)
    if record is None:
        machines = "" if kind == "*" else f" on {kind}"
        raise ReportError(f"no results of {what} are recorded{machines}: see bench/README.md")
    return f"\n{markdown(*make(record), text_columns)}\n\n{caption(record)}\n"


def caption(record: dict[str, Any]) -> str:
    """Say on what, with what and when a record was made."""
    machine, settings = record["machine"], record["settings"]
    where = machine.get("gpu") or f"{machine['cpu']}, {settings['threads']} threads"
    found = _versions(record)
    names = (*SHOWN_VERSIONS, *SHOWN_OF_CUDA)
    versions = ", ".join(f"{name} {found[name]}" for name in names if name in found)
    data = f"; {settings['data']}" if "data" in settings and record["what"] != "kernels" else ""
    part = "; not all was measured" if settings.get("partial") else ""
    return f"*{where}{data}; {versions}; {record['date']}, commit {record['commit']}{part}.*"


def _versions(record: dict[str, Any]) -> dict[str, str]:
    """By name, CuPy's without the CUDA that it is for; not CuPy's where it was not used."""
    versions = {name.partition("-cuda")[0]: v for name, v in record["versions"].items()}
    if "gpu" not in record["machine"]:
        versions.pop("cupy", None)
    return versions


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 1 where a file cannot be filled or, with --check, is not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m bench.report", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, default=[Path("README.md")])
    parser.add_argument("--check", action="store_true", help="change nothing, say what would")
    parser.add_argument("--results", type=Path, default=results.FOLDER, help="default: %(default)s")
    chosen = parser.parse_args(arguments)
    code = 0
    for path in chosen.files:
        before = path.read_text()
        try:
            after = fill(before, chosen.results)
        except ReportError as error:
            print(f"{path}: {error}")
            code = 1
            continue
        if chosen.check and after != before:
            print(f"{path}: the tables are not those of the recorded results")
            code = 1
        elif not chosen.check:
            path.write_text(after)
    return code


if __name__ == "__main__":
    sys.exit(main())
