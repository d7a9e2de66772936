"""Numba's private API: only one folder uses it, and each name still does what it is used for.

Known to hold for Numba 0.61.2, 0.64.0 and 0.68.1 (llvmlite 0.44, 0.46, 0.50), with which this file
and test_teams.py pass. Where another release fails here, the message names the files to look at.
"""

from __future__ import annotations

import ast
import ctypes
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

numba = pytest.importorskip("numba")

from llvmlite import ir  # noqa: E402
from llvmlite.binding import ffi  # noqa: E402
from numba.core import caching, cgutils, compiler_lock, registry  # noqa: E402
from numba.np import arrayobj  # noqa: E402

from nnkit.kernels.numba.codegen import cache, thunks  # noqa: E402
from nnkit.kernels.numba.codegen.atomics import atomic_add, atomic_load, atomic_store  # noqa: E402
from nnkit.kernels.numba.codegen.jit import by_type, inline, kernel, shared  # noqa: E402
from nnkit.kernels.numba.codegen.signatures import signature_of  # noqa: E402
from nnkit.kernels.numba.runtime.memory import ALONE  # noqa: E402
from nnkit.kernels.numba.sums import plus  # noqa: E402

ROOT = Path(__file__).parents[1]
CODEGEN = ROOT / "kernels" / "numba" / "codegen"
KNOWN = "0.61, 0.64 and 0.68"


@contextmanager
def of_numba(*files: str) -> Iterator[None]:
    """Say which files to look at where Numba does not do what they need."""
    for file in files:
        assert (CODEGEN / file).exists()
    try:
        yield
    except Exception as error:
        pytest.fail(
            f"Numba {numba.__version__} differs from {KNOWN}, for which kernels/numba/codegen/ was "
            f"written: see {', '.join(files)} there. {type(error).__name__}: {error}"
        )


# ---------------------------------------------------------------------- where it is used


