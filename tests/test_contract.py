"""The contract: each operation stands once, every backend has all of them, and none is lost."""

from __future__ import annotations

import inspect
from functools import cache
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest

from nnkit.backends import contract, get_backend, numpy
from nnkit.backends.contract import OPERATIONS, CaptureError, Norm, Update
from nnkit.backends.cupy.backend import KERNELS
from nnkit.kernels.table import ACTIVATIONS, LOSSES
from tests.helpers import LAYOUTS, place
from tests.operations.samples import linear, operations, products

SHAPE = 12, 7


@cache
def samples(shape: tuple[int, int] = SHAPE) -> dict[str, tuple]:
    rng = np.random.default_rng(3)
    return operations(rng, shape) | products(rng, shape)


SAMPLES = samples()
every_sample = pytest.mark.parametrize("sample", SAMPLES)


def named(sample: str) -> str:
    """Name of the operation that a sample call is of."""
    return sample.partition(" ")[0]


def test_every_operation_has_a_sample_call():
    assert {named(sample) for sample in SAMPLES} == OPERATIONS.keys()


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_sample_call_names_all_arrays(sample):
    """What is an input in the declaration is one in the sample, and so are outputs."""
    run, _, outputs, *_ = SAMPLES[sample]
    seen = []

    class Watch(numpy.NumpyBackend):
        def _carry_out(self, operation, arguments):
            seen.append((operation, list(operation.arrays(arguments))))

    arrays = made(SAMPLES[sample], get_backend("numpy"))
    run(Watch(), SimpleNamespace(**arrays))
    ((operation, given),) = seen
    assert operation.name == named(sample)
    for _, kind, array in given:
        places = [name for name, value in arrays.items() if np.shares_memory(value, array)]
        assert any((name in outputs) == (kind == "Out") for name in places)
    assert {id(array) for *_, array in given} >= {id(arrays[name]) for name in outputs}


def made(sample: tuple, backend, layout: str = "contiguous", dtype: str = "float32") -> dict:
    """Arrays for a sample call: inputs in a layout, outputs contiguous."""
    _, inputs, outputs, *_ = sample
    arrays = {}
    for name, value in {**inputs, **outputs}.items():
        host = value if isinstance(value, np.ndarray) else np.full(value, np.nan)
        if host.dtype == np.float64 and name not in ("lr", "log", "norm2"):
            host = host.astype(dtype)
        arrays[name] = place(backend, host, layout if name in inputs else "contiguous")
    return arrays


def implemented() -> dict[str, dict]:
    """For each backend the functions that carry out its operations."""
    found = {"numpy": numpy.FORMULAS, "cupy": KERNELS}
    try:
        from nnkit.backends.numba import calls, convolutions, images

        found["numba"] = contract.implementations(calls, convolutions, images)
    except ModuleNotFoundError:
        pass
    return found


@pytest.mark.parametrize("name", implemented())
def test_a_backend_has_all_operations_and_takes_the_arguments_that_are_declared(name):
    functions = implemented()[name]
    assert functions.keys() == OPERATIONS.keys()
    for operation, function in functions.items():
        names = tuple(inspect.signature(function).parameters)
        if name == "cupy":
            first, *names = names
            assert first == "backend"
        assert tuple(names) == OPERATIONS[operation].arguments, operation
        assert not function.__doc__, f"{operation} is described by the contract"


def test_the_reference_has_all_activations_and_losses():
    formulas = numpy.activations.FORMULAS
    assert formulas.keys() == ACTIVATIONS.keys()
    for kind, row in ACTIVATIONS.items():
        assert (formulas[kind].gradient is None) == (row.gradient is None)
    assert numpy.losses.LOSS.keys() == LOSSES.keys()


@pytest.mark.parametrize("name", ["activation_backward", "bias_activation_backward"])
def test_what_has_no_gradient_is_refused_everywhere(backend, name):
    x, y = backend.zeros((2, 3), np.float32), backend.zeros((2, 3), np.float32)
    sums = [backend.zeros(3, np.float32)] if name.startswith("bias") else []
    with pytest.raises(ValueError, match="'step' has no gradient: it cannot be trained through"):
        getattr(backend, name)("step", x, x, y, *sums)


