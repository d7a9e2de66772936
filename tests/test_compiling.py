"""Who waits for the compiler is told so, once it takes a while; nobody else is."""

from __future__ import annotations

import contextlib
import io
import re
import threading

import click
import numpy as np
import pytest

pytest.importorskip("numba")

from click.testing import CliRunner
from numba.core import config

import nnkit
from nnkit.cli import cli
from nnkit.kernels import compiling
from nnkit.kernels.numba.codegen.jit import inline, kernel
from nnkit.training import compiling as display
from nnkit.training.compiling import WORDS, compilation_shown

LINE = f"nnkit: {WORDS}\n"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@inline
def twice(x):
    """A part of a kernel."""
    return 2 * x


def compile_kernels(number=2, first=0):
    """Compile some kernels, or find them on disk."""
    for i in range(first, first + number):
        assert kernel(lambda x: twice(x) + 0, str(i))(3) == 6


@pytest.fixture(autouse=True)
def impatient(tmp_path, monkeypatch):
    """Tell of all compilation at once; kernels made from now on are kept in an empty folder."""
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    for name in ("PATIENCE_SECONDS", "LINE_SECONDS", "REFRESH_SECONDS"):
        monkeypatch.setattr(display, name, 0)


def told(stream, work=compile_kernels, **options):
    """What is written to stderr, which is `stream`, while some work is done."""
    with contextlib.redirect_stderr(stream), compilation_shown(**options):
        work()
    return stream.getvalue()


def test_a_person_sees_a_bar_that_counts():
    text = told(Terminal())
    first, second = (text.find(f"\r{WORDS}: kernel {i}, 0 s") for i in (1, 2))
    assert 0 == first < text.find("\r   ") < second, "it goes away, and comes again"
    assert text.endswith("\r"), "it goes away"


def test_nobody_at_a_pipe():
    assert told(io.StringIO()) == ""


@pytest.mark.parametrize("options", [{"line": True}, {"shown": True}])
def test_one_line_in_a_pipe_that_is_to_be_told(options):
    assert told(io.StringIO(), **options) == LINE


@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_not_where_it_is_unwanted(stream):
    assert told(stream(), shown=False, line=True) == ""


@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_not_where_all_is_on_disk(stream):
    compile_kernels()
    assert told(stream(), line=True) == ""


@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_not_where_it_is_soon_over(stream, monkeypatch):
    monkeypatch.setattr(display, "PATIENCE_SECONDS", 60)
    monkeypatch.setattr(display, "LINE_SECONDS", 60)
    assert told(stream(), line=True) == ""


def test_once_where_both_caller_and_called_would():
    def work():
        compile_kernels(1)
        with compilation_shown(line=True):
            compile_kernels(1, first=1)

    assert told(io.StringIO(), work, line=True) == LINE


def test_not_of_what_another_thread_compiles():
    def work():
        thread = threading.Thread(target=compile_kernels)
        thread.start()
        thread.join()

    assert told(io.StringIO(), work, line=True) == ""


def test_no_stderr_at_all():
    with contextlib.redirect_stderr(None), compilation_shown(shown=True):
        compile_kernels(1)


class Listens(nnkit.layers.Layer):
    """Notes whether somebody is told of compilation while it computes."""

    def forward(self, x):
        heard.append(compiling.listener().wanted)
        return x

    def backward(self, dy):
        return dy


heard: list[bool] = []


@pytest.mark.filterwarnings("ignore::nnkit.training.CaptureWarning")
@pytest.mark.parametrize(("shown", "told"), [(None, True), (True, True), (False, False)])
def test_a_trainer_tells_a_person(monkeypatch, shown, told):
    model = nnkit.Sequential(nnkit.Linear(2, 2), Listens(), seed=0, backend="numpy")
    trainer, x, t = nnkit.Trainer(model), np.zeros((4, 2)), np.zeros(4, int)
    stderr = Terminal()
    heard.clear()
    with contextlib.redirect_stderr(stderr):
        trainer.fit(x, t, 1, progress=shown)
        trainer.resume(x, t, 2, progress=shown)
        assert set(heard) == {told}
        for call in (trainer.evaluate, lambda x, t: trainer.predict(x)):
            heard.clear()
            call(x, t)
            assert set(heard) == {True}
        heard.clear()
        trainer.predict_proba(x)
        assert set(heard) == {True}
    assert WORDS not in stderr.getvalue()


@pytest.mark.parametrize("shown", [True, False])
def test_it_is_logged_whether_it_is_shown_or_not(caplog, shown):
    with caplog.at_level("INFO", "nnkit"):
        told(io.StringIO(), shown=shown)
        told(io.StringIO(), shown=shown)  # from disk
    text = r"compiled 2 kernels for this processor, in \d+\.\d s"
    assert [record.name for record in caplog.records] == ["nnkit.training.compiling"]
    assert re.fullmatch(text, caplog.messages[0])


def test_the_command_line_writes_a_line(monkeypatch):
    monkeypatch.setitem(cli.commands, "compile", click.Command("compile", callback=compile_kernels))
    first, again = (CliRunner().invoke(cli, ["compile"]) for _ in range(2))
    assert (first.stderr, first.exit_code) == (LINE, 0)
    assert (again.stderr, again.exit_code) == ("", 0)
