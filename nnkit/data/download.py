"""Download files from whichever mirror works."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from nnkit.data.errors import DataError
from nnkit.data.transfer import ask, transfer
from nnkit.files.renaming import rename

ANSWER_SECONDS = 8.0
"""How long to wait for any mirror to answer before there is taken to be no network."""

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
        while self._working:
            mirror = self._working[0]
            try:
                return _download(mirror, filename, folder, check)
            except DataError as error:
                self.failures[mirror] = f"{filename}: {error}"
                del self._working[0]
        raise DataError(
            ", ".join(f"{mirror} ({self.failures[mirror]})" for mirror in self._addresses)
        )


def _first_answer(addresses: Sequence[str], probe: str) -> tuple[str | None, dict[str, str]]:
    """Return the first address that answers at all, and why others did not."""
    answers: queue.SimpleQueue[tuple[str, str | None]] = queue.SimpleQueue()

    def try_one(address: str) -> None:
        try:
            ask(address + probe)
            answers.put((address, None))
        except DataError as error:
            answers.put((address, str(error)))

    for address in addresses:
        threading.Thread(target=try_one, args=(address,), daemon=True).start()
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
        transfer(mirror + filename, part)
        try:
            result = check(part)
        except DataError as error:
            raise DataError(str(error).removeprefix(f"{part}: ")) from error
        rename(part, folder / filename)
    return result