def test_arguments_by_name_and_left_out(backend):
    x = backend.asarray(np.array([[1.0, -2, 3]]))
    y = backend.empty(x.shape, x.dtype)
    assert backend.activation("leaky_relu", y=y, alpha=0.5, x=x) is y
    assert backend.to_numpy(y).tolist() == [[1, -1, 3]]
    assert backend.to_numpy(backend.activation("relu", x)).tolist() == [[1, 0, 3]]
    with pytest.raises(TypeError, match="missing a required argument: 'y'"):
        backend.softmax_backward(x)
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        backend.softmax(x, z=y)
    with pytest.raises(TypeError, match="too many positional arguments"):
        backend.softmax(x, y, y)


def test_arrays_in_bundles_are_found_and_changed():
    operation = OPERATIONS["sgd"]
    update = Update("lr", "counters", 0.1, 0.2, "master")
    arguments = "p", "g", None, update, 0.9, True
    assert list(operation.arrays(arguments)) == [
        ("p", "Out", "p"),
        ("g", "Array", "g"),
        ("update.lr", "Array", "lr"),
        ("update.counters", "Array", "counters"),
        ("update.master", "Out", "master"),
    ]
    changed = operation.with_inputs(arguments, str.upper)
    assert changed == ("p", "G", None, Update("LR", "COUNTERS", 0.1, 0.2, "master"), 0.9, True)


# ----------------------------------------------------------------------------------- capturing


@pytest.fixture(scope="module")
def numba():
    pytest.importorskip("numba")
    return get_backend("numba")


@every_sample
def test_captured_or_not_is_the_same_bit_for_bit(numba, sample, dtype):
    for shape, layout in product([(2, 1), SHAPE, (130, 257)], ["contiguous", "offset"]):
        call = samples(shape)[sample]
        run, *_ = call
        results = []
        for captured in (True, False):
            arrays = SimpleNamespace(**made(call, numba, layout, dtype))
            run(numba, arrays)
            if captured:
                numba.capture(lambda run=run, arrays=arrays: run(numba, arrays))(2)
            else:
                run(numba, arrays)
                run(numba, arrays)
            results.append({name: array.tobytes() for name, array in vars(arrays).items()})
        assert results[0] == results[1], (shape, layout)


@pytest.mark.parametrize("sample", linear(4, 5, 3))
def test_a_captured_linear_layer_is_the_same_bit_for_bit(numba, sample):
    call = linear(4, 5, 3)[sample]
    run, *_ = call
    results = []
    for captured in (True, False):
        arrays = SimpleNamespace(**made(call, numba))
        again = numba.capture(lambda arrays=arrays: run(numba, arrays)) if captured else None
        again(1) if captured else run(numba, arrays)
        results.append({name: array.tobytes() for name, array in vars(arrays).items()})
    assert results[0] == results[1]


@every_sample
@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if layout != "offset"])
def test_what_no_kernel_takes_is_refused_while_capturing(numba, sample, layout):
    """And never left to a formula, which would be carried out once and not again."""
    run, *_ = SAMPLES[sample]
    arrays = made(SAMPLES[sample], numba, layout)
    dense = all(array.flags.c_contiguous for array in arrays.values())
    if dense or (named(sample) == "matmul" and layout == "transposed"):
        numba.capture(lambda: run(numba, SimpleNamespace(**arrays)))
        return
    before = {name: array.tobytes() for name, array in arrays.items()}
    with pytest.raises(CaptureError, match=f"^no kernel of {named(sample)} takes ") as caught:
        numba.capture(lambda: run(numba, SimpleNamespace(**arrays)))
    assert "self.new(name, shape)" in str(caught.value)
    assert {name: array.tobytes() for name, array in arrays.items()} == before


