"""Random networks as ONNX files: two hundred, run by other programs, and read again.

A failure names its seed, and ``--hypothesis-seed=N`` repeats it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

import nnkit
from tests.stress.random_networks import SIZES, stacks
from tests.stress.share import SHARE, share_of

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from onnx.reference import ReferenceEvaluator  # noqa: E402

import nnkit.onnx  # noqa: E402


@st.composite
def networks(draw):
    """Layers, the shape of an example, and a dtype."""
    rank = draw(st.sampled_from([3, 1, 2, 3, 1]))
    shape = tuple(draw(st.sampled_from(sizes)) for sizes in SIZES[rank])
    layers = draw(stacks(shape, 6, 2, least=1))
    return layers, shape, draw(st.sampled_from(["float32", "float64"]))


def built(layers, dtype):
    """The model, with values that none of its layers begins with."""
    try:
        model = nnkit.Sequential(*(m() for m in layers), seed=0, dtype=dtype, backend="numpy")
    except ValueError:  # of a branch that the ones beside it do not fit
        return None
    rng = np.random.default_rng(0)
    state = model.state()
    counters = state.pop("counters")
    state = {name: a + rng.uniform(0, 0.2, a.shape).astype(a.dtype) for name, a in state.items()}
    model.restore({**state, "counters": counters})
    return model


def evaluator_is_right(model):
    """Whether onnx's own evaluator is: it takes a MaxPool's two paddings for each other."""
    pools = (layer for layer in model.leaves() if isinstance(layer, nnkit.MaxPool2d))
    return all(pool.padding[0] == pool.padding[1] for pool in pools)


@settings(
    max_examples=share_of(200, 30),
    deadline=None,
    database=None,
    derandomize=not SHARE,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[*HealthCheck],
)
@given(networks())
def test_random_networks(case):
    layers, shape, dtype = case
    model = built(layers, dtype)
    assume(model is not None)
    x = np.random.default_rng(1).normal(size=(3, *shape)).astype(np.float32)
    want = model(x)
    size = max(1, np.abs(want).max())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.onnx"
        nnkit.onnx.export(model, path, shape=shape)
        made = onnx.load(path)
        onnx.checker.check_model(made, full_check=True)
        given = [onnxruntime.InferenceSession(path).run(None, {"x": x})[0]]
        if evaluator_is_right(model):
            given += ReferenceEvaluator(made).run(None, {"x": x})
        back = nnkit.onnx.load(path, "numpy")(x)
    for got in given:
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5 * size)
    near = 1e-6 if dtype == "float32" else 1e-5
    np.testing.assert_allclose(back, want, rtol=near, atol=near * size)
