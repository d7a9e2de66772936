"""nnkit: textbook neural networks at full speed, on NumPy, Numba and CUDA."""

from nnkit.backends import (
    Backend,
    BackendUnavailableError,
    available_backends,
    current_backend,
    get_backend,
    set_backend,
    use_backend,
)
from nnkit.callbacks import Callback
from nnkit.checkpoint import CheckpointError, load
from nnkit.gradcheck import gradcheck
from nnkit.history import History
from nnkit.layers import (
    Dropout,
    Flatten,
    Identity,
    Layer,
    Linear,
    ReLU,
    Sigmoid,
    Softmax,
    Step,
    Tanh,
)
from nnkit.losses import MeanSquaredError, SigmoidCrossEntropy, SoftmaxCrossEntropy
from nnkit.model import Sequential
from nnkit.optimizers import SGD, Adam, AdamW
from nnkit.parameters import Parameter
from nnkit.training import Trainer

__version__ = "0.1.0"

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Backend",
    "BackendUnavailableError",
    "Callback",
    "CheckpointError",
    "Dropout",
    "Flatten",
    "History",
    "Identity",
    "Layer",
    "Linear",
    "MeanSquaredError",
    "Parameter",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "SigmoidCrossEntropy",
    "Softmax",
    "SoftmaxCrossEntropy",
    "Step",
    "Tanh",
    "Trainer",
    "available_backends",
    "current_backend",
    "get_backend",
    "gradcheck",
    "load",
    "set_backend",
    "use_backend",
]
