"""Download files from whichever mirror works."""

import queue
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from nnkit.data.errors import DataError

CONNECT_SECONDS = 5.0
READ_SECONDS = 20.0
ANSWER_SECONDS = 8.0
"""How long to wait for any mirror to answer before there is taken to be no network."""

_CHUNK = 2**16

T = TypeVar("T")


class Mirrors:
    """Addresses that hold the same files; one that fails is not asked again.

    All are asked at once whether they answer, since a blocked network can hold up a single
    attempt for a minute: connecting to each of a host's addresses has its own time-out.

    Parameters
    ----------
    addresses : sequence of str
        Base addresses, each with its trailing slash, the preferred one first.
    probe : str
        The name of a file to ask for.

    Attributes
    ----------
    failures : dict[str, str]
        Why each mirror that failed did so.
    """

    def __init__(self, addresses: Sequence[str], probe: str) -> None:
        self._addresses = addresses
        answered, self.failures = _first_answer(addresses, probe)
        untried = [address for address in addresses if address not in self.failures]
        self._working = sorted(untried, key=lambda address: address != answered)

    def fetch(self, filename: str, folder: Path, check: Callable[[Path], T]) -> T:
        """Download one file, and return what `check` makes of it.

        The file appears in `folder` complete and checked or not at all.

        Parameters
        ----------
        filename : str
            Its name at the mirrors and in `folder`.
        folder : pathlib.Path
            An existing folder.
        check : callable
            Takes the path of the downloaded file; raises `DataError` where it is not the right one.

        Raises
        ------
        DataError
            If no mirror has the right file; the message gives the reason for each.
        OSError
            If the file cannot be written.
        """
        from requests import RequestException

        while self._working:
            mirror = self._working[0]
            try:
                return _download(mirror, filename, folder, check)
            except (RequestException, ValueError) as error:
                self.failures[mirror] = f"{filename}: {_reason(error)}"
                del self._working[0]
        raise DataError(
            ", ".join(f"{mirror} ({self.failures[mirror]})" for mirror in self._addresses)
        )


def _first_answer(addresses: Sequence[str], probe: str) -> tuple[str | None, dict[str, str]]:
    """Return the first address that answers at all, and why others did not."""
    answers: queue.SimpleQueue[tuple[str, str | None]] = queue.SimpleQueue()

    def ask(address: str) -> None:
        from requests import RequestException, head

        try:
            head(address + probe, timeout=CONNECT_SECONDS).close()
            answers.put((address, None))
        except (RequestException, ValueError) as error:
            answers.put((address, _reason(error)))

    for address in addresses:
        threading.Thread(target=ask, args=(address,), daemon=True).start()
    failures: dict[str, str] = {}
    deadline = time.monotonic() + ANSWER_SECONDS
    while len(failures) < len(addresses):
        try:
            address, failure = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            silent = f"no answer within {ANSWER_SECONDS:g} seconds"
            return None, {address: failures.get(address, silent) for address in addresses}
        if failure is None:
            return address, failures
        failures[address] = failure
    return None, failures


def _download(mirror: str, filename: str, folder: Path, check: Callable[[Path], T]) -> T:
    import tempfile

    with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as temporary:
        part = Path(temporary, filename)
        _transfer(mirror + filename, part)
        try:
            result = check(part)
        except DataError as error:
            raise DataError(str(error).removeprefix(f"{part}: ")) from error
        part.replace(folder / filename)
    return result


def _transfer(address: str, path: Path) -> None:
    import pooch

    downloader = pooch.HTTPDownloader(
        progressbar=sys.stderr.isatty(),
        chunk_size=_CHUNK,
        timeout=(CONNECT_SECONDS, READ_SECONDS),
    )
    downloader(address, str(path), None)


def _reason(error: BaseException) -> str:
    """Say in a few words why a request failed: what the system said, if it said anything."""
    from requests import HTTPError, Timeout

    if isinstance(error, HTTPError) and error.response is not None:
        return f"HTTP {error.response.status_code} {error.response.reason}"
    if isinstance(error, Timeout):
        return "no answer in time"
    while error.__context__ is not None and not isinstance(error, DataError):
        error = error.__context__
    return getattr(error, "strerror", None) or str(error)
