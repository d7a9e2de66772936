"""Sequential: building, naming, moving, fusing, gradients."""

from __future__ import annotations

import numpy as np
import pytest

import nnkit
from nnkit import initializers
from nnkit.layers.fused import LinearActivation


def host(backend, array):
    return np.array(backend.to_numpy(array))


def small(backend, **options):
    return nnkit.Sequential(
        nnkit.Linear(7, 5),
        nnkit.Tanh(),
        nnkit.Linear(5, 4),
        nnkit.ReLU(),
        nnkit.Linear(4, 3),
        backend=backend,
        **{"seed": 1, **options},
    )


def test_names_and_order_of_parameters(backend):
    names = [name for name, _ in small(backend).named_parameters()]
    assert names == ["0.weight", "0.bias", "2.weight", "2.bias", "4.weight", "4.bias"]


def test_parameters_are_views_of_one_flat_buffer(backend):
    model = small(backend)
    model.flat.values[...] = 2
    for _, p in model.named_parameters():
        assert (host(backend, p.value) == 2).all()


def test_same_seed_same_weights_on_every_backend(backend):
    ours, reference = small(backend), small("numpy")
    for (_, p), (_, q) in zip(ours.named_parameters(), reference.named_parameters(), strict=True):
        np.testing.assert_array_equal(host(backend, p.value), q.value)
    assert (small("numpy", seed=2)[0].W.value != reference[0].W.value).any()


def test_without_a_seed_two_models_differ_and_know_their_seeds():
    a, b = small("numpy", seed=None), small("numpy", seed=None)
    assert (a[0].W.value != b[0].W.value).any()
    np.testing.assert_array_equal(small("numpy", seed=a.seed)[0].W.value, a[0].W.value)


def test_indexing_and_length(backend):
    model = small(backend)
    assert len(model) == 5
    assert isinstance(model[-1], nnkit.Linear)
    assert [type(layer) for layer in model][1] is nnkit.Tanh
    with pytest.raises(IndexError):
        model[5]


def test_summary_shows_shapes_and_counts(backend):
    text = small(backend).summary()
    assert "(n, 5)" in text
    assert f"{7 * 5 + 5 + 5 * 4 + 4 + 4 * 3 + 3}" in text
    assert f"float32 on {backend.name}" in text


def test_initialisation_follows_the_activation():
    model = nnkit.Sequential(
        nnkit.Linear(400, 300), nnkit.ReLU(), nnkit.Linear(300, 200), nnkit.Sigmoid(), seed=0
    )
    assert model[0].W.init is initializers.he
    assert model[2].W.init is initializers.xavier
    np.testing.assert_allclose(model[0].W.value.std(), np.sqrt(2 / 400), rtol=0.02)
    np.testing.assert_allclose(model[2].W.value.std(), np.sqrt(2 / 500), rtol=0.02)
    assert not model[0].b.value.any()


def test_a_chosen_initialiser_is_kept():
    ones = lambda rng, shape: np.ones(shape)  # noqa: E731
    model = nnkit.Sequential(
        nnkit.Linear(2, 3, init=ones), nnkit.ReLU(), nnkit.Linear(3, 1, init="zeros")
    )
    assert (model[0].W.value == 1).all()
    assert (model[2].W.value == 0).all()


def test_unknown_initialiser():
    with pytest.raises(ValueError, match="unknown initialiser 'hee': choose one of zeros, ones, "):
        nnkit.Linear(1, 1, init="hee")


def test_initial_values_of_another_shape():
    with pytest.raises(ValueError, match=r"initial values of shape \(2, 2\) for a parameter of"):
        nnkit.Sequential(nnkit.Linear(3, 2, init=np.eye(2)))


