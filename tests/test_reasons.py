"""Reasons in one line, and optional libraries that are missing or broken."""

from __future__ import annotations

import pytest

from nnkit.reasons import importing, named_reason, reason


def test_the_first_line_of_what_started_it_all():
    try:
        try:
            raise OSError("libc.so: no such file\nand more")
        except OSError as error:
            raise ImportError("=====\nfailed") from error
    except ImportError as error:
        assert reason(error) == "libc.so: no such file"
        assert named_reason(error) == "OSError: libc.so: no such file"


def test_an_error_that_says_nothing_is_named():
    assert reason(MemoryError()) == named_reason(MemoryError()) == "MemoryError"


def test_a_missing_library():
    with pytest.raises(ImportError, match=r"^pictures need it: pip install it$"):  # noqa: SIM117
        with importing("no_such_library", "It", "pictures need it: pip install it"):
            import no_such_library  # noqa: F401


def test_a_library_that_lacks_another_is_not_missing():
    """Nor is one of whose own modules one cannot be found."""
    message = "^It is installed but cannot be imported: ModuleNotFoundError: No module named 'b'$"
    with pytest.raises(ImportError, match=message), importing("json", "It", "missing"):
        raise ModuleNotFoundError("No module named 'b'", name="b")


class Panic(BaseException):
    """As libraries written in Rust raise it."""


@pytest.mark.parametrize(
    "error",
    [ValueError("a"), ImportError("a"), SystemError("a"), DeprecationWarning("a"), Panic("a")],
)
def test_a_broken_library(error):
    message = rf"^It is installed but cannot be imported: {type(error).__name__}: a$"
    with pytest.raises(ImportError, match=message), importing("json", "It", "missing"):
        raise error


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_who_wants_to_stop_does(error):
    with pytest.raises(error), importing("json", "It", "missing"):
        raise error
