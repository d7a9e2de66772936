"""Compile kernels for an ARM processor, on any machine, and print their assembly: a program.

``python -m tests.aarch64 neoverse-n1 products`` compiles the products for that one. Numba compiles
for the processor that it runs on, as LLVM and Python tell it; here they tell it of another one. A
captured step has its kernels compiled, and none is called.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import llvmlite.binding as llvm
import numpy as np

TRIPLE = "aarch64-unknown-linux-gnu"
Calls = Iterator[Callable[[], object]]


def pretend(processor: str) -> None:
    """Have all that is imported from now on believe that it runs on this processor."""
    os.environ |= {"NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": ""}
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    llvm.get_process_triple = lambda: TRIPLE
    platform.machine = lambda: "aarch64"


def multiply(backend: Any) -> Calls:
    """The products of matrices, in both dtypes."""
    for dtype in ("float32", "float64"):
        a, out = np.zeros((2, 9, 9), dtype)
        yield partial(backend.matmul, a, a, out)


def convolve(backend: Any) -> Calls:
    """Gathered and choosing products, and minimal filtering, forward and backward."""
    from nnkit.backends.contract import Window

    places, pool = Window((3, 3), padding=(1, 1)), Window((2, 2), (2, 2))
    for channels in (5, 16):
        x, dx = np.zeros((2, 2, 8, 8, channels), np.float32)
        y, dy = np.zeros((2, 2, 4, 4, channels), np.float32)
        weight, dweight = np.zeros((2, 3, 3, channels, channels), np.float32)
        bias, dbias = np.zeros((2, channels), np.float32)
        place = np.zeros(y.shape, np.uint8)
        given = x, weight, bias, places, 1, pool, y, place
        yield partial(backend.convolution, "relu", *given)
        given = dy, x, weight, places, 1, pool, y, place, dweight, dbias, dx
        yield partial(backend.convolution_backward, "relu", *given)


def carry_out_all(backend: Any) -> Calls:
    """Every operation, and of the kinds that share their loops two."""
    from tests.operations.shared import OTHER_KINDS
    from tests.test_contract import made, samples

    for name, sample in samples().items():
        if name.partition(" ")[2] in OTHER_KINDS:
            continue
        yield partial(sample[0], backend, SimpleNamespace(**made(sample, backend)))


def compile_threads() -> dict[str, Any]:
    """The loops of the threads, which are called and not captured."""
    from nnkit.kernels.numba.runtime import interpreter, memory

    shared = memory.allocate(2, 0)
    address, tape = shared.between.ctypes.data, np.zeros((1, memory.FIELDS), np.int64)
    calls = {
        interpreter.lead: (tape, 1, 2, shared.requests, address, shared.teams[0]),
        interpreter.serve: (shared.requests[0], address, shared.teams[0]),
    }
    for function, arguments in calls.items():
        function.compile(tuple(map(function.typeof_pyval, arguments)))
    return {function.py_func.__name__: function for function in calls}


STEPS = {"products": multiply, "convolutions": convolve, "operations": carry_out_all}


def main(processor: str, *what: str) -> None:
    """Compile some of STEPS, or the "threads", and print all with tiles and with threads."""
    pretend(processor)
    from nnkit.backends.numba import create
    from nnkit.kernels.numba import (
        convolution,
        convolution_gradients,
        products,
        winograd,
        winograd_gradients,
    )

    backend = create()
    kernels = {
        "product": products.product,
        "convolution": convolution.convolution,
        "convolution_backward": convolution_gradients.convolution_backward,
        "winograd": winograd.winograd,
        "winograd_backward": winograd_gradients.winograd_backward,
    }
    functions = {name: kernel.function for name, kernel in kernels.items()}
    for name in what:
        if name == "threads":
            functions |= compile_threads()
        else:
            for call in STEPS[name](backend):
                backend.capture(call)
    for name, function in functions.items():
        print(f"kernel {name}", *function.inspect_asm().values(), sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
