"""Layers by themselves: values, gradients, shapes and errors, on every backend."""

from __future__ import annotations

import numpy as np
import pytest

import nnkit
from nnkit.layers import Layer


def host(backend, array):
    return np.array(backend.to_numpy(array))


def test_linear_is_x_times_w_plus_b(backend, rng):
    W, b, x = rng.normal(size=(3, 2)), rng.normal(size=2), rng.normal(size=(5, 3))
    model = nnkit.Sequential(nnkit.Linear(3, 2, init=W), backend=backend, dtype="float64", seed=0)
    model[0].b.value = b
    np.testing.assert_allclose(host(backend, model(x)), x @ W + b, rtol=1e-12)


def test_linear_gradients(backend, rng):
    x, dy = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    model = nnkit.Sequential(nnkit.Linear(3, 2), backend=backend, dtype="float64", seed=0)
    model(x)
    dx = model.backward(dy)
    W = host(backend, model[0].weight.value)
    np.testing.assert_allclose(host(backend, dx), dy @ W.T, rtol=1e-12)
    np.testing.assert_allclose(host(backend, model[0].W.grad), x.T @ dy, rtol=1e-12)
    np.testing.assert_allclose(host(backend, model[0].b.grad), dy.sum(0), rtol=1e-12)


def test_linear_without_bias(backend):
    model = nnkit.Sequential(
        nnkit.Linear(2, 2, bias=False, init=np.eye(2)), nnkit.ReLU(), backend=backend, seed=0
    )
    assert [name for name, _ in model.named_parameters()] == ["0.weight"]
    np.testing.assert_array_equal(host(backend, model([[1.0, -1.0]])), [[1, 0]])
    np.testing.assert_array_equal(host(backend, model.backward([[1.0, 1.0]])), [[1, 0]])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("input_gradient", [True, False])
def test_linear_computes_what_is_wanted(backend, rng, bias, input_gradient):
    """With and without a bias, with and without dx; dy is left as it is."""
    x, dy = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    model = nnkit.Sequential(
        nnkit.Linear(3, 2, bias=bias), backend=backend, dtype="float64", seed=0
    )
    layer, gradient = model[0], backend.asarray(dy)
    layer.input_gradient = input_gradient
    W = host(backend, layer.W.value)
    np.testing.assert_allclose(host(backend, model(x)), x @ W, rtol=1e-12)
    dx = layer.backward(gradient)
    np.testing.assert_array_equal(host(backend, gradient), dy)
    np.testing.assert_allclose(host(backend, layer.W.grad), x.T @ dy, rtol=1e-12)
    if bias:
        np.testing.assert_allclose(host(backend, layer.b.grad), dy.sum(0), rtol=1e-12)
    if input_gradient:
        np.testing.assert_allclose(host(backend, dx), dy @ W.T, rtol=1e-12)
    else:
        assert dx is None


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nnkit.Sigmoid, [0.11920292, 0.73105858, 0.95257413]),
        (nnkit.Step, [0, 1, 1]),
        (nnkit.ReLU, [0, 1, 3]),
        (nnkit.Tanh, [-0.96402758, 0.76159416, 0.99505475]),
        (nnkit.Identity, [-2, 1, 3]),
    ],
)
def test_activation_values_of_the_textbooks(backend, layer, expected):
    with nnkit.use_backend(backend):
        y = layer()(np.array([[-2.0, 1.0, 3.0]]))
    np.testing.assert_allclose(host(backend, y)[0], expected, rtol=1e-6)


def test_softmax_where_the_plain_formula_overflows(backend):
    with nnkit.use_backend(backend):
        y = host(backend, nnkit.Softmax()(np.array([[1010.0, 1000.0, 990.0]])))
    np.testing.assert_allclose(y[0], [9.99954600e-01, 4.53978686e-05, 2.06106005e-09], rtol=1e-6)


def test_step_has_no_gradient(backend):
    model = nnkit.Sequential(nnkit.Linear(2, 1), nnkit.Step(), backend=backend, seed=0)
    model(np.ones((1, 2)))
    with pytest.raises(ValueError, match="the activation 'step' has no gradient"):
        model.backward(np.ones((1, 1)))


def test_flatten(backend):
    model = nnkit.Sequential(nnkit.Flatten(), nnkit.Linear(6, 1), backend=backend, seed=0)
    x = np.arange(12.0).reshape(2, 2, 3)
    model(x)
    assert model.backward(np.ones((2, 1))).shape == (2, 2, 3)
    assert host(backend, model[0](x)).tolist() == x.reshape(2, 6).tolist()


