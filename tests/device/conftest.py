"""Fixtures for the tests of the look-alike of CuPy."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.device import fake_cupy
from tests.device.fake_streams import submit

Seen = list[str]
Issue = Callable[..., None]


@pytest.fixture
def cupy() -> Iterator[types.ModuleType]:
    with fake_cupy.installed() as module:
        yield module


@pytest.fixture
def seen() -> Seen:
    """The names of work in the order in which it was done."""
    return []


@pytest.fixture
def issue(seen: Seen) -> Issue:
    def issue(stream: Any, *names: str) -> None:
        for name in names:
            submit(lambda name=name: seen.append(name), stream)

    return issue


@pytest.fixture
def streams(cupy) -> types.SimpleNamespace:
    make = cupy.cuda.Stream
    return types.SimpleNamespace(
        null=make.null, ptds=make.ptds, a=make(), b=make(), free=make(non_blocking=True)
    )
