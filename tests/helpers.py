"""What the tests share: arrays in awkward memory layouts, and one comparison with the reference."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from nnkit import dtypes
from nnkit.backends import Array, Backend
from nnkit.backends.numpy import NumpyBackend

REFERENCE = NumpyBackend()
LAYOUTS = ("transposed", "columns", "rows", "offset")
HALF_ULPS = 3
ALWAYS_FLOAT64 = {"lr", "log", "norm2"}
"""Arguments that are float64 whatever the dtype of the network."""
NEVER_HALF = {
    *("mean", "var", "inv_std", "running_mean", "running_var", "weights", "moments", "sums"),
    *("master", "velocity", "squares", "m", "v"),
}
"""Arguments that are float32 where the network has a half dtype."""


def random_array(rng: np.random.Generator, shape: Any, dtype: Any = np.float64) -> np.ndarray:
    """Standard normal numbers."""
    return rng.standard_normal(shape).astype(dtype)


def counters(backend: Backend, step: int = 0, updates: int = 0, forwards: int = 0) -> Array:
    """Make the three device counters."""
    return backend.asarray(np.array([step, updates, forwards], np.int64))


def assert_close(
    got: np.ndarray, want: np.ndarray, dtype: Any, ulps: float = 8, scale: float = 1, what: str = ""
) -> None:
    """Assert ``|got - want| <= ulps * eps * (|want| + scale)``; NaN and inf equal themselves.

    `scale` is the size of the numbers that were added up; 0 asks for a small relative error. In a
    half dtype three ulps are enough, because results are rounded to it once.
    """
    eps, smallest = _limits(np.dtype(dtype))
    if dtypes.arithmetic(dtype) != dtype:
        ulps = min(ulps, HALF_ULPS)
        with np.errstate(over="ignore"):  # what is too large for float16 is infinite
            want = np.asarray(want).astype(dtype).astype(np.float64)
    unit = ulps * eps
    np.testing.assert_allclose(
        np.asarray(got, np.float64), want, rtol=unit, atol=unit * scale + smallest, err_msg=what
    )


def _limits(dtype: np.dtype) -> tuple[float, float]:
    """Return a dtype's eps and the smallest number that counts.

    CuPy has subnormal numbers of float32, whose range bfloat16 has, flushed to zero; what is
    flushed may be multiplied afterwards, as GELU does by numbers up to 13.
    """
    if dtype.name == "bfloat16":
        return 2.0**-7, 2.0**-122
    info = np.finfo(dtype)
    smallest = info.smallest_subnormal if dtype == np.float16 else 16 * info.tiny
    return float(info.eps), float(smallest)


def place(backend: Backend, host: np.ndarray, layout: str = "contiguous") -> Array:
    """Move a NumPy array to a backend as a view of the given layout, with junk in the gaps."""
    if layout == "transposed":
        return backend.asarray(np.ascontiguousarray(host.T)).T
    if layout == "columns" and host.ndim:
        wide = _junk((*host.shape[:-1], 2 * host.shape[-1]), host.dtype)
        wide[..., ::2] = host
        return backend.asarray(wide)[..., ::2]
    if layout == "rows" and host.ndim:
        tall = _junk((2 * host.shape[0], *host.shape[1:]), host.dtype)
        tall[::2] = host
        return backend.asarray(tall)[::2]
    if layout == "offset":
        longer = _junk(host.size + 1, host.dtype)
        longer[1:] = host.ravel()
        return backend.asarray(longer)[1:].reshape(host.shape)
    return backend.asarray(host.copy())


def _junk(shape: Any, dtype: np.dtype) -> np.ndarray:
    return np.full(shape, np.nan if dtypes.is_real(dtype) else 1, dtype)


def with_master(dtype: Any, p: np.ndarray) -> dict[str, np.ndarray]:
    """Name parameters, and where they are of a half dtype their master."""
    return {"p": p} if dtypes.arithmetic(dtype) == dtype else {"p": p, "master": p.astype(dtype)}


def master_of(arrays: SimpleNamespace) -> Array | None:
    """Return the parameters' master, where they have one."""
    return getattr(arrays, "master", None)


