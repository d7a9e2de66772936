"""One file from a web server, by way of the system's proxies and trusting its certificates."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnkit.data.errors import DataError
from nnkit.showing.bars import bar_class
from nnkit.showing.watching import person_watches

if TYPE_CHECKING:
    from http.client import HTTPResponse

CONNECT_SECONDS = 5.0
READ_SECONDS = 20.0
CHUNK = 2**16

MACOS_CERTIFICATES = Path("/etc/ssl/cert.pem")
"""Those of macOS, which Python's own installer for it does not look for."""


def ask(address: str) -> None:
    """Ask whether there is such a file, and return if there is an answer, be it no.

    Raises DataError, with the reason, if there is none.
    """
    from urllib.error import HTTPError

    with _explained():
        try:
            _open(address, "HEAD", CONNECT_SECONDS).close()
        except HTTPError as error:
            error.close()


def transfer(address: str, path: Path) -> None:
    """Download a file, with a progress bar where a person watches.

    Raises DataError, with the reason, where the server does not give it, and OSError where it
    cannot be written.
    """
    with _explained():
        response = _open(address, "GET", READ_SECONDS)
    length = response.headers.get("Content-Length", "")
    total, received = int(length) if length.isdecimal() else None, 0
    with response, path.open("wb") as file, _progress(path.name, total) as advance:
        while chunk := _read(response):
            file.write(chunk)
            advance(len(chunk))
            received += len(chunk)
    if total is not None and received < total:
        raise DataError(f"the connection broke off after {received:,} of {total:,} bytes")


def _open(address: str, method: str, seconds: float) -> HTTPResponse:
    from urllib.request import HTTPSHandler, Request, build_opener

    # Its usual name, Python-urllib, is turned away by some servers.
    request = Request(address, headers={"User-Agent": "nnkit"}, method=method)
    opener = build_opener(HTTPSHandler(context=_trust()))
    response: HTTPResponse = opener.open(request, timeout=seconds)
    return response


def _trust() -> Any:
    """Trust whom the system trusts, and the certificates that $SSL_CERT_FILE names."""
    import ssl

    context = ssl.create_default_context()
    if sys.platform == "darwin" and MACOS_CERTIFICATES.exists():
        context.load_verify_locations(MACOS_CERTIFICATES)
    return context


def _read(response: HTTPResponse) -> bytes:
    with _explained():
        return response.read(CHUNK)


@contextmanager
def _progress(name: str, total: int | None) -> Iterator[Callable[[int], Any]]:
    tqdm = bar_class(needed=False) if person_watches() else None
    if tqdm is None:
        yield lambda count: None
    else:
        with tqdm(total=total, desc=name, unit="B", unit_scale=True) as bar:
            yield bar.update


@contextmanager
def _explained() -> Iterator[None]:
    """Raise DataError for what goes wrong between here and the server."""
    from http.client import HTTPException
    from urllib.error import HTTPError

    try:
        yield
    except HTTPError as error:
        error.close()
        raise DataError(f"HTTP {error.code} {error.reason}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise DataError(_reason(error)) from error


def _reason(error: BaseException) -> str:
    """Say in a few words why a request failed: what the system said, if it said anything."""
    from ssl import SSLCertVerificationError
    from urllib.error import URLError

    if isinstance(error, URLError) and isinstance(error.reason, BaseException):
        error = error.reason
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, SSLCertVerificationError):
        return (
            f"its certificate is not trusted: {error.verify_message}; where a proxy has its own, "
            "name the file of its certificates in SSL_CERT_FILE"
        )
    return getattr(error, "strerror", None) or str(error)
