"""Networks stored in float16 and bfloat16, on the CUDA backend in the simulator.

The operations by themselves: `test_operations_in_half_types` in test_kernel_runs.py.
"""

from __future__ import annotations

import copy
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nnkit
from nnkit import Sequential, Trainer, dtypes
from nnkit.backends import cupy as module
from nnkit.backends import get_backend
from nnkit.backends.contract import Update
from nnkit.checkpoint import CheckpointError
from nnkit.layers import BatchNorm1d, LayerNorm, Linear, ReLU
from nnkit.losses import SoftmaxCrossEntropy
from nnkit.optimizers import SGD, AdaGrad, Adam
from tests.device import fake_cupy, simulator
from tests.helpers import REFERENCE, counters

pytestmark = [
    pytest.mark.skipif(simulator.unavailable() is not None, reason=str(simulator.unavailable())),
    pytest.mark.skipif(
        importlib.util.find_spec("ml_dtypes") is None, reason="ml_dtypes is not installed"
    ),
]
every_half = pytest.mark.parametrize("half", dtypes.HALF)
every_backend = pytest.mark.parametrize("name", ["numpy", "numba"])


@pytest.fixture(scope="module")
def gpu():
    with fake_cupy.installed():
        return module.create()


@pytest.fixture(scope="module")
def digits():
    data = nnkit.data.load("digits")
    return data.x_train[:320], data.t_train[:320]


def _model(gpu, dtype, *, normalized=True):
    between = [BatchNorm1d(16), ReLU(), LayerNorm(16)] if normalized else [ReLU()]
    return Sequential(Linear(64, 16), *between, Linear(16, 10), seed=3, dtype=dtype, backend=gpu)


def _fit(model, digits, optimizer, epochs=4):
    trainer = Trainer(model, SoftmaxCrossEntropy(), optimizer)
    trainer.fit(*digits, epochs=epochs, batch_size=64, seed=5)
    return trainer


# ------------------------------------------------------------------------------------- updates

UPDATES = {
    "sgd": lambda b, p, g, s, lr, at, master: b.sgd(
        p, g, None, Update(lr, at, master=master), 0.0, False
    ),
    "momentum": lambda b, p, g, s, lr, at, master: b.sgd(
        p, g, s[0], Update(lr, at, master=master), 0.5, True
    ),
    "adaptive": lambda b, p, g, s, lr, at, master: b.adaptive(
        p, g, s[0], Update(lr, at, master=master), 0.9, 0.1, 1e-8
    ),
    "adam": lambda b, p, g, s, lr, at, master: b.adam(
        p, g, s[0], s[1], Update(lr, at, 0.01, master=master), 0.9, 0.99, 1e-8, True
    ),
}


def _updates(backend, half, update, times):
    """Make updates of a half ulp at most; return p and its master, and both in float64."""
    dtype = dtypes.parse(half)
    p0, g0 = np.linspace(1, 1.9, 37).astype(dtype), np.ones(37, dtype)
    p, g = backend.asarray(p0.copy()), backend.asarray(g0)
    master, *state = (backend.zeros(37, np.float32) for _ in range(3))
    exact, *exact_state = p0.astype(np.float64), np.zeros(37), np.zeros(37)
    rate = 2.0**-12 if half == "float16" else 2.0**-9
    lr, at = np.array([rate]), counters(backend)
    exact_at = counters(REFERENCE)
    for _ in range(times):
        UPDATES[update](backend, p, g, state, backend.asarray(lr), at, master)
        UPDATES[update](REFERENCE, exact, g0.astype(float), exact_state, lr, exact_at, None)
        backend.advance(at, 1, 1, 0)
        REFERENCE.advance(exact_at, 1, 1, 0)
    return backend.to_numpy(p), backend.to_numpy(master), exact


@every_half
@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("where", ["cupy", "numpy"])
def test_small_updates_add_up(gpu, where, half, update):
    backend = gpu if where == "cupy" else REFERENCE
    p, master, exact = _updates(backend, half, update, 20)
    np.testing.assert_allclose(master, exact, rtol=2e-6)
    assert p.tobytes() == master.astype(p.dtype).tobytes(), "p is what the master rounds to"
    assert (exact < np.linspace(1, 1.9, 37) - 4 * 2.0**-12).all()


