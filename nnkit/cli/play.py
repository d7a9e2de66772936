"""``nnkit play``."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import click
import numpy as np

from nnkit.backends import get_backend
from nnkit.cli.checkpoints import as_taken, load_classifier
from nnkit.cli.command import Command, Failure, backend_option, debug_option, notice
from nnkit.cli.inputs import as_fitted, input_of
from nnkit.images import prepared
from nnkit.play.connection import Connection
from nnkit.play.draw import Draw, Recognise
from nnkit.play.rooms import Room
from nnkit.play.wire import Array
from nnkit.reasons import importing

if TYPE_CHECKING:
    from nnkit.play.server import Server

EXAMPLES = """
nnkit play
nnkit play runs/mnist/model.safetensors
nnkit play --no-browser --port 9000
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("checkpoint", required=True)
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
def play(checkpoint: str, backend: str | None, port: int, host: str, browser: bool) -> None:
    """Open a page on which networks are seen to think and learn.

    The page is this machine's own; nothing is sent elsewhere. Ctrl-C ends it.
    """
    _look_for_the_extra()
    serve({"draw": partial(Draw, recognise=_recognise(checkpoint, backend))}, host, port, browser)


def serve(
    rooms: dict[str, Callable[[Connection], Room]], host: str, port: int, browser: bool
) -> None:
    """Serve a page with these views until Ctrl-C, and say where it is."""
    from nnkit.play.server import Server

    with Server(rooms, host, port) as server:
        _say_where(server)
        if browser and not _opened(server.address):
            notice("no browser was found here: open the address in one yourself")
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


def _look_for_the_extra() -> None:
    """Raise Failure, with the remedy, where what serves pages is not installed."""
    for module in ("starlette", "uvicorn", "websockets"):
        try:
            with importing(module, module, "nnkit play needs: pip install 'nnkit-learn[play]'"):
                pass
        except ImportError as error:
            raise Failure(str(error)) from error


def _recognise(checkpoint: str, backend: str | None) -> Recognise:
    trainer = load_classifier(checkpoint, get_backend(backend))
    shape, how = input_of(trainer, checkpoint)
    taken = as_taken(trainer.model, shape) or shape

    def recognise(pixels: Array) -> Array:
        image = prepared(pixels.astype(np.float64), (shape[0], shape[1]), how).reshape(taken)
        probabilities: Array = trainer.predict_proba(as_fitted(trainer, image[None]))[0]
        return probabilities

    return recognise
