"""What only the CUDA backend promises of convolution and pooling, on the simulator.

Any thread order, as few launches as there can be, bounded memory, any library of products.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

import nnkit
from bench.launches import counted, kernel_names
from nnkit.backends.contract import Window
from nnkit.backends.cupy import CupyBackend, workspace
from nnkit.backends.cupy import windows as cupy_windows
from nnkit.kernels import cuda
from tests.device import fake_cublaslt, fake_cupy, simulator
from tests.helpers import REFERENCE, Check, random_array
from tests.test_cupy_backend import _create

pytestmark = pytest.mark.skipif(
    simulator.unavailable() is not None, reason=str(simulator.unavailable())
)

ULPS = 24


class Convolution(NamedTuple):
    """A convolution of 3 images, and what is fused with it."""

    image: tuple[int, int]
    channels: int
    outputs: int
    window: Window
    groups: int = 1
    pool: Window | None = None
    kind: str = "relu"
    bias: bool = True
    images: int = 3

    def arrays(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Inputs and outputs of the forward pass."""
        rng, window = np.random.default_rng(7), self.window
        sides = enumerate(self.image)
        places = [
            (side + 2 * window.padding[i] - window.dilation[i] * (window.size[i] - 1) - 1)
            // window.stride[i]
            + 1
            for i, side in sides
        ]
        if self.pool is not None:
            size, stride = self.pool.size, self.pool.stride
            places = [(places[i] - size[i]) // stride[i] + 1 for i in (0, 1)]
        y = (self.images, *places, self.outputs)
        inputs = {
            "x": random_array(rng, (self.images, *self.image, self.channels)),
            "weight": random_array(rng, (*window.size, self.channels // self.groups, self.outputs)),
            "bias": random_array(rng, self.outputs),
        }
        place = {"place": np.full(y, 7, np.uint8)} if self.pool else {}
        return inputs, {"y": y} | place

    def forward(self, b: Any, a: SimpleNamespace) -> None:
        bias, place = a.bias if self.bias else None, getattr(a, "place", None)
        how = self.window, self.groups, self.pool
        b.convolution(self.kind, a.x, a.weight, bias, *how, a.y, place)

    def backward(self, b: Any, a: SimpleNamespace) -> None:
        given = self.kind, a.dy, a.x, a.weight, self.window, self.groups, self.pool, a.y
        b.convolution_backward(*given, getattr(a, "place", None), a.dweight, a.dbias, a.dx)

    def run(self, check: Check) -> dict[str, np.ndarray]:
        """Compare both passes with the reference; return all that they give."""
        inputs, outputs = self.arrays()
        seen = prod(self.window.size) * self.channels
        got = check(self.forward, inputs, outputs, ulps=ULPS, scale=seen)
        y = got["y"].astype(np.float64)
        given = {k: inputs[k] for k in ("x", "weight")} | got | {"y": y}
        given["dy"] = random_array(np.random.default_rng(8), y.shape)
        shapes = {"dweight": inputs["weight"].shape, "dbias": (self.outputs,)}
        shapes["dx"] = inputs["x"].shape
        scale = seen + self.images * prod(self.image)
        return got | check(self.backward, given, shapes, ulps=ULPS, scale=scale)


PLAIN, HALVED = Window((3, 3), padding=(1, 1)), Window((2, 2), (2, 2))
CONVOLUTIONS = {
    "of one channel": Convolution((7, 6), 1, 6, Window((3, 3))),
    "of three": Convolution((7, 6), 3, 5, Window((3, 2), (2, 1), (1, 1)), pool=HALVED),
    "of many": Convolution((6, 9), 8, 12, PLAIN),
    "of odd sizes": Convolution(
        (7, 9), 6, 7, Window((3, 3), (1, 1), (1, 0), (2, 1)), pool=HALVED, kind="identity"
    ),
    "with a stride": Convolution((7, 7), 5, 3, Window((3, 3), (2, 2)), bias=False),
    "of pixels": Convolution((4, 5), 5, 3, Window((1, 1))),
    "of some pixels": Convolution((4, 5), 8, 4, Window((1, 1), (2, 2)), kind="identity"),
    "depthwise": Convolution((5, 6), 6, 6, PLAIN, groups=6),
    "depthwise, large": Convolution((6, 7), 9, 9, Window((5, 5), padding=(2, 2)), groups=9),
    "in small groups": Convolution((5, 5), 6, 12, PLAIN._replace(stride=(2, 2)), groups=3),
    "in groups": Convolution((5, 5), 16, 8, PLAIN, groups=2, pool=Window((2, 1), (3, 2))),
    "in odd groups": Convolution((5, 5), 10, 4, PLAIN, groups=2, bias=False),
    "with an output a group": Convolution((4, 4), 15, 3, PLAIN, groups=3, images=1),
    "of one place": Convolution((3, 3), 6, 4, Window((3, 3)), images=1),
}
every_convolution = pytest.mark.parametrize("name", CONVOLUTIONS)


@pytest.fixture(scope="module", params=["small grids", "usual grids"])
def gpu(request: pytest.FixtureRequest) -> tuple[CupyBackend, str]:
    """A backend, and how its arrays lie in memory: see test_cupy_backend.py."""
    backend = _create()
    if request.param == "usual grids":
        return backend, "contiguous"
    backend.launcher.most_blocks = 3
    return backend, "offset"


@pytest.fixture(scope="module")
def usual() -> CupyBackend:
    return _create()


@every_convolution
def test_convolutions_in_every_thread_order(gpu, dtype, name):
    """Every order gives the right result, and the same bits."""
    backend, layout = gpu
    bits = set()
    for order in simulator.ORDERS:
        with simulator.thread_order(order):
            got = CONVOLUTIONS[name].run(Check(backend, dtype, layout))
            bits.add(b"".join(array.tobytes() for array in got.values()))
    assert len(bits) == 1


@every_convolution
def test_convolutions_of_a_part_of_the_images_at_a_time(usual, dtype, monkeypatch, name):
    monkeypatch.setattr(workspace, "MOST_BYTES", 1)
    CONVOLUTIONS[name].run(Check(usual, dtype))


def test_every_kernel_of_images_runs_in_those_tests(usual):
    files = ("windows", "convolution", "pooling", "images")
    names = {name for name in kernel_names() if any(f"\n{name}(" in cuda.source(f) for f in files)}
    with counted(usual) as launches:
        for convolution in CONVOLUTIONS.values():
            convolution.run(Check(usual, np.float32))
        for window, places in ((HALVED, np.uint8), (Window((5, 4)), np.int32)):
            _pool(usual, window, places)
        usual.transpose(usual.zeros((2, 3, 4), np.float32), usual.zeros((2, 4, 3), np.float32))
    assert len(names) >= 12
    assert names - launches.keys() == set()


def _pool(backend: CupyBackend, window: Window, places: type) -> None:
    """Carry out all of pooling once, of a window that is as far from the next as it is large."""
    x = backend.zeros((2, window.size[0], window.size[1], 5), np.float32)
    y, place = backend.zeros((2, 1, 1, 5), np.float32), backend.zeros((2, 1, 1, 5), places)
    backend.max_pool(x, window, y, place)
    backend.max_pool_backward(y, place, window, x)
    backend.average_pool(x, window, 4, y)
    backend.average_pool_backward(y, window, 4, x)


# ------------------------------------------------------------------ launches and memory


LAUNCHED = {
    "of one channel": (["convolution"], ["bias_activation_backward", "fold", "unfold"]),
    "of three": (["convolution", "max_pool"], ["fold", "max_pool_backward", "unfold"]),
    "of many": (["unfold"], ["bias_activation_backward", "fold", "unfold"]),
    "of odd sizes": (["max_pool", "unfold"], ["fold", "max_pool_backward", "unfold"]),
    "of pixels": ([], ["bias_activation_backward"]),
    "of some pixels": (["unfold"], ["fold", "unfold"]),
    "depthwise": (
        ["convolution"],
        [
            "bias_activation_backward",
            "convolution_backward_images",
            "convolution_backward_weights",
        ],
    ),
}
"""The kernels of nnkit's own: what a product does besides, none has to be launched for."""


@pytest.mark.usefixtures("only_libraries")
@pytest.mark.parametrize("name", LAUNCHED)
def test_products_do_what_they_can_besides(usual, name):
    convolution = CONVOLUTIONS[name]
    inputs, outputs = convolution.arrays()
    arrays = {key: usual.asarray(value, np.float32) for key, value in inputs.items()}
    y = outputs["y"]
    arrays |= {key: usual.zeros(y, np.float32) for key in ("y", "dy")}
    arrays |= {"place": usual.zeros(y, np.uint8)} if convolution.pool else {}
    arrays |= {f"d{key}": usual.zeros(value.shape, np.float32) for key, value in inputs.items()}
    for run, expected in zip(
        (convolution.forward, convolution.backward), LAUNCHED[name], strict=True
    ):
        with counted(usual) as launches:
            run(usual, SimpleNamespace(**arrays))
        assert sorted(launches) == expected
        assert set(launches.values()) <= {1}


class _WithoutEpilogues(fake_cublaslt.Library):
    epilogues = frozenset({fake_cublaslt.DEFAULT})


class _KnowsNoProductsOfSeveral(fake_cublaslt.Library):
    """Nor any where rows have gaps between them."""

    def _fits(self, description, *layouts):
        abouts = [self._objects[layout.value] for layout in layouts]
        dense = all(a["leading"] == a["shape"][0] and 5 not in a for a in abouts)
        return dense and super()._fits(description, *layouts)


@pytest.mark.parametrize("library", [_WithoutEpilogues, _KnowsNoProductsOfSeveral])
def test_convolutions_with_any_library(library):
    backend = _create(library)
    for convolution in CONVOLUTIONS.values():
        convolution.run(Check(backend, np.float32))


def _steps(backend: CupyBackend) -> Iterator[tuple[Convolution, SimpleNamespace]]:
    for convolution in CONVOLUTIONS.values():
        inputs, outputs = convolution.arrays()
        made = {key: np.zeros(v) if isinstance(v, tuple) else v for key, v in outputs.items()}
        made["dy"] = np.ones(outputs["y"])
        made |= {f"d{key}": np.zeros(value.shape) for key, value in inputs.items()}
        yield (
            convolution,
            SimpleNamespace(
                **{
                    key: backend.asarray(value, None if key == "place" else np.float32)
                    for key, value in (inputs | made).items()
                }
            ),
        )


def test_convolutions_transfer_and_allocate_nothing_and_are_captured(usual):
    steps = list(_steps(usual))

    def step() -> None:
        for convolution, arrays in steps:
            convolution.forward(usual, arrays)
            convolution.backward(usual, arrays)

    def bits() -> list[bytes]:
        usual.synchronize()
        named = ("y", "dweight", "dbias", "dx")
        return [usual.to_numpy(getattr(a, k)).tobytes() for _, a in steps for k in named]

    step()
    first = bits()
    with fake_cupy.count() as made:
        step()
    assert made == fake_cupy.runtime.Counters()
    replay = usual.capture(step)
    for _, arrays in steps:
        for name in ("y", "dweight", "dbias", "dx"):
            getattr(arrays, name).fill(-7)
    replay(17)
    assert bits() == first


def test_layers_share_their_scratch_memory(monkeypatch):
    """Sizes are rounded up, so that there are few; what is kept is so bounded."""
    backend, sizes = _create(), set()
    scratch = backend.launcher.scratch
    monkeypatch.setattr(workspace, "MOST_BYTES", 1 << 16)

    def noted(size: int, dtype: Any, use: str = "sums") -> Any:
        if use == "workspace":
            sizes.add(size)
        return scratch(size, dtype, use)

    monkeypatch.setattr(backend.launcher, "scratch", noted)
    for side in (5, 6, 7, 8, 9, 10, 11, 12):
        Convolution((side, side), 8, 8, PLAIN, images=9).run(Check(backend, np.float32))
    assert len(sizes) <= 4
    assert max(sizes) * 4 <= 2 << 16


def test_reciprocals_divide_exactly():
    rng = np.random.default_rng(5)
    for divisor in [1, 2, 3, 7, 28, 641, 2**20 - 1, *rng.integers(1, 2**23, 100).tolist()]:
        reciprocal = int(cupy_windows.reciprocal(divisor))
        for number in [0, divisor - 1, divisor, 2**40, *rng.integers(0, 2**40, 100).tolist()]:
            quotient = number * reciprocal >> 64 if reciprocal else number
            assert quotient == number // divisor


# ------------------------------------------------------------------ networks


def lenet(backend: Any) -> nnkit.Sequential:
    """A small LeNet, and what else there is of images."""
    return nnkit.Sequential(
        nnkit.Conv2d(1, 4, 3, padding=1),
        nnkit.ReLU(),
        nnkit.MaxPool2d(2),
        nnkit.Conv2d(4, 4, 3, groups=4, bias=False),
        nnkit.Tanh(),
        nnkit.Conv2d(4, 8, 1),
        nnkit.ReLU(),
        nnkit.AvgPool2d(2),
        nnkit.Flatten(),
        nnkit.Linear(32, 3),
        backend=backend,
        seed=0,
    )


def test_a_network_is_captured_and_trained_as_the_reference(usual):
    rng = np.random.default_rng(9)
    x, t = rng.normal(size=(12, 12, 12, 1)), rng.integers(0, 3, 12)
    losses, weights = [], []
    for backend, compile in ((usual, True), (usual, False), (REFERENCE, False)):
        model = lenet(backend)
        history = nnkit.Trainer(model).fit(x, t, epochs=3, batch_size=4, compile=compile)
        losses.append(np.array(history.step_loss))
        weights.append(backend.to_numpy(model.flat.values).tobytes())
    assert weights[0] == weights[1]
    assert losses[0].tobytes() == losses[1].tobytes()
    np.testing.assert_allclose(losses[0], losses[2], rtol=1e-4)
