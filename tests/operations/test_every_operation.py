"""What every operation promises, whatever it computes: made of the declarations and sample calls.

Its values are compared with the reference's here too, but the bounds that are an operation's own,
the sizes and the extremes are in its family's file.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nnkit.backends import Backend, get_backend
from nnkit.backends.contract import OPERATIONS
from tests.device import simulator
from tests.helpers import ALWAYS_FLOAT64, LAYOUTS, Check, random_array
from tests.operations import families, functions_of
from tests.operations.samples import linear, operations, products
from tests.operations.shared import OTHER_KINDS

ULPS = 24
SHAPE = 31, 33
Sample = tuple[Any, ...]


@cache
def samples(shape: tuple[int, int] = SHAPE, dtype: str = "float32") -> dict[str, Sample]:
    """Return a call of each operation, some of several kinds, and of each part of a layer."""
    rng = np.random.default_rng(3)
    layer = linear(*shape, 19) if all(shape) else {}
    x, y = random_array(rng, (2, *shape))
    return (
        operations(rng, shape, dtype)
        | products(rng, shape)
        | {f"linear {name}": sample for name, sample in layer.items()}
        | {"add in place": (lambda b, a: b.add(a.x, a.y, a.y), {"x": x}, {"y": y})}
    )


SAMPLES = samples()
LOOPS = [name for name in SAMPLES if name.partition(" ")[2] not in OTHER_KINDS]
every_sample = pytest.mark.parametrize("sample", SAMPLES)
every_loop = pytest.mark.parametrize("sample", LOOPS)


def compare(check: Check, sample: Sample, **options: Any) -> dict[str, np.ndarray]:
    """Carry out a sample call and compare it with the reference."""
    run, inputs, outputs, *bounds = sample
    return check(run, inputs, outputs, **{"ulps": ULPS, **(bounds[0] if bounds else {}), **options})


def test_each_is_tested_by_its_name():
    declared = {name for name, _ in inspect.getmembers(Backend, inspect.isfunction)}
    named = {f"test_{name}" for name in declared if not name.startswith("_")}
    assert len(named) >= 25
    assert named - set().union(*map(functions_of, families())) == set()


# ------------------------------------------------------------------------------------- memory


@every_loop
def test_layouts(backend, dtype, sample):
    """Inputs may lie anywhere: transposed, with gaps between rows or columns, at any address."""
    for layout in LAYOUTS:
        compare(Check(backend, dtype, layout), samples(SHAPE, dtype.name)[sample])


def rows_of_any_shape() -> Iterator[str]:
    """Name what takes rows of any number of dimensions: a sample for each loop."""
    for name in SAMPLES:
        operation, _, kind = name.partition(" ")
        if operation in ("add", "put_columns", "take_columns", "dropout", "gather"):
            yield name
        if operation.endswith("softmax") or operation.endswith("softmax_backward"):
            yield name
        if operation in ("activation", "activation_backward") and kind in ("", "tanh", "gelu"):
            yield name


@pytest.mark.parametrize("sample", [*rows_of_any_shape()])
@pytest.mark.parametrize("layout", ["contiguous", *LAYOUTS])
def test_any_shape_of_three_dimensions(backend, dtype, sample, layout):
    """Each row is that of the matrix with the same rows."""
    run, inputs, outputs, *bounds = samples((6, 33), dtype.name)[sample]
    gathered = sample.startswith("gather")

    def deep(value: Any) -> Any:
        """Divide the rows, or of what is gathered by rows the columns."""
        is_shape = isinstance(value, tuple)
        shape = value if is_shape else value.shape
        if len(shape) == 2 and shape != (4, 2):  # the log's
            shape = (shape[0], 3, shape[1] // 3) if gathered else (3, shape[0] // 3, shape[1])
        return shape if is_shape else value.reshape(shape)

    divided = ({name: deep(value) for name, value in part.items()} for part in (inputs, outputs))
    got = compare(Check(backend, dtype, layout), (run, *divided, *bounds))
    if layout == "contiguous":
        flat = compare(Check(backend, dtype), (run, inputs, outputs, *bounds))
        assert {name: array.tobytes() for name, array in got.items()} == {
            name: array.tobytes() for name, array in flat.items()
        }


LOCKED = [("numpy", sample) for sample in LOOPS]
LOCKED += [("numba", sample) for sample in ("softmax", "bias_activation relu", "gather scaled")]
"""Kernels are compiled anew for read-only arrays: three, because each takes seconds."""


@pytest.mark.parametrize(("library", "sample"), LOCKED)
def test_read_only_inputs(library, sample):
    """A data set may be a file that is mapped into memory."""
    pytest.importorskip(library)
    run, inputs, *rest = SAMPLES[sample]

    def locked(b: Backend, a: SimpleNamespace) -> None:
        for name in inputs:
            getattr(a, name).flags.writeable = False
        run(b, a)

    compare(Check(get_backend(library), np.float32), (locked, inputs, *rest))


NO_ROWS = 0, 10
EMPTY = [
    name
    for name, (_, _, outputs, *_) in samples(NO_ROWS).items()
    if name in LOOPS and "log" not in outputs and not name.startswith("gather")
]


@pytest.mark.parametrize("sample", EMPTY)
def test_no_rows(backend, dtype, sample):
    """Nothing is written but sums, which are 0.

    A mean over no rows, as losses are, is none, and a batch that is gathered has rows.
    """
    compare(Check(backend, dtype), samples(NO_ROWS, dtype.name)[sample])


# ---------------------------------------------------------------------------------------- NaN


UNLIKE_THE_FORMULA = {
    ("adam", "p"): ("m", "v"),
    **{
        (f"batch_norm_backward{kind} False", name): ("dx",)
        for kind in ("", " relu")
        for name in ("x", "mean")
    },
    **{
        (f"convolution_backward {kind}", "x"): ("dweight",)
        for kind in ("pooled", "of each channel")
    },
}
"""Sample and input: outputs where a kernel has NaN, or not, unlike the formula.

