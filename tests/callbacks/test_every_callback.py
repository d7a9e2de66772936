"""What holds for every callback: copies, runs one after the other and beside each other, errors."""

from __future__ import annotations

import copy
import inspect
import logging
import pickle
import subprocess
import sys
import textwrap
import threading

import pytest

import nnkit
from tests.callbacks.fakes import FakeMLflow, FakeWandb, fake_board
from tests.callbacks.runs import StopAfter, fit, resume, trainer, weights

KINDS = {
    name: kind
    for name in nnkit.callbacks.__all__
    if inspect.isclass(kind := getattr(nnkit, name))
    and issubclass(kind, nnkit.Callback)
    and kind is not nnkit.Callback
}


def make(name, folder):
    arguments = {
        "Checkpoint": (folder / "run",),
        "CSVLogger": (folder / "run.csv",),
        "TensorBoard": (folder / "board", 1),
        "ProgressBar": ("validation", False, False),
    }
    return KINDS[name](*arguments.get(name, ()))


@pytest.fixture(autouse=True)
def fakes(monkeypatch):
    try:
        import tensorboardX  # noqa: F401
    except ImportError:
        monkeypatch.setitem(sys.modules, "tensorboardX", fake_board())
    monkeypatch.setitem(sys.modules, "mlflow", FakeMLflow())
    monkeypatch.setitem(sys.modules, "wandb", FakeWandb())


WHOLE = {}


def whole():
    """The weights after a run without callbacks."""
    if not WHOLE:
        one = trainer()
        fit(one, 4)
        WHOLE["weights"] = weights(one)
    return WHOLE["weights"]


@pytest.mark.parametrize("way", ["same", "copy", "pickle", "in between"])
@pytest.mark.parametrize("name", KINDS)
def test_copies_of_it_serve_the_run_as_it_does(name, way, tmp_path):
    """And the run is as one without it, as long as it does not reduce the rate or stop."""
    one, callback = trainer(), make(name, tmp_path)
    if way in ("copy", "pickle"):
        callback = copied(callback, way)
    copies = []

    class Copy(nnkit.Callback):
        def on_epoch_end(self, trainer):
            if way == "in between":
                copies.append(pickle.loads(pickle.dumps(callback)))

    fit(one, 4, callback, Copy(), StopAfter(2))
    if way != "same":
        callback = copies[-1] if copies else copied(callback, way)
    resume(one, callback)
    assert weights(one) == (whole() if name != "EarlyStopping" else weights(one))
    fit(trainer(), 2, callback)


def copied(callback, way):
    return copy.deepcopy(callback) if way == "copy" else pickle.loads(pickle.dumps(callback))


def test_all_of_them_in_captured_runs(backend, tmp_path):
    """They want no step to be a call of its own."""
    results = []
    for names in ([], [name for name in KINDS if name != "EarlyStopping"]):
        one = trainer(backend)
        fit(one, 3, *(make(name, tmp_path) for name in names))
        results.append(weights(one))
    assert results[0] == results[1]
    for name, kind in KINDS.items():
        assert kind.on_step_end is nnkit.Callback.on_step_end, name


def test_in_threads(tmp_path):
    """Each run with its own, at the same time."""
    names = ["CSVLogger", "Checkpoint", "TensorBoard", "ReduceOnPlateau"]
    found = [None] * 3

    def work(i):
        one = trainer()
        fit(one, 4, *(make(name, tmp_path / str(i)) for name in names))
        found[i] = weights(one)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [whole()] * 3
    tables = [(tmp_path / str(i) / "run.csv").read_text().splitlines() for i in range(3)]
    assert [len(table) for table in tables] == [5] * 3


class Fails(nnkit.Callback):
    def __init__(self, hook):
        setattr(self, hook, self.fail)

    def fail(self, trainer):
        raise KeyError("mine")


@pytest.mark.parametrize("hook", ["on_fit_begin", "on_epoch_end", "on_fit_end"])
def test_an_error_in_one_carries_on_and_the_others_are_ended(hook, tmp_path):
    """Those before it in the list and behind, each as often as it was begun."""
    calls = []

    class Record(nnkit.Callback):
        def on_fit_begin(self, trainer):
            calls.append("begin")

        def on_fit_end(self, trainer):
            calls.append("end")

    one = trainer()
    with pytest.raises(KeyError, match="mine") as error:
        fit(one, 2, Record(), Fails(hook), Record())
    assert error.value.__cause__ is None
    assert calls.count("begin") == calls.count("end") == (1 if hook == "on_fit_begin" else 2)
    history = resume(one, Record())
    assert len(history) == 2


def test_the_library_shows_nothing_of_what_it_logs():
    code = """
        import logging, nnkit
        assert not logging.getLogger("nnkit").handlers[1:]
        logging.getLogger("nnkit.callbacks").warning("nobody asked")
        print("done")
    """
    code = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(code, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("done\n", "")
    (handler,) = logging.getLogger("nnkit").handlers
    assert type(handler) is logging.NullHandler