@every_half
@pytest.mark.parametrize("where", ["cupy", "numpy"])
def test_what_the_parameters_are_set_to_counts(gpu, where, half):
    backend, dtype = gpu if where == "cupy" else REFERENCE, dtypes.parse(half)
    p, g = backend.asarray(np.array([1, 2, 0], dtype)), backend.zeros(3, dtype)
    master = backend.asarray(np.array([1 + 1e-5, 7, 3], np.float32))
    lr = backend.asarray(np.ones(1))
    backend.sgd(p, g, None, Update(lr, counters(backend), master=master), 0.0, False)
    assert backend.to_numpy(master).tolist() == [np.float32(1 + 1e-5), 2, 0]
    assert backend.to_numpy(p).tolist() == [1, 2, 0]


# -------------------------------------------------------------------------------------- models


@pytest.mark.parametrize(
    ("half", "optimizer"),
    [
        *(("float16", Adam(0.01)), ("float16", SGD(0.1))),
        *(("bfloat16", Adam(0.01)), ("bfloat16", AdaGrad(0.02))),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_network_learns_as_in_float32(gpu, digits, half, optimizer):
    """The last epoch's loss is that of float32 on the reference within 1 %."""
    model = _model(gpu, half)
    trainer = _fit(model, digits, copy.deepcopy(optimizer))
    same = _fit(_model("numpy", "float32"), digits, copy.deepcopy(optimizer))
    assert trainer.history.loss[-1] == pytest.approx(same.history.loss[-1], rel=0.01)
    assert trainer.history.loss[-1] < 0.7 * trainer.history.loss[0]
    assert {p.value.dtype.name for p in model.parameters()} == {half}
    assert {array.dtype.name for _, array in model.named_buffers()} == {"float32"}
    assert {array.dtype.name for array in trainer.optimizer.slot_arrays.values()} == {"float32"}
    outputs = trainer.predict_proba(digits[0][:5])
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(outputs.sum(axis=1), 1, atol=0.02)


@every_half
def test_the_master_follows_weights_that_are_set(gpu, digits, half):
    model = _model(gpu, half, normalized=False)
    trainer = _fit(model, digits, SGD(1e-6), epochs=1)
    model[0].W.value = np.full((64, 16), 0.25)
    trainer.fit(*digits, epochs=1, batch_size=64)
    np.testing.assert_allclose(model[0].W.to_numpy().astype(float), 0.25, atol=0.002)


@every_half
def test_a_run_continues_from_a_checkpoint(gpu, digits, half, tmp_path):
    """Bit for bit, because the master is part of it."""
    whole = _fit(_model(gpu, half), digits, Adam(), epochs=3)
    first = _fit(_model(gpu, half), digits, Adam(), epochs=1)
    first.progress.epochs = 3
    first.save(tmp_path / "run.safetensors")
    second = Trainer.load(tmp_path / "run.safetensors", gpu)
    second.resume(*digits)
    for (name, a), (_, b) in zip(
        whole.model.named_parameters(), second.model.named_parameters(), strict=True
    ):
        assert a.to_numpy().tobytes() == b.to_numpy().tobytes(), name


@every_half
def test_a_model_goes_through_a_file(gpu, digits, half, tmp_path):
    model, path = _fit(_model(gpu, half), digits, Adam(), epochs=1).model, tmp_path / "m"
    model.save(path)
    again = nnkit.load(path, gpu)
    assert again.dtype.name == half
    x = digits[0][:7]
    assert gpu.to_numpy(again(x)).tobytes() == gpu.to_numpy(model(x)).tobytes()
    with pytest.raises(CheckpointError, match=f"numpy backend does not compute in {half}: choose"):
        nnkit.load(path, "numpy")
    plain = _model("numpy", "float32")
    plain.load_weights(path)
    np.testing.assert_allclose(plain(x), gpu.to_numpy(model(x)).astype(float), atol=0.1)


def test_a_file_in_bfloat16_is_read_by_a_process_of_its_own(gpu, tmp_path):
    """Which has not imported ml_dtypes, without which NumPy does not know the name."""
    _model(gpu, "bfloat16").save(tmp_path / "m")
    script = """
import sys, nnkit
model = nnkit.Sequential(nnkit.Linear(64, 16), nnkit.BatchNorm1d(16), nnkit.ReLU(),
                         nnkit.LayerNorm(16), nnkit.Linear(16, 10), backend="numpy")
model.load_weights(sys.argv[1])
print(model[0].W.value.std() > 0.1)
"""
    command = [sys.executable, "-c", script, str(tmp_path / "m")]
    result = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout == "True\n", result.stderr


@every_half
@every_backend
def test_other_backends_refuse_half_types(gpu, half, name):
    if name == "numba" and importlib.util.find_spec("numba") is None:
        pytest.skip("Numba is not installed")
    message = (
        f"the {name} backend does not compute in {half}: choose the cupy backend, or dtype float32 "
        "or float64"
    )
    with pytest.raises(ValueError) as error:
        Sequential(Linear(2, 3), dtype=half, backend=name)
    assert str(error.value) == message
    model = _model(gpu, half)
    with pytest.raises(ValueError) as error:
        model.to(get_backend(name))
    assert str(error.value) == message
    assert model.backend is gpu


def test_bfloat16_without_ml_dtypes(gpu, monkeypatch):
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(ImportError, match="bfloat16 needs the package ml_dtypes: pip"):
        Sequential(Linear(2, 3), dtype="bfloat16", backend=gpu)


@every_half
def test_targets_are_checked_before_they_are_rounded(gpu, half):
    """Rows of probabilities that sum to 1 in float32 do not in bfloat16."""
    rows = np.random.default_rng(1).dirichlet(np.ones(10), 64).astype(np.float32)
    x = np.random.default_rng(2).random((64, 64))
    model = _model(gpu, half, normalized=False)
    trainer = Trainer(model, SoftmaxCrossEntropy(label_smoothing=0.1), Adam())
    trainer.fit(x, rows, epochs=1, batch_size=32)
    assert np.isfinite(trainer.history.loss).all()


@every_half
def test_debugging_names_the_layer(gpu, half):
    model = _model(gpu, half)
    model[0].W.value = np.full((64, 16), np.inf)
    model.debug = True
    with pytest.raises(FloatingPointError, match="first comes out of layer 0: Linear"):
        model(np.ones((2, 64)))


@every_half
def test_inputs_beyond_the_range_are_refused(gpu, half):
    x = np.ones((4, 64))
    x[2] = 1e5
    trainer = Trainer(_model(gpu, half), SoftmaxCrossEntropy(), Adam())
    if half == "bfloat16":
        trainer.fit(x, [1, 2, 3, 4], epochs=1, batch_size=4)
    else:
        with pytest.raises(ValueError, match="NaN or infinity, first in row 2"):
            trainer.fit(x, [1, 2, 3, 4], epochs=1, batch_size=4)


@every_half
def test_gradients_of_several_batches_are_one(gpu, digits, half):
    """accumulate=2 of 32 examples is like 64 at once, within the half dtype's rounding."""
    losses = []
    for batch_size, accumulate in ((64, 1), (32, 2)):
        trainer = Trainer(
            _model(gpu, half, normalized=False), SoftmaxCrossEntropy(), SGD(0.1, clip_norm=1.0)
        )
        trainer.fit(*digits, epochs=2, batch_size=batch_size, accumulate=accumulate, seed=5)
        losses.append(trainer.history.loss[-1])
    assert losses[0] == pytest.approx(losses[1], rel=0.01)


@every_half
def test_image_bytes_are_scaled_exactly(gpu, half):
    x = np.arange(256, dtype=np.uint8).reshape(4, 64)
    model = _model(gpu, half)
    want = (np.arange(256, dtype=np.float32) / 255).astype(dtypes.parse(half)).reshape(4, 64)
    got = gpu.to_numpy(model._checked(x))
    np.testing.assert_allclose(got.astype(float), want.astype(float), rtol=2.0**-7)
    assert got[3, 63] == 1


def test_gradcheck_takes_more_digits(gpu, rng):
    model = _model(gpu, "float16")
    with nnkit.use_backend(gpu):
        assert nnkit.gradcheck(model, SoftmaxCrossEntropy(), rng.normal(size=(2, 64)), [1, 2])
    assert model.dtype == dtypes.parse("float16")
