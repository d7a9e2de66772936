"""Files from web servers: redirects, proxies, certificates, and what is said where one fails."""

import shutil
import ssl
import subprocess
import sys

import pytest

from nnkit.data import DataError, transfer
from tests.mirrors import half, serving

FILE = bytes(range(256)) * 1000


@pytest.fixture
def server():
    with serving() as server:
        yield server


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


def reason(address, path):
    with pytest.raises(DataError) as caught:
        transfer.transfer(address, path)
    return str(caught.value)


def redirect(address, code=302):
    def answer(handler):
        handler.send_response(code)
        handler.send_header("Location", address)
        handler.end_headers()

    return answer


def test_a_file_by_way_of_a_redirect(server, tmp_path):
    target = server.mirror("good", {"file": FILE}) + "file"
    address = server.mirror("old", {"file": redirect(target)}) + "file"
    transfer.ask(address)
    transfer.transfer(address, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == FILE


def test_a_server_does_not_lead_to_a_file_of_this_machine(server, tmp_path):
    (tmp_path / "secret").write_text("secret")
    pages = {"file": redirect((tmp_path / "secret").as_uri())}
    address = server.mirror("bad", pages) + "file"
    assert "is not allowed" in reason(address, tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_the_proxy_of_the_environment_is_asked(server, tmp_path, monkeypatch):
    monkeypatch.delenv("no_proxy")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    server.pages["http://data.invalid/file"] = FILE
    transfer.transfer("http://data.invalid/file", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == FILE


def test_an_answer_is_an_answer_even_if_it_is_no(server):
    transfer.ask(server.mirror("empty", {}) + "file")


def test_the_server_is_told_who_asks(server, tmp_path):
    agents = []
    page = half(FILE)

    def answer(handler):
        agents.append(handler.headers["User-Agent"])
        page(handler)

    address = server.mirror("slow", {"file": answer}) + "file"
    message = reason(address, tmp_path / "file")
    assert message == "the connection broke off after 128,000 of 256,000 bytes"
    assert agents == ["nnkit"]


def test_a_length_that_is_not_said(server, tmp_path):
    def answer(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(FILE)

    transfer.transfer(server.mirror("short", {"file": answer}) + "file", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == FILE


@pytest.fixture
def certificate(tmp_path):
    if not shutil.which("openssl"):
        pytest.skip("no openssl, which makes certificates")
    path, curve = tmp_path / "certificate.pem", "ec_paramgen_curve:prime256v1"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", curve, "-nodes"),
            *("-keyout", tmp_path / "key.pem", "-out", path, "-subj", "/CN=nnkit's tests"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    return path


@pytest.mark.parametrize("trusted", ["nowhere", "SSL_CERT_FILE", "macOS"])
def test_whom_the_system_trusts(server, certificate, tmp_path, monkeypatch, trusted):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, tmp_path / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    address = server.mirror("safe", {"file": FILE}).replace("http:", "https:") + "file"
    if trusted == "nowhere":
        assert reason(address, tmp_path / "file") == (
            "its certificate is not trusted: self-signed certificate; where a proxy has its own, "
            "name the file of its certificates in SSL_CERT_FILE"
        )
        return
    if trusted == "macOS":
        monkeypatch.setattr(sys, "platform", "darwin")
        monkeypatch.setattr(transfer, "MACOS_CERTIFICATES", certificate)
    else:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    transfer.transfer(address, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == FILE
