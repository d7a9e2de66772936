"""A room trains what a page asks for, as far as it asks, and shows it."""

import json
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.sync.client import connect

import nnkit
from nnkit.kernels import compiling
from nnkit.play.playground.network import code
from nnkit.play.playground.pictures import CURVE, SIDE, UNIT_CURVE, UNIT_SIDE
from nnkit.play.playground.room import Playground
from nnkit.play.playground.settings import LOSSES, Settings
from nnkit.play.playground.training import Network
from nnkit.play.server import Server
from nnkit.play.wire import unpack
from tests.play.talking import ANYTHING, talking

BACKENDS = [name for name in ("numpy", "numba") if name in nnkit.available_backends()]
KNOWN = ("play", "pause", "step", "epoch", "rate", "speed", "ready", "code", "set")
KINDS = st.sampled_from(KNOWN) | st.text()
FIELDS = st.sampled_from(["settings", "lr", "speed", "pixels"])
SMALL = {"points": 40, "hidden": [4, 3], "batch": 10, "seed": 1, "backend": "numpy"}


@pytest.fixture
def page():
    with talking(Playground) as page:
        assert page.hear("hello")["defaults"]["problem"]
        yield page


def built(page, **changed):
    page.say("set", settings={**SMALL, **changed})
    made = page.hear("built")
    return made, page.hear("frame")


def until(page, right):
    """Take frames until one is right."""
    while True:
        page.say("ready")
        frame = page.hear("frame")
        if right(frame):
            return frame


def weights_of(wanted, steps=0, epochs=1):
    """What nnkit itself trains, stopped after some steps if that is asked for."""

    class Stop(nnkit.Callback):
        def on_step_end(self, trainer):
            made = trainer.progress.epoch * trainer.progress.steps + trainer.progress.step
            trainer.stop = made == steps

    found = {}
    exec(code(wanted, epochs).rpartition("trainer.fit")[0], found)
    trainer = found["trainer"]
    how = {"callbacks": [Stop()]} if steps else {}
    trainer.fit(found["x"], found["t"], epochs, wanted.batch_size, **how)
    return np.concatenate([p.to_numpy().ravel() for p in trainer.model.parameters()[::2]])


def small(**changed):
    return replace(Settings(**{**SMALL, "hidden": tuple(SMALL["hidden"])}), **changed)


def test_what_is_built_is_described(page):
    made, frame = built(page)
    assert made["settings"] == json.loads(json.dumps(asdict(small())))
    assert [layer["weights"] for layer in made["layers"]] == [[2, 4], [4, 3], [3, 1]]
    assert made["n_parameters"] == 8 + 4 + 12 + 3 + 3 + 1
    assert made["points"].shape == made["test_points"].shape == (40, 2)
    assert (made["points"] != made["test_points"]).any()
    assert set(made["targets"]) == {0, 1}
    assert (frame["epoch"], frame["step"]) == (0, 0)
    assert frame["regions"].shape == (SIDE, SIDE)
    for name in ("neurons", "boundaries"):
        assert frame[name].shape == (7, UNIT_SIDE, UNIT_SIDE)
        assert (np.abs(frame[name]).max(axis=(1, 2)) >= 120).all()
    assert len(frame["weights"]) == len(frame["gradients"]) == 8 + 12 + 3
    assert len(frame["biases"]) == 8
    assert frame["curve_loss"].tolist() == [np.float32(frame["loss"])]


@pytest.mark.parametrize("backend", BACKENDS)
def test_pictures_are_what_the_network_answers(page, backend):
    """Each pixel of the regions against the model itself, up above and down below."""
    made, frame = built(page, backend=backend, activation="relu")
    page.say("epoch")
    page.hear("state")
    frame = page.hear("frame")
    found = {}
    exec(code(small(backend=backend, activation="relu"), 1), found)
    low, high = made["plane"]
    middles = low + (high - low) * (np.arange(SIDE) + 0.5) / SIDE
    for row, y in ((0, middles[-1]), (SIDE - 1, middles[0])):
        points = np.stack([middles, np.full(SIDE, y)], axis=1).astype(np.float32)
        probabilities = found["trainer"].predict_proba(points)[:, 0]
        np.testing.assert_allclose(frame["regions"][row], 255 * probabilities, atol=0.51)
    known = found["trainer"].evaluate(made["points"], made["targets"])
    assert frame["loss"] == pytest.approx(known["loss"], rel=1e-5)
    assert frame["accuracy"] == pytest.approx(known["accuracy"])
    first = found["model"][0].W.to_numpy()
    np.testing.assert_array_equal(frame["weights"][:8], first.ravel())
    np.testing.assert_array_equal(
        frame["gradients"][:8], np.array(found["model"][0].W.grad).ravel()
    )
    assert frame["layers"][0]["weight_size"] == pytest.approx(np.sqrt(np.mean(first**2)), rel=1e-5)


