"""``nnkit warm``."""

from __future__ import annotations

from typing import Any

import click
import numpy as np

from nnkit.backends import Backend, get_backend
from nnkit.cli import networks, options
from nnkit.cli.augmenting import augment_option
from nnkit.cli.command import Command, backend_option, debug_option
from nnkit.cli.runs import build_optimizer
from nnkit.cli.settings import Settings
from nnkit.data import Dataset
from nnkit.schedules import Cosine
from nnkit.training import Trainer

EXAMPLES = """
nnkit warm
nnkit warm --model lenet
nnkit warm --hidden 512,512 --activation gelu --optimizer adamw
"""
BATCH = 128
CLASSES = 10


@click.command(cls=Command, examples=EXAMPLES)
@backend_option
@options.model
@options.hidden
@options.activation
@options.optimizer
@options.dropout
@augment_option
@options.dtype
@click.option("--quiet", "-q", is_flag=True, help="Print no result.")
@debug_option
@click.pass_context
def warm(context: click.Context, /, backend: str | None, quiet: bool, **settings: Any) -> None:
    """Compile ahead what a training will need.

    The first training on a machine compiles its kernels, once, which takes some seconds. After
    this, with the same options as for "nnkit train", it need not, if the processor is of the same
    kind and NUMBA_CACHE_DIR, where it is set, leads to the same folder: in an image for containers,
    for instance. It trains for a moment on images of noise, as large as MNIST's, with and without
    bytes; nothing of it is kept but the kernels. NumPy compiles nothing.
    """
    options.refuse_layers(context, settings["model"])
    asked = Settings(
        epochs=1,
        batch_size=BATCH,
        lr=None,
        schedule="cosine",
        weight_decay=None,
        seed=0,
        image_size=None,
        color=False,
        **settings,
    )
    target = get_backend(backend)
    told = [_train(asked, target, dtype) for dtype in (np.uint8, np.float32)]
    if target.name == "numba":
        _refuse_to_forget()
    if not quiet:
        click.echo(f"ready on {target.name}: {told[0]}, {asked.optimizer}, {asked.dtype}")


def _refuse_to_forget() -> None:
    """Raise if the kernels are not on disk; a warning has said which folder was tried."""
    from nnkit.kernels.numba.codegen.cache import why_not_kept

    if why_not_kept():
        raise click.ClickException(
            "the compiled kernels could not be kept: set NUMBA_CACHE_DIR to a folder that can be "
            "written"
        )


def _train(settings: Settings, backend: Backend, dtype: Any) -> str:
    """Train on noise for two steps, and look at it once; returns what was trained."""
    x = np.random.default_rng(0).integers(0, 256, (2 * BATCH, 28 * 28)).astype(dtype)
    x = x if dtype == np.uint8 else x / dtype(255)
    t = np.arange(len(x)) % CLASSES
    names = tuple(map(str, range(CLASSES)))
    data = Dataset("noise", x, t, x[:BATCH], t[:BATCH], (28, 28), names)
    model = networks.build(settings, data, backend)
    trainer = Trainer(model, optimizer=build_optimizer(settings))
    images = x.reshape(-1, 28, 28) if settings.augment else x
    trainer.fit(
        images,
        t,
        1,
        BATCH,
        validation_data=(data.x_test, data.t_test),
        schedule=Cosine(),
        augment=settings.augment,
        progress=False,
        on_nan="ignore",
    )
    return networks.describe(model, settings.model)
