"""Kernels: fused by each backend, and in plain array code. ``make bench`` runs this."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from bench.kernels import CASES, LARGE_CASES, Case, prepare
from bench.peers.peer import device
from bench.selection import backends
from bench.timing import device_seconds, measure
from nnkit.backends import get_backend
from nnkit.bench import copy_seconds

CHOSEN = (*LARGE_CASES, *CASES) if device() == "cuda" else CASES
"""The large first, which say most of a GPU: where time runs out, what comes last is lost."""
VERSIONS = [
    *((name, True) for name in backends() if name != "numba"),  # its plain code is NumPy's
    *((name, False) for name in backends()),
]


@pytest.mark.parametrize(
    ("case", "version"),
    list(product(CHOSEN, VERSIONS)),
    ids=lambda value: value.title if isinstance(value, Case) else label(*value),
)
def test_kernel(benchmark: Any, case: Case, version: tuple[str, bool]) -> None:
    name, plain = version
    backend = get_backend(name)
    call = prepare(case, backend, plain)
    seconds = measure(benchmark, call, backend)
    if seconds is None:
        return
    copy = copy_on_device if name == "cupy" else copy_on_host
    yardstick = copy(case.footprint) * case.nbytes / case.footprint
    benchmark.extra_info.update(
        name=f"{case.title} / {label(name, plain)}",
        case=case.title,
        version=label(name, plain),
        bytes=case.nbytes,
        seconds=seconds,
        yardstick=yardstick,
        gb_per_second=case.nbytes / seconds / 1e9,
        share_of_copy=yardstick / seconds,
    )


def label(name: str, plain: bool) -> str:
    return f"plain {name}" if plain else name


def copy_on_host(nbytes: int) -> float:
    """The yardstick on a CPU."""
    return copy_seconds(get_backend("numpy"), nbytes)


def copy_on_device(nbytes: int) -> float:
    """The yardstick on a GPU, timed by events as the kernels are."""
    backend = get_backend("cupy")
    source = backend.zeros(max(1, nbytes // 8), "float32")
    target = backend.zeros(source.shape, "float32")
    return device_seconds(lambda: backend.xp.copyto(target, source))
