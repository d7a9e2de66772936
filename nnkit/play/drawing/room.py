"""The view "draw": a digit is drawn, and networks say what it is, why, and learn it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from nnkit.image_files import ImageError
from nnkit.play.connection import Connection, RefusedError
from nnkit.play.drawing.gallery import Gallery
from nnkit.play.drawing.insight import Insight
from nnkit.play.drawing.teaching import KEPT, Pupil
from nnkit.play.limits import DRAWINGS, PAD_SIDE, TAUGHT_PARAMETERS
from nnkit.play.rooms import Room
from nnkit.play.wire import Message

SLOTS = 2
"""Networks side by side."""


class Seat:
    """A network that is shown, as this page has taught it, with the drawings it was taught."""

    def __init__(self, gallery: Gallery, name: str, training: Any) -> None:
        self.name, self.exhibit = name, gallery.open(name, training)
        self.recogniser = self.exhibit.recogniser
        if not self.recogniser.gray:
            raise RefusedError("draw_in_colour", name=name)
        model = self.recogniser.trainer.model
        height, width = self.recogniser.shape[:2]
        self.insight = Insight(model, self.recogniser.taken, (height, width))
        self.pupil: Pupil | None = None
        self.images: list[NDArray[np.uint8]] = []
        self.labels: list[int] = []
        self.before: deque[tuple[list[NDArray[np.uint8]], list[int]]] = deque(maxlen=KEPT)
        """The drawings from before each lesson that can be undone."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes' names."""
        return self.recogniser.names(self.recogniser.trainer.model.out_features or 0)

    def learner(self) -> Pupil:
        """The copy of the network that is this page's own."""
        if self.pupil is None:
            if self.recogniser.trainer.model.n_parameters > TAUGHT_PARAMETERS:
                raise RefusedError("draw_too_large", name=self.name, most=TAUGHT_PARAMETERS)
            self.pupil = Pupil(self.recogniser, self.exhibit.rehearsal())
            self.recogniser = self.pupil.recogniser
        return self.pupil


