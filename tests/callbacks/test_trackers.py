"""MLflow and Weights & Biases: what they are told, by small fakes of what is called of them."""

from __future__ import annotations

import copy
import pickle
import sys

import numpy as np
import pytest

import nnkit
from tests.callbacks.fakes import FakeMLflow, FakeWandb
from tests.callbacks.runs import StopAfter, fit, resume, trainer


class Service:
    """Either, as the tests look at it."""

    def __init__(self, name):
        self.name = name
        self.module = FakeMLflow() if name == "mlflow" else FakeWandb()

    def callback(self):
        return nnkit.MLflow() if self.name == "mlflow" else nnkit.WeightsAndBiases()

    def begin(self):
        if self.name == "mlflow":
            return self.module.start_run()
        return self.module.init("p", "n", None, None)

    def log(self, run):
        return run.log if self.name == "mlflow" else run.log_of_epochs

    def settings(self, run):
        return run.data.params if self.name == "mlflow" else run.settings


@pytest.fixture(params=["mlflow", "wandb"])
def service(request, monkeypatch):
    service = Service(request.param)
    monkeypatch.setitem(sys.modules, request.param, service.module)
    return service


def rows(history, lr=0.1):
    columns = history.to_dict()
    return [
        {"epoch": i + 1, "lr": lr, **{name: column[i] for name, column in columns.items()}}
        for i in range(len(history))
    ]


def test_a_run_of_its_own(service):
    one = trainer()
    history = fit(one, 3, service.callback(), schedule=nnkit.schedules.Constant())
    (run,) = service.module.runs.values()
    assert service.log(run) == rows(history)
    assert run.status == "FINISHED"
    assert {name: str(value) for name, value in service.settings(run).items()} == {
        **{"backend": "numpy", "dtype": "float32", "parameters": "53"},
        "loss": "SoftmaxCrossEntropy(label_smoothing=0.0)",
        **{"optimizer": "SGD", "lr": "0.1", "momentum": "0.5", "nesterov": "False"},
        **{"weight_decay": "0.0", "l1": "0.0", "clip_norm": "None"},
        **{"schedule": repr(nnkit.schedules.Constant()), "augment": ""},
        **{"epochs": "3", "batch_size": "8", "examples": "40", "seed": "0"},
    }


def test_a_run_that_is_active_is_used_and_left_so(service):
    mine = service.begin()
    first, second = (fit(trainer(), 2, service.callback()) for _ in range(2))
    assert [*service.module.runs.values()] == [mine]
    assert service.log(mine) == rows(first) + rows(second)
    assert mine.status == "RUNNING"


@pytest.mark.parametrize("way", ["file", "same", "copy", "pickle"])
def test_a_run_that_goes_on_does_so_there(service, tmp_path, way):
    callback, one = service.callback(), trainer()
    fit(one, 4, callback, StopAfter(2))
    if way == "file":
        one.save(tmp_path / "run")
        one, callback = nnkit.Trainer.load(tmp_path / "run", "numpy"), service.callback()
    elif way != "same":
        copied = copy.deepcopy if way == "copy" else lambda x: pickle.loads(pickle.dumps(x))
        one, callback = copied((one, callback))
    history = resume(one, callback)
    (run,) = service.module.runs.values()
    assert service.log(run) == rows(history)
    assert run.status == "FINISHED"
    fit(one, 1, callback)
    assert len(service.module.runs) == 2, "another run is another one there"


def test_a_run_that_was_broken_off(service):
    class Break(nnkit.Callback):
        def on_epoch_end(self, trainer):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fit(trainer(), 2, service.callback(), Break())
    (run,) = service.module.runs.values()
    assert run.status == "KILLED"


def test_names(monkeypatch):
    mlflow, wandb = FakeMLflow(), FakeWandb()
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    fit(trainer(), 1, nnkit.MLflow("digits", "mine"), nnkit.WeightsAndBiases("digits", "mine"))
    assert (mlflow.experiment, mlflow.runs["run-0"].info.name) == ("digits", "mine")
    run = wandb.runs["run-0"]
    assert (run.project, run.name, run.charts) == ("digits", "mine", {"*": "epoch"})


@pytest.mark.parametrize(
    ("module", "make", "message"),
    [
        ("mlflow", nnkit.MLflow, "MLflow is not installed: pip install mlflow-skinny"),
        ("wandb", nnkit.WeightsAndBiases, "WeightsAndBiases needs wandb: pip install wandb"),
    ],
)
def test_without_the_library(monkeypatch, module, make, message):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError) as error:
        fit(trainer(), 1, make())
    assert str(error.value) == message


@pytest.mark.parametrize("name", [b"", b"../run", b"a b", b"\xff\xff", b"x" * 65])
def test_a_name_of_a_run_that_none_has(service, name):
    one, callback = trainer(), service.callback()
    fit(one, 2, callback, StopAfter(1))
    one.keep({f"{type(callback).__name__}.0": {"run": np.frombuffer(name, np.uint8)}})
    with pytest.raises(nnkit.CheckpointError, match="does not fit: no run is called"):
        resume(one, service.callback())
