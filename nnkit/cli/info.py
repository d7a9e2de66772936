"""``nnkit info``."""

from __future__ import annotations

import json

import click

from nnkit.cli.command import Command, debug_option

EXAMPLES = """
nnkit info
nnkit info --json
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@debug_option
def info(as_json: bool) -> None:
    """Show what nnkit finds on this machine.

    Versions, processor, BLAS library and threads, GPU, folders, and which backends work: where one
    does not, why, and what to do.
    """
    from nnkit.system import format_info
    from nnkit.system import info as system_info

    found = system_info()
    click.echo(json.dumps(found, indent=2) if as_json else format_info(found))
