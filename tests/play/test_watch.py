"""What a run tells of itself is so, and the run is the one without anybody who looks."""

import copy
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest

import nnkit
from nnkit.play.watching import answers as watched_answers
from tests.play.watching import UNSEEN, Join, Page, T, X, fit, trainer


@pytest.fixture
def watch():
    with nnkit.Watch(port=0, browser=False) as made:
        yield made


def ended(watch):
    with Page(watch) as page:
        page.until("frame")
        page.until("answers")
        return page.last


def test_figures_are_those_of_the_history(watch):
    history = fit(trainer(), watch)
    told = ended(watch)
    frame = told["frame"]
    assert (frame["state"], frame["epoch"], frame["step"]) == ("finished", 4, 0)
    assert frame["passed"] == [1, 2, 3, 4]
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert frame["figures"][name] == history[name], name
    np.testing.assert_array_equal(frame["curve_steps"], np.arange(1, 41))
    np.testing.assert_array_equal(frame["curve_loss"], np.float32(history.step_loss))
    rows = np.tile([10] * 9 + [6], 4)
    right = (frame["curve_right"] * rows).reshape(4, 10).sum(axis=1) / 96
    np.testing.assert_allclose(right, history.accuracy, rtol=1e-6)
    assert (told["run"]["epochs"], told["run"]["steps"]) == (4, 10)


def test_answers_are_those_that_predict_gives(watch):
    one = trainer()
    fit(one, watch)
    told = ended(watch)["answers"]
    said, sure = one.predict(UNSEEN[0]), one.predict_proba(UNSEEN[0])
    counts = np.zeros((3, 3), int)
    for truth, answer in zip(UNSEEN[1], said, strict=True):
        counts[truth, answer] += 1
    np.testing.assert_array_equal(told["counts"], counts)
    assert (told["looked_at"], told["right"]) == (48, counts.trace())
    wrong = np.flatnonzero(said != UNSEEN[1])
    assert len(wrong) > 1
    assert {each["row"] for each in told["wrong"]} == set(wrong[:24]) or len(wrong) > 24
    for each in told["wrong"]:
        row = each["row"]
        assert (each["said"], each["truth"]) == (said[row], UNSEEN[1][row])
        assert each["probability"] == pytest.approx(sure[row, said[row]], rel=1e-6)
    sures = [each["probability"] for each in told["wrong"]]
    assert sures == sorted(sures, reverse=True)
    assert sum(n for *_, n in told["pairs"]) == len(wrong)


def test_pictures_are_the_wrong_examples():
    images = np.random.default_rng(0).integers(0, 256, (40, 16), dtype=np.uint8)
    data = images, np.arange(40) % 3
    one = trainer()
    with nnkit.Watch(port=0, browser=False, image_shape=(4, 4), class_names="abc") as watch:
        fit(one, watch, data=data, validation=data)
        told = ended(watch)
        with Page(watch) as page:
            frame = page.until("frame")
    rows = [each["row"] for each in told["answers"]["wrong"]]
    np.testing.assert_array_equal(told["answers"]["pictures"], images[rows].reshape(-1, 4, 4, 1))
    weights = one.model[0].W.value
    assert frame["weights"].shape == (8, 4, 4, 1)
    expected = np.round(127 * weights.T.reshape(8, 4, 4, 1) / abs(weights).max())
    np.testing.assert_allclose(frame["weights"], expected, atol=1)
    assert told["run"]["classes"] == ["a", "b", "c"]


@pytest.mark.parametrize("loss", ["mse", "sigmoid_cross_entropy", "binary", "hinge"])
def test_other_answers_than_classes(loss, watch):
    outputs = {"mse": 1, "sigmoid_cross_entropy": 3, "binary": 1, "hinge": 1}[loss]
    made = {"mse": "mse", "hinge": "hinge"}.get(loss) or nnkit.SigmoidCrossEntropy()
    targets = (np.eye(3)[T] if outputs == 3 else T > 0).astype(np.float32)
    one = trainer(outputs, made)
    fit(one, watch, data=(X, targets), validation=(X[:48], targets[:48]))
    told = ended(watch)
    said = one.predict(X[:48])
    if loss == "mse":
        assert told["run"]["says"] == "amounts"
        np.testing.assert_array_equal(told["answers"]["truth"], targets[:48])
        np.testing.assert_allclose(told["answers"]["said"], said[:, 0], rtol=1e-5)
    elif outputs == 3:
        assert told["run"]["says"] == "labels"
        assert "counts" not in told["answers"]
    else:
        right = (said[:, 0] > 0) == (targets[:48] > 0)
        assert told["answers"]["counts"].shape == (2, 2)
        assert told["answers"]["counts"].trace() == right.sum()


def test_of_many_examples_some_are_asked_evenly(monkeypatch, watch):
    monkeypatch.setattr("nnkit.play.watching.run.AT_THE_END", 12)
    fit(trainer(), watch)
    told = ended(watch)["answers"]
    assert (told["looked_at"], told["examples"], told["counts"].sum()) == (12, 48, 12)


def test_of_too_many_classes_there_is_no_matrix(monkeypatch, watch):
    monkeypatch.setattr(watched_answers, "CLASSES", 2)
    fit(trainer(), watch)
    told = ended(watch)["answers"]
    assert "counts" not in told
    assert told["pairs"]