class TestFusion:
    def test_pairs_linear_and_activation(self):
        model = small("numpy")
        assert [type(layer) for layer in model.steps] == [
            LinearActivation,
            LinearActivation,
            nnkit.Linear,
        ]

    def test_step_is_not_fused(self):
        model = nnkit.Sequential(nnkit.Linear(1, 1), nnkit.Step())
        assert [type(layer) for layer in model.steps] == [nnkit.Linear, nnkit.Step]

    def test_fused_and_unfused_agree(self, backend, rng):
        x, dy = rng.normal(size=(6, 7)), rng.normal(size=(6, 3))
        results = []
        for fuse in (True, False):
            model = small(backend, dtype="float64", fuse=fuse)
            y = host(backend, model(x))
            dx = host(backend, model.backward(dy))
            results.append([y, dx, host(backend, model.flat.grads)])
        for fused, unfused in zip(*results, strict=True):
            np.testing.assert_allclose(fused, unfused, rtol=1e-12, atol=1e-14)

    def test_nested_models_fuse_across_their_border(self, backend, rng):
        flat = small(backend, dtype="float64")
        inner = nnkit.Sequential(nnkit.Tanh(), nnkit.Linear(5, 4), nnkit.ReLU(), backend=backend)
        model = nnkit.Sequential(
            nnkit.Linear(7, 5), inner, nnkit.Linear(4, 3), backend=backend, dtype="float64", seed=1
        )
        assert len(model.steps) == 3
        names = [name for name, _ in model.named_parameters()]
        assert names == ["0.weight", "0.bias", "1.1.weight", "1.1.bias", "2.weight", "2.bias"]
        for (_, p), (_, q) in zip(model.named_parameters(), flat.named_parameters(), strict=True):
            p.value = q.to_numpy()
        x = rng.normal(size=(2, 7))
        np.testing.assert_allclose(host(backend, model(x)), host(backend, flat(x)), rtol=1e-12)


def test_a_model_inside_another_keeps_its_weights(backend):
    body = small(backend)
    before = [p.to_numpy() for p in body.parameters()]
    model = nnkit.Sequential(body, nnkit.ReLU(), nnkit.Linear(3, 2), backend=backend, seed=5)
    for p, value in zip(body.parameters(), before, strict=True):
        np.testing.assert_array_equal(p.to_numpy(), value)
    assert model.parameters()[0] is body.parameters()[0]
    assert np.abs(model[2].W.to_numpy()).max() > 0


class TestResultsAreTheCallersOwn:
    def test_a_later_call_does_not_change_an_earlier_result(self, backend, rng):
        model = small(backend)
        first = model(rng.normal(size=(4, 7)))
        before = host(backend, first)
        model(rng.normal(size=(4, 7)))
        np.testing.assert_array_equal(host(backend, first), before)

    def test_inputs_are_not_modified(self, backend, rng):
        model = small(backend)
        x, dy = rng.normal(size=(4, 7)).astype("f"), rng.normal(size=(4, 3)).astype("f")
        x0, dy0 = x.copy(), dy.copy()
        model(x)
        model.backward(dy)
        np.testing.assert_array_equal(x, x0)
        np.testing.assert_array_equal(dy, dy0)


@pytest.mark.parametrize("n", [0, 1, 33])
def test_numbers_of_rows(backend, rng, n):
    model = small(backend)
    x = rng.normal(size=(n, 7)).astype("f")
    assert model(x).shape == (n, 3)
    assert model.backward(np.ones((n, 3), "f")).shape == (n, 7)


def test_non_contiguous_input(backend, rng):
    model = small(backend)
    x = rng.normal(size=(14, 10)).astype("f")
    np.testing.assert_array_equal(
        host(backend, model(x.T[:, ::2])), host(backend, model(np.ascontiguousarray(x.T[:, ::2])))
    )


