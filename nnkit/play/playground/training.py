"""One network of the playground, and its run: trained as far as is wished, and on from there."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from nnkit.data.problems import GATES
from nnkit.play.playground import network
from nnkit.play.playground.curve import Curve, Speed
from nnkit.play.playground.settings import Settings
from nnkit.play.playground.view import View
from nnkit.training import Callback, History, Trainer

MOST_EPOCHS = 2**40
"""Of a run: nobody will see its end."""

STRETCH_SECONDS = 0.008
"""How long to train, where epochs are so short, before anything else is looked after."""


class Network:
    """A network, its points, what it looks like, and how it has learned so far."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.train = network.points(settings)
        self.test = network.points(settings, held_out=True)
        self.trainer: Trainer = network.trainer(settings)
        self.view = View(settings, self.trainer.model, self.trainer.loss, self.train, self.test)
        self.curve, self.speed = Curve(), Speed()

    @property
    def epochs(self) -> int:
        """Finished epochs."""
        return self.trainer.progress.epoch if self.trainer.progress else 0

    @property
    def step(self) -> int:
        """Finished steps, of all epochs."""
        run = self.trainer.progress
        return run.epoch * run.steps + run.step if run else 0

    def go_on(self, callback: Callback) -> None:
        """Train until the callback sets ``trainer.stop``."""
        how: dict[str, Any] = {"epochs": MOST_EPOCHS, "callbacks": [callback], "progress": False}
        self.speed.forget()
        self.speed.see(self.step)
        if self.trainer.progress is None:
            self.trainer.fit(*self.train, batch_size=self.settings.batch_size, **how)
        else:
            self.trainer.resume(*self.train, **how)

    def frame(self) -> dict[str, Any]:
        """What is to be seen now, by the names that a frame has."""
        found = self.view.frame()
        self.curve.add(self.step, found["loss"], found["test_loss"])
        latest = self.curve.arrays(self.step, found["loss"], found["test_loss"])
        return {"epoch": self.epochs, "step": self.step, **found, **latest}

    def note(self) -> None:
        """Enter the losses in the curve, where it has no point near."""
        if self.curve.wants(self.step):
            figures = self.view.figures()
            self.curve.add(self.step, figures["loss"], figures["test_loss"])

    def built(self) -> dict[str, Any]:
        """What there is to know of it before it is trained."""
        (x, t), (x_test, t_test) = self.train, self.test
        layers: list[dict[str, Any]] = []
        for path in self.view.linear:
            layer: Any = self.trainer.model[int(path)]
            kind = self.settings.activation if len(layers) < len(self.settings.hidden) else "output"
            shape = list(layer.W.value.shape)
            layers.append({"path": path, "kind": kind, "units": shape[1], "weights": shape})
        return {
            "n_parameters": self.trainer.model.n_parameters,
            "layers": layers,
            "plane": list(self.view.plane),
            "points": x,
            "targets": t.reshape(-1).astype("float32"),
            "test_points": x_test,
            "test_targets": t_test.reshape(-1).astype("float32"),
            "held_out": self.settings.problem not in GATES,
        }


class Stretches(Callback):
    """Trains at full speed; between stretches it calls `between`, which may stop the run."""

    def __init__(self, between: Callable[[], None]) -> None:
        self.between = between
        self._ahead = 1.0
        self._begun, self._epoch = time.perf_counter(), 0

    def epochs_ahead(self, trainer: Trainer) -> float:
        """As many as take about `STRETCH_SECONDS`."""
        return self._ahead

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Look at the clock."""
        assert trainer.progress is not None
        self._begun, self._epoch = time.perf_counter(), trainer.progress.epoch

    def on_progress(self, trainer: Trainer) -> None:
        """In long epochs."""
        self.between()

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Forget what nobody reads, so that a run of hours takes no memory."""
        assert trainer.progress is not None
        trainer.history = History()
        seconds = max(time.perf_counter() - self._begun, 1e-6)
        made = trainer.progress.epoch - self._epoch
        self._ahead = max(1.0, made * STRETCH_SECONDS / seconds)
        self.between()
        self._begun, self._epoch = time.perf_counter(), trainer.progress.epoch


class Steps(Stretches):
    """Makes single steps, and calls `between` after each."""

    def on_step_end(self, trainer: Trainer) -> None:
        """That it is defined makes each step a call of its own."""


class Epoch(Stretches):
    """Calls `between` at the end of each epoch alone."""

    def on_progress(self, trainer: Trainer) -> None:
        """Say nothing."""
