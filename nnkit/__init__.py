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
from nnkit.gradcheck import GradientCheck, gradcheck
from nnkit.layers import (
    ELU,
    GELU,
    SELU,
    Activation,
    BatchNorm1d,
    Concat,
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
    Residual,
    Sequential,
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
from nnkit.optimizers import SGD, AdaGrad, Adam, AdamW, Optimizer, RMSProp
from nnkit.parameters import Parameter
from nnkit.training import Callback, EarlyStopping, History, Trainer

if TYPE_CHECKING:
    from nnkit.checkpoint import CheckpointError
    from nnkit.loading import load

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
    "Concat",
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
    "Residual",
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

    places = {"CheckpointError": "checkpoint", "load": "loading"}
    if name in places:
        return getattr(import_module(f"nnkit.{places[name]}"), name)
    if name in ("checkpoint", "data", "plotting", "schedules"):
        return import_module(f"nnkit.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
