"""The look-alike of `cupy.ndarray` and of CuPy's functions on arrays, computed by NumPy.

As strict as CuPy: no implicit conversion to NumPy, no mixing with NumPy arrays, no transfers and no
cuBLAS while a stream captures. Keyword arguments that NumPy knows and CuPy does not are refused.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tests.device import fake_pinned, fake_pools, queues
from tests.device.calls import Call
from tests.device.fake_runtime import Device, counters
from tests.device.fake_streams import (
    Stream,
    current_stream,
    is_capturing,
    is_put_off,
    refuse_while_capturing,
    submit,
)

FUNCTIONS = {
    **dict.fromkeys(("sum", "prod", "mean"), "a axis dtype out keepdims"),
    **dict.fromkeys(("max", "min", "amax", "amin", "any", "all"), "a axis out keepdims"),
    **dict.fromkeys(("var", "std"), "a axis dtype out ddof keepdims"),
    **dict.fromkeys(("argmax", "argmin"), "a axis dtype out keepdims"),
    **dict.fromkeys(("cumsum", "cumprod"), "a axis dtype out"),
    **dict.fromkeys(("sort", "argsort"), "a axis kind"),
    **dict.fromkeys(("concatenate", "stack"), "tup axis out dtype casting"),
    **dict.fromkeys(("vstack", "hstack"), "tup dtype casting"),
    **dict.fromkeys(("allclose", "isclose"), "a b rtol atol equal_nan"),
    **dict.fromkeys(("tril", "triu"), "m k"),
    **{
        "where": "condition x y",
        "clip": "a a_min a_max out",
        "nan_to_num": "x copy nan posinf neginf",
    },
    **{"take": "a indices axis out", "take_along_axis": "a indices axis", "diff": "a n axis"},
    **{"tile": "A reps", "repeat": "a repeats axis", "roll": "a shift axis", "flip": "a axis"},
    **{"pad": "array pad_width mode constant_values", "diag": "v k", "outer": "a b out"},
    **{"array_equal": "a1 a2 equal_nan", "count_nonzero": "a axis", "round": "a decimals out"},
    **{"searchsorted": "a v side sorter", "trace": "a offset axis1 axis2 dtype out"},
}
"""Functions that compute a new array, and the names of their parameters in CuPy."""

SYNCHRONIZING = {
    "nonzero": "a",
    "unique": "ar return_index return_inverse return_counts axis equal_nan",
    "bincount": "x weights minlength",
}
"""Functions whose result's shape depends on values, which CuPy has to read back."""

CUBLAS = {
    **{"dot": "a b out", "inner": "a b", "vdot": "a b", "tensordot": "a b axes"},
    "matmul": "x1 x2 out axes axis keepdims casting dtype order",
}
"""Functions that call cuBLAS."""

VIEWS = {
    **{"reshape": "a newshape order copy", "ravel": "a order", "transpose": "a axes"},
    **{"swapaxes": "a axis1 axis2", "moveaxis": "a source destination", "squeeze": "a axis"},
    **{
        "expand_dims": "a axis",
        "broadcast_to": "array shape",
        "atleast_1d": "a",
        "atleast_2d": "a",
    },
    **{"split": "ary indices_or_sections axis", "array_split": "ary indices_or_sections axis"},
}
"""Functions that return a view where they can."""

UFUNCS = """
    add subtract multiply divide true_divide floor_divide negative positive power remainder mod
    absolute abs sign exp exp2 expm1 log log1p log2 log10 sqrt square cbrt reciprocal sin cos tan
    sinh cosh tanh arctan arctan2 hypot maximum minimum fmax fmin greater greater_equal less
    less_equal equal not_equal logical_and logical_or logical_not logical_xor bitwise_and bitwise_or
    bitwise_xor invert left_shift right_shift isnan isinf isfinite signbit copysign floor ceil rint
    trunc fabs logaddexp
"""
"""The elementwise functions."""

METHODS = {
    **dict.fromkeys(("sum", "prod", "mean"), "axis dtype out keepdims"),
    **dict.fromkeys(("max", "min", "any", "all"), "axis out keepdims"),
    **dict.fromkeys(("var", "std"), "axis dtype out ddof keepdims"),
    **dict.fromkeys(("argmax", "argmin"), "axis out dtype keepdims"),
    **dict.fromkeys(("cumsum", "cumprod"), "axis dtype out"),
    **{"argsort": "axis kind", "clip": "min max out", "take": "indices axis out"},
    **{"repeat": "repeats axis", "round": "decimals out", "trace": "offset axis1 axis2 dtype out"},
}
"""Methods that compute a new array, and the names of their parameters in CuPy."""


