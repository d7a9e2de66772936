"""What notebooks show of models, trainers, histories and figures."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import numpy as np
import pytest

import nnkit


class Cells(HTMLParser):
    """The rows of the tables of a text, as lists of cells."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.caption = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tag = tag
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.tag in ("td", "th"):
            self.rows[-1][-1] += data.strip()


def trainer(**options):
    layers = nnkit.Linear(2, 3), nnkit.Residual(nnkit.Linear(3, 3)), nnkit.Linear(3, 2)
    return nnkit.Trainer(nnkit.Sequential(*layers, seed=0, backend="numpy"), **options)


def test_a_model():
    rows = Cells(trainer().model._repr_html_()).rows
    assert rows[0] == ["layer", "output", "parameters"]
    assert ["1: Residual", "(n, 3)", "0"] in rows
    assert ["1.0: Linear(in_features=3, out_features=3, bias=True)", "(n, 3)", "12"] in rows
    assert rows[-1] == ["total", "", "29"]


def test_text_is_escaped():
    class Tagged(nnkit.Identity):
        def __repr__(self):
            return "<script>alert(1)</script>"

    model = nnkit.Sequential(Tagged(), backend="numpy")
    assert "<script>" not in model._repr_html_()
    assert "&lt;script&gt;" in model._repr_html_()


def test_a_trainer():
    fresh = trainer(optimizer=nnkit.SGD(0.5))
    assert ["loss", "SoftmaxCrossEntropy(label_smoothing=0.0)"] in Cells(fresh._repr_html_()).rows
    assert repr(fresh).startswith("Trainer(Sequential(\n  0: Linear")
    fresh.fit(np.eye(2), [0, 1], 3, validation_data=(np.eye(2), [0, 1]))
    rows = Cells(fresh._repr_html_()).rows
    assert ["run", "3 of 3 epochs done"] in rows
    assert ["val_loss", f"{fresh.history.val_loss[-1]:.4g}"] in rows
    assert ["layer", "output", "parameters"] in rows


@pytest.mark.parametrize(("epochs", "shown"), [(0, 0), (3, 3), (20, 20), (21, 21), (500, 21)])
def test_a_history(epochs, shown):
    history = trainer().fit(np.eye(2), [0, 1], epochs) if epochs else nnkit.History()
    header, *rows = Cells(history._repr_html_()).rows
    assert header == ["epoch", *history.to_dict()]
    assert len(rows) == shown
    if epochs:
        first, last = history.loss[0], history.loss[-1]
        assert rows[0][:2] == ["1", f"{first:.4g}"]
        assert rows[-1][:2] == [str(epochs), f"{last:.4g}"]
        assert rows[0][2].endswith("%")
    assert (["…"] * len(header) in rows) == (epochs > 20)


class TestHistoryAsColumns:
    def test_without_validation(self):
        history = trainer().fit(np.eye(2), [0, 1], 3)
        columns = history.to_dict()
        assert list(columns) == ["loss", "accuracy", "seconds"]
        assert {len(values) for values in columns.values()} == {3}
        assert json.loads(json.dumps(columns)) == columns

    def test_with_validation_in_some_epochs(self):
        run = trainer()
        run.fit(np.eye(2), [0, 1], 2)
        run.resume(np.eye(2), [0, 1], 3, validation_data=(np.eye(2), [0, 1]))
        columns = run.history.to_dict()
        assert {len(values) for values in columns.values()} == {3}
        assert np.isnan(columns["val_loss"]).tolist() == [True, True, False]

    def test_it_is_a_copy(self):
        history = trainer().fit(np.eye(2), [0, 1], 2)
        history.to_dict()["loss"].clear()
        assert len(history.loss) == 2


def test_a_figure():
    pytest.importorskip("matplotlib")
    from nnkit.plotting import learning_curves

    figure = learning_curves(trainer().fit(np.eye(2), [0, 1], 2))
    assert figure._repr_png_().startswith(b"\x89PNG\r\n")
