"""``nnkit play``."""

from __future__ import annotations

import threading
import webbrowser
from collections.abc import Callable
from functools import partial

import click
import numpy as np

from nnkit.backends import get_backend
from nnkit.cli.checkpoints import as_taken, load_classifier
from nnkit.cli.command import Command, backend_option, debug_option
from nnkit.cli.inputs import as_fitted, input_of
from nnkit.images import prepared
from nnkit.play.connection import Connection
from nnkit.play.draw import Draw, Recognise
from nnkit.play.playground import Playground
from nnkit.play.rooms import Room
from nnkit.play.wire import Array

EXAMPLES = """
nnkit play
nnkit play runs/mnist/model.safetensors
"""


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("checkpoint", required=False)
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
def play(checkpoint: str | None, backend: str | None, port: int, browser: bool) -> None:
    """Open a page on which networks are seen to think and learn."""
    from nnkit.play.server import Server

    rooms: dict[str, Callable[[Connection], Room]] = {"playground": Playground}
    if checkpoint is not None:
        rooms["draw"] = partial(Draw, recognise=_recognise(checkpoint, backend))
    with Server(rooms, port=port) as server:
        click.echo(f"nnkit play is at {server.address}")
        click.echo("Ctrl-C ends it.")
        if browser:
            webbrowser.open(server.address)
        threading.Event().wait()


def _recognise(checkpoint: str, backend: str | None) -> Recognise:
    trainer = load_classifier(checkpoint, get_backend(backend))
    shape, how = input_of(trainer, checkpoint)
    taken = as_taken(trainer.model, shape) or shape

    def recognise(pixels: Array) -> Array:
        image = prepared(pixels.astype(np.float64), (shape[0], shape[1]), how).reshape(taken)
        probabilities: Array = trainer.predict_proba(as_fitted(trainer, image[None]))[0]
        return probabilities

    return recognise
