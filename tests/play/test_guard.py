"""Who may talk to the server, and what it hands out."""

from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from nnkit.play import files
from nnkit.play.guard import HEADERS
from nnkit.play.server import Server
from tests.play.asking import Echo, ask, cookie, says, talk


@pytest.fixture(scope="module")
def server():
    with Server({"echo": Echo}, port=0) as server:
        yield server


def test_the_token_is_kept_as_a_cookie_and_leaves_the_address(server):
    status, headers, _ = ask(server, f"/?token={server.token}")
    assert (status, headers["location"]) == (303, "/")
    kept = headers["set-cookie"]
    assert kept.startswith(cookie(server) + ";")
    assert "HttpOnly" in kept
    assert "SameSite=strict" in kept
    assert ask(server, cookie=cookie(server))[0] == 200


WRONG_COOKIES = ["", "nonsense", "nnkit=1", "nnkit-{port}=wrong", "nnkit-1={token}"]


@pytest.mark.parametrize("path", ["/", "/views", "/page/main.js", "/nowhere"])
@pytest.mark.parametrize(
    "given", ["", "nonsense", "nnkit=1", "nnkit-{port}=wrong", "nnkit-1={token}"]
)
def test_without_the_token_nothing_is_told(server, path, given):
    kept = given.format(port=server.port, token=server.token)
    status, _, body = ask(server, path, cookie=kept)
    assert status == 403
    assert b"the address that nnkit printed" in body
    assert server.token.encode() not in body
    with pytest.raises(InvalidStatus, match="403"):
        talk(server, headers={"Cookie": kept})


def test_tokens_that_are_no_ascii(server):
    assert ask(server, "/?token=%ff%00%ED%95%9C")[0] == 403
    assert ask(server, cookie=f"nnkit-{server.port}=\xff")[0] == 403


STRANGE_HOSTS = [
    *("evil.example:{port}", "127.0.0.1.evil.example:{port}", "localhost.evil.example:{port}"),
    *("127.0.0.1:1", "127.0.0.1", "localhost", "me@127.0.0.1:{port}", "127.0.0.1:{port}/", "[::1"),
    *("127.0.0.1:{port}:{port}", "127.0.0.1:{port}evil", "[::1].evil:{port}", " ", ":{port}"),
]


@pytest.mark.parametrize("host", STRANGE_HOSTS)
def test_a_name_that_was_pointed_here_is_refused(server, host):
    status, headers, _ = ask(server, host=host.format(port=server.port), cookie=cookie(server))
    assert status in (400, 403)
    assert "set-cookie" not in headers


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "192.168.0.7", "[::1]"])
def test_numbers_and_localhost_are_this_machine(server, host):
    assert ask(server, host=f"{host}:{server.port}", cookie=cookie(server))[0] == 200


STRANGE_ORIGINS = [
    "null",
    "http://evil.example",
    "http://127.0.0.1:1",
    "https://127.0.0.1:{port}",
    "",
]


@pytest.mark.parametrize("origin", STRANGE_ORIGINS)
def test_other_origins_are_refused(server, origin):
    headers = {"Origin": origin.format(port=server.port), "Cookie": cookie(server)}
    assert ask(server, **headers)[0] == 403
    with pytest.raises(InvalidStatus, match="403"):
        talk(server, headers=headers)


def test_its_own_origin_is_not(server):
    own = {"Origin": f"http://127.0.0.1:{server.port}", "Cookie": cookie(server)}
    assert ask(server, "/views", **own)[2] == b'["echo"]'
    with talk(server, headers=own) as line:
        assert says(line, n=3) == {"type": "said", "n": 3}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "NONSENSE"])
def test_the_page_is_only_read(server, method):
    status, headers, _ = ask(server, method=method, cookie=cookie(server))
    assert (status, headers["allow"]) == (405, "GET, HEAD")
    assert not [name for name in headers if name.startswith("access-control")]


def test_head_tells_what_get_would(server):
    _, got, body = ask(server, "/page/main.js", cookie=cookie(server))
    status, told, nothing = ask(server, "/page/main.js", "HEAD", cookie=cookie(server))
    assert (status, nothing, told["content-length"]) == (200, b"", str(len(body)))
    assert told["content-type"] == got["content-type"] == "text/javascript; charset=utf-8"


PATHS = ["/", "/page/style.css", "/views", "/nowhere"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("given", [True, False], ids=["with token", "without"])
def test_headers_that_keep_other_pages_out_are_with_every_answer(server, path, given):
    _, headers, _ = ask(server, path, cookie=cookie(server) if given else "")
    assert headers.items() >= HEADERS.items()


def test_every_file_is_served_as_it_is(server):
    folder = Path(files.__file__).parent / "page"
    found = {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }
    assert "strings/ko.json" in found
    for name, content in found.items():
        assert ask(server, f"/page/{name}", cookie=cookie(server))[::2] == (200, content)


OUTSIDE = [
    *("/page/../server.py", "/page/../../__init__.py", "/page/%2e%2e/server.py", "/../etc/passwd"),
    *("/page/..%2fserver.py", "/page/%2e%2e%2f%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/page//etc/passwd"),
    *("/page/%2fetc%2fpasswd", "/page/main.js%00.html", "/page/main.js/", "/page/./main.js"),
    *("/page/..\\server.py", "/page/..%5cserver.py", "/page/C:%5cWindows%5cwin.ini", "/page/views"),
    *("/page/%252e%252e/server.py", "/page/", "/page/file:///etc/passwd", "/server.py", "/views/"),
    *("/page/views/../main.js", "//etc/passwd", "/page/%c0%ae%c0%ae/server.py", "/PAGE/main.js"),
]


@pytest.mark.parametrize("path", OUTSIDE)
def test_nothing_else_is_ever_served(server, path):
    status, _, body = ask(server, path, cookie=cookie(server))
    assert (status, body) in [(404, b"There is no such file.\n"), (404, b"Not Found")]


def test_the_token_opens_no_path_that_it_is_given(server):
    for path in ("//evil.example/", "/page/main.js", "/%0d%0aset-cookie:a=b"):
        assert ask(server, f"{path}?token={server.token}")[1]["location"] == "/"


def test_servers_beside_each_other_keep_their_tokens_apart(server):
    with Server({"other": Echo}, port=0) as other:
        both = f"{cookie(server)}; {cookie(other)}"
        assert ask(server, "/views", cookie=both)[2] == b'["echo"]'
        assert ask(other, "/views", cookie=both)[2] == b'["other"]'
        assert ask(other, "/views", cookie=cookie(server))[0] == 403
        mixed = cookie(other, server.token)
        assert ask(other, "/views", cookie=mixed)[0] == 403
