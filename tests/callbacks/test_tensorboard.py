"""TensorBoard: what is written is read back, record by record."""

from __future__ import annotations

import struct
import sys

import numpy as np
import pytest

pytest.importorskip("tensorboardX")
from tensorboardX.proto.event_pb2 import Event, SessionLog

import nnkit
from tests.callbacks.runs import StopAfter, T, X, fit, resume, trainer

NAMES = ["0.weight", "0.bias", "2.weight", "2.bias"]


def events(folder):
    """All events of a run's files, which TensorBoard reads in the order of their names: records of
    a length and its checksum, the data and its checksum."""
    found = []
    for path in sorted(folder.iterdir()):
        data, at = path.read_bytes(), 0
        while at < len(data):
            (size,) = struct.unpack_from("<Q", data, at)
            found.append(Event.FromString(data[at + 12 : at + 12 + size]))
            at += 16 + size
        assert at == len(data)
    return found


def shown(folder):
    """{name: {step: value}} as TensorBoard shows it: what begins at a step hides later ones."""
    found = []
    for event in events(folder):
        if event.session_log.status == SessionLog.START:
            found = [each for each in found if each[1] < event.step]
        for value in event.summary.value:
            kept = value.histo if value.HasField("histo") else value.simple_value
            found.append((value.tag, event.step, kept))
    by_name = {name: {} for name, *_ in found}
    for name, step, value in found:
        assert step not in by_name[name], "a step has two values"
        by_name[name][step] = value
    return by_name


def steps(values, first=1):
    return {first + i: np.float32(value) for i, value in enumerate(values)}


def test_figures_in_two_runs_and_histograms(tmp_path, backend):
    board, one = nnkit.TensorBoard(tmp_path / "run", histograms=2), trainer(backend)
    history = fit(one, 4, board, schedule=nnkit.schedules.StepDecay(every=10, factor=0.5))
    train, validation = (shown(tmp_path / "run" / name) for name in ("train", "validation"))
    histograms = {name: train.pop(name) for name in NAMES}
    assert train == {
        **{name: steps(history[name]) for name in ("loss", "accuracy", "seconds")},
        "lr": steps([0.1, 0.1, 0.05, 0.05]),
    }
    assert validation == {name: steps(history[f"val_{name}"]) for name in ("loss", "accuracy")}
    for (name, parameter), found in zip(
        one.model.named_parameters(), histograms.values(), strict=True
    ):
        values = one.model.backend.to_numpy(parameter.value)
        assert [*found] == [2, 4]
        assert found[4].num == values.size == sum(found[4].bucket), name
        assert found[4].sum == pytest.approx(values.sum(dtype=float))
        assert (found[4].min, found[4].max) == (values.min(), values.max())


def test_without_validation_there_is_one_run(tmp_path):
    trainer().fit(X, T, 1, callbacks=[nnkit.TensorBoard(str(tmp_path))])
    assert [path.name for path in tmp_path.iterdir()] == ["train"]
    assert shown(tmp_path / "train").keys() == {"loss", "accuracy", "seconds", "lr"}


def test_a_run_that_goes_on_hides_what_came_later(tmp_path):
    """As after a kill, from a checkpoint of two epochs before; all within a second."""
    board, one = nnkit.TensorBoard(tmp_path / "run"), trainer()
    fit(one, 4, board, StopAfter(2))
    one.save(tmp_path / "file")
    resume(one, board)
    one = nnkit.Trainer.load(tmp_path / "file", "numpy")
    one.optimizer.lr = 0.3
    history = resume(one, nnkit.TensorBoard(tmp_path / "run"))
    train = shown(tmp_path / "run" / "train")
    assert train["loss"] == steps(history.loss)
    assert train["lr"] == steps([0.1, 0.1, 0.3, 0.3])
    assert len([*(tmp_path / "run" / "train").iterdir()]) == 3


def test_weights_that_are_no_numbers(tmp_path):
    board = nnkit.TensorBoard(tmp_path, histograms=1)
    fit(trainer(lr=1e30), 1, board, on_nan="ignore")
    assert not {*NAMES} & shown(tmp_path / "train").keys()


def test_without_the_library(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError) as error:
        fit(trainer(), 1, nnkit.TensorBoard(tmp_path))
    assert str(error.value) == "TensorBoard needs tensorboardX: pip install tensorboardX"


def test_bad_settings():
    with pytest.raises(TypeError, match=r"^TensorBoard: folder must be a path, not 3$"):
        nnkit.TensorBoard(3)
    with pytest.raises(ValueError, match=r"^TensorBoard: histograms must be an integer"):
        nnkit.TensorBoard("runs", -1)
