"""PyTorch under torch.compile: forward pass and loss, with their backward pass, compiled."""

from __future__ import annotations

import numpy as np
import torch

from bench.networks import Weights
from bench.peers.pytorch import PyTorch


class PyTorchCompile(PyTorch):
    """Compiled for the one batch size there is; the optimizer is the fused one already."""

    name = "torch.compile"

    def build(self, weights: Weights, x: np.ndarray, t: np.ndarray) -> None:
        super().build(weights, x, t)
        torch._dynamo.reset()
        self.compiled = torch.compile(super().objective, dynamic=False)

    def objective(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return self.compiled(x, t)


class PyTorchCompileChannelsLast(PyTorchCompile):
    name = "torch.compile, channels last"
    channels_last = True