def unwrap(value: Any) -> Any:
    """Return the NumPy arrays inside arguments; refuse NumPy arrays that the caller passed."""
    if isinstance(value, ndarray):
        return value._host
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, tuple | list):
        return type(value)(unwrap(item) for item in value)
    return value


def compute(function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Run a NumPy function as work of the GPU, into `out` or into new arrays."""
    kwargs = dict(kwargs)
    out = kwargs.pop("out", None)
    call = Call(function, unwrap(tuple(args)), {k: unwrap(v) for k, v in kwargs.items()})
    counters.operations += 1
    if out is None:
        return _into_new_arrays(call, known=not call.reads_arrays)
    if not isinstance(out, ndarray):
        raise TypeError(f"out must be a cupy.ndarray, not {type(out)}")
    target = out._host
    if is_put_off():
        call.on_zeros(out=target.copy())  # to find wrong shapes now, as CuPy does
    submit(lambda: call(out=target))
    return out


def compute_known(function: Callable[..., Any], *host_args: Any) -> Any:
    """Run a function whose result's shape depends on values, for which the host waits."""
    refuse_while_capturing("D2H transfers")
    counters.device_to_host += 1
    counters.operations += 1
    current_stream().synchronize()
    return _into_new_arrays(Call(function, host_args, {}), known=True)


def _into_new_arrays(call: Call, known: bool) -> Any:
    """Have a function computed; what it computes it from may be there or not."""
    known = known or not is_put_off()
    values = call() if known else call.on_zeros()
    several = isinstance(values, list | tuple)
    results = [_new_like(value) for value in (values if several else [values])]
    targets = [result._host for result in results]
    if known:
        submit(lambda: _store(targets, values))
    else:
        submit(lambda: _store(targets, call()))
    return results[0] if len(results) == 1 else tuple(results)


def _new_like(value: Any) -> ndarray:
    value = np.asarray(value)
    order = "F" if value.flags.fnc else "C"
    return ndarray(value.shape, value.dtype, order=order)


def _store(targets: list[np.ndarray], values: Any) -> None:
    if not isinstance(values, list | tuple):
        values = [values]
    for target, value in zip(targets, values, strict=True):
        target[...] = value


def mutate(function: Callable[..., Any], target: ndarray, *args: Any, **kwargs: Any) -> None:
    """Run a function that changes its first argument in place."""
    change(Call(function, (target._host, *unwrap(args)), kwargs))


def change(call: Call, shape_is_known: bool = True) -> None:
    """Run a call that changes an array in place."""
    counters.operations += 1
    if shape_is_known and is_put_off():
        call.on_zeros()  # to find wrong shapes now
    submit(call)


class ndarray(np.lib.mixins.NDArrayOperatorsMixin):  # noqa: N801
    """An array in the memory of the fake GPU, as `cupy.ndarray`."""

    __module__ = "cupy"  # by which the other backends know it
    __array_priority__ = 100
    __hash__ = None  # type: ignore[assignment]

    def __init__(
        self,
        shape: Any,
        dtype: Any = float,
        memptr: Any = None,
        strides: Any = None,
        order: str = "C",
    ) -> None:
        if memptr is not None or strides is not None:
            raise NotImplementedError("the fake ndarray takes neither memptr nor strides")
        if np.dtype(dtype).kind not in "biufc" and np.dtype(dtype).name != "bfloat16":
            raise ValueError(f"Unsupported dtype {np.dtype(dtype)}")
        self._host, self._block = fake_pools.allocate(shape, dtype, order)
        counters.allocations += 1
        self.base: ndarray | None = None

    def _view(self, host: np.ndarray) -> ndarray:
        view = ndarray.__new__(ndarray)
        view._host, view.base = host, self if self.base is None else self.base
        return view

    # ------------------------------------------------------------------ attributes

    shape = property(lambda self: self._host.shape)
    strides = property(lambda self: self._host.strides)
    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    nbytes = property(lambda self: self._host.nbytes)
    itemsize = property(lambda self: self._host.itemsize)
    flags = property(lambda self: Flags(self._host, self.base is None))
    data = property(lambda self: self._pointer())
    device = property(lambda self: Device())
    T = property(lambda self: self._view(self._host.T))
    mT = property(lambda self: self._view(self._host.mT))  # noqa: N815

    def __len__(self) -> int:
        return len(self._host)

    def __iter__(self) -> Any:
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    def _pointer(self) -> MemoryPointer:
        pointer = MemoryPointer(self._host, 0)
        pointer._array = self  # whose memory is in use as long as there is a pointer
        return pointer

    # ------------------------------------------------------------------ to and from the host

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def get(
        self,
        stream: Stream | None = None,
        order: str = "C",
        out: np.ndarray | None = None,
        blocking: bool = True,
    ) -> np.ndarray:
        """Copy to the host."""
        refuse_while_capturing("D2H transfers", stream)
        counters.device_to_host += 1
        source, target = self._host, out
        if target is None:
            target = np.empty_like(source, order=order)
        else:
            self._check_host_array(target, "obtained from")
        copy = submit(lambda: np.copyto(target, source), stream)
        if blocking or not fake_pinned.is_pinned(target):
            queues.wait(copy)
        return target

    def set(self, arr: np.ndarray, stream: Stream | None = None) -> None:
        """Copy from the host."""
        self._check_host_array(arr, "set to")
        if not (self._host.flags.c_contiguous or self._host.flags.f_contiguous):
            raise RuntimeError("Cannot set to non-contiguous array")
        refuse_while_capturing("H2D transfers", stream)
        counters.host_to_device += 1
        target = self._host
        in_order = np.ascontiguousarray if target.flags.c_contiguous else np.asfortranarray
        source = fake_pinned.source_of_copy(in_order(arr))
        submit(lambda: np.copyto(target, source), stream)

    def _check_host_array(self, host: Any, verb: str) -> None:
        if not isinstance(host, np.ndarray):
            raise TypeError(f"Only numpy.ndarray can be {verb} cupy.ndarray")
        if host.dtype != self.dtype:
            raise TypeError(f"{host.dtype} array cannot be {verb} {self.dtype} array")
        if host.shape != self.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {host.shape}")

    def item(self) -> Any:
        """Return the only element."""
        return self.get().item()

    def tolist(self) -> Any:
        """Return nested lists."""
        return self.get().tolist()

    def __bool__(self) -> bool:
        return bool(self.get())

    def __int__(self) -> int:
        return int(self.get())

    def __float__(self) -> float:
        return float(self.get())

    def __repr__(self) -> str:
        return repr(self.get())

    def __str__(self) -> str:
        return str(self.get())

    def __format__(self, specification: str) -> str:
        return format(self.get() if self.ndim else self.item(), specification)

    # ------------------------------------------------------------------ views and copies

    def __getitem__(self, index: Any) -> ndarray:
        if not _is_advanced(index):
            parts = index if isinstance(index, tuple) else (index,)
            if not any(part is Ellipsis for part in parts):
                parts = (*parts, Ellipsis)  # so that NumPy returns a view, not a scalar
            return self._view(self._host[parts])
        host_index = _index(index)
        if _has_mask(host_index):  # the host has to know the number of elements
            return compute_known(operator.getitem, self._host, host_index)
        counters.operations += 1
        return _into_new_arrays(Call(operator.getitem, (self._host, host_index), {}), known=False)

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(value, np.ndarray) or np.ndim(_scalar_or_zero(value)):
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        if isinstance(value, ndarray) and not _is_advanced(index) and value._is(self[index]):
            return  # the end of `a[i] += b`, which has been done
        host_index, host_value = _index(index), unwrap(value)
        call = Call(operator.setitem, (self._host, host_index, host_value), {})
        change(call, shape_is_known=not _has_mask(host_index))

    def _is(self, other: ndarray) -> bool:
        same_place = self.data.ptr == other.data.ptr
        return same_place and self.shape == other.shape and self.strides == other.strides

    def fill(self, value: Any) -> None:
        """Set all elements to a scalar."""
        self[...] = value

    def astype(
        self,
        dtype: Any,
        order: str = "K",
        casting: str | None = None,
        subok: Any = None,
        copy: bool = True,
    ) -> ndarray:
        """Convert to another dtype."""
        if not copy and self.dtype == dtype:
            return self
        kwargs = {"order": order, "casting": casting or "unsafe"}
        return compute(lambda host: host.astype(dtype, **kwargs), (self,), {})

    def copy(self, order: str = "C") -> ndarray:
        """Copy on the device."""
        return compute(np.copy, (self,), {"order": order})

    def flatten(self, order: str = "C") -> ndarray:
        """Copy into one dimension."""
        return compute(lambda host: host.flatten(order), (self,), {})

    def view(self, dtype: Any = None, type: Any = None) -> ndarray:
        """Reinterpret the bytes as another dtype."""
        return self._view(self._host.view(self.dtype if dtype is None else dtype))

    def reshape(self, *shape: Any, order: str = "C", copy: bool | None = None) -> ndarray:
        """Give another shape: a view where possible."""
        new_shape = shape[0] if len(shape) == 1 else shape
        return view_or_copy(lambda host: host.reshape(new_shape, order=order), self)

    def ravel(self, order: str = "C") -> ndarray:
        """Give one dimension: a view where possible."""
        return view_or_copy(lambda host: host.ravel(order), self)

    def transpose(self, *axes: Any) -> ndarray:
        """Permute the axes."""
        return self._view(self._host.transpose(*axes))

    def squeeze(self, axis: Any = None) -> ndarray:
        """Remove axes of length 1."""
        return self._view(self._host.squeeze(axis))

    def swapaxes(self, axis1: int, axis2: int) -> ndarray:
        """Exchange two axes."""
        return self._view(self._host.swapaxes(axis1, axis2))

    def sort(self, axis: int = -1, kind: str | None = None) -> None:
        """Sort in place."""
        mutate(np.ndarray.sort, self, axis)

    def dot(self, b: ndarray, out: ndarray | None = None) -> ndarray:
        """Multiply by another array."""
        return product("dot", (self, b), {"out": out})

    def nonzero(self) -> tuple[ndarray, ...]:
        """Return the indices of the elements that are not zero."""
        found = compute_known(np.nonzero, self._host)
        return found if isinstance(found, tuple) else (found,)

    # ------------------------------------------------------------------ NumPy's protocols

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__":
            raise NotImplementedError(f"the fake CuPy has no {ufunc.__name__}.{method}")
        if "out" in kwargs:
            (kwargs["out"],) = kwargs["out"]
        if ufunc.__name__ not in array_functions:
            return NotImplemented
        return array_functions[ufunc.__name__](*inputs, **kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function.__name__ not in array_functions:
            return NotImplemented
        return array_functions[function.__name__](*args, **kwargs)


class Flags:
    """The memory layout of an array, as `cupy.ndarray.flags`."""

    def __init__(self, host: np.ndarray, owndata: bool) -> None:
        self.c_contiguous, self.f_contiguous = host.flags.c_contiguous, host.flags.f_contiguous
        self.owndata = owndata

    @property
    def fnc(self) -> bool:
        """Whether the layout is Fortran's and not C's."""
        return self.f_contiguous and not self.c_contiguous

    def __getitem__(self, name: str) -> bool:
        return getattr(self, name.lower())


class MemoryPointer:
    """The address of an array, as `cupy.cuda.MemoryPointer`."""

    device_id = 0

    def __init__(self, mem: np.ndarray, offset: int) -> None:
        self.mem, self.ptr = mem, mem.ctypes.data + offset
        self._array: ndarray | None = None


def view_or_copy(function: Callable[[np.ndarray], np.ndarray], array: ndarray) -> Any:
    """Apply a function that returns a view of its argument where it can."""
    host = function(array._host)
    if isinstance(host, list):
        return [array._view(part) for part in host]
    if np.may_share_memory(host, array._host) or not host.size:
        return array._view(host)
    return compute(function, (array,), {})


def product(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> ndarray:
    """Call a function of cuBLAS."""
    if is_capturing():
        raise NotImplementedError(
            "calling cuBLAS API during stream capture is currently unsupported"
        )
    for arg in args:
        if not isinstance(arg, ndarray):
            raise TypeError(f"Unsupported type {type(arg)}")
    return compute(getattr(np, name), args, kwargs)


def _scalar_or_zero(value: Any) -> Any:
    return 0 if isinstance(value, ndarray) else value


def _is_advanced(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(part, ndarray | np.ndarray | list | bool | np.bool_) for part in parts)


def _index(index: Any) -> Any:
    """Return an index for NumPy; lists and NumPy arrays in it are moved to the device first."""
    if isinstance(index, tuple):
        return tuple(_index(part) for part in index)
    if isinstance(index, list | np.ndarray):
        refuse_while_capturing("H2D transfers")
        counters.host_to_device += 1
        return np.array(index) if len(index) else np.array(index, np.int32)
    return unwrap(index)


def _has_mask(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(part, np.ndarray) and part.dtype == np.bool_ for part in parts)


# ------------------------------------------------------------------ functions by name


def _checked(name: str, parameters: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function the parameters that it has in CuPy; `out` arrives as a keyword."""
    names = parameters.split()

    def function(*args: Any, **kwargs: Any) -> Any:
        unknown = [key for key in kwargs if key not in names]
        if unknown or len(args) > len(names):
            raise TypeError(f"cupy.{name} takes {', '.join(names)}, not {unknown or len(args)}")
        if "out" in names[: len(args)]:
            place = names.index("out")
            kwargs["out"] = args[place]
            args = args[:place] + args[place + 1 :]
        return call(args, kwargs)

    function.__name__, function.parameters = name, names
    return function


def _computing(name: str, parameters: str) -> Callable[..., Any]:
    return _checked(name, parameters, lambda args, kwargs: compute(getattr(np, name), args, kwargs))


def _synchronizing(name: str, parameters: str) -> Callable[..., Any]:
    def call(args: Any, kwargs: Any) -> Any:
        function = functools.partial(getattr(np, name), **{k: unwrap(v) for k, v in kwargs.items()})
        return compute_known(function, *unwrap(args))

    return _checked(name, parameters, call)


def _multiplying(name: str, parameters: str) -> Callable[..., Any]:
    return _checked(name, parameters, lambda args, kwargs: product(name, args, kwargs))


def _viewing(name: str, parameters: str) -> Callable[..., Any]:
    def call(args: Any, kwargs: Any) -> Any:
        array, *rest = args
        if "newshape" in kwargs:
            rest.append(kwargs.pop("newshape"))
        return view_or_copy(lambda host: getattr(np, name)(host, *rest, **kwargs), array)

    return _checked(name, parameters, call)


def _ufunc(name: str) -> Callable[..., Any]:
    inputs = "x" if getattr(np, name).nin == 1 else "x1 x2"
    return _computing(name, f"{inputs} out casting dtype")


def _method(name: str, parameters: str) -> Callable[..., Any]:
    def call(args: Any, kwargs: Any) -> Any:
        return compute(getattr(np.ndarray, name), args, kwargs)

    return _checked(f"ndarray.{name}", f"self {parameters}", call)


array_functions = dict(
    itertools.chain(
        ((name, _computing(name, names)) for name, names in FUNCTIONS.items()),
        ((name, _synchronizing(name, names)) for name, names in SYNCHRONIZING.items()),
        ((name, _multiplying(name, names)) for name, names in CUBLAS.items()),
        ((name, _viewing(name, names)) for name, names in VIEWS.items()),
        ((name, _ufunc(name)) for name in UFUNCS.split()),
    )
)
"""Every function of CuPy that takes arrays and works on the fake GPU."""

for _name, _parameters in METHODS.items():
    setattr(ndarray, _name, _method(_name, _parameters))


def copy(a: ndarray, order: str = "K") -> ndarray:
    """Copy an array on the device."""
    return compute(np.copy, (a,), {"order": order})


def copyto(dst: ndarray, src: Any, casting: str = "same_kind", where: Any = None) -> None:
    """Copy values into an array."""
    mask = True if where is None else unwrap(where)
    mutate(np.copyto, dst, src, casting=casting, where=mask)


def may_share_memory(a: Any, b: Any, max_work: Any = None) -> bool:
    """Whether two arrays may overlap."""
    return np.may_share_memory(unwrap(a), unwrap(b))


def shares_memory(a: Any, b: Any, max_work: Any = None) -> bool:
    """Whether two arrays overlap."""
    return np.shares_memory(unwrap(a), unwrap(b))


array_functions |= {f.__name__: f for f in (copy, copyto, may_share_memory, shares_memory)}
