"""What the view "draw" answers, without a browser."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import nnkit
from nnkit.play.drawing.gallery import Gallery
from nnkit.play.drawing.insight import Insight, parts
from nnkit.play.drawing.room import Draw
from nnkit.play.drawing.teaching import Pupil
from nnkit.play.limits import DRAWN_LAYERS, DRAWN_MAPS, DRAWN_SIDE
from nnkit.recognising import Recogniser
from tests.play.networks import exhibit, gallery, relu, sigmoid, trained


class Page:
    """What a room says, in place of a connection."""

    def __init__(self):
        self.said = []

    def send(self, kind, **fields):
        self.said.append((kind, fields))

    def waiting(self):
        return False

    def kinds(self):
        return [kind for kind, _ in self.said]

    def last(self, kind):
        return next(fields for k, fields in reversed(self.said) if k == kind)


@pytest.fixture(scope="module")
def networks():
    return gallery(relu=relu(), sigmoid=sigmoid())


@pytest.fixture
def room(networks):
    made = Draw(Page(), networks)
    made.handle({"type": "open", "slot": 0, "model": "relu"})
    made.connection.said.clear()
    return made


def a_one():
    pixels = np.zeros((280, 280), np.uint8)
    pixels[50:230, 130:152] = 255
    return pixels


def test_a_drawing_is_answered_as_predict_would_and_then_explained(room, networks):
    room.handle({"type": "open", "slot": 1, "model": "sigmoid"})
    room.connection.said.clear()
    room.handle({"type": "drawing", "pixels": a_one()})
    page = room.connection
    assert page.kinds() == ["answer", "answer", "done", "pictures", "pictures"]
    for slot, name in enumerate(("relu", "sigmoid")):
        recogniser = networks.open(name).recogniser
        image = recogniser.prepared(a_one())
        answer = page.said[slot][1]
        assert answer["probabilities"] == recogniser.probabilities(image).tolist()
        assert (answer["image"] == image).all()


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "drawing", "pixels": np.zeros((280, 280), np.uint8)}, "draw_nothing"),
        ({"type": "drawing", "pixels": np.zeros((0, 5), np.uint8)}, "unknown_message"),
        ({"type": "drawing", "pixels": np.zeros((1, 5000), np.uint8)}, "unknown_message"),
        ({"type": "drawing", "pixels": np.zeros((9, 9), np.float32)}, "unknown_message"),
        ({"type": "drawing"}, "unknown_message"),
        ({"type": "open", "slot": 2, "model": "relu"}, "draw_no_model"),
        ({"type": "open", "slot": True, "model": "relu"}, "draw_no_model"),
        ({"type": "open", "slot": [], "model": "relu"}, "draw_no_model"),
        ({"type": "open", "slot": 0, "model": ["relu"]}, "draw_no_model"),
        ({"type": "open", "slot": 0, "model": np.zeros(3, np.uint8)}, "draw_no_model"),
        ({"type": "open", "slot": np.zeros(3, np.uint8), "model": "relu"}, "draw_no_model"),
        ({"type": "open", "slot": 0, "model": "/etc/passwd"}, "draw_no_model"),
        ({"type": "leave", "slot": 1}, "draw_no_model"),
        ({"type": "teach", "slot": {}, "label": 1, "pixels": a_one()}, "draw_no_model"),
        ({"type": "teach", "slot": 0, "label": 10, "pixels": a_one()}, "unknown_message"),
        ({"type": "teach", "slot": 0, "label": "1", "pixels": a_one()}, "unknown_message"),
        ({"type": "forget", "slot": 0, "index": 0}, "unknown_message"),
        ({"type": "undo", "slot": 0}, "draw_nothing_to_undo"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(room, message, code):
    room.handle(message)
    assert room.connection.last("problem")["code"] == code
    if message["type"] == "drawing":
        assert "done" in room.connection.kinds()
    room.handle({"type": "drawing", "pixels": a_one()})
    assert "answer" in room.connection.kinds()


def test_a_network_in_colour_is_refused():
    colour = nnkit.Trainer(nnkit.models.lenet((8, 8, 3), seed=0))
    colour.extra = {"image_shape": (8, 8, 3)}
    room = Draw(Page(), gallery(colour=colour))
    room.handle({"type": "open", "slot": 0, "model": "colour"})
    assert room.connection.last("problem")["code"] == "draw_in_colour"


def test_a_lesson_is_learned_by_this_page_alone_and_undone(room, networks):
    shared = networks.open("relu").recogniser.trainer.model
    before = shared.state()
    room.handle({"type": "drawing", "pixels": a_one()})
    first = room.connection.last("answer")
    label = (first["best"] + 1) % 10
    room.handle({"type": "teach", "slot": 0, "label": label, "pixels": a_one()})
    taught = room.connection.last("taught")
    assert (taught["before"], taught["after"]) == (first["best"], label)
    assert taught["steps"] > 0
    assert min(taught["rehearsal"]) > 0.8
    assert room.connection.last("drawings")["labels"] == [label]
    room.handle({"type": "drawing", "pixels": a_one()})
    assert room.connection.last("answer")["best"] == label
    assert room.connection.last("pictures")["label"] == label
    assert all((before[name] == value).all() for name, value in shared.state().items())
    room.handle({"type": "undo", "slot": 0})
    room.handle({"type": "drawing", "pixels": a_one()})
    again = room.connection.last("answer")
    assert again["probabilities"] == first["probabilities"]
    assert room.connection.last("drawings")["labels"] == []


def test_a_drawing_is_taken_out(room):
    for label in (1, 7):
        room.handle({"type": "teach", "slot": 0, "label": label, "pixels": a_one()})
    room.handle({"type": "forget", "slot": 0, "index": 0})
    assert room.connection.last("drawings")["labels"] == [7]
    room.handle({"type": "undo", "slot": 0})
    assert room.connection.last("drawings")["labels"] == [1]
    room.handle({"type": "undo", "slot": 0})
    assert room.connection.last("drawings")["labels"] == []


def test_pages_that_share_a_network_get_their_own_answers(networks):
    recogniser = networks.open("relu").recogniser
    images = np.random.default_rng(0).integers(0, 256, (4, 64), np.uint8)
    alone = [recogniser.probabilities(image) for image in images]

    def ask(i):
        return all((recogniser.probabilities(images[i]) == alone[i]).all() for _ in range(200))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, range(4)))


def test_what_contradicts_itself_ends_at_the_limit(monkeypatch):
    monkeypatch.setattr("nnkit.play.drawing.teaching.TAUGHT_STEPS", 9)
    there = exhibit(relu(), known=False)
    image = there.recogniser.prepared(a_one())
    lesson = Pupil(there.recogniser, None).learn(
        np.stack([image, image]), np.array([1, 7]), lambda: None
    )
    assert lesson.steps == 9
    assert lesson.rehearsal is None


def test_contributions_of_units_add_up_to_the_score():
    """Without biases a network of ReLU is homogeneous: the sum of a * ds/da is s (Euler)."""
    trainer = trained(
        nnkit.Linear(64, 8), nnkit.ReLU(), nnkit.Linear(8, 6), nnkit.ReLU(), nnkit.Linear(6, 10)
    )
    for name, parameter in trainer.model.named_parameters():
        if name.endswith("bias"):
            parameter.value[...] = 0
    recogniser = Recogniser(trainer, "it")
    x = recogniser.batch(recogniser.prepared(a_one())[None])
    found = Insight(trainer.model, recogniser.taken, (8, 8)).pictures(x)
    score = trainer.model(x)[0, found["label"]]
    assert sum(did for _, did in found["loudest"]) == pytest.approx(score, rel=1e-4)
    unit = found["loudest"][0][0]
    weights = trainer.model[0].W.value[:, unit].reshape(8, 8)
    assert (found["weights"][0] == weights).all()


def test_deep_networks_are_shown_in_part():
    model = nnkit.models.resnet20((32, 32), classes=10, seed=0)
    room = Draw(Page(), gallery(resnet=nnkit.Trainer(model)))
    room.gallery.open("resnet").recogniser.trainer.extra = {}
    room.handle({"type": "open", "slot": 0, "model": "resnet"})
    about = room.connection.last("model")
    assert len(about["sizes"]) == DRAWN_LAYERS < len(about["layers"]) == len(parts(model))
    assert about["layers"][0] == "Conv2d, BatchNorm2d, ReLU"
    room.handle({"type": "drawing", "pixels": a_one()})
    found = room.connection.last("pictures")
    assert found["layer0"].shape == (16, 32, 32)
    assert found["gradient"].shape == (32, 32)


def test_large_maps_are_thinned_out():
    model = nnkit.Sequential(
        nnkit.Conv2d(1, 40, 3, padding=1), nnkit.ReLU(), nnkit.Flatten(), nnkit.Linear(640000, 2)
    )
    insight = Insight(model, (200, 80, 1), (200, 80))
    found = insight.pictures(np.zeros((1, 200, 80, 1), np.float32))
    assert found["layer0"].shape[0] == DRAWN_MAPS
    assert max(found["layer0"].shape[1:]) <= DRAWN_SIDE


def test_a_softmax_of_one_layer_shows_the_answers_own_weights():
    trainer = trained(nnkit.Linear(64, 10))
    recogniser = Recogniser(trainer, "it")
    x = recogniser.batch(recogniser.prepared(a_one())[None])
    found = Insight(trainer.model, recogniser.taken, (8, 8)).pictures(x)
    assert found["loudest"][0][0] == found["label"]


def test_who_asks_while_another_page_trains_gets_the_same():
    asked = []
    shared = Gallery({"relu": lambda _: asked.append(1) or exhibit(relu())})
    assert shared.open("relu") is shared.open("relu")
    assert asked == [1]
