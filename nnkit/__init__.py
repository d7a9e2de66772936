"""nnkit: textbook neural networks at full speed, on NumPy, Numba and CUDA."""

import logging
from typing import TYPE_CHECKING, Any

from nnkit import checkout  # noqa: F401 - before anything that needs the kernels

# isort: split

from nnkit import activations, callbacks, layers, losses, optimizers
from nnkit.backends import (
    Backend,
    BackendUnavailableError,
    available_backends,
    current_backend,
    get_backend,
    get_precision,
    set_backend,
    set_precision,
    use_backend,
)
from nnkit.callbacks import *
from nnkit.given.missing import is_module, missing
from nnkit.gradcheck import GradientCheck, gradcheck
from nnkit.layers import *
from nnkit.layers.activations import *
from nnkit.losses import *
from nnkit.optimizers import *
from nnkit.parameters import Parameter
from nnkit.showing.warning import CacheWarning, DataWarning, DivergenceWarning
from nnkit.training import DivergenceError, History, Metric, Trainer

if TYPE_CHECKING:
    from nnkit import augment as augment
    from nnkit import checkpoint as checkpoint
    from nnkit import data as data
    from nnkit import initializers as initializers
    from nnkit import models as models
    from nnkit import onnx as onnx
    from nnkit import plotting as plotting
    from nnkit import schedules as schedules
    from nnkit.checkpoint import CheckpointError
    from nnkit.loading import load
    from nnkit.play.watching.callback import Watch

__version__ = "0.1.0"

__all__ = [
    "Backend",
    "BackendUnavailableError",
    "CacheWarning",
    "CheckpointError",
    "DataWarning",
    "DivergenceError",
    "DivergenceWarning",
    "GradientCheck",
    "History",
    "Metric",
    "Parameter",
    "Trainer",
    "Watch",
    "activations",
    "available_backends",
    "current_backend",
    "get_backend",
    "get_precision",
    "gradcheck",
    "load",
    "set_backend",
    "set_precision",
    "use_backend",
]
__all__ += callbacks.__all__
__all__ += layers.__all__
__all__ += losses.__all__
__all__ += optimizers.__all__

logging.getLogger(__name__).addHandler(logging.NullHandler())  # a program says what is shown


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Import what not every program needs when it is first asked for."""
        from importlib import import_module

        places = {
            "CheckpointError": "checkpoint",
            "Watch": "play.watching.callback",
            "load": "loading",
        }
        if name in places:
            return getattr(import_module(f"nnkit.{places[name]}"), name)
        if is_module(__name__, name):
            return import_module(f"nnkit.{name}")
        raise missing(__name__, name, __all__)