def test_a_sine_is_answered_by_a_curve(page):
    made, frame = built(page, problem="sine", loss="mean_squared_error")
    assert frame["curve"].shape == (CURVE,)
    assert frame["neurons"].shape == (7, UNIT_CURVE)
    assert frame["accuracy"] is None
    assert made["points"].shape == (40, 1)


SPIRALS = {"problem": "spirals", "points": 100, "noise": 0.0, "hidden": [8, 8]}


@pytest.mark.parametrize(
    "changed",
    [
        *({"problem": "xor", "hidden": [4], "lr": 0.5, "backend": name} for name in BACKENDS),
        {"problem": "circles", "points": 100, "backend": "numpy"},
        {**SPIRALS, "optimizer": "adam", "lr": 0.02, "backend": BACKENDS[-1]},
        *({"problem": "nand", "loss": name, "optimizer": "adam"} for name in LOSSES["nand"]),
    ],
    ids=lambda s: "-".join(str(x) for x in s.values() if isinstance(x, str)),
)
def test_problems_are_learned(page, changed):
    made, _ = built(page, **changed)
    page.say("play")
    frame = until(page, lambda frame: frame["accuracy"] == 1 and frame["loss"] < 0.1)
    low, high = made["plane"]
    places = ((made["points"] - low) / (high - low) * SIDE).astype(int).clip(0, SIDE - 1)
    regions = frame["regions"][SIDE - 1 - places[:, 1], places[:, 0]] > 127
    assert np.mean(regions == (made["targets"] > 0.5)) > 0.9
    assert len(frame["curve_step"]) == len(frame["curve_loss"]) == len(frame["curve_test"])
    assert (np.diff(frame["curve_step"]) > 0).all()
    assert frame["curve_step"][-1] == frame["step"]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_playing_pausing_and_stepping_make_the_same_network(page, backend, dropout):
    """Steps, epochs, all speeds, in pieces, and with a word between: as one call of fit."""
    changed = {"backend": backend, "dropout": dropout, "optimizer": "adam", "lr": 0.01}
    built(page, **changed)
    for _ in range(3):
        page.say("step")
        page.hear("state")
        frame = page.hear("frame")
    assert (frame["epoch"], frame["step"]) == (0, 3)
    page.say("epoch")
    page.hear("state")
    assert page.hear("frame")["step"] == 4
    for speed in ("full", "calm", "full"):
        page.say("speed", speed=speed)
        page.say("play")
        reached = frame["step"] + 3
        until(page, lambda frame, reached=reached: frame["step"] >= reached)
        page.say("pause")
        while page.hear("state")["playing"]:
            pass
        frame = page.hear("frame")
    expected = weights_of(small(**changed), steps=frame["step"], epochs=frame["epoch"] + 1)
    np.testing.assert_array_equal(frame["weights"], expected)


def test_a_rate_is_changed_while_it_plays(page):
    built(page, problem="xor")
    page.say("play")
    until(page, lambda frame: frame["step"] > 10)
    page.say("rate", lr=1e-6)
    page.say("code")
    answer = page.hear("code")
    assert "lr=0.1" in answer["code"]
    assert f"epochs={answer['epochs']}," in answer["code"]
    before = until(page, lambda frame: True)
    after = until(page, lambda frame: frame["step"] > before["step"] + 10)
    moved = np.abs(after["weights"] - before["weights"]).max()
    assert moved < 1e-5 * (after["step"] - before["step"])


def test_other_settings_while_it_plays_begin_anew(page):
    built(page, problem="xor")
    page.say("play")
    until(page, lambda frame: frame["step"] > 10)
    page.say("set", settings={**SMALL, "problem": "moons"})
    assert page.hear("built")["settings"]["problem"] == "moons"
    assert not page.hear("state")["playing"]
    assert page.hear("frame")["step"] == 0


def test_what_is_refused_leaves_what_there_was(page):
    built(page)
    page.say("play")
    page.say("set", settings={"points": 10**6})
    while (message := page.came.get(timeout=60))["type"] != "problem":
        pass
    assert message["code"] == "setting_whole"
    assert message["values"] == {"setting": "points", "low": 10, "high": 500}
    step = until(page, lambda frame: True)["step"]
    until(page, lambda frame: frame["step"] > step)


@pytest.mark.parametrize("kind", ["play", "step", "epoch", "rate", "code", "speed", "none"])
def test_nothing_is_done_before_there_is_a_network(page, kind):
    page.say(kind, lr=1)
    problem = page.came.get(timeout=60)
    assert problem["type"] == "problem"
    assert problem["code"] in ("nothing_built", "setting_choice", "unknown_message")


