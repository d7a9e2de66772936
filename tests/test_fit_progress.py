"""`fit` shows how far it is where a person watches."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

import nnkit
from nnkit import progress
from nnkit.progress import ProgressBar
from nnkit.showing import bars


class Terminal(io.StringIO):
    def isatty(self):
        return True


class OnlyWrites:
    def write(self, text):
        return len(text)

    def flush(self):
        pass


def fit(n=4, epochs=2, stdout=None, stderr=None, **options):
    """Train a little; return what was written to stdout and to stderr."""
    out = io.StringIO() if stdout is None else stdout
    err = io.StringIO() if stderr is None else stderr
    trainer = nnkit.Trainer(nnkit.Sequential(nnkit.Linear(2, 2), seed=0, backend="numpy"))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        trainer.fit(np.ones((n, 2)), np.arange(n) % 2, epochs, **options)
    return out.getvalue(), err.getvalue()


def lines(text):
    return [line.split()[1] for line in text.splitlines()]


@pytest.fixture
def drawn_always(monkeypatch):
    monkeypatch.setattr(progress, "REFRESH_SECONDS", 0)


class TestWho:
    def test_nobody_at_a_pipe(self):
        assert fit() == ("", "")

    def test_a_person_at_a_terminal(self):
        out, err = fit(stdout=Terminal(), stderr=Terminal())
        assert lines(out) == ["1/2", "2/2"]
        assert err.startswith("\repoch 1/2 |")

    def test_a_file_is_kept_free_of_it(self):
        out, err = fit(stderr=Terminal())
        assert not out
        assert err.startswith("\repoch 1/2 |")

    def test_progress_false(self):
        assert fit(stdout=Terminal(), stderr=Terminal(), progress=False) == ("", "")

    def test_progress_true(self):
        out, err = fit(progress=True)
        assert lines(out) == ["1/2", "2/2"]
        assert not err

    def test_one_bar_is_enough(self):
        out, _ = fit(progress=True, callbacks=[ProgressBar("test")])
        assert lines(out) == ["1/2", "2/2"]

    def test_a_run_that_goes_on(self, capsys):
        trainer = nnkit.Trainer(nnkit.Sequential(nnkit.Linear(2, 2), seed=0, backend="numpy"))
        trainer.fit(np.eye(2), [0, 1], 2)
        trainer.resume(np.eye(2), [0, 1], 4, progress=True)
        assert lines(capsys.readouterr().out) == ["3/4", "4/4"]

    @pytest.mark.parametrize("stream", [None, OnlyWrites()])
    @pytest.mark.parametrize("live", [None, True])
    def test_streams_that_are_none(self, monkeypatch, stream, live):
        trainer = nnkit.Trainer(nnkit.Sequential(nnkit.Linear(2, 2), seed=0, backend="numpy"))
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "stderr", stream)
        trainer.fit(np.eye(2), [0, 1], 2, callbacks=[ProgressBar(live=live)])

    def test_without_tqdm_there_are_the_lines(self, monkeypatch):
        there = importlib.util.find_spec
        monkeypatch.setattr(bars, "find_spec", lambda name: None if name == "tqdm" else there(name))
        out, err = fit(stdout=Terminal(), stderr=Terminal())
        assert lines(out) == ["1/2", "2/2"]
        assert not err


class TestNotebook:
    @pytest.fixture(autouse=True)
    def _notebook(self, monkeypatch):
        shell = SimpleNamespace(config={"IPKernelApp": {}})
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))

    def test_without_ipywidgets_it_is_characters_and_no_warning(self, monkeypatch):
        monkeypatch.setattr(
            bars, "find_spec", lambda name: None if name == "ipywidgets" else object()
        )
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            out, err = fit()
        assert lines(out) == ["1/2", "2/2"]
        assert "epoch 1/2 |" in err

    def test_with_ipywidgets_it_is_theirs(self, monkeypatch):
        monkeypatch.setattr(bars, "find_spec", lambda name: object())
        notebook = SimpleNamespace(tqdm=object())
        monkeypatch.setitem(sys.modules, "tqdm.notebook", notebook)
        assert bars.bar_class(needed=False) is notebook.tqdm


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (30, []),
        (46, ["loss"]),
        (60, ["loss", "accuracy"]),
        (80, ["loss", "accuracy", "/s", "left"]),
        (120, ["loss", "accuracy", "/s", "left"]),
    ],
)
@pytest.mark.usefixtures("drawn_always")
def test_the_bar_fits(monkeypatch, columns, shown):
    monkeypatch.setattr(progress, "columns", lambda: columns - 1)
    _, err = fit(n=640, stderr=Terminal(), callbacks=[nnkit.Callback()])
    drawn = [part for part in err.split("\r") if "epoch" in part]
    assert len(drawn) > 2
    for part in drawn:
        assert len(part.rstrip("\n")) < columns
        assert len(part.split("|")[1]) >= progress.LEAST_BAR
    for word in ("loss", "accuracy", "/s", "left"):
        assert (word in drawn[-2]) == (word in shown)


def test_columns_where_there_is_no_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "46")
    for stream in (OnlyWrites(), Terminal()):
        monkeypatch.setattr(sys, "stderr", stream)
        assert bars.columns() == 45


class TestLines:
    @pytest.mark.parametrize(
        ("epochs", "every"), [(1, 1), (30, 1), (31, 2), (100, 5), (1000, 50), (10**6, 50_000)]
    )
    def test_many_epochs_have_at_most_30(self, epochs, every):
        told = [e for e in (1, every, 2 * every, epochs) if progress._has_line(e, epochs)]
        assert every in told
        assert epochs in told
        assert epochs // every <= progress.MOST_LINES
        assert (1 in told) == (every == 1)

    def test_they_have_the_figures_of_their_epochs(self):
        out, _ = fit(epochs=100, progress=True)
        assert lines(out) == [f"{e}/100" for e in range(5, 101, 5)]
        losses = [float(line.split("loss ")[1].split()[0]) for line in out.splitlines()]
        trainer = nnkit.Trainer(nnkit.Sequential(nnkit.Linear(2, 2), seed=0, backend="numpy"))
        expected = trainer.fit(np.ones((4, 2)), np.arange(4) % 2, 100).loss[4::5]
        assert losses == pytest.approx(expected, abs=1e-4)

    def test_epochs_that_take_long_have_one_each(self, monkeypatch):
        monkeypatch.setattr(progress, "LINE_SECONDS", 0)
        out, _ = fit(epochs=40, progress=True, callbacks=[nnkit.Callback()])
        assert len(lines(out)) == 40

    def test_the_last_one_is_there_where_training_stops(self):
        class Stop(nnkit.Callback):
            def on_epoch_end(self, trainer):
                trainer.stop = trainer.progress.epoch == 43

        out, _ = fit(epochs=1000, progress=True, callbacks=[Stop()])
        assert lines(out) == ["43/1000"]


def test_short_epochs_are_made_in_one_go_as_without_it(monkeypatch):
    calls = []
    record = nnkit.training.loop.Loop._record
    monkeypatch.setattr(
        nnkit.training.loop.Loop,
        "_record",
        lambda self, epochs, seconds: calls.append(epochs) or record(self, epochs, seconds),
    )
    fit(epochs=300, progress=True)
    assert sum(calls) == 300
    assert max(calls) > 20