def test_gradients_of_a_random_network_equal_those_of_autograd(backend, rng):
    """The independent implementation: autograd, which differentiates plain NumPy code."""
    autograd = pytest.importorskip("autograd")
    anp = autograd.numpy

    widths = [11, 9, 8, 7, 4]
    activations = [nnkit.Sigmoid, nnkit.Tanh, nnkit.ReLU, nnkit.Identity]
    functions = [
        lambda z: 1 / (1 + anp.exp(-z)),
        anp.tanh,
        lambda z: anp.maximum(z, 0),
        lambda z: z,
    ]
    layers = []
    for i, activation in enumerate(activations):
        layers += [nnkit.Linear(widths[i], widths[i + 1]), activation()]
    model = nnkit.Sequential(*layers, backend=backend, dtype="float64", seed=5)
    for _, p in model.named_parameters():
        p.value = rng.normal(size=p.shape)
    x, t = rng.normal(size=(13, 11)), rng.integers(0, 4, 13)

    def their_loss(values):
        y = x
        for f, W, b in zip(functions, values[::2], values[1::2], strict=True):
            y = f(anp.dot(y, W) + b)
        y = y - anp.max(y, axis=1, keepdims=True)
        log_p = y - anp.log(anp.sum(anp.exp(y), axis=1, keepdims=True))
        return -anp.mean(log_p[anp.arange(len(t)), t])

    values = [host(backend, p.value) for _, p in model.named_parameters()]
    with nnkit.use_backend(backend):
        loss = nnkit.SoftmaxCrossEntropy()
        np.testing.assert_allclose(loss(model(x), t), their_loss(values), rtol=1e-12)
        model.backward(loss.backward())
    theirs = autograd.grad(their_loss)(values)
    for (_, p), expected in zip(model.named_parameters(), theirs, strict=True):
        np.testing.assert_allclose(host(backend, p.grad), expected, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize(
    ("loss", "t"),
    [
        (nnkit.SoftmaxCrossEntropy(), np.array([0, 2, 1, 1])),
        (nnkit.SigmoidCrossEntropy(), np.array([[0, 1, 1], [1, 0, 0], [0, 0, 1], [1, 1, 1.0]])),
        (nnkit.MeanSquaredError(), np.linspace(-1, 1, 12).reshape(4, 3)),
    ],
)
def test_gradcheck(backend, rng, loss, t):
    model = small(backend, dtype="float64")
    with nnkit.use_backend(backend):
        check = nnkit.gradcheck(model, loss, rng.normal(size=(4, 7)), t, samples=10)
    assert check.ok, str(check)
    assert "agree" in str(check)


def test_gradcheck_finds_a_wrong_gradient(rng):
    class Wrong(nnkit.Layer):
        def forward(self, x):
            return 2 * x

        def backward(self, dy):
            return 2.01 * dy

    model = nnkit.Sequential(nnkit.Linear(3, 2), Wrong(), dtype="float64", backend="numpy", seed=0)
    check = nnkit.gradcheck(model, nnkit.MeanSquaredError(), np.ones((2, 3)), np.zeros((2, 2)))
    assert not check
    assert check.errors["0.weight"] == pytest.approx(0.01 / 2.01, rel=1e-3)
    assert "DO NOT agree" in str(check)


def test_gradcheck_of_a_float32_model_at_kinks(backend, rng):
    """Blank pixels and biases of 0 are at the kinks of ReLU, ties those of max-pooling."""
    model = nnkit.models.lenet((12, 12), 4, dtype="float32", backend=backend, seed=0)
    x = rng.uniform(size=(3, 12, 12)).astype("f")
    x[:, :6] = 0
    before = model.state()
    with nnkit.use_backend(backend):
        check = nnkit.gradcheck(model, "cross_entropy", x, [0, 1, 3], samples=8)
    assert check.ok, str(check)
    assert check.tolerance == 1e-5
    assert model.dtype == np.float32
    assert all((before[name] == value).all() for name, value in model.state().items())


def test_gradcheck_finds_a_wrong_gradient_at_a_kink():
    class Steeper(nnkit.ReLU):
        def backward(self, dy):
            return 1.01 * super().backward(dy)

    model = nnkit.Sequential(nnkit.Linear(3, 2), Steeper(), backend="numpy", seed=0)
    x = np.array([[0, 0, 0], [0.5, -1, 2]])
    assert not nnkit.gradcheck(model, "mse", x, np.ones((2, 2)))


def test_gradcheck_finds_a_gradient_that_is_wrong_at_zero_alone():
    class Wrong(nnkit.Layer):
        def forward(self, x):
            self.x = x
            return x.copy()

        def backward(self, dy):
            return np.where(self.x == 0, 0, dy)

    model = nnkit.Sequential(Wrong(), nnkit.Linear(3, 2), backend="numpy")
    assert not nnkit.gradcheck(model, "mse", np.zeros((2, 3)), np.ones((2, 2)))
    assert nnkit.gradcheck(model, "mse", np.ones((2, 3)), np.ones((2, 2)))


def test_gradcheck_of_a_model_that_was_fitted_with_a_scale(rng):
    model = nnkit.Sequential(nnkit.Linear(4, 2), backend="numpy", seed=0)
    x, t = rng.uniform(0, 1000, (6, 4)), rng.normal(size=(6, 2))
    nnkit.Trainer(model, "mse").fit(x, t, epochs=1, batch_size=3, scale=0.001)
    assert nnkit.gradcheck(model, "mse", x, t)


def test_gradcheck_of_an_autoencoder_of_images(rng):
    layers = nnkit.Conv2d(1, 2, 3, padding=1), nnkit.ReLU(), nnkit.ConvTranspose2d(2, 1, 1)
    images = nnkit.Sequential(*layers, backend="numpy", seed=0)
    x = rng.uniform(size=(2, 4, 4))
    with pytest.raises(ValueError) as error:
        nnkit.gradcheck(images, "mse", x, x)
    assert str(error.value) == (
        "predictions must have shape (n, outputs), not (2, 4, 4, 1): put Flatten() behind the last "
        "layer, or GlobalAvgPool2d() for the mean of each channel"
    )
    rows = nnkit.Sequential(*layers, nnkit.Flatten(), backend="numpy", seed=0)
    assert nnkit.gradcheck(rows, "mse", x, x.reshape(2, -1))


def test_gradcheck_aligns_long_names():
    errors = {"input": 1e-9, "4.shortcut.weight": 2e-9}
    first, second, _ = str(nnkit.GradientCheck(errors, 1e-5)).splitlines()
    assert first.index("1.00e-09") == second.index("2.00e-09") == len("4.shortcut.weight ")


class TestMoving:
    def test_to_keeps_values_and_mode(self, backend, rng):
        model = small("numpy").train()
        x = rng.normal(size=(3, 7))
        before = model(x)
        moved = model.to(backend)
        assert moved is model
        assert model.backend is backend
        assert model.training
        assert backend.owns(model[0].W.value)
        np.testing.assert_allclose(host(backend, model(x)), before, rtol=1e-5, atol=1e-6)

    def test_to_by_name(self):
        assert small("numpy").to("numpy").backend.name == "numpy"

    def test_unknown_backend(self):
        with pytest.raises(ValueError, match="unknown backend 'tpu'"):
            small("numpy").to("tpu")


class TestErrors:
    def test_widths_that_do_not_fit(self):
        with pytest.raises(ValueError, match=r"layer 2: Linear\(in_features=6.*rows of 6 numbers"):
            nnkit.Sequential(nnkit.Linear(4, 5), nnkit.ReLU(), nnkit.Linear(6, 1))

    def test_input_that_does_not_fit(self, backend):
        with pytest.raises(ValueError, match=r"input of shape \(2, 6\): .*layer 0: Linear"):
            small(backend)(np.ones((2, 6)))

    def test_images_without_flatten(self):
        with pytest.raises(ValueError, match=r"put Flatten\(\) in front of it"):
            small("numpy")(np.ones((2, 7, 7)))

    def test_a_single_example_without_its_row(self):
        with pytest.raises(ValueError, match=r"a single example is x\[None\]"):
            small("numpy")(np.ones(7))

    def test_output_gradient_that_does_not_fit(self, backend):
        model = small(backend)
        model(np.ones((2, 7)))
        with pytest.raises(ValueError, match=r"dy has shape \(3, 3\), but the outputs \(2, 3\)"):
            model.backward(np.ones((3, 3)))

    def test_backward_before_forward(self):
        with pytest.raises(RuntimeError, match="call forward before backward"):
            small("numpy").backward(np.ones((3, 3)))

    def test_no_layers(self):
        with pytest.raises(ValueError, match="at least one layer"):
            nnkit.Sequential()

    def test_not_a_layer(self):
        with pytest.raises(TypeError, match="Sequential takes layers, not"):
            nnkit.Sequential(nnkit.ReLU)

    @pytest.mark.parametrize("dtype", ["float128", "int32"])
    def test_dtype(self, dtype):
        with pytest.raises(ValueError, match="dtype must be float32 or float64"):
            small("numpy", dtype=dtype)

    def test_the_same_layer_twice(self):
        layer = nnkit.Linear(2, 2)
        with pytest.raises(ValueError, match="layer 1 is layer 0 again"):
            nnkit.Sequential(layer, layer)

    def test_debug_names_the_layer_that_makes_a_nan(self, backend):
        model = small(backend)
        model.debug = True
        model[2].W.value = np.full((5, 4), np.nan)
        with pytest.raises(FloatingPointError, match=r"layer 2: Linear\(.*\) \+ 3: ReLU\(\)"):
            model(np.ones((1, 7)))
