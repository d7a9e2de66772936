"""nnkit as its users run it: one long `Trainer.fit`, held back between the epochs."""

from __future__ import annotations

from threading import Semaphore, Thread
from typing import ClassVar

import numpy as np

import nnkit
from bench.networks import ORDER_SEED, Weights
from bench.peers.peer import Peer
from nnkit import Callback, SoftmaxCrossEntropy, Trainer, get_backend


class Gate(Callback):
    """Lets `fit`, which has a thread of its own, through one epoch at a time."""

    def __init__(self) -> None:
        self.begin, self.ended = Semaphore(0), Semaphore(0)
        self.error: BaseException | None = None
        self.closed = False

    def on_fit_begin(self, trainer: Trainer) -> None:
        self.wait(trainer)

    def on_epoch_end(self, trainer: Trainer) -> None:
        self.ended.release()
        self.wait(trainer)

    def wait(self, trainer: Trainer) -> None:
        self.begin.acquire()
        trainer.stop = self.closed


class NnkitTrainer(Peer):
    """The public trainer on one backend, every epoch timed from gate to gate."""

    distributions = ("numpy",)
    backend: ClassVar[str]
    fuse: ClassVar[bool] = True
    capture: ClassVar[bool] = True

    def build(self, weights: Weights, x: np.ndarray, t: np.ndarray) -> None:
        model = self.network.model(self.backend, self.fuse)
        for parameter, value in zip(model.parameters(), weights, strict=True):
            parameter.value = model.backend.asarray(value)
        self.trainer = Trainer(model, SoftmaxCrossEntropy(), self.network.make_optimizer())
        self.gate = Gate()
        self.thread = Thread(target=self._fit, args=(x, t), daemon=True)
        self.thread.start()

    def _fit(self, x: np.ndarray, t: np.ndarray) -> None:
        try:
            self.trainer.fit(
                x,
                t,
                epochs=10**9,
                batch_size=self.network.batch_size,
                seed=ORDER_SEED,
                callbacks=[self.gate],
                compile=self.capture,
                progress=False,
            )
        except BaseException as error:
            self.gate.error = error
        self.gate.ended.release()

    def run(self, epoch: int) -> np.ndarray:
        """Train for the trainer's next epoch, whose order is that of `batches`."""
        if epoch != self.trainer.epochs_made:
            raise ValueError(f"the trainer is at epoch {self.trainer.epochs_made}, not {epoch}")
        self.gate.begin.release()
        self.gate.ended.acquire()
        if self.gate.error is not None:
            raise self.gate.error
        return np.array(self.trainer.history.step_loss[-self.steps :])

    @classmethod
    def versions(cls) -> dict[str, str]:
        return {"nnkit": nnkit.__version__} | super().versions()

    def close(self) -> None:
        self.gate.closed = True
        self.gate.begin.release()
        self.thread.join()


class NnkitNumpy(NnkitTrainer):
    name = "nnkit, NumPy"
    backend = "numpy"


class NnkitNumba(NnkitTrainer):
    name = "nnkit, Numba"
    distributions = ("numpy", "numba")
    backend = "numba"


class NnkitNumbaUncaptured(NnkitNumba):
    name = "nnkit, Numba, not captured"
    capture = False


class NnkitCupy(NnkitTrainer):
    name = "nnkit, CuPy"
    backend = "cupy"

    @classmethod
    def versions(cls) -> dict[str, str]:
        import cupy

        get_backend("cupy")
        return super().versions() | {"cupy": cupy.__version__}


class NnkitCupyUncaptured(NnkitCupy):
    name = "nnkit, CuPy, not captured"
    capture = False
