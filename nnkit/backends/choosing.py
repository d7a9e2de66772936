"""Choosing a backend: by environment variable, by call, or for a block of code."""

from __future__ import annotations

import copyreg
import importlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import RLock
from typing import Any

from nnkit.backends.contract import Backend
from nnkit.reasons import named_reason

logger = logging.getLogger(__name__)

NAMES = ("numpy", "numba", "cupy")
VARIABLE = "NNKIT_BACKEND"

_default: Backend | None = None
_within: ContextVar[Backend | None] = ContextVar("nnkit_backend", default=None)


class BackendUnavailableError(RuntimeError):
    """A backend cannot work on this machine; the message says why and what to do."""


_loaded: dict[str, Backend] = {}
_loading = RLock()
if hasattr(os, "register_at_fork"):  # a child would wait for ever for a thread that it has not
    os.register_at_fork(
        before=_loading.acquire,
        after_in_parent=_loading.release,
        after_in_child=_loading.release,
    )


def _load(name: str) -> Backend:
    """Return the one backend object of that name, or raise BackendUnavailableError."""
    with _loading:
        if name not in _loaded:
            try:
                module = importlib.import_module(f"nnkit.backends.{name}")
                _loaded[name] = module.create()
                copyreg.pickle(type(_loaded[name]), _by_name)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:  # a broken library may raise anything
                expected = isinstance(error, ImportError | OSError | RuntimeError)
                why = error if expected else named_reason(error)
                message = f"the {name} backend is not available: {why}"
                raise BackendUnavailableError(message) from error
        return _loaded[name]


def _by_name(backend: Backend) -> tuple[Any, ...]:
    """Pickle a backend as the one of its name, which is made where it is needed."""
    return get_backend, (backend.name,)


def get_backend(name: str | Backend | None = None) -> Backend:
    """Return the backend of that name (``"auto"`` chooses; None is the current one).

    Raises ValueError for an unknown name, BackendUnavailableError where it cannot work.
    """
    if isinstance(name, Backend):
        copyreg.pickle(type(name), _by_name)
        return name
    if name is None:
        return current_backend()
    if name == "auto":
        return _best()
    if name not in NAMES:
        raise ValueError(
            f"unknown backend {name!r}: choose one of {', '.join(NAMES)} or auto "
            f"(available here: {', '.join(available_backends())})"
        )
    return _load(name)


def _best() -> Backend:
    """Return cupy where a GPU works, else numba where installed, else numpy."""
    for name in reversed(NAMES):
        try:
            chosen = _load(name)
        except BackendUnavailableError as error:
            logger.info("%s", error)
            continue
        logger.info("the %s backend is chosen", name)
        return chosen
    raise AssertionError("the numpy backend always works")


def status() -> dict[str, str | None]:
    """For each backend None if it works here, otherwise the reason why not."""
    reasons: dict[str, str | None] = {}
    for name in NAMES:
        try:
            _load(name)
            reasons[name] = None
        except BackendUnavailableError as error:
            reasons[name] = str(error)
    return reasons


def available_backends() -> list[str]:
    """Names of the backends that work on this machine."""
    return [name for name, reason in status().items() if reason is None]


def current_backend() -> Backend:
    """Return the backend that new models are built on.

    That of the innermost `use_backend`, else the one given to `set_backend`, else the one named by
    the environment variable NNKIT_BACKEND (unset or empty: auto), read once.
    """
    global _default  # noqa: PLW0603
    inner = _within.get()
    if inner is not None:
        return inner
    if _default is None:
        _default = _from_environment()
    return _default


def _from_environment() -> Backend:
    name = os.environ.get(VARIABLE, "").strip().lower() or "auto"
    try:
        return get_backend(name)
    except (ValueError, BackendUnavailableError) as error:
        raise type(error)(f"{VARIABLE}={name}: {error}") from error


def set_backend(name: str | Backend) -> Backend:
    """Make a backend the current one for the process, and return it."""
    global _default  # noqa: PLW0603
    _default = get_backend(name)
    return _default


@contextmanager
def use_backend(name: str | Backend) -> Iterator[Backend]:
    """Make a backend the current one inside a ``with`` block (in this thread or task)."""
    token = _within.set(get_backend(name))
    try:
        yield current_backend()
    finally:
        _within.reset(token)
