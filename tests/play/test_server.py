"""Where the server listens, how pages come and go, and how it ends."""

import socket
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from nnkit.play import app
from nnkit.play.server import Server
from nnkit.play.wire import unpack
from tests.play.asking import Echo, ask, cookie, eventually, page_threads, says, talk


@pytest.fixture
def server():
    with Server({"echo": Echo}, port=0) as server:
        yield server
    assert not page_threads()


def test_a_port_that_is_taken_is_left_alone(server):
    with Server({"echo": Echo}, port=server.port) as other:
        assert other.port != server.port == other.wanted
        assert ask(other, cookie=cookie(other))[0] == 200
        assert ask(server, cookie=cookie(server))[0] == 200


def test_the_same_port_is_free_again_at_once(server):
    with Server({"echo": Echo}, port=0) as first, talk(first) as line:
        says(line)
    with Server({"echo": Echo}, port=first.port) as again:
        assert again.port == first.port
        assert again.token != first.token


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
def test_where_it_cannot_listen(host):
    with pytest.raises(OSError, match=f"cannot listen at {host}: "):
        Server({}, host)


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as tried:
            tried.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_the_sixth_version_of_the_address():
    with Server({}, "::1", 0) as server:
        assert server.private
        assert server.address == f"http://[::1]:{server.port}/?token={server.token}"
        with socket.create_connection(("::1", server.port)) as line:
            line.sendall(f"HEAD / HTTP/1.1\r\nHost: [::1]:{server.port}\r\n\r\n".encode())
            assert b" 403 " in line.recv(4096)


def test_all_addresses_of_the_machine():
    with Server({}, "0.0.0.0", 0) as server:
        assert not server.private
        assert server.address.startswith(f"http://127.0.0.1:{server.port}/?token=")
        own = f"{socket.gethostname()}:{server.port}"
        assert ask(server, host=own, cookie=cookie(server))[0] == 200


def test_messages_in_fragments_are_one(server):
    with talk(server) as line:
        line.send(iter(['{"type": "s', 'ay", "text":', ' "', "한", '글"}']))
        assert unpack(line.recv())["text"] == "한글"


def test_what_no_room_knows_is_refused_in_words_and_the_page_goes_on(server):
    with talk(server) as line:
        for kind in ("nonsense", "", "__init__", "x" * 500):
            line.send(f'{{"type": "{kind}"}}')
            said = unpack(line.recv())
            assert (said["type"], said["code"]) == ("problem", "unknown_message")
            assert said["values"] == {"kind": kind[:40]}
        assert says(line, n=1)["n"] == 1


def test_a_view_that_is_not_there(server):
    with pytest.raises(InvalidStatus, match="403"):
        talk(server, "nonsense")


def closed_with(line):
    with pytest.raises(ConnectionClosed) as caught:
        while True:
            line.recv(timeout=20)
    return caught.value.rcvd.code


@pytest.mark.parametrize("data", ["nonsense", b"\0\0", '{"type": "say", "n": NaN}'])
def test_what_is_no_message_ends_the_connection(server, data):
    with talk(server) as line:
        line.send(data)
        assert closed_with(line) == 1007


def test_a_message_that_is_too_large(server):
    with talk(server) as line:
        line.send("x" * 600_000)
        assert closed_with(line) == 1009


def test_an_error_of_a_room_is_told_to_its_page_alone(server, caplog):
    with talk(server) as beside, talk(server) as line:
        line.send('{"type": "fail"}')
        assert closed_with(line) == 1011
        assert says(beside, n=1)["n"] == 1
    assert "ZeroDivisionError" in caplog.text


def test_when_too_many_pages_are_open_the_next_is_told(server, monkeypatch):
    monkeypatch.setattr(app, "PAGES", 2)
    with talk(server) as one:
        with talk(server) as two:
            assert says(one, n=1)["n"] == says(two, n=1)["n"] == 1
            with talk(server) as three:
                assert closed_with(three) == 1013
        eventually(lambda: len(page_threads()) < 2)
        with talk(server) as again:
            assert says(again, n=2)["n"] == 2


@pytest.mark.parametrize("kind", ["flood", "work"])
def test_a_page_that_goes_meanwhile_ends_its_thread(server, kind):
    with talk(server) as line:
        line.send(f'{{"type": "{kind}"}}')
        eventually(page_threads)
        line.close_socket()
    eventually(lambda: not page_threads())


@pytest.mark.parametrize("kind", ["flood", "work", "say"])
def test_the_end_with_a_page_open(kind):
    """Whether its thread waits for the page, computes, or waits for a reader that does not read."""
    with ExitStack() as stack:
        with Server({"echo": Echo}, port=0) as server:
            line = stack.enter_context(talk(server, max_queue=1))
            stack.callback(line.close_socket)
            line.send(f'{{"type": "{kind}"}}')
            eventually(page_threads)
        assert not page_threads()


def test_nothing_is_logged_of_the_token(caplog):
    caplog.set_level(0)
    with Server({"echo": Echo}, port=0) as server:
        ask(server, f"/?token={server.token}")
        ask(server, "/views", cookie=cookie(server))
        with talk(server) as line:
            says(line)
    assert server.token not in caplog.text


def test_junk_is_answered_and_not_told_of(server, capfd):
    for each in (
        b"\0" * 100,
        b"GET / HTTP/9\r\n\r\n",
        b"\x16\x03\x01\x02\x00" * 9,
        b"\r\n\r\nx y\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
            line.sendall(each)
            line.shutdown(socket.SHUT_WR)
            assert line.recv(4096)[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 403", b"")
    assert ask(server, cookie=cookie(server))[0] == 200
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="no such files there")
def test_no_connection_is_left_behind(server):
    here = Path("/dev/fd")
    before = len(list(here.iterdir()))
    for _ in range(20):
        with talk(server) as line:
            says(line)
    eventually(lambda: len(list(here.iterdir())) <= before + 2)