class Draw(Room):
    """Answers drawings with probabilities and pictures, and teaches networks.

    Messages to it: "open" {slot, model}, "leave" {slot}, "drawing" {pixels}, "teach" {slot, label,
    pixels}, "forget" {slot, index} and "undo" {slot}. To a drawing there is an "answer" for each
    network, "done", also where it was refused, and then "pictures" for each.
    """

    def __init__(self, connection: Connection, gallery: Gallery) -> None:
        super().__init__(connection)
        self.gallery = gallery
        self.seats: dict[int, Seat] = {}

    def greet(self) -> None:
        """Say which networks there are."""
        self.connection.send("gallery", names=self.gallery.names)

    def on_open(self, message: Message) -> None:
        """Show a network in a slot."""
        slot, name = message.get("slot"), message.get("model")
        if type(slot) is not int or slot not in range(SLOTS) or not self._has(name):
            raise RefusedError("draw_no_model", name=str(name)[:40])

        def training() -> None:
            self.connection.send("training", slot=slot, name=name)

        self.seats.pop(slot, None)
        seat = self.seats[slot] = Seat(self.gallery, name, training)
        self.connection.send(
            "model",
            slot=slot,
            name=name,
            classes=seat.classes,
            shape=seat.recogniser.shape,
            layers=[part.name for part in seat.insight.parts],
            sizes=seat.insight.sizes,
        )

    def _has(self, name: object) -> TypeGuard[str]:
        return isinstance(name, str) and name in self.gallery.names

    def on_leave(self, message: Message) -> None:
        """Show no network in a slot any more."""
        self._seat(message)
        del self.seats[message["slot"]]

    def on_drawing(self, message: Message) -> None:
        """Answer one drawing: first all answers, then pictures."""
        try:
            pixels = _pixels(message)
            ways = {(seat.recogniser.shape, seat.recogniser.how): seat for seat in self._all()}
            ready = {way: _prepared(seat, pixels) for way, seat in ways.items()}
            images = [ready[seat.recogniser.shape, seat.recogniser.how] for seat in self._all()]
            for slot, image in zip(self.seats, images, strict=True):
                self._answer(slot, self.seats[slot], image)
        finally:
            self.connection.send("done")
        for slot, image in zip(self.seats, images, strict=True):
            seat = self.seats[slot]
            found = seat.insight.pictures(seat.recogniser.batch(image[None]))
            self.connection.send("pictures", slot=slot, **found)

    def _all(self) -> Iterable[Seat]:
        return self.seats.values()

    def on_teach(self, message: Message) -> None:
        """Have a network learn what the drawing is."""
        seat, label = self._seat(message), message.get("label")
        if type(label) is not int or not 0 <= label < len(seat.classes):
            raise RefusedError("unknown_message", kind="teach")
        if len(seat.images) >= DRAWINGS:
            raise RefusedError("draw_enough", most=DRAWINGS)
        image, pupil = _prepared(seat, _pixels(message)), seat.learner()
        seat.before.append((seat.images[:], seat.labels[:]))
        seat.images.append(image)
        seat.labels.append(label)
        lesson = pupil.learn(
            np.stack(seat.images), np.array(seat.labels, np.int64), self.connection.waiting
        )
        seat.insight.follow(seat.recogniser.trainer.model)
        self.connection.send(
            "taught",
            slot=message["slot"],
            label=label,
            steps=lesson.steps,
            before=lesson.before[-1],
            after=lesson.after[-1],
            right=sum(a == t for a, t in zip(lesson.after, seat.labels, strict=True)),
            rehearsal=lesson.rehearsal,
        )
        self._drawings(message["slot"], seat)

    def on_undo(self, message: Message) -> None:
        """Have the weights, and the drawings, from before the last lesson."""
        seat = self._seat(message)
        if seat.pupil is None or not seat.pupil.undo():
            raise RefusedError("draw_nothing_to_undo")
        seat.insight.follow(seat.recogniser.trainer.model)
        seat.images, seat.labels = seat.before.pop()
        self.connection.send("undone", slot=message["slot"])
        self._drawings(message["slot"], seat)

    def on_forget(self, message: Message) -> None:
        """Take a drawing out of those that a network is taught from now on."""
        seat, index = self._seat(message), message.get("index")
        if type(index) is not int or not 0 <= index < len(seat.images):
            raise RefusedError("unknown_message", kind="forget")
        del seat.images[index], seat.labels[index]
        self._drawings(message["slot"], seat)

    def _seat(self, message: Message) -> Seat:
        slot = message.get("slot")
        if type(slot) is not int or slot not in self.seats:
            raise RefusedError("draw_no_model", name=str(slot)[:40])
        return self.seats[slot]

    def _answer(self, slot: int, seat: Seat, image: NDArray[np.uint8]) -> None:
        said = seat.recogniser.probabilities(image)
        best, listed = int(said.argmax()), said.tolist()
        shown = image.reshape(seat.recogniser.shape)
        self.connection.send("answer", slot=slot, best=best, probabilities=listed, image=shown)

    def _drawings(self, slot: int, seat: Seat) -> None:
        """Say which drawings a network was taught."""
        shape = (len(seat.images), *seat.recogniser.shape)
        images = np.array(seat.images, np.uint8).reshape(shape)
        self.connection.send("drawings", slot=slot, labels=seat.labels, images=images)


def _pixels(message: Message) -> NDArray[np.uint8]:
    """The drawing of a message, gray bytes (rows, columns)."""
    pixels = message.get("pixels")
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 2 or pixels.dtype != np.uint8:
        raise RefusedError("unknown_message", kind="drawing")
    if not 0 < min(pixels.shape) <= max(pixels.shape) <= PAD_SIDE:
        raise RefusedError("unknown_message", kind="drawing")
    return pixels


def _prepared(seat: Seat, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    try:
        return seat.recogniser.prepared(pixels)
    except ImageError as error:
        raise RefusedError("draw_nothing") from error
