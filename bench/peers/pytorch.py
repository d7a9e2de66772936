"""PyTorch, eager: modules, autograd and the fused optimizer."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import nn

from bench.networks import Weights
from bench.peers.peer import Peer, device, threads


class PyTorch(Peer):
    """The usual training loop, with the data on the device."""

    name = "PyTorch"
    distributions = ("torch",)

    @classmethod
    def versions(cls) -> dict[str, str]:
        if device() == "cuda" and not torch.cuda.is_available():
            raise ImportError("this PyTorch finds no GPU")
        return super().versions()

    def build(self, weights: Weights, x: np.ndarray, t: np.ndarray) -> None:
        torch.set_num_threads(threads())
        self.device = torch.device(device())
        self.x = torch.from_numpy(x).to(self.device)
        self.t = torch.from_numpy(t).to(self.device)
        layers = []
        for (a, b), (w, bias) in zip(pairwise(self.network.sizes), weights, strict=True):
            linear = nn.Linear(a, b)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(w.T))
                linear.bias.copy_(torch.from_numpy(bias))
            layers += [linear, nn.ReLU()]
        self.model = nn.Sequential(*layers[:-1]).to(self.device)
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
