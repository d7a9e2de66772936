"""What happens inside a network: outputs of its layers, and gradients of its scores."""

import numpy as np
import pytest

import nnkit
from nnkit.tracing import Scores, Trace

X = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)


def network(backend, **options):
    layers = nnkit.Linear(8, 6), nnkit.ReLU(), nnkit.Linear(6, 3)
    return nnkit.Sequential(*layers, seed=1, backend=backend, **options)


def train_a_step(model):
    y = on_host(model, model(X))
    model.backward(np.arange(y.size, dtype=np.float32).reshape(y.shape) / y.size)
    nnkit.SGD(0.5).step(model)


def on_host(model, array):
    return model.backend.to_numpy(array)


def test_each_layer_has_an_output_also_where_two_are_fused(backend):
    model = network(backend)
    W, b = (on_host(model, parameter.value) for parameter in model[0].parameters())
    seen = Trace(model).outputs(X)
    assert [*seen] == ["0", "1", "2"]
    np.testing.assert_allclose(seen["0"], X @ W + b, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(seen["1"], np.maximum(seen["0"], 0))
    np.testing.assert_allclose(seen["2"], on_host(model, model.eval()(X)), rtol=1e-5, atol=1e-6)


def test_layers_inside_others_have_paths(backend):
    inner = nnkit.Sequential(nnkit.Linear(8, 8), nnkit.Tanh(), backend=backend)
    model = nnkit.Sequential(nnkit.Residual(inner), nnkit.Linear(8, 2), backend=backend)
    trace = Trace(model)
    leaves = {path for path, layer in model.walk() if not layer.children()}
    assert trace.outputs(X).keys() == leaves
    (residual,) = trace.outputs(X, ["0"]).values()
    tanh = next(y for path, y in trace.outputs(X).items() if path.endswith("1") and path != "1")
    np.testing.assert_allclose(residual, X + tanh, rtol=1e-5, atol=1e-6)


def test_the_model_stays_as_it_is(backend):
    model = network(backend).train()
    before = model.state()
    Trace(model).outputs(X)
    Scores(model).gradient(X[:1])
    assert all(layer.training for layer in model)
    assert model.fused
    for name, value in model.state().items():
        np.testing.assert_array_equal(value, before[name])


def test_both_follow_the_model(backend):
    model = network(backend)
    trace, scores = Trace(model), Scores(model)
    before = trace.outputs(X)["2"], scores.gradient(X[:1], 0)[1]
    train_a_step(model)
    trace.follow(model)
    scores.follow(model)
    after = trace.outputs(X)["2"], scores.gradient(X[:1], 0)[1]
    fresh = Trace(model).outputs(X)["2"], Scores(model).gradient(X[:1], 0)[1]
    for old, new, expected in zip(before, after, fresh, strict=True):
        assert abs(old - new).max() > 1e-3
        np.testing.assert_array_equal(new, expected)


@pytest.mark.parametrize("last", [[], ["softmax"], ["log_softmax"]])
def test_gradient_of_a_score_is_that_of_central_differences(last):
    layers = [nnkit.Linear(8, 6), nnkit.Tanh(), nnkit.Linear(6, 3)]
    model = nnkit.Sequential(*layers, *last, seed=1, dtype="float64", backend="numpy")
    x, bare = X[:1].astype(np.float64), model[:3]
    answer, gradient = Scores(model).gradient(x)
    assert answer == bare(x)[0].argmax()
    for i in range(8):
        step = np.zeros_like(x)
        step[0, i] = 1e-6
        slope = (bare(x + step) - bare(x - step))[0, answer] / 2e-6
        assert gradient[0, i] == pytest.approx(slope, rel=1e-5)


def test_scores_of_a_model_that_ends_with_softmax_follow_it():
    model = nnkit.Sequential(nnkit.Linear(8, 3), nnkit.Softmax(), backend="numpy")
    scores = Scores(model)
    train_a_step(model)
    scores.follow(model)
    np.testing.assert_array_equal(scores.gradient(X[:1], 1)[1], model[0].W.value[:, 1][None])


def test_what_is_no_class_is_refused():
    model = network("numpy")
    with pytest.raises(ValueError, match="label must be a class from 0 to 2, not 3"):
        Scores(model).gradient(X[:1], 3)
