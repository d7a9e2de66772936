"""Whatever people have for arrays is taken, everywhere, and where it can be without a copy."""

from __future__ import annotations

import numpy as np
import pytest

import nnkit
from nnkit.given.arrays import taken
from nnkit.given.rows import Rows
from nnkit.training import streaming

X = np.random.default_rng(0).normal(size=(24, 6)).astype("f")
T = np.arange(24) % 3


def lib(name):
    return pytest.importorskip(name, reason=f"{name} is not installed")


class WithArray:
    """An array of a library that has NumPy's protocol alone."""

    def __init__(self, array):
        self.array, self.shape = array, array.shape

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.array, dtype)

    def __len__(self):
        return len(self.array)


class WithDlpack:
    """One that has the array API's alone."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


class WithArrow:
    """A table of a library that has Arrow's protocol alone."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


def frame(a, **_):
    return {f"c{i}": column for i, column in enumerate(a.T.copy())} if a.ndim == 2 else {"t": a}


def flat(make):
    """Of a single column there is no table."""
    return lambda a: make(a if a.ndim == 1 else a[:, 0])


MAKERS = {
    "a NumPy array": lambda a: a,
    "a list": lambda a: a.tolist(),
    "a torch.Tensor": lambda a: lib("torch").from_numpy(a),
    "a jax.Array": lambda a: lib("jax.numpy").asarray(a),
    "a pandas.DataFrame": lambda a: lib("pandas").DataFrame(frame(a)),
    "a polars.DataFrame": lambda a: lib("polars").DataFrame(frame(a)),
    "a pyarrow.Table": lambda a: lib("pyarrow").table(frame(a)),
    "a pyarrow.RecordBatch": lambda a: lib("pyarrow").record_batch(frame(a)),
    "an object with `__array__`": WithArray,
    "an object with `__dlpack__`": WithDlpack,
    "an object with `__arrow_c_stream__`": lambda a: WithArrow(lib("pyarrow").table(frame(a))),
    "a scipy.sparse array": lambda a: lib("scipy.sparse").csr_array(a),
    "a scipy.sparse matrix": lambda a: lib("scipy.sparse").coo_matrix(a),
}
COLUMNS = {
    "a pandas.Series": flat(lambda a: lib("pandas").Series(a)),
    "a polars.Series": flat(lambda a: lib("polars").Series(a)),
    "a pyarrow.Array": flat(lambda a: lib("pyarrow").array(a)),
    "a pyarrow.ChunkedArray": flat(lambda a: lib("pyarrow").chunked_array([a[:9], a[9:]])),
}
"""By what docs/arrays.md calls them."""


@pytest.fixture(params=["numpy", "numba"])
def cpu(request):
    if request.param == "numba":
        lib("numba")
    return nnkit.get_backend(request.param)


def trainer(backend, loss="softmax_cross_entropy"):
    layers = nnkit.Linear(6, 8), nnkit.ReLU(), nnkit.Linear(8, 3)
    return nnkit.Trainer(nnkit.Sequential(*layers, seed=0, backend=backend), loss)


def weights(of):
    return np.array(of.model.backend.to_numpy(of.model.flat.values)).tobytes()


@pytest.mark.parametrize("kind", MAKERS)
def test_everywhere_the_same_as_numpy_arrays(cpu, kind):
    """In fit, resume, evaluate, predict, a model, a layer, a loss: x and targets."""
    make = MAKERS[kind]
    x, rows = make(X), make(np.eye(3, dtype="f")[T])
    with nnkit.use_backend(cpu):
        one, other = trainer(cpu), trainer(cpu)
        for each, x_, t_ in ((one, X, np.eye(3, dtype="f")[T]), (other, x, rows)):
            each.fit(x_, t_, 2, 8, validation_data=(x_, t_), progress=False)
            each.resume(x_, t_, 3, validation_data=(x_, t_), progress=False)
        assert weights(one) == weights(other)
        assert one.history.val_loss == other.history.val_loss
        assert one.evaluate(X, T) == other.evaluate(x, rows)
        assert one.predict(X).tolist() == other.predict(x).tolist()
        assert one.predict_proba(X).tobytes() == other.predict_proba(x).tobytes()
        assert one.model(X).tobytes() == one.model(x).tobytes()
        assert nnkit.ReLU()(x).tobytes() == np.maximum(X, 0).tobytes()
        assert abs(one.loss(one.model(X), T) - one.loss(make(one.model(X)), rows)) < 1e-6
        assert one.model.backward(make(X[:, :3])).shape == X.shape
        one.model[0].W.value = make(np.ones((6, 8), "f"))
        assert nnkit.Linear(6, 8, init=make(np.ones((6, 8), "f")))
        assert nnkit.gradcheck(trainer(cpu).model, "mse", make(X[:4]), make(X[:4, :3]), samples=5)
        assert nnkit.activations.relu(x).shape == X.shape