class _Guarded:
    """An output array between two guard elements, which nothing may overwrite.

    Views into a flat buffer begin anywhere, so this is also what a layer's gradients look like.
    """

    def __init__(self, backend: Backend, initial: np.ndarray) -> None:
        self.guard = 113
        host = np.full(initial.size + 2, self.guard, initial.dtype)
        host[1:-1] = initial.ravel()
        self.backend, self.shape = backend, initial.shape
        self.buffer = backend.asarray(host)
        self.view = self.buffer[1:-1].reshape(initial.shape)

    def read(self) -> np.ndarray:
        host = np.array(self.backend.to_numpy(self.buffer))
        assert (host[[0, -1]] == self.guard).all(), "written outside of the output"
        return host[1:-1].reshape(self.shape)


class Check:
    """Run one operation on a backend and on the float64 reference, and compare all it does.

    Checked are: the outputs' values; that each element was written (outputs begin as NaN) and none
    beside them; that inputs are as they were; and that a second run gives the same bits.
    """

    def __init__(self, backend: Backend, dtype: Any, layout: str = "contiguous") -> None:
        self.backend, self.dtype, self.layout = backend, np.dtype(dtype), layout

    def __call__(
        self,
        run: Callable[[Backend, SimpleNamespace], object],
        inputs: Mapping[str, np.ndarray],
        outputs: Mapping[str, tuple[int, ...] | np.ndarray],
        *,
        ulps: float = 8,
        scale: float | Mapping[str, float] = 1,
        scratch: Container[str] = (),
    ) -> dict[str, np.ndarray]:
        """Call ``run(backend, arrays)`` and compare its outputs, which are returned.

        `outputs` gives shapes, or the values that an array has before it is updated. Arrays named
        in `scratch` may hold anything afterwards.
        """
        inputs, initial = self._given(inputs, outputs)
        want = _execute(REFERENCE, run, _double(inputs), _double(initial), "contiguous")
        got = _execute(self.backend, run, inputs, initial, self.layout)
        again = _execute(self.backend, run, inputs, initial, self.layout)
        for name in outputs:
            if name in scratch:
                continue
            assert got[name].dtype == initial[name].dtype
            assert got[name].tobytes() == again[name].tobytes(), f"{name} differs between two runs"
            size = scale.get(name, 1) if isinstance(scale, Mapping) else scale
            real = dtypes.arithmetic(self.dtype)
            dtype = self.dtype if got[name].dtype == self.dtype else real
            assert_close(got[name], want[name], dtype, ulps, size, name)
        return got

    def outputs(
        self,
        run: Callable[[Backend, SimpleNamespace], object],
        inputs: Mapping[str, np.ndarray],
        outputs: Mapping[str, tuple[int, ...] | np.ndarray],
    ) -> dict[str, np.ndarray]:
        """Return the outputs alone, of one run, where their values are known to be right."""
        return _execute(self.backend, run, *self._given(inputs, outputs), self.layout)

    def _given(
        self,
        inputs: Mapping[str, np.ndarray],
        outputs: Mapping[str, tuple[int, ...] | np.ndarray],
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Return what a run begins with."""
        return (
            {name: self._rounded(name, value) for name, value in inputs.items()},
            {name: self._rounded(name, poison(value)) for name, value in outputs.items()},
        )

    def _rounded(self, name: str, value: np.ndarray) -> np.ndarray:
        """Round to the dtype under test, so that the reference begins with the same numbers."""
        if not dtypes.is_real(value.dtype) or name in ALWAYS_FLOAT64:
            return value
        half = value.astype(self.dtype)
        return half.astype(dtypes.arithmetic(self.dtype)) if name in NEVER_HALF else half


def poison(output: tuple[int, ...] | np.ndarray) -> np.ndarray:
    return output if isinstance(output, np.ndarray) else np.full(output, np.nan)


def _double(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        name: array.astype(np.float64) if dtypes.is_real(array.dtype) else array
        for name, array in arrays.items()
    }


def _execute(
    backend: Backend,
    run: Callable[[Backend, SimpleNamespace], object],
    inputs: Mapping[str, np.ndarray],
    initial: Mapping[str, np.ndarray],
    layout: str,
) -> dict[str, np.ndarray]:
    sources = {name: place(backend, value, layout) for name, value in inputs.items()}
    guarded = {name: _Guarded(backend, value) for name, value in initial.items()}
    run(backend, SimpleNamespace(**sources, **{name: g.view for name, g in guarded.items()}))
    for name, source in sources.items():
        before = inputs[name]
        unchanged = np.array_equal(
            backend.to_numpy(source), before, equal_nan=dtypes.is_real(before.dtype)
        )
        assert unchanged, f"the input {name} was modified"
    return {name: g.read() for name, g in guarded.items()}
