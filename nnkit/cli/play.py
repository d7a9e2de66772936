"""``nnkit play``."""

from __future__ import annotations

import threading
import time
import webbrowser
from functools import partial

import click

from nnkit.backends import get_backend
from nnkit.cli.command import Command, backend_option, debug_option, notice
from nnkit.play.rooms import Rooms

EXAMPLES = """
nnkit play
nnkit play runs/mnist/model.safetensors
nnkit play runs/mnist/model.safetensors runs/mnist-2       side by side
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("checkpoints", nargs=-1, metavar="[CHECKPOINT]...")
@backend_option
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="Where to listen; where it is taken, another is used.",
)
@click.option("--browser/--no-browser", default=True, help="Whether to open it.")
@debug_option
def play(checkpoints: tuple[str, ...], backend: str | None, port: int, browser: bool) -> None:
    """Open a page on which networks are seen to think and learn.

    CHECKPOINTs are those of networks that tell images apart, to draw for. Without one, networks for
    digits are trained in a few seconds and kept in the user's cache folder.
    """
    from nnkit.cli.galleries import of_files, of_recipes
    from nnkit.play.drawing.room import Draw
    from nnkit.play.playground.room import Playground
    from nnkit.play.server import Server

    target = get_backend(backend)
    gallery = of_files(checkpoints, target) if checkpoints else of_recipes(target)
    began = time.monotonic()
    gallery.open(gallery.names[0], lambda: notice(f"training {gallery.names[0]}"))
    if not checkpoints:
        notice(f"{gallery.names[0]} is ready after {time.monotonic() - began:.1f} s")
    rooms: Rooms = {"draw": partial(Draw, gallery=gallery), "playground": Playground}
    with Server(rooms, port=port) as server:
        click.echo(f"nnkit play is at {server.address}")
        click.echo("Ctrl-C ends it.")
        if browser:
            webbrowser.open(server.address)
        threading.Event().wait()
