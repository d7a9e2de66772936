"""The view "playground": small networks that learn before one's eyes."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from nnkit.kernels import compiling
from nnkit.play.connection import Connection, RefusedError
from nnkit.play.limits import IDLE_SECONDS
from nnkit.play.playground.network import code
from nnkit.play.playground.settings import (
    CHOICES,
    LIMITS,
    LOSSES,
    MOST_LAYERS,
    Settings,
    as_sent,
    number,
    parsed,
)
from nnkit.play.playground.telling import Telling
from nnkit.play.playground.training import Epoch, Network, Steps, Stretches
from nnkit.play.rooms import Room
from nnkit.play.wire import Message
from nnkit.training import DivergenceError

FRAME_SECONDS = 1 / 60
"""Least time between two frames that a page asks for."""

PAUSES = {"full": 0.0, "calm": 1 / 30, "slow": 1 / 3}
"""Speeds, and how many seconds each step takes then, at least."""

LIVE = ("ready", "rate", "code")
"""Messages that are answered while training goes on; others interrupt it."""


class Playground(Room):
    """Builds the networks that a page asks for, trains them and shows them."""

    def __init__(self, connection: Connection, idle_seconds: float = IDLE_SECONDS) -> None:
        super().__init__(connection)
        self.network: Network | None = None
        self.playing, self.speed = False, "full"
        self._idle_seconds, self._heard = idle_seconds, time.monotonic()
        self._wanted, self._sent, self._shown = False, 0.0, -1
        self._held: Message | None = None

    def greet(self) -> None:
        """Say what there is to choose from."""
        self.connection.send(
            "hello",
            choices=CHOICES,
            limits=LIMITS,
            most_layers=MOST_LAYERS,
            losses=LOSSES,
            speeds=[*PAUSES],
            defaults=as_sent(Settings()),
        )

    def serve(self) -> None:
        """Answer, and train where that is wished, until the page goes."""
        with compiling.told(Telling(self.connection)):
            self.greet()
            while True:
                if self.playing and self._held is None:
                    self._train(self._whole())
                else:
                    self.handle(self._next())

    def on_set(self, message: Message) -> None:
        """Build a network afresh."""
        settings = parsed(message.get("settings"))
        self.playing = False
        self.network = Network(settings)
        self.connection.send(
            "built", settings=as_sent(settings), code=code(settings, 1), **self.network.built()
        )
        self._state()
        self._show()

    def on_play(self, _: Message) -> None:
        """Train until something else is wished."""
        self._built()
        self.playing = True
        self._state()

    def on_pause(self, _: Message) -> None:
        """Train no more."""
        self._pause()

    def on_step(self, _: Message) -> None:
        """Make one update."""
        self._train_once(Steps)

    def on_epoch(self, _: Message) -> None:
        """Train to the end of the epoch."""
        self._train_once(Epoch)

    def on_rate(self, message: Message) -> None:
        """Change the learning rate; training goes on."""
        self._built().trainer.optimizer.lr = number("lr", message.get("lr"))

    def on_speed(self, message: Message) -> None:
        """Change how fast it trains."""
        speed = message.get("speed")
        if not isinstance(speed, str) or speed not in PAUSES:
            raise RefusedError("setting_choice", setting="speed", choices=", ".join(PAUSES))
        self.speed = speed

    def on_ready(self, _: Message) -> None:
        """The page has drawn what it has got."""
        self._wanted = True

    def on_code(self, _: Message) -> None:
        """Give the lines of Python that train as long as was trained, at the first rate."""
        network = self._built()
        epochs = max(1, network.epochs)
        self.connection.send("code", code=code(network.settings, epochs), epochs=epochs)

    def _built(self) -> Network:
        if self.network is None:
            raise RefusedError("nothing_built")
        return self.network

    def _next(self) -> Message:
        """The next message, which may be one that has interrupted training."""
        message, self._held = self._held or self.connection.receive(), None
        assert message is not None
        self._heard = time.monotonic()
        return message

    def _state(self, why: str | None = None, **values: Any) -> None:
        self.connection.send("state", playing=self.playing, why=why, **values)

    def _pause(self, why: str | None = None, **values: Any) -> None:
        self.playing = False
        self._state(why, **values)
        if self.network is not None:
            self._show()

    def _show(self) -> None:
        network = self._built()
        speed = network.speed.value() if self.playing else 0.0
        self.connection.send("frame", steps_per_second=speed, **network.frame())
        self._wanted, self._sent, self._shown = False, time.monotonic(), network.step

    def _train_once(self, callback: Callable[[Callable[[], None]], Stretches]) -> None:
        """Pause, and train as far as the callback goes when it is told to stop at once."""
        network, self.playing = self._built(), False
        if self._train(callback(partial(setattr, network.trainer, "stop", True))):
            self._pause()

    def _whole(self) -> Stretches:
        """What trains until it is interrupted."""
        if PAUSES[self.speed]:
            return Steps(self._paced)
        return Stretches(self._between)

    def _train(self, callback: Stretches) -> bool:
        """Train until the callback says so; whether all is well."""
        try:
            self._built().go_on(callback)
        except DivergenceError:
            rate = self._built().trainer.optimizer.lr
            self._pause("diverged", lr=rate, better=rate / 10)
            return False
        return True

    def _between(self, seconds: float = 0.0) -> None:
        """Hear what the page says within so many seconds, and show it what it wants to see."""
        network = self._built()
        network.speed.see(network.step)
        network.note()
        end = time.monotonic() + seconds
        while not network.trainer.stop:
            wanted = self._wanted and network.step != self._shown
            if wanted and time.monotonic() >= self._sent + FRAME_SECONDS:
                self._show()
            left = end - time.monotonic()
            if not self.connection.waiting() and left <= 0:
                break
            message = self.connection.receive(max(left, 0))
            if message is not None:
                self._hear(message)
        if time.monotonic() > self._heard + self._idle_seconds:
            network.trainer.stop = True
            self._pause("idle")

    def _paced(self) -> None:
        self._between(PAUSES[self.speed])

    def _hear(self, message: Message) -> None:
        self._heard = time.monotonic()
        if message["type"] in LIVE:
            self.handle(message)
        else:
            self._held = message
            self._built().trainer.stop = True
