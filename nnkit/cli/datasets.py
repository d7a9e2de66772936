"""``nnkit datasets``."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from nnkit.cli.command import Command, debug_option

EXAMPLES = """
nnkit datasets
nnkit train fashion-mnist
nnkit train photos              a folder with a folder of images for each class
nnkit train ~/letters           a folder of one's own, with four IDX files
nnkit train letters.npz         a file with x_train, t_train, x_test and t_test
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@debug_option
def datasets(as_json: bool) -> None:
    """List the data sets that have a name.

    MNIST and Fashion-MNIST are looked for in $NNKIT_DATA_DIR/NAME/, then in the user's cache
    folder, and are downloaded into that otherwise. Digits come with nnkit.
    """
    from nnkit.data import available

    found = available()
    if as_json:
        click.echo(json.dumps([asdict(info) for info in found], indent=2, default=str))
        return
    for i, info in enumerate(found):
        height, width = info.image_shape
        where = info.location or f"not here yet: a download of {info.download_bytes / 1e6:.0f} MB"
        click.echo(
            f"{chr(10) if i else ''}{info.name}: {info.description}\n"
            f"  images   {info.n_train:,} for training, {info.n_test:,} for testing, "
            f"{height}x{width} pixels\n"
            f"  source   {info.source} ({info.licence})\n"
            f"  where    {where}"
        )
