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
nnkit train photos --color      the same, with their colours
nnkit train ~/letters           a folder of one's own, with four IDX files
nnkit train letters.npz         a file with x_train, t_train, x_test and t_test
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@debug_option
def datasets(as_json: bool) -> None:
    """List the data sets that have a name.

    They are looked for in $NNKIT_DATA_DIR/NAME/, then in the user's cache folder, and are
    downloaded into that otherwise. EMNIST's are in one archive, which is downloaded once for all,
    and may lie in $NNKIT_DATA_DIR/emnist/. Digits come with nnkit.
    """
    from nnkit.data import available
    from nnkit.data.dataset import in_words

    found = available()
    if as_json:
        click.echo(json.dumps([asdict(info) for info in found], indent=2, default=str))
        return
    for i, info in enumerate(found):
        licence = "no licence stated" if info.licence == "NOASSERTION" else info.licence
        where = info.location or f"not here yet: a download of {info.download_bytes / 1e6:.0f} MB"
        click.echo(
            f"{chr(10) if i else ''}{info.name}: {info.description}\n"
            f"  images   {info.n_train:,} for training, {info.n_test:,} for testing, "
            f"{in_words(info.image_shape)}\n"
            f"  source   {info.source} ({licence})\n"
            f"  where    {where}"
        )
