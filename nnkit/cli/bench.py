"""``nnkit bench``."""

from __future__ import annotations

import json

import click

from nnkit.backends import NAMES
from nnkit.cli.command import Command, Name, debug_option

EXAMPLES = """
nnkit bench
nnkit bench --backend numba --rounds 5
nnkit bench --json > mine.json
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.option(
    "--backend",
    "backends",
    multiple=True,
    type=Name(NAMES),
    help="Measure this backend; may be given again.  [default: all that work]",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="How often each measurement is repeated; the fastest counts: others were disturbed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@debug_option
def bench(backends: tuple[str, ...], rounds: int, as_json: bool) -> None:
    """Measure training steps and streaming kernels on this machine.

    Steps are shown beside the time of their matrix products alone, kernels beside the speed of a
    plain copy. Close other programs first: the numbers are only as quiet as the machine.
    """
    from nnkit.bench import format_results, run

    results = run(backends=backends or None, rounds=rounds)
    click.echo(json.dumps(results, indent=2) if as_json else format_results(results))
