"""Whether a person is looking at the output."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import pytest

from nnkit.showing.watching import in_notebook, person_watches


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class OnlyWrites:
    """A window of a program, or a logger."""

    def write(self, text: str) -> int:
        return len(text)


@pytest.mark.parametrize("stream", [None, io.StringIO(), OnlyWrites()])
def test_nobody_watches_a_pipe_a_window_or_nothing(monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    assert not person_watches()


def test_a_closed_stream_is_not_watched(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO())
    stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    assert not person_watches()


def test_a_terminal_is_watched(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert person_watches()


@pytest.mark.parametrize(("config", "is_one"), [({"IPKernelApp": {}}, True), ({}, False)])
def test_a_notebook_is_watched_and_ipython_in_a_pipe_is_not(monkeypatch, config, is_one):
    shell = SimpleNamespace(config=config)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert in_notebook() is is_one
    assert person_watches() is is_one


def test_no_notebook_without_ipython(monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not in_notebook()


def test_stdout_is_another_matter(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert (person_watches(), person_watches("stdout")) == (True, False)