@pytest.mark.parametrize("kind", COLUMNS)
def test_targets_in_a_column(cpu, kind):
    one, other = trainer(cpu), trainer(cpu)
    one.fit(X, T, 2, 8, validation_split=0.25, progress=False)
    other.fit(X, COLUMNS[kind](T), 2, 8, validation_split=0.25, progress=False)
    assert weights(one) == weights(other)


@pytest.mark.parametrize("kind", sorted(MAKERS.keys() | COLUMNS))
def test_what_is_copied_is_what_the_guide_says(kind):
    from tests.test_guides import ARRAYS

    given = (MAKERS | COLUMNS)[kind](X)
    one, again = taken(given), taken(given)
    if isinstance(one, Rows):
        assert ARRAYS[kind].startswith("made dense by blocks")
        return
    assert isinstance(one, np.ndarray)
    assert ARRAYS[kind].startswith("shared" if np.shares_memory(one, again) else "copied")


def test_the_guide_has_all_of_them():
    from tests.test_guides import ARRAYS

    others = {"a memory map", "a CuPy array", "a tensor on the GPU"}
    assert ARRAYS.keys() == MAKERS.keys() | COLUMNS.keys() | others


# ------------------------------------------------------------------ what is refused


def test_a_tensor_with_a_gradient(cpu):
    torch = lib("torch")
    x = torch.ones((24, 6), requires_grad=True)
    for use in (trainer(cpu).model, trainer(cpu).predict, lambda x: trainer(cpu).fit(x, T)):
        with pytest.raises(
            TypeError, match=r"^a torch.Tensor that requires a grad.*x\.detach\(\)$"
        ):
            use(x)
    trainer(cpu).predict(x.detach())


def test_a_tensor_with_a_gradient_of_any_library(cpu):
    x = WithArray(X)
    x.requires_grad = True
    with pytest.raises(TypeError) as error:
        trainer(cpu).model(x)
    assert str(error.value) == (
        "a tests.WithArray that requires a gradient was given, and nnkit computes none for it: "
        "give x.detach()"
    )


def test_a_tensor_of_bfloat16(cpu):
    x = lib("torch").ones((24, 6)).bfloat16()
    with pytest.raises(TypeError, match=r"NumPy cannot read: give x\.float\(\) \(Got unsupported"):
        trainer(cpu).model(x)
    trainer(cpu).model(x.float())


def test_an_array_that_cannot_be_read(cpu):
    class Broken(WithArray):
        def __array__(self, dtype=None, copy=None):
            raise RuntimeError("it is sparse")

    with pytest.raises(TypeError) as error:
        trainer(cpu).model(Broken(X))
    assert str(error.value) == (
        "a tests.Broken was given, which NumPy cannot read: convert it to a NumPy array (it is "
        "sparse)"
    )


def nullable(name, values):
    if name == "pandas":
        return lib(name).DataFrame({"b": [0.5] * 3, "a": lib(name).array(values, dtype="Int64")})
    make = getattr(lib(name), "DataFrame" if name == "polars" else "table")
    return make({"b": [0.5] * 3, "a": values})


@pytest.mark.parametrize(
    ("name", "remedy"),
    {
        "pandas": "fill them, x.fillna(...), or leave the rows out, x.dropna()",
        "polars": "fill them, x.fill_null(...), or leave the rows out, x.drop_nulls()",
        "pyarrow": "fill them, pyarrow.compute.fill_null(column, ...), or leave the rows out, "
        "x.drop_null()",
    }.items(),
)
def test_missing_values(cpu, name, remedy):
    model = nnkit.Sequential(nnkit.Linear(2, 1), backend=cpu)
    assert model(nullable(name, [1, 2, 3])).shape == (3, 1)
    with pytest.raises(ValueError) as error:
        model(nullable(name, [1, None, None]))
    assert str(error.value) == f"column 'a' lacks 2 values, first in row 1: {remedy}"


