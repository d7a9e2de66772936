"""How exactly a GPU multiplies float32: chosen for the process, and seen in its products alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import nnkit
from nnkit import dtypes
from nnkit.backends.cupy import CupyBackend
from tests.device import simulator
from tests.device.fake_cublaslt import tf32
from tests.test_cupy_backend import _create

pytestmark = pytest.mark.skipif(
    simulator.unavailable() is not None, reason=str(simulator.unavailable())
)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    nnkit.set_precision("float32")


@pytest.fixture(scope="module")
def gpu() -> CupyBackend:
    return _create()


@pytest.fixture
def factors(rng) -> list[np.ndarray]:
    return [rng.normal(size=shape).astype(np.float32) for shape in ((5, 40), (40, 3))]


def test_a_program_begins_with_all_digits():
    assert nnkit.get_precision() == "float32"


def test_names_that_are_none():
    message = "^unknown precision 'half': choose float32 or tf32$"
    with pytest.raises(ValueError, match=message):
        nnkit.set_precision("half")
    assert nnkit.get_precision() == "float32"


def test_factors_are_rounded_only_where_that_is_asked_for(gpu, factors):
    """A plan that was made before is not that of another precision."""
    arrays = [gpu.asarray(x) for x in factors]
    exact, rounded = factors[0] @ factors[1], tf32(factors[0]) @ tf32(factors[1])
    assert abs(exact - rounded).max() > 1e-3
    for name, want in (("float32", exact), ("tf32", rounded), ("float32", exact)):
        nnkit.set_precision(name)
        np.testing.assert_allclose(gpu.to_numpy(gpu.matmul(*arrays)), want, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
def test_other_dtypes_do_not_change(gpu, factors, dtype):
    arrays = [gpu.asarray(x, dtypes.parse(dtype)) for x in factors]
    exact = gpu.to_numpy(gpu.matmul(*arrays)).tobytes()
    nnkit.set_precision("tf32")
    assert gpu.to_numpy(gpu.matmul(*arrays)).tobytes() == exact


def test_a_captured_step_is_captured_again(gpu, rng):
    """Captured or not, the weights are those of the precision that each epoch had."""
    x, t = rng.normal(size=(12, 20)), rng.integers(0, 4, 12)

    class Switch(nnkit.Callback):
        def on_epoch_end(self, *_: object) -> None:
            nnkit.set_precision("tf32")

    def train(compile: bool, switch: bool) -> bytes:
        nnkit.set_precision("float32")
        layers = nnkit.Linear(20, 30), nnkit.ReLU(), nnkit.Linear(30, 4)
        model = nnkit.Sequential(*layers, backend=gpu, seed=0)
        callbacks = [Switch()] if switch else []
        nnkit.Trainer(model).fit(x, t, 4, 4, compile=compile, callbacks=callbacks)
        return gpu.to_numpy(model.flat.values).tobytes()

    assert train(True, switch=True) == train(False, switch=True) != train(True, switch=False)
