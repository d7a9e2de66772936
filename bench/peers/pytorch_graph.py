"""PyTorch under a CUDA graph: the whole training step recorded once and replayed."""

from __future__ import annotations

import numpy as np
import torch

from bench.networks import Weights
from bench.peers.pytorch import PyTorch

WARM_UP = 3


class PyTorchGraph(PyTorch):
    """A replay needs nothing from the host: order, position and losses are on the device too."""

    name = "PyTorch, CUDA graph"

    def build(self, weights: Weights, x: np.ndarray, t: np.ndarray) -> None:
        super().build(weights, x, t)
        self.order = torch.zeros(
            (self.steps, self.network.batch_size), dtype=torch.int64, device=self.device
        )
        self.position = torch.zeros(1, dtype=torch.int64, device=self.device)
        self.losses = torch.zeros(self.steps, device=self.device)
        self.graph = self.record()

    def make_optimizer(self) -> torch.optim.Optimizer:
        parameters, lr = self.model.parameters(), self.network.lr
        if self.network.optimizer == "SGD":
            return torch.optim.SGD(parameters, lr, fused=True)
        return torch.optim.Adam(parameters, lr, fused=True, capturable=True)

    def record(self) -> torch.cuda.CUDAGraph:
        """Record a step, after some on another stream that are undone again."""
        initial = [p.detach().clone() for p in self.model.parameters()]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                self.position.zero_()
                self.recorded_step()
        torch.cuda.current_stream().wait_stream(stream)
        self.optimizer.zero_grad()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.recorded_step()
        with torch.no_grad():
            for p, value in zip(self.model.parameters(), initial, strict=True):
                p.copy_(value)
                for state in self.optimizer.state[p].values():
                    if torch.is_tensor(state):
                        state.zero_()
        return graph

    def recorded_step(self) -> None:
        i = self.order.index_select(0, self.position)[0]
        loss = self.step(self.x.index_select(0, i), self.t.index_select(0, i))
        self.losses.index_copy_(0, self.position, loss[None])
        self.position += 1

    def run(self, epoch: int) -> np.ndarray:
        self.order.copy_(torch.from_numpy(self.batches(epoch)))
        self.position.zero_()
        for _ in range(self.steps):
            self.graph.replay()
        return self.losses.cpu().numpy()


class PyTorchGraphChannelsLast(PyTorchGraph):
    name = "PyTorch, CUDA graph, channels last"
    channels_last = True