def test_a_missing_target(cpu):
    t = lib("pandas").Series([*T[:-1], None])
    with pytest.raises(ValueError, match=r"^a column lacks 1 value, first in row 23: fill"):
        trainer(cpu).fit(X, t)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            ["Rome", "Bonn"],
            "text such as 'Rome': nnkit.data.from_table(frame, target=...) makes numbers of a "
            "table's columns; or leave the column out",
        ),
        (
            np.array(["2020", "2021"], "M8[us]"),
            "dates or times: make numbers of them, such as the year, or leave the column out",
        ),
        (
            np.array([1j, 2j]),
            "no numbers, but complex128: leave the column out, or make numbers of it",
        ),
    ],
)
def test_columns_that_are_no_numbers(cpu, values, message):
    x = lib("pandas").DataFrame({"a": [1.0, 2.0], "city": values})
    with pytest.raises(TypeError) as error:
        nnkit.Sequential(nnkit.Linear(2, 1), backend=cpu)(x)
    assert str(error.value) == f"column 'city' holds {message}"


def test_text_as_targets_of_any_library(cpu):
    for name in ("pandas", "polars"):
        t = lib(name).Series(["cat", "dog", "cow"] * 8)
        with pytest.raises(TypeError, match=r"not text such as 'cat': number the classes"):
            trainer(cpu).fit(X, t)


def test_a_table_without_rows_or_columns(cpu):
    polars = lib("polars")
    with pytest.raises(TypeError, match=r"^a LazyFrame has no rows yet: give x\.collect\(\)$"):
        trainer(cpu).model(polars.LazyFrame({"a": [1]}))
    with pytest.raises(ValueError, match=r"^a table without columns was given$"):
        trainer(cpu).model(polars.DataFrame())


# ------------------------------------------------------------------ sparse matrices, memory maps


def sparse(rng, rows=75, dtype="f"):
    x = (rng.random((rows, 20)) * 9 * (rng.random((rows, 20)) < 0.2)).astype(dtype)
    return x, lib("scipy.sparse").csr_array(x), rng.integers(0, 3, rows)


def fitted(backend, x, t, **options):
    """Weights, figures and answers of a network that was trained on them."""
    of = nnkit.Trainer(nnkit.Sequential(nnkit.Linear(20, 3), seed=0, backend=backend))
    of.fit(x, t, 2, 8, progress=False, **options)
    found = of.history.val_loss, of.evaluate(x, t, 8), of.predict(x, 8).tolist()
    return weights(of), found, of.model.inputs


@pytest.mark.parametrize("dtype", ["f", "d", "i8", "?"])
def test_sparse_is_as_dense_bit_for_bit(backend, rng, dtype):
    dense, x, t = sparse(rng, dtype=dtype)
    one, other = (fitted(backend, each, t, validation_split=0.2) for each in (dense, x))
    assert one == other


def test_sparse_is_never_dense_as_a_whole(backend, rng, monkeypatch):
    _, x, t = sparse(rng)
    monkeypatch.setattr(streaming, "BLOCK_BYTES", 20 * 80)
    rows, toarray = [], type(x).toarray

    def watched(matrix, *args, **options):
        rows.append(matrix.shape[0])
        return toarray(matrix, *args, **options)

    monkeypatch.setattr(type(x), "toarray", watched)
    fitted(backend, x, t, validation_data=(x, t))
    assert max(rows) <= 16


def test_of_very_wide_rows_few_are_dense_at_once(rng, monkeypatch):
    _, x, t = sparse(rng)
    monkeypatch.setattr(streaming, "BLOCK_BYTES", 5 * 80)
    of = nnkit.Trainer(nnkit.Sequential(nnkit.Linear(20, 3), backend="numpy"))
    taken_rows, toarray = [], type(x).toarray
    monkeypatch.setattr(
        type(x), "toarray", lambda m, *a, **k: taken_rows.append(m.shape[0]) or toarray(m, *a, **k)
    )
    assert of.predict(x).shape == (75,)
    of.evaluate(x, t)
    assert max(taken_rows) == 5


def test_counts_of_bytes_are_no_pixels(cpu, rng):
    dense, x, t = sparse(rng, dtype="u1")
    model = nnkit.Sequential(nnkit.Linear(20, 3), seed=0, backend=cpu)
    nnkit.Trainer(model).fit(x, t, 1, 8, progress=False)
    assert model.inputs.high == dense.max() > 1
    assert model.inputs.low == 0


def test_nan_in_a_sparse_matrix(cpu, rng):
    dense, _, t = sparse(rng)
    dense[40, 3] = np.nan
    x = lib("scipy.sparse").csc_matrix(dense)
    model = nnkit.Sequential(nnkit.Linear(20, 3), backend=cpu)
    with pytest.raises(ValueError, match=r"^x holds NaN or infinity, first in row 40$"):
        nnkit.Trainer(model).fit(x, t)