Multiplied by 0, or added as a penalty's sign; the NaN is in another output all the same. Or it is
of a pixel that no chosen place sees: see the tests of convolution_backward.
"""


@every_sample
def test_nan_comes_out_where_the_reference_has_it(backend, dtype, sample):
    """From one NaN in each of the inputs in turn, and of the arrays that are updated."""
    run, inputs, outputs, *bounds = samples(SHAPE, dtype.name)[sample]
    is_loss = "log" in outputs
    for name, value in (inputs | outputs).items():
        if isinstance(value, tuple) or value.dtype != np.float64 or name in ALWAYS_FLOAT64:
            continue
        broken = value.copy()
        broken.flat[value.size // 2] = np.nan
        given = [{k: broken if k == name else v for k, v in d.items()} for d in (inputs, outputs)]
        with np.errstate(invalid="ignore"):
            scratch = ("log",) if is_loss else UNLIKE_THE_FORMULA.get((sample, name), ())
            got = compare(Check(backend, dtype), (run, *given, *bounds), scratch=scratch)
        if is_loss:
            assert np.isnan(got["log"]).any(), f"the loss hides a NaN of {name}"


# ------------------------------------------------------------------------------------- large arrays


WORK = {
    "little": {"wide": (15, 1100), "middle": (67, 130), "narrow": (600, 10)},
    "CPU": {"wide": (131, 1025), "middle": (1101, 130), "narrow": (14_003, 10)},
    "simulated": {"wide": (281, 1025), "middle": (2251, 130), "narrow": (25_003, 10)},
    "GPU": {"wide": (1100, 1025), "middle": (9001, 130), "narrow": (100_003, 10)},
}
"""Shapes. On the CPU two threads share each kernel's work, of 2^16 elements at most for each."""


@pytest.fixture(scope="module", params=["wide", "middle", "narrow"])
def large(
    request: pytest.FixtureRequest, backend: Backend, small: bool, simulated: bool
) -> dict[str, Sample]:
    """Return sample calls for as much work as `test_large_arrays` asks for."""
    little = small or backend.name == "numpy"  # whose formulas know no threads
    on_gpu = "simulated" if simulated else "GPU"
    where = "little" if little else "CPU" if backend.xp is np else on_gpu
    return samples.__wrapped__(WORK[where][request.param])  # too much to keep


LARGE = [name for name in LOOPS if not name.startswith("linear ")]
"""A linear layer's parts are among them."""


@pytest.mark.parametrize("sample", LARGE)
def test_large_arrays(backend, small, simulated, monkeypatch, sample, large):
    """Enough work that threads share it on a CPU, and that CUDA blocks come round for more.

    The simulator has small arrays and few blocks instead, a quarter of a GPU's in `make
    test-large`, and runs threads in a random order.
    """
    if simulated:
        blocks = 2 if small else backend.launcher.most_blocks // 4
        monkeypatch.setattr(backend.launcher, "most_blocks", blocks)
    if backend.name == "numba":
        monkeypatch.setattr(backend._tape, "WORTH_A_TEAM", 1)
    with simulator.thread_order("shuffled", seed=1):
        compare(Check(backend, np.float32), large[sample], ulps=16)


# ------------------------------------------------------------------------------ results returned


RESULTS = {
    "matmul": lambda b, x, y: b.matmul(x, x.T, y),
    "activation": lambda b, x, y: b.activation("tanh", x, y),
    "activation_backward": lambda b, x, y: b.activation_backward("tanh", x, x, y),
    "add": lambda b, x, y: b.add(x, x, y),
    "softmax": lambda b, x, y: b.softmax(x, y),
    "softmax_backward": lambda b, x, y: b.softmax_backward(x, x, y),
    "log_softmax": lambda b, x, y: b.log_softmax(x, y),
    "log_softmax_backward": lambda b, x, y: b.log_softmax_backward(x, -abs(x), y),
}


def test_each_result_that_may_be_left_out_is_tested():
    assert RESULTS.keys() == {name for name, o in OPERATIONS.items() if o.result is not None}


@pytest.mark.parametrize("operation", RESULTS)
def test_results_are_new_arrays_or_the_given_one(backend, dtype, rng, operation):
    x = backend.asarray(random_array(rng, (4, 4), dtype))
    given = backend.empty((4, 4), dtype)
    new, returned = (RESULTS[operation](backend, x, y) for y in (None, given))
    assert returned is given
    assert backend.owns(new)
    assert new.dtype == dtype
    assert new.flags.c_contiguous
    assert backend.to_numpy(new).tobytes() == backend.to_numpy(given).tobytes()


def test_operations_do_not_share_hidden_state(backend, dtype, rng):
    """Repeating an operation with other sizes in between gives the same bits."""
    arrays = [backend.asarray(random_array(rng, (n, 33), dtype)) for n in (5, 300, 5, 1)]
    first = [backend.to_numpy(backend.softmax(x)).tobytes() for x in arrays]
    second = [backend.to_numpy(backend.softmax(x)).tobytes() for x in reversed(arrays)]
    assert first == second[::-1]
    assert len(set(first)) == len(first)
