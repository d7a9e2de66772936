"""The command: what it says, where it listens, how it ends."""

import os
import re
import signal
import subprocess
import sys
import webbrowser
from contextlib import contextmanager

import pytest
from click.testing import CliRunner

import nnkit
from nnkit.cli import cli
from nnkit.play.server import Server
from tests.play.asking import ask, cookie, talk


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("play") / "model.safetensors"
    data = nnkit.data.load("digits")
    model = nnkit.Sequential(nnkit.Linear(64, 10), seed=0, backend="numpy")
    trainer = nnkit.Trainer(model)
    trainer.fit(data.x_train[:64], data.t_train[:64], epochs=1, progress=False)
    trainer.save(path)
    return path


COMMAND = [sys.executable, "-m", "nnkit", "play", "--no-browser", "--backend", "numpy"]


@contextmanager
def started(*arguments):
    """The command, and what it said of where it is."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process, process.stdout.readline()
        finally:
            process.kill()


class At:
    """Where a command said that its page is."""

    def __init__(self, line):
        found = re.search(r"http://127\.0\.0\.1:(\d+)/\?token=(\S+)", line)
        assert found, line
        self.port, self.token = int(found[1]), found[2]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_it_serves_until_ctrl_c(checkpoint):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
    with started(checkpoint, "--port", 0) as (process, line):
        signal.signal(signal.SIGINT, before)
        server = At(line)
        assert b"draw" in ask(server, "/views", cookie=cookie(server))[2]
        with talk(server, "draw"):
            process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == "Ctrl-C ends it.\n"
            said, errors = process.communicate(timeout=20)
    assert (process.returncode, said, errors) == (130, "", "nnkit: interrupted\n")


@pytest.fixture
def no_waiting(monkeypatch):
    monkeypatch.setattr(Server, "wait", lambda self: None)


@pytest.fixture
def run(checkpoint, no_waiting):
    def run(*arguments):
        given = ["play", str(checkpoint), "--backend", "numpy", *map(str, arguments)]
        return CliRunner().invoke(cli, given)

    return run


def test_a_port_that_is_taken(run):
    with Server({}, port=0) as server:
        done = run("--no-browser", "--port", server.port)
    assert done.exit_code == 0
    said = rf"nnkit: port {server.port} cannot be had, so it is \d+\n"
    assert re.search(said, done.stderr)
    assert str(server.port) not in done.stdout


def test_a_host_that_others_reach_is_warned_of(run):
    done = run("--no-browser", "--port", 0, "--host", "0.0.0.0")
    assert "warning: whoever has the address can use this machine's time" in done.stderr
    assert "http://127.0.0.1:" in done.stdout
    assert "warning" not in run("--no-browser", "--port", 0).stderr


def test_a_host_that_is_not_here(run):
    done = run("--no-browser", "--host", "192.0.2.1")
    assert done.exit_code == 1
    assert done.stderr.startswith("nnkit: error: cannot listen at 192.0.2.1: ")


@pytest.mark.parametrize("found", [True, False])
def test_the_browser_is_opened_where_there_is_one(run, monkeypatch, found):
    opened = []

    def open_(address):
        opened.append(address)
        return found

    monkeypatch.setattr(webbrowser, "open", open_)
    done = run("--port", 0)
    assert f"nnkit play is at {opened[0]}\n" in done.stdout
    assert ("open the address in one yourself" in done.stderr) is not found


def test_without_the_extra_it_says_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    done = run("--no-browser")
    assert done.exit_code == 1
    assert "pip install starlette uvicorn websockets" in done.stderr
    assert "unexpected" not in done.stderr


def test_it_is_for_one_process(monkeypatch):
    from nnkit.cli import ranks

    monkeypatch.setattr(ranks.Ranks, "alone", property(lambda self: False))
    done = CliRunner().invoke(cli, ["play"])
    assert done.exit_code == 2
    assert "nnkit play is for one process" in done.stderr