def test_without_validation_data(watch):
    fit(trainer(), watch, validation=None)
    with Page(watch) as page:
        frame = page.until("frame", state="finished")
        assert "answers" not in page.last
        assert page.last["run"]["validates"] is False
    assert "val_loss" not in frame["figures"]


@pytest.mark.parametrize("look", [False, True])
@pytest.mark.parametrize("validation", [None, UNSEEN], ids=["epochs in one go", "validated"])
def test_the_run_is_the_one_without(look, validation, backend, watch, monkeypatch):
    """Bit for bit, also where a page looks as often as it can."""
    monkeypatch.setattr("nnkit.play.watching.run.FRAMES", (1e9, 0))
    monkeypatch.setattr("nnkit.play.watching.run.ANSWERS", (1e9, 0))
    alone, seen = trainer(backend=backend), trainer(backend=backend)
    join = [Join(watch)] if look else []
    how = {"epochs": 12, "batch": 12, "validation": validation}
    before, after = fit(alone, **how), fit(seen, watch, *join, **how)
    values = [one.model.backend.to_numpy(one.model.flat.values).tobytes() for one in (alone, seen)]
    assert values[0] == values[1]
    assert before.step_loss == after.step_loss
    assert before.val_loss == after.val_loss
    for each in join:
        frame = each.page.until("frame", state="finished", epoch=12)
        np.testing.assert_array_equal(frame["curve_loss"], np.float32(before.step_loss))
        each.page.close()


def test_no_step_is_a_call_of_its_own():
    assert nnkit.Watch.on_step_end is nnkit.Callback.on_step_end


def test_a_page_may_end_its_run_and_no_other(watch):
    class Wait(nnkit.Callback):
        """Lets steps go on only when the page's wish has come."""

        comes_last = True

        def __init__(self, off):
            self.off = off

        def on_fit_begin(self, trainer):
            with Page(watch) as page:
                run = page.until("run")["number"]
                page.send("stop", run="1")
                assert page.until("problem")["code"] == "unknown_message"
                page.send("stop", run=run + self.off)
                page.send("none")
                page.until("problem", values={"kind": "none"})

    for off, finished in ((1, True), (0, False)):
        one = trainer()
        fit(one, watch, Wait(off))
        assert one.progress.finished is finished
    assert ended(watch)["frame"]["state"] == "stopped"
    assert len(one.resume(X, T, validation_data=UNSEEN, callbacks=[watch], progress=False)) == 4
    told = ended(watch)
    np.testing.assert_array_equal(told["frame"]["curve_loss"], np.float32(one.history.step_loss))
    assert told["frame"]["state"] == "finished"


def test_a_run_that_breaks_off_says_so(watch):
    class Fails(nnkit.Callback):
        def on_epoch_end(self, trainer):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(trainer(), watch, Fails())
    assert ended(watch)["frame"]["state"] == "interrupted"


def test_runs_share_the_page_and_those_who_look_stay(watch):
    fit(trainer(), watch)
    address = watch.address
    with Page(watch) as page:
        page.until("frame", state="finished", run=1)
        thread = threading.Thread(target=fit, args=(trainer(), watch))
        thread.start()
        page.until("run", number=2)
        page.until("frame", state="finished", run=2)
        thread.join()
    assert watch.address == address


def test_two_at_once_have_a_page_each_and_close(watch):
    fit(trainer(), watch)
    port = int(watch.address.split(":")[2].split("/")[0])
    with nnkit.Watch(port=port, browser=False) as other:
        fit(trainer(), other)
        assert other.address.split("/")[2] != watch.address.split("/")[2]
    assert other.address is None
    fit(trainer(), other)
    assert ended(other)["frame"]["state"] == "finished"
    other.close()


def test_copies_have_a_page_of_their_own(watch):
    one = trainer()
    copies = []

    class Copy(nnkit.Callback):
        def on_epoch_end(self, trainer):
            copies.append(pickle.loads(pickle.dumps(trainer)))
            assert copies[-1].validation is None

    fit(one, watch, Copy())
    assert len(copies) == 4
    for other in (copy.deepcopy(watch), pickle.loads(pickle.dumps(watch))):
        assert other.address is None
        assert (other.port, other.browser) == (0, False)


def test_it_is_closed_with_the_object():
    watch = nnkit.Watch(port=0, browser=False)
    fit(trainer(), watch)
    threads = [t for t in threading.enumerate() if t.name == "nnkit-server"]
    page = Page(watch)
    page.until("frame", state="finished")
    del watch
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    page.close()


def test_what_it_needs_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(ImportError, match="pip install starlette uvicorn"):
        fit(trainer(), nnkit.Watch(port=0, browser=False))


@pytest.mark.parametrize("shape", [(4,), 5, (4, 0), (1, 2, 3, 4)])
def test_shapes_that_are_none(shape):
    with pytest.raises(ValueError, match="image_shape"):
        nnkit.Watch(image_shape=shape)


def test_nothing_of_a_server_is_imported_before_it_is_used():
    code = "import nnkit, sys; nnkit.Watch(); sys.exit('starlette' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_trainer_shows_callbacks_its_validation_data():
    seen = []

    class Look(nnkit.Callback):
        def on_epoch_end(self, trainer):
            seen.append(trainer.validation)

    one = trainer()
    fit(one, Look(), validation=None, validation_split=0.25)
    assert len(seen[0]) == 24
    assert len(seen[0].examples(seen[0].rows[:5])) == 5
    assert one.validation is None
