"""nnkit: textbook neural networks at full speed, on NumPy, Numba and CUDA."""

from typing import TYPE_CHECKING, Any

from nnkit import activations
from nnkit.backends import (
    Backend,
    BackendUnavailableError,
    available_backends,
    current_backend,
    get_backend,
    set_backend,
    use_backend,
)
from nnkit.callbacks import Callback, EarlyStopping
from nnkit.gradcheck import GradientCheck, gradcheck
from nnkit.history import History
from nnkit.layers import (
    ELU,
    GELU,
    SELU,
    Activation,
    BatchNorm1d,
    Dropout,
    Exponential,
    Flatten,
    HardSigmoid,
    Identity,
    Layer,
    LayerNorm,
    LeakyReLU,
    Linear,
    LogSoftmax,
    Maxout,
    PReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Step,
    Swish,
    Tanh,
)
from nnkit.losses import (
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    HalfSquaredError,
    HingeLoss,
    HuberLoss,
    Loss,
    MeanSquaredError,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
)
from nnkit.layers import Sequential
from nnkit.optimizers import SGD, AdaGrad, Adam, AdamW, Optimizer, RMSProp
from nnkit.parameters import Parameter
from nnkit.training import Trainer

if TYPE_CHECKING:
    from nnkit.checkpoint import CheckpointError, load

__version__ = "0.1.0"

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "SGD",
    "Activation",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Backend",
    "BackendUnavailableError",
    "BatchNorm1d",
    "BinaryCrossEntropy",
    "Callback",
    "CategoricalCrossEntropy",
    "CheckpointError",
    "Dropout",
    "EarlyStopping",
    "Exponential",
    "Flatten",
    "GradientCheck",
    "HalfSquaredError",
    "HardSigmoid",
    "HingeLoss",
    "History",
    "HuberLoss",
    "Identity",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "Loss",
    "Maxout",
    "MeanSquaredError",
    "Optimizer",
    "PReLU",
    "Parameter",
    "RMSProp",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "SigmoidCrossEntropy",
    "Softmax",
    "SoftmaxCrossEntropy",
    "Softplus",
    "Softsign",
    "Step",
    "Swish",
    "Tanh",
    "Trainer",
    "activations",
    "available_backends",
    "current_backend",
    "get_backend",
    "gradcheck",
    "load",
    "set_backend",
    "use_backend",
]


def __getattr__(name: str) -> Any:
    """Import what not every program needs when it is first asked for."""
    from importlib import import_module

    if name in ("CheckpointError", "load"):
        return getattr(import_module("nnkit.checkpoint"), name)
    if name in ("checkpoint", "data", "plotting", "schedules"):
        return import_module(f"nnkit.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