def test_numbers_that_are_stored_in_parts(cpu):
    matrix = lib("scipy.sparse").csr_array(([60.0, 60, -1], ([1, 1, 0]), [0, 2, 3]), (2, 3))
    rows = taken(matrix)
    assert rows[:].tolist() == matrix.toarray().tolist() == [[0, 120, 0], [-1, 0, 0]]
    assert rows.ends() == (-1, 120)
    assert matrix.nnz == 3  # as it was


def test_what_is_too_large_for_the_dtype(cpu, rng):
    dense, _, t = sparse(rng, dtype="d")
    dense[7, 3] = 1e300
    x = lib("scipy.sparse").csr_array(dense)
    with pytest.raises(ValueError, match=r"^x holds NaN or infinity, first in row 7$"):
        nnkit.Trainer(nnkit.Sequential(nnkit.Linear(20, 3), backend=cpu)).fit(x, t)


def test_a_sparse_matrix_is_scaled_where_it_is_read(cpu, rng):
    dense, x, t = sparse(rng)
    assert fitted(cpu, dense, t, scale=1 / 9) == fitted(cpu, x, t, scale=1 / 9)


def test_a_memory_map_of_another_dtype_is_not_read_whole(cpu, tmp_path, monkeypatch):
    import tracemalloc

    monkeypatch.setattr(streaming, "BLOCK_BYTES", 4 << 20)
    monkeypatch.setattr(nnkit.layers.inputs, "BLOCK_BYTES", 4 << 20)
    shape = 10_000, 1_000
    np.memmap(tmp_path / "x", np.int16, "w+", shape=shape)[:1] = 5
    x = np.memmap(tmp_path / "x", np.int16, "r", shape=shape)
    of = nnkit.Trainer(nnkit.Sequential(nnkit.Linear(1_000, 2), seed=0, backend=cpu))
    tracemalloc.start()
    of.fit(x, np.zeros(len(x), int), 1, 500, progress=False)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 0.6 * 4 * x.size  # what it would take as float32
    assert type(taken(x)) is np.memmap


# ------------------------------------------------------------------ on a device


class OnDevice:
    """A tensor of another library on the GPU, by DLPack."""

    def __init__(self, array):
        self.array, self.shape = array, array.shape

    def __len__(self):
        return len(self.array)

    def __dlpack_device__(self):
        return 2, 0

    def __dlpack__(self, stream=None, **_):
        return self.array._host.__dlpack__()


class WithCudaInterface:
    """The same by CUDA's array interface."""

    def __init__(self, array):
        self.array, self.shape = array, array.shape
        self.__cuda_array_interface__ = {**array._host.__array_interface__, "stream": 1}

    def __len__(self):
        return len(self.array)


@pytest.mark.parametrize("kind", [OnDevice, WithCudaInterface])
def test_a_tensor_on_the_gpu(backend, simulated, kind):
    if not simulated:
        pytest.skip("for the pretend GPU")
    x, t = backend.asarray(X), backend.asarray(T)
    given, targets = kind(x), kind(t)
    one, other = trainer(backend), trainer(backend)
    one.fit(x, t, 1, 8, progress=False)
    other.fit(given, targets, 1, 8, progress=False)
    assert weights(one) == weights(other)
    assert one.predict(x).tolist() == other.predict(given).tolist()
    assert backend.asarray(given)._host.ctypes.data == x._host.ctypes.data
    with nnkit.use_backend(backend):
        assert one.loss(kind(backend.asarray(X[:, :3])), targets) > 0
        assert nnkit.activations.relu(given).shape == X.shape


@pytest.mark.parametrize("name", ["numpy", "numba"])
@pytest.mark.parametrize("library", ["torch", "other"])
def test_a_tensor_on_the_gpu_for_a_model_on_the_cpu(name, library):
    class Tensor:
        __module__ = library

        def __dlpack_device__(self):
            return 2, 0

    moved = {"torch": "with array.cpu()", "other": "to the host"}[library]
    with pytest.raises(TypeError) as error:
        nnkit.Sequential(nnkit.Linear(6, 1), backend=name)(Tensor())
    assert str(error.value) == (
        f"a {library}.Tensor on a device was given to the {name} backend: move the model with "
        f"model.to('cupy'), or the array {moved}"
    )


def test_nothing_is_imported_to_find_out():
    import subprocess
    import sys

    code = (
        "import sys, nnkit, numpy as np; m = nnkit.Sequential(nnkit.Linear(2, 1));"
        "m([[1., 2.]]); m(np.ones((2, 2), 'f'));"
        "print(*({'pandas', 'polars', 'pyarrow', 'scipy', 'narwhals', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