class TestDropout:
    def make(self, backend, p=0.4):
        return nnkit.Sequential(nnkit.Dropout(p), backend=backend, seed=3)

    def test_does_nothing_at_evaluation(self, backend):
        x = np.ones((4, 50))
        np.testing.assert_array_equal(host(backend, self.make(backend)(x)), x)

    def test_scales_what_it_keeps(self, backend):
        y = host(backend, self.make(backend).train()(np.ones((100, 50))))
        assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.6)}
        assert abs((y == 0).mean() - 0.4) < 0.03

    def test_backward_uses_the_mask_of_the_forward_pass(self, backend):
        model = self.make(backend).train()
        y = host(backend, model(np.ones((10, 50))))
        np.testing.assert_array_equal(host(backend, model.backward(np.ones((10, 50)))), y)

    def test_each_forward_pass_draws_a_new_mask(self, backend):
        model = self.make(backend).train()
        x = np.ones((10, 50))
        assert (host(backend, model(x)) != host(backend, model(x))).any()

    def test_the_mask_is_the_same_on_every_backend(self, backend):
        x = np.ones((7, 33))
        ours = host(backend, self.make(backend).train()(x))
        np.testing.assert_array_equal(ours, self.make("numpy").train()(x))

    def test_two_dropout_layers_differ(self, backend):
        model = nnkit.Sequential(nnkit.Dropout(), nnkit.Dropout(), backend=backend, seed=0).train()
        kept = (host(backend, model(np.ones((50, 40)))) > 0).mean()
        assert abs(kept - 0.25) < 0.05

    @pytest.mark.parametrize("p", [-0.1, 1, 1.5, float("nan")])
    def test_bad_p(self, p):
        with pytest.raises(ValueError, match="Dropout: p must be at least 0 and below 1"):
            nnkit.Dropout(p)


@pytest.mark.parametrize("width", [0, -1, 2.5])
def test_bad_widths(width):
    with pytest.raises(ValueError, match="Linear: out_features must be an integer of at least 1"):
        nnkit.Linear(2, width)


def test_a_layer_alone_is_built_on_first_use(backend):
    with nnkit.use_backend(backend):
        layer = nnkit.Linear(3, 2)
        y = layer(np.ones((4, 3)))
    assert y.shape == (4, 2)
    assert layer.weight.value.shape == (3, 2)


def test_setting_a_parameter_of_a_layer_that_is_in_no_model():
    with pytest.raises(RuntimeError, match="put the layer into a Sequential"):
        nnkit.Linear(1, 1).W.value = [[1.0]]


def test_setting_a_parameter_of_another_shape():
    model = nnkit.Sequential(nnkit.Linear(2, 1), backend="numpy", seed=0)
    with pytest.raises(ValueError, match=r"shape \(1, 2\) for a parameter of \(2, 1\)"):
        model[0].W.value = [[1.0, 2.0]]


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (nnkit.Linear(2, 3), (3, 2), "shape (3, 2) for a parameter of (2, 3); give it as x.T"),
        (nnkit.Conv2d(2, 8, 3), (8, 2, 3, 3), "shape (8, 2, 3, 3) for a parameter of (3, 3, 2, 8); "
         "give it as x.transpose(2, 3, 1, 0), as PyTorch's weights are turned"),
        (nnkit.ConvTranspose2d(2, 8, 3), (2, 8, 3, 3), "shape (2, 8, 3, 3) for a parameter of "
         "(3, 3, 8, 2); give it as x.transpose(2, 3, 1, 0), as PyTorch's weights are turned"),
        (nnkit.Conv2d(2, 8, 3), (2, 8, 3, 3), "shape (2, 8, 3, 3) for a parameter of (3, 3, 2, 8); "
         "give it as x.transpose(2, 3, 0, 1)"),
        (nnkit.Conv2d(2, 8, 3), (3, 3, 8), "shape (3, 3, 8) for a parameter of (3, 3, 2, 8)"),
    ],
)  # fmt: skip
def test_weights_whose_axes_are_in_another_order(layer, shape, message):
    model = nnkit.Sequential(layer, backend="numpy", seed=0)
    with pytest.raises(ValueError) as error:
        model[0].W.value = np.zeros(shape)
    assert str(error.value) == f"a value of {message}"
    layer.W.init = nnkit.initializers.get(np.zeros(shape))
    layer.W.forget()
    with pytest.raises(ValueError) as error:
        nnkit.Sequential(layer, backend="numpy")
    assert str(error.value) == f"initial values of {message}"


@pytest.mark.parametrize("x", [["a"], [[1j]], [[None]]])
def test_input_that_is_no_numbers(x):
    model = nnkit.Sequential(nnkit.Linear(1, 1), backend="numpy", seed=0)
    with pytest.raises(TypeError, match="numbers expected, but the input has dtype"):
        model(x)


def test_images_of_bytes_are_scaled(backend):
    model = nnkit.Sequential(nnkit.Identity(), backend=backend)
    x = np.tile(np.array([0, 51, 255], np.uint8), (1, 6))
    expected = np.tile([0, 0.2, 1], (1, 6))
    np.testing.assert_allclose(host(backend, model(x)), expected, rtol=1e-6)


class Square(Layer):
    """A user's layer in plain array code."""

    def forward(self, x):
        self.x = x
        return x * x

    def backward(self, dy):
        return 2 * self.x * dy


def test_a_layer_of_the_users_own(backend, rng):
    model = nnkit.Sequential(
        nnkit.Linear(4, 3), Square(), nnkit.Linear(3, 2), backend=backend, dtype="float64", seed=1
    )
    x, t = rng.normal(size=(6, 4)), rng.normal(size=(6, 2))
    with nnkit.use_backend(backend):
        assert nnkit.gradcheck(model, nnkit.MeanSquaredError(), x, t)


def test_a_layer_without_a_forward_pass_says_so():
    class Nothing(Layer):
        pass

    with pytest.raises(NotImplementedError, match="Nothing does not define forward"):
        nnkit.Sequential(Nothing())(np.ones((1, 1)))
