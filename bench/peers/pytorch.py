"""PyTorch, eager: modules, autograd and the fused optimizer."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import nn

from bench.networks import ConvNetwork, Trained, Weights
from bench.peers.peer import Peer, device, threads
from bench.peers.pytorch_layers import Builder, in_order


class PyTorch(Peer):
    """The usual training loop, with the data on the device."""

    name = "PyTorch"
    distributions = ("torch",)
    channels_last: ClassVar[bool] = False
    """How images lie in memory: PyTorch's own order is that of channels first."""

    @classmethod
    def takes(cls, network: Trained) -> bool:
        return isinstance(network, ConvNetwork) or not cls.channels_last

    @classmethod
    def versions(cls) -> dict[str, str]:
        if device() == "cuda" and not torch.cuda.is_available():
            raise ImportError("this PyTorch finds no GPU")
        return super().versions()

    def build(self, weights: Weights, x: np.ndarray, t: np.ndarray) -> None:
        torch.set_num_threads(threads())
        torch.backends.cudnn.allow_tf32 = False  # as it is for products without being told
        self.device = torch.device(device())
        layers = self.network.model("numpy").layers
        x = in_order(layers[0], x, self.channels_last)
        self.x = torch.from_numpy(x).to(self.device)
        self.t = torch.from_numpy(t).to(self.device)
        builder = Builder(iter(weights), self.channels_last)
        self.model = builder.sequence(layers, layers[0].input_shape)
        order = torch.channels_last if self.channels_last else torch.contiguous_format
        self.model.to(self.device, memory_format=order)
        self.cross_entropy = nn.CrossEntropyLoss()
        self.optimizer = self.make_optimizer()

    def make_optimizer(self) -> torch.optim.Optimizer:
        parameters, lr = self.model.parameters(), self.network.lr
        if self.network.optimizer == "SGD":
            return torch.optim.SGD(parameters, lr, fused=True)
        return torch.optim.Adam(parameters, lr, fused=True)

    def run(self, epoch: int) -> np.ndarray:
        batches = torch.from_numpy(self.batches(epoch)).to(self.device)
        losses = [self.step(self.x.index_select(0, i), self.t.index_select(0, i)) for i in batches]
        return torch.stack(losses).cpu().numpy()

    def step(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        self.optimizer.zero_grad()
        loss = self.objective(x, t)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def objective(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return self.cross_entropy(self.model(x), t)


class PyTorchChannelsLast(PyTorch):
    name = "PyTorch, channels last"
    channels_last = True