def imported(source: str) -> set[str]:
    """Full names of all that a module imports."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def is_internal(name: str) -> bool:
    parts = name.split(".")
    return parts[0] == "llvmlite" or (parts[0] == "numba" and parts[1:2] not in ([], ["types"]))


def test_internal_names():
    source = "import numba.core.types, llvmlite\nfrom numba import types, extending\nimport numba"
    assert {name for name in imported(source) if is_internal(name)} == {
        *("numba.core.types", "llvmlite", "numba.extending")
    }


def test_numba_and_llvm_are_used_in_one_folder_only():
    files = {f for folder in ("nnkit", "kernels", "bench") for f in (ROOT / folder).rglob("*.py")}
    outside = [f for f in files if CODEGEN.name not in f.parts]
    assert ROOT / "kernels/numba/maths.py" in outside
    assert {
        f"{file.relative_to(ROOT)} imports {name}"
        for file in outside
        for name in imported(file.read_text())
        if is_internal(name)
    } == set()
    assert any(is_internal(name) for name in imported((CODEGEN / "thunks.py").read_text()))


def test_codegen_needs_no_other_kernels():
    for file in CODEGEN.glob("*.py"):
        for name in imported(file.read_text()):
            if name.startswith("nnkit.kernels.numba."):
                assert name.startswith("nnkit.kernels.numba.codegen."), file


# ---------------------------------------------------------------------- what it does


@shared(grain=1)
def fill(out, value, whole, yes, nothing, own):
    """Write all arguments to an array."""
    if nothing is None and yes:
        out[0, 1] = value
        out[1, 2] = whole + out.shape[0] * own[0]


def test_a_compiled_function_can_be_called_by_its_address():
    with of_numba("thunks.py", "wholes.py"):
        own = np.array([10, 0, 0, 0])
        out = np.zeros((2, 3), np.float32)
        arguments = out, 0.5, 7, True, None
        signature = tuple(fill.function.typeof_pyval(a) for a in (*arguments, own))
        fill.function.compile(signature)
        compiled = fill.function.overloads[signature]
        description = compiled.fndesc
        assert len(description.argtypes) == len(signature) and description.restype.name == "none"
        assert compiled.library.get_pointer_to_function(description.llvm_func_name)
        context = registry.cpu_target.target_context
        kind = context.call_conv.get_function_type(description.restype, description.argtypes)
        assert isinstance(kind, ir.FunctionType)


def test_a_thunk_calls_a_kernel():
    with of_numba("thunks.py", "wholes.py"):
        own, out = np.array([10, 0, 0, 0]), np.zeros((2, 3), np.float32)
        arguments = out, 0.5, 7, True, None
        thunk = thunks.find_thunk(fill.function, arguments, own)
        assert thunk == thunks.find_thunk(fill.function, arguments, own)
        function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3)(thunk)
        function(*(array.ctypes.data for array in (*thunks.pack(arguments), own)))
        assert out.tolist() == [[0, 0.5, 0], [0, 0, 27]]


def test_a_caller_has_an_array_of_the_size_that_thunks_take():
    assert ALONE.size == thunks.OWN_SIZE


FORTRAN = np.zeros((2, 3), np.float32, order="F")


ARRAYS = [np.zeros((2,) * d, t) for d in (1, 2, 4) for t in ("f4", "f8", "u1", "i4", "i8")]
NUMBERS = [3, -1, 2.5, True, None, np.float32(1), np.int32(2), np.bool_(False)]
OTHERS = [np.zeros((2, 0)), np.broadcast_to(np.zeros(1), (1,)), FORTRAN, FORTRAN[:, ::2]]


@pytest.mark.parametrize("argument", [*ARRAYS, *NUMBERS, *OTHERS])
def test_types_of_arguments_are_those_that_numba_finds(argument):
    with of_numba("signatures.py"):
        assert signature_of((argument,)) == (fill.function.typeof_pyval(argument),)


def test_the_cache_asks_for_a_key():
    with of_numba("cache.py"):
        assert callable(caching.FunctionCache._index_key)
        assert [*inspect.signature(caching.FunctionCache._index_key).parameters] == [
            *("self", "sig", "codegen")
        ]
        key = fill.function._cache._index_key(
            "signature", registry.cpu_target.target_context.codegen()
        )
        assert key[0] == "signature" and len(key) == 4
        assert "self._index_key(" in inspect.getsource(caching.Cache)


def test_the_cache_keeps_index_and_data_in_files():
    with of_numba("cache.py"):
        made = caching.IndexDataCacheFile
        assert [*inspect.signature(made).parameters] == [
            "cache_path",
            "filename_base",
            "source_stamp",
        ]
        assert [*inspect.signature(made.save).parameters] == ["self", "key", "data"]
        assert [*inspect.signature(made.load).parameters] == ["self", "key"]
        assert isinstance(fill.function._cache, cache.KernelCache)
        assert {"_impl", "_cache_path", "_cache_file"} <= vars(fill.function._cache).keys()


def test_locks_of_the_compiler():
    with of_numba("forking.py"):
        compiler_lock.global_compiler_lock.acquire()
        ffi.lib._lock._lock.acquire()
        assert ffi.lib._lock._lock._is_owned()
        ffi.lib._lock._lock.release()
        compiler_lock.global_compiler_lock.release()


def test_code_generation_names_the_processor():
    with of_numba("processor.py"):
        triple, name, features = registry.cpu_target.target_context.codegen().magic_tuple()
        assert isinstance(triple, str) and isinstance(name, str)
        assert all(feature[0] in "+-" for feature in features.split(",") if feature)


def test_parts_of_intrinsics():
    with of_numba("thunks.py", "vectors.py", "tile.py", "atomics.py", "denormals.py"):
        wanted = {
            arrayobj.make_array: ("array_type",),
            arrayobj.populate_array: ("array", "data", "shape", "strides", "itemsize", "meminfo"),
            cgutils.pack_array: ("builder", "values"),
            cgutils.get_or_insert_function: ("module", "fnty", "name"),
            cgutils.alloca_once: ("builder", "ty"),
            cgutils.alloca_once_value: ("builder", "value"),
        }
        for function, parameters in wanted.items():
            assert set(parameters) <= inspect.signature(function).parameters.keys()
        context = registry.cpu_target.target_context
        assert context.get_abi_sizeof(context.get_data_type(numba.types.float32)) == 4
        assert context.get_dummy_value() is not None


@kernel
def count(numbers):
    """Use each atomic operation."""
    address = numbers.ctypes.data
    atomic_store(address, 1, 5)
    before = atomic_add(address, 1, 3)
    return before, atomic_load(address, 1)


def test_atomic_operations():
    with of_numba("atomics.py"):
        numbers = np.zeros(3, np.int64)
        assert count(numbers) == (5, 8)
        assert numbers.tolist() == [0, 8, 0]


def test_parts_of_kernels_have_no_machine_code_of_their_own():
    with of_numba("parts.py"):
        part = inline(lambda x: x + 2)
        whole = kernel(lambda x: 3 * part(x))
        assert whole(3) == 15
        part.compile((numba.types.int64,))  # what the cache had the kernel of was not compiled
        engine = registry.cpu_target.target_context.codegen()._engine
        of_whole, of_part = (next(iter(f.overloads.values())).fndesc for f in (whole, part))
        assert engine.is_symbol_defined(of_whole.llvm_func_name)
        assert not engine.is_symbol_defined(of_part.llvm_func_name)


def test_parts_that_may_be_reordered_are_known():
    """Their callers choose an order, which does not depend on the kernel."""
    with of_numba("parts.py"):
        found = []
        for part in (plus, inline(lambda a, b: a + b)):
            part.compile((numba.types.float32,) * 2)
            compiled = part.overloads[(numba.types.float32,) * 2]
            found.append(compiled.library.reorders)
        assert found == [True, False]


@by_type
def bits(x):
    """Size of a real in bits."""
    size = x.bitwidth
    return lambda x: size


def test_versions_by_type():
    with of_numba("jit.py"):
        both = kernel(lambda single, double: (bits(single), bits(double)))
        assert both(np.float32(1), 1.0) == (32, 64)
    with pytest.raises(NotImplementedError, match="compiled functions only"):
        bits(1.0)