@every_sample
def test_outputs_of_any_strides_are_written(numba, sample):
    """Without a capture, by the formula; the result is near that of the kernel."""
    run, *_ = SAMPLES[sample]
    want, got = (made(SAMPLES[sample], numba, dtype="float64") for _ in range(2))
    for name in SAMPLES[sample][2]:
        got[name] = place(numba, want[name], "rows")
    run(numba, SimpleNamespace(**want))
    run(numba, SimpleNamespace(**got))
    for name in SAMPLES[sample][2]:
        np.testing.assert_allclose(got[name], want[name], rtol=1e-9, atol=1e-9, err_msg=name)


def test_the_refusal_names_operation_array_and_remedy(numba):
    x, y = np.ones((8, 10), np.float32)[:, ::2], np.empty((8, 5), np.float32)
    with pytest.raises(CaptureError) as caught:
        numba.capture(lambda: numba.softmax(x, y))
    assert str(caught.value) == (
        "no kernel of softmax takes x (float32, shape (8, 5), strides (40, 8)): give it "
        "C-contiguous arrays of one dtype, float32 or float64, as self.new(name, shape) makes them"
    )
    half = np.ones((8, 5), np.float16)
    with pytest.raises(CaptureError, match=r"^no kernel of softmax takes x \(float16, shape"):
        numba.capture(lambda: numba.softmax(half, y))
    with pytest.raises(CaptureError, match=r"takes a \(float32.*, b \(float64.*, out \(float32"):
        numba.capture(lambda: numba.matmul(y.T, y.astype(np.float64), np.empty((5, 5), "f4")))
    strided = Norm(np.ones(10, "f4")[::2], np.ones(5, "f4"), 1e-5)
    rows = np.ones(8, "f4"), np.ones(8, "f4")
    with pytest.raises(CaptureError, match=r"^no kernel of layer_norm_forward takes norm\.gamma"):
        numba.capture(lambda: numba.layer_norm_forward(y, strided, *rows, y.copy()))


def test_a_backend_works_on_after_a_refused_capture(numba):
    x = np.ones((4, 6), np.float32)
    with pytest.raises(CaptureError):
        numba.capture(lambda: numba.softmax(x[:, ::2], np.empty((4, 3), np.float32)))
    assert numba.softmax(x[:, ::2]).tolist() == [[np.float32(1 / 3)] * 3] * 4


ROWS = ["softmax", "softmax_backward", "log_softmax", "log_softmax_backward"]


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 1, 3, 300), (7,), (0, 4, 5)], ids=str)
def test_rows_of_any_number_of_dimensions(backend, dtype, rng, name, shape):
    """Are those of the matrix with the same rows, bit for bit."""
    inputs = 2 if name.endswith("backward") else 1
    host = [(-rng.random(shape)).astype(dtype) for _ in range(inputs)]
    got = getattr(backend, name)(*map(backend.asarray, host))
    matrices = (backend.asarray(array.reshape(-1, shape[-1])) for array in host)
    want = backend.to_numpy(getattr(backend, name)(*matrices))
    assert got.shape == shape
    assert backend.to_numpy(got).tobytes() == want.tobytes()


@pytest.mark.parametrize("name", ROWS)
def test_rows_of_three_dimensions_are_captured(numba, rng, name):
    inputs = [(-rng.random((3, 4, 5))).astype("f4") for _ in range(1 + name.endswith("backward"))]
    out = np.zeros((3, 4, 5), np.float32)
    replay = numba.capture(lambda: getattr(numba, name)(*inputs, out))
    for array in inputs:
        np.subtract(array, 0.5, out=array)
    replay(1)
    assert out.tobytes() == getattr(numba, name)(*inputs).tobytes()


def test_an_array_made_in_every_step_is_found(numba):
    x, y = np.ones((4, 6), np.float32), np.empty((4, 6), np.float32)
    with pytest.raises(CaptureError, match=r"^what softmax is given is made in every step: "):
        numba.capture(lambda: numba.softmax(x + 1, y))
    with pytest.raises(CaptureError, match=r"^what softmax is given is made in every step: "):
        numba.capture(lambda: numba.softmax(x))


def test_a_number_that_changes_from_step_to_step_is_found(numba):
    x, numbers = np.ones(6, np.float32), iter(range(9))
    with pytest.raises(CaptureError, match=r"^what activation is given "):
        numba.capture(lambda: numba.activation("elu", x, x, float(next(numbers))))