def test_frames_come_only_when_they_are_wanted(page):
    """One is sent for "ready", however often it is said and however much is trained meanwhile."""
    built(page, problem="xor")
    page.say("play")
    until(page, lambda frame: frame["step"] > 100)
    page.say("code")
    reached = page.hear("code")["epochs"]
    while reached < 2000:
        page.say("code")
        reached = page.hear("code", "frame")["epochs"]
    page.say("ready")
    assert page.hear("frame")["epoch"] >= 2000


@pytest.mark.parametrize("speed", ["calm", "slow"])
def test_at_the_other_speeds_each_step_can_be_seen(page, speed):
    built(page)
    page.say("speed", speed=speed)
    page.say("play")
    for step in range(1, 4):
        assert until(page, lambda frame: frame["step"] > 0)["step"] == step


def test_a_page_is_told_that_kernels_are_compiled(page, monkeypatch):
    def compiles(settings):
        compiling.listener().begin()
        compiling.listener().begin()
        compiling.listener().end()
        return Network(settings)

    monkeypatch.setattr("nnkit.play.playground.room.Network", compiles)
    page.say("set", settings=SMALL)
    assert page.came.get(timeout=60)["type"] == "preparing"
    assert page.came.get(timeout=60)["type"] == "built"


@given(st.lists(st.tuples(KINDS, st.dictionaries(FIELDS, ANYTHING, max_size=3)), max_size=8))
@settings(max_examples=60, deadline=None)
def test_whatever_a_page_says_is_answered(said):
    with talking(Playground) as page:
        for kind, fields in [*said, ("set", {"settings": SMALL}), ("step", {})]:
            page.connection.put({**fields, "type": kind})
        page.say("last")
        while page.came.get(timeout=60).get("values") != {"kind": "last"}:
            pass


def test_a_run_that_diverges_says_so(page):
    built(page, problem="sine", loss="mean_squared_error", activation="identity", lr=100)
    page.say("play")
    assert page.hear("state")["playing"] is True
    state = page.hear("state")
    assert (state["playing"], state["why"]) == (False, "diverged")
    assert state["better"] == pytest.approx(10)
    assert page.hear("frame")["loss"] is None
    page.say("set", settings=SMALL)
    assert page.hear("built")


def test_units_that_are_dead_or_saturated_are_counted(page):
    built(page, activation="relu", lr=100, optimizer="sgd")
    page.say("epoch")
    page.hear("state")
    assert page.hear("frame")["layers"][0]["dead"] > 0
    _, frame = built(page, activation="sigmoid", initial="large", seed=3)
    assert 0 < frame["layers"][0]["saturated"] < 1
    assert frame["layers"][-1]["dead"] is None


def test_a_page_that_says_nothing_is_not_trained_for():
    with talking(partial(Playground, idle_seconds=0.1)) as page:
        built(page)
        page.say("play")
        while (state := page.hear("state"))["why"] is None:
            pass
        assert (state["playing"], state["why"]) == (False, "idle")


def test_pages_do_not_disturb_each_other():
    with ExitStack() as stack:
        pages = [stack.enter_context(talking(Playground)) for _ in range(3)]
        for page in pages:
            built(page, problem="moons", backend=BACKENDS[-1])
            page.say("play")
        for page in pages:
            until(page, lambda frame: frame["epoch"] > 20)
            page.say("pause")
        for page in pages:
            while page.hear("state")["playing"]:
                pass
            frame = page.hear("frame")
            expected = weights_of(
                small(problem="moons", backend=BACKENDS[-1]), frame["step"], frame["epoch"] + 1
            )
            np.testing.assert_array_equal(frame["weights"], expected)


def test_memory_of_a_run_does_not_grow():
    rooms = []

    def make(connection):
        rooms.append(Playground(connection))
        return rooms[0]

    with talking(make) as page:
        built(page, problem="xor", backend=BACKENDS[-1])
        page.say("play")
        until(page, lambda frame: frame["epoch"] > 3000)
        trainer = rooms[0].network.trainer
        assert len(trainer.history) < 1500
        assert len(trainer.history.step_loss) < 1500


def test_through_a_socket():
    with Server({"playground": Playground}, port=0) as server:
        token = server.address.partition("=")[2]
        address = f"ws://127.0.0.1:{server.port}/talk/playground?token={token}"
        with connect(address) as socket:
            assert unpack(socket.recv(timeout=60))["type"] == "hello"
            for message in ({"type": "set", "settings": SMALL}, {"type": "play"}):
                socket.send(json.dumps(message))
            steps = []
            while len(set(steps)) < 4:
                message = unpack(socket.recv(timeout=60))
                if message["type"] == "frame":
                    steps.append(message["step"])
                    socket.send(json.dumps({"type": "ready"}))
