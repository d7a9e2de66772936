"""``nnkit play``."""

from __future__ import annotations

import time
import webbrowser
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import click

from nnkit.backends import get_backend
from nnkit.cli.command import Command, Failure, backend_option, debug_option, notice
from nnkit.play.drawing.gallery import Gallery
from nnkit.play.needs import check_libraries
from nnkit.play.rooms import Rooms

if TYPE_CHECKING:
    from nnkit.play.server import Server

TOLD_SECONDS = 1.0
"""What takes longer is told of."""

EXAMPLES = """
nnkit play
nnkit play runs/mnist/model.safetensors
nnkit play runs/mnist/model.safetensors runs/mnist-2       side by side
nnkit play --no-browser --port 9000
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("checkpoints", nargs=-1, metavar="[CHECKPOINT]...")
@backend_option
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="Where to listen; where it is taken, another is used. 0: any that is free.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen at: 0.0.0.0 for all of this machine's, a phone's way to the page.",
)
@click.option("--browser/--no-browser", default=True, help="Whether to open the page here.")
@debug_option
def play(
    checkpoints: tuple[str, ...], backend: str | None, port: int, host: str, browser: bool
) -> None:
    """Open a page on which networks are seen to think and learn.

    CHECKPOINTs are those of networks that tell images apart, to draw for. Without one, networks for
    digits are trained in a few seconds and kept in the user's cache folder.

    The page is this machine's own; nothing is sent elsewhere. Ctrl-C ends it.
    """
    try:
        check_libraries("nnkit play")
    except ImportError as error:
        raise Failure(str(error)) from error
    from nnkit.cli.galleries import of_files, of_recipes
    from nnkit.play.drawing.room import Draw
    from nnkit.play.playground.room import Playground

    target = get_backend(backend)
    gallery = of_files(checkpoints, target) if checkpoints else of_recipes(target)
    rooms: Rooms = {"draw": partial(Draw, gallery=gallery), "playground": Playground}
    serve(rooms, host, port, browser, partial(_make_first, gallery))


def _make_first(gallery: Gallery) -> None:
    """Have the network that a page shows first, which may be trained for that."""
    first, began = gallery.names[0], time.monotonic()

    def training() -> None:
        notice(f"training {first}, once: the page is there already")

    gallery.open(first, training)
    if (seconds := time.monotonic() - began) > TOLD_SECONDS:
        notice(f"{first} is ready after {seconds:.1f} s")


def serve(rooms: Rooms, host: str, port: int, browser: bool, meanwhile: Callable[[], None]) -> None:
    """Serve a page with these views until Ctrl-C, and say where it is; then do something else."""
    from nnkit.play.server import Server

    with Server(rooms, host, port) as server:
        _say_where(server)
        if browser and not _opened(server.address):
            notice("no browser was found here: open the address in one yourself")
        meanwhile()
        server.wait()


def _say_where(server: Server) -> None:
    if server.port != server.wanted != 0:
        notice(f"port {server.wanted} cannot be had, so it is {server.port}")
    if not server.private:
        notice(
            "warning: whoever has the address can use this machine's time from anywhere that "
            "reaches it, and the connection is not encrypted"
        )
    click.echo(f"nnkit play is at {server.address}")
    click.echo("Ctrl-C ends it.")


def _opened(address: str) -> bool:
    try:
        return webbrowser.open(address)
    except (webbrowser.Error, OSError):
        return False
