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
            "weight": random_array(
                rng, (*window.size, self.channels // self.groups, self.outputs)
            ),
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
