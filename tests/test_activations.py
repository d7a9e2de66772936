"""Activations as layers, as functions and by name, on every backend.

The operations behind them, their extremes and memory layouts: operations/.
"""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from click.testing import CliRunner

import nnkit
from nnkit import activations
from nnkit.backends.numpy.normal import cdf
from nnkit.cli import cli

X = [-3.0, -1.5, -0.1, 0.0, 0.1, 1.5, 3.0]
"""Kinks among them: 0, and those of the hard sigmoid."""

# Values and gradients at X by torch.nn.functional of PyTorch 2.13.0, in float64: F.elu(x, 0.5) and
# so on. Exponential: torch.exp. The gradient of its hardsigmoid is rounded to float32.
TORCH = {
    "LeakyReLU()": (
        [-0.03, -0.015, -0.001, 0.0, 0.1, 1.5, 3.0],
        [0.01, 0.01, 0.01, 0.01, 1.0, 1.0, 1.0],
    ),
    "LeakyReLU(0.2)": (
        [-0.6, -0.3, -0.02, 0.0, 0.1, 1.5, 3.0],
        [0.2, 0.2, 0.2, 0.2, 1.0, 1.0, 1.0],
    ),
    "PReLU()": (
        [-0.75, -0.375, -0.025, 0.0, 0.1, 1.5, 3.0],
        [0.25, 0.25, 0.25, 0.25, 1.0, 1.0, 1.0],
    ),
    "ELU()": (
        [-0.950212931632136, -0.77686983985157, -0.0951625819640404, 0.0, 0.1, 1.5, 3.0],
        [0.0497870683678639, 0.22313016014843, 0.90483741803596, 1.0, 1.0, 1.0, 1.0],
    ),
    "ELU(0.5)": (
        [-0.475106465816068, -0.388434919925785, -0.0475812909820202, 0.0, 0.1, 1.5, 3.0],
        [0.024893534183932, 0.111565080074215, 0.45241870901798, 0.5, 1.0, 1.0, 1.0],
    ),
    "SELU()": (
        [
            *(-1.67056872876711, -1.36581435336725, -0.167305272624314, 0.0),
            *(0.105070098735548, 1.57605148103322, 3.15210296206644),
        ],
        [
            *(0.0875306120802649, 0.392284987480124, 1.59079406822306, 1.75809934084738),
            *(1.05070098735548, 1.05070098735548, 1.05070098735548),
        ],
    ),
    "GELU()": (
        [
            *(-0.00404969409489031, -0.100210801903287, -0.0460172162722971, 0.0),
            *(0.0539827837277029, 1.39978919809671, 2.99595030590511),
        ],
        [
            *(-0.0119456472041839, -0.12746919222998, 0.42047690797527, 0.5),
            *(0.57952309202473, 1.12746919222998, 1.01194564720418),
        ],
    ),
    "GELU(approximate=True)": (
        [
            *(-0.00363739208177299, -0.100428423019767, -0.0460172489545648, 0.0),
            *(0.0539827510454352, 1.39957157698023, 2.99636260791823),
        ],
        [
            *(-0.0115841666309696, -0.127710793151433, 0.420478210728243, 0.5),
            *(0.579521789271757, 1.12771079315143, 1.01158416663097),
        ],
    ),
    "Softplus()": (
        [
            *(0.0485873515737421, 0.201413277982752, 0.644396660073571, 0.693147180559945),
            *(0.744396660073571, 1.70141327798275, 3.04858735157374),
        ],
        [
            *(0.0474258731775668, 0.182425523806356, 0.47502081252106, 0.5),
            *(0.52497918747894, 0.817574476193644, 0.952574126822433),
        ],
    ),
    "Softsign()": (
        [-0.75, -0.6, -0.0909090909090909, 0.0, 0.0909090909090909, 0.6, 0.75],
        [0.0625, 0.16, 0.826446280991735, 1.0, 0.826446280991735, 0.16, 0.0625],
    ),
    "SiLU()": (
        [
            *(-0.1422776195327, -0.273638285709535, -0.047502081252106, 0.0),
            *(0.052497918747894, 1.22636171429047, 2.8577223804673),
        ],
        [
            *(-0.0881041060151696, -0.0412941542991429, 0.450083208501771, 0.5),
            *(0.549916791498229, 1.04129415429914, 1.08810410601517),
        ],
    ),
    "HardSigmoid()": (
        [0.0, 0.25, 0.483333333333333, 0.5, 0.516666666666667, 0.75, 1.0],
        [0.0, *[0.16666667163372] * 5, 0.0],
    ),
    "Exponential()": (
        [
            *(0.0497870683678639, 0.22313016014843, 0.90483741803596, 1.0),
            *(1.10517091807565, 4.48168907033806, 20.0855369231877),
        ],
        [
            *(0.0497870683678639, 0.22313016014843, 0.90483741803596, 1.0),
            *(1.10517091807565, 4.48168907033806, 20.0855369231877),
        ],
    ),
}
ELEMENTWISE = ["Identity()", "Sigmoid()", "Tanh()", "ReLU()", *TORCH]


def make(text):
    """Make the layer that a test's name shows."""
    return eval(f"nnkit.{text}")


def host(backend, array):
    return np.array(backend.to_numpy(array))


# ------------------------------------------------------------------------------------ values


@pytest.mark.parametrize("layer", TORCH)
def test_values_and_gradients_are_those_of_pytorch(backend, layer):
    values, gradients = TORCH[layer]
    model = nnkit.Sequential(make(layer), backend=backend, dtype="float64")
    y = host(backend, model(np.array(X)[:, None]))
    dx = host(backend, model.backward(np.ones((len(X), 1))))
    np.testing.assert_allclose(y[:, 0], values, rtol=1e-13, atol=1e-15)
    rtol = 1e-7 if layer == "HardSigmoid()" else 1e-13
    np.testing.assert_allclose(dx[:, 0], gradients, rtol=rtol, atol=1e-15)


@pytest.mark.parametrize("layer", ELEMENTWISE)
def test_fused_with_linear_or_not_is_the_same(backend, rng, layer):
    x, dy = rng.normal(size=(5, 4)), rng.normal(size=(5, 6))
    results = []
    for fuse in (True, False):
        model = nnkit.Sequential(
            nnkit.Linear(4, 6), make(layer), seed=1, fuse=fuse, dtype="float64", backend=backend
        )
        assert len(model.steps) == (1 if fuse and layer != "PReLU()" else 2)
        y, dx = model(x), model.backward(dy)
        results.append([host(backend, array) for array in (y, dx, model.flat.grads)])
    for fused, plain in zip(*results, strict=True):
        np.testing.assert_allclose(fused, plain, rtol=1e-13, atol=1e-15)


NETWORKS = [*ELEMENTWISE, "PReLU(5)", "Softmax()", "LogSoftmax()", "Maxout(5, 4)"]


@pytest.mark.parametrize("layer", NETWORKS)
@pytest.mark.parametrize("fuse", [True, False], ids=["fused", "plain"])
def test_backpropagation_equals_central_differences(backend, rng, layer, fuse, small):
    last = 4 if layer.startswith("Maxout") else 5
    model = nnkit.Sequential(
        *(nnkit.Linear(3, 5), make(layer), nnkit.Linear(last, 2)),
        **{"seed": 2, "fuse": fuse, "dtype": "float64", "backend": backend},
    )
    x, t = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    with nnkit.use_backend(backend):
        samples = 2 if small else 8
        check = nnkit.gradcheck(model, nnkit.MeanSquaredError(), x, t, samples=samples)
    assert check, check


CAPTURED = ["LeakyReLU(0.2)", "GELU()", "SiLU()", "LogSoftmax()", "PReLU(5)", "Maxout(5, 5)"]


@pytest.mark.parametrize("layer", CAPTURED)
def test_captured_training_is_the_same(backend, rng, layer):
    """The step is replayed with the layer's alpha, and keeps what the gradient needs."""
    x, t = rng.normal(size=(12, 3)).astype("f"), rng.integers(0, 2, 12)
    results = []
    for compile in (True, False):
        layers = nnkit.Linear(3, 5), make(layer), nnkit.Linear(5, 2)
        model = nnkit.Sequential(*layers, seed=2, backend=backend)
        nnkit.Trainer(model).fit(x, t, epochs=2, batch_size=4, compile=compile)
        results.append(host(backend, model.flat.values).tobytes())
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("layer", "init"),
    [
        ("ReLU()", "he"),
        ("PReLU()", "he"),
        ("GELU()", "he"),
        ("SELU()", "lecun"),
        ("Softsign()", "xavier"),
        ("LogSoftmax()", "xavier"),
    ],
)
def test_initial_weights_in_front(layer, init):
    def weights(*layers):
        return nnkit.Sequential(*layers, seed=3, backend="numpy")[0].W.value

    chosen = weights(nnkit.Linear(4, 5), make(layer))
    np.testing.assert_array_equal(chosen, weights(nnkit.Linear(4, 5, init=init)))


# ------------------------------------------------------------------------------------- kinks


@pytest.mark.parametrize(
    ("layer", "x", "gradient"),
    [
        ("ReLU()", 0, 0),
        ("LeakyReLU(0.2)", 0, 0.2),
        ("PReLU(1, 0.5)", 0, 0.5),
        ("ELU(0.5)", 0, 0.5),
        ("SELU()", 0, 1.7580993408473769),
        ("HardSigmoid()", -3, 0),
        ("HardSigmoid()", 3, 0),
    ],
)
def test_gradients_at_kinks_are_the_documented_ones(backend, layer, x, gradient):
    model = nnkit.Sequential(make(layer), backend=backend, dtype="float64")
    model([[float(x)]])
    np.testing.assert_allclose(host(backend, model.backward([[1.0]])), [[gradient]], rtol=1e-15)


def test_selu_keeps_mean_and_variance(rng):
    """Its fixed point, which the two constants were chosen for."""
    y = activations.selu(rng.normal(size=400_000))
    assert abs(y.mean()) < 0.01
    assert abs(y.var() - 1) < 0.01


def test_the_other_hard_sigmoid_is_this_of_1_2_x(rng):
    x = rng.normal(size=100) * 3
    old = np.clip(0.2 * x + 0.5, 0, 1)
    np.testing.assert_allclose(activations.hard_sigmoid(1.2 * x), old, atol=1e-15)


def test_normal_cdf_keeps_its_digits():
    """In the tail it is Mills' ratio that is left: 1 + erf would be 0 there."""
    values = {  # Wolfram's and mpmath's 15 digits
        -30: 4.90671392714819e-198,
        -10: 7.61985302416053e-24,
        -6: 9.86587645037698e-10,
        -1: 0.158655253931457,
        0: 0.5,
        0.5: 0.691462461274013,
        6: 0.999999999013412,
    }
    np.testing.assert_allclose(cdf(np.array([*values], float)), [*values.values()], rtol=3e-15)


def test_normal_cdf_equals_erfc(rng, dtype):
    x = np.sort(rng.uniform(-5, 9, 2000)).astype(dtype)
    want = [math.erfc(-v / math.sqrt(2)) / 2 for v in x.astype(float)]
    y = cdf(x)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, want, rtol=25 * np.finfo(dtype).eps)


# ------------------------------------------------------------------------------------- PReLU


def test_prelu_has_a_slope_for_each_feature(backend, rng):
    x, dy = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    model = nnkit.Sequential(nnkit.PReLU(3), backend=backend, dtype="float64")
    model[0].weight.value = [0.1, 0.2, -0.3]
    slope = np.array([0.1, 0.2, -0.3])
    y, dx = host(backend, model(x)), host(backend, model.backward(dy))
    np.testing.assert_allclose(y, np.where(x > 0, x, slope * x), rtol=1e-15)
    np.testing.assert_allclose(dx, np.where(x > 0, dy, slope * dy), rtol=1e-15)
    dweight = np.where(x > 0, 0, dy * x).sum(axis=0)
    np.testing.assert_allclose(host(backend, model[0].weight.grad), dweight, rtol=1e-13)


def test_prelu_with_one_slope(backend, rng):
    x, dy = rng.normal(size=(5, 3, 2)), rng.normal(size=(5, 3, 2))
    model = nnkit.Sequential(nnkit.PReLU(alpha=0.5), backend=backend, dtype="float64")
    np.testing.assert_allclose(host(backend, model(x)), np.where(x > 0, x, 0.5 * x))
    model.backward(dy)
    dweight = [(dy * x)[x <= 0].sum()]
    np.testing.assert_allclose(host(backend, model[0].weight.grad), dweight, rtol=1e-13)


def test_prelu_errors():
    with pytest.raises(ValueError, match="PReLU: features must be an integer of at least 1"):
        nnkit.PReLU(0)
    with pytest.raises(ValueError, match=r"layer 1: PReLU\(features=2.*pixels of 2 numbers, not"):
        nnkit.Sequential(nnkit.Linear(4, 3), nnkit.PReLU(2), backend="numpy")


# ------------------------------------------------------------------------------------- Maxout


def test_maxout_is_the_absolute_value_with_these_weights(backend):
    model = nnkit.Sequential(nnkit.Maxout(1, 1), backend=backend, dtype="float64")
    model[0].weight.value = [[1.0, -1.0]]
    x = np.array([[-2.0], [3.0]])
    assert host(backend, model(x)).tolist() == [[2], [3]]
    assert host(backend, model.backward([[1.0], [1.0]])).tolist() == [[-1], [1]]
    assert host(backend, model[0].weight.grad).tolist() == [[3, -2]]
    assert host(backend, model[0].bias.grad).tolist() == [1, 1]


def test_maxout_by_hand(backend, rng):
    x, W, b = rng.normal(size=(6, 4)), rng.normal(size=(4, 3 * 2)), rng.normal(size=6)
    model = nnkit.Sequential(nnkit.Maxout(4, 2, pieces=3), backend=backend, dtype="float64")
    model[0].weight.value, model[0].bias.value = W, b
    pieces = [x @ W[:, 2 * k : 2 * k + 2] + b[2 * k : 2 * k + 2] for k in range(3)]
    np.testing.assert_allclose(host(backend, model(x)), np.max(pieces, axis=0), rtol=1e-13)


def test_maxout_gives_the_gradient_to_the_first_of_equals(backend):
    model = nnkit.Sequential(nnkit.Maxout(1, 1, init="zeros"), backend=backend)
    model([[1.0]])
    model.backward([[1.0]])
    assert host(backend, model[0].weight.grad).tolist() == [[1, 0]]


def test_maxout_draws_each_piece_by_itself():
    layer = nnkit.Maxout(3, 2, pieces=4, init=lambda rng, shape: rng.normal(size=shape) * shape[1])
    weight = nnkit.Sequential(layer, seed=5, backend="numpy", dtype="float64")[0].weight.value
    rng = np.random.Generator(np.random.Philox(5))
    pieces = [rng.normal(size=(3, 2)) * 2 for _ in range(4)]
    np.testing.assert_array_equal(weight, np.concatenate(pieces, axis=1))


@pytest.mark.parametrize("sizes", [(0, 1), (1, 2.5), (1, 1, 1)])
def test_maxout_of_bad_sizes(sizes):
    with pytest.raises(ValueError, match=r"Maxout: \w+ must be an integer of at least"):
        nnkit.Maxout(*sizes)


def test_widths_beside_maxout_must_fit():
    with pytest.raises(ValueError, match=r"layer 1: Linear\(in_features=5.*rows of 5"):
        nnkit.Sequential(nnkit.Maxout(3, 4), nnkit.Linear(5, 2), backend="numpy")
    with pytest.raises(ValueError, match=r"layer 1: Maxout\(in_features=5.*rows of 5"):
        nnkit.Sequential(nnkit.Linear(3, 4), nnkit.Maxout(5, 2), backend="numpy")
    assert nnkit.Sequential(nnkit.Maxout(3, 4), backend="numpy").out_features == 4


# ----------------------------------------------------------------------------------- options


@pytest.mark.parametrize("alpha", [0, -0.1, np.nan, np.inf])
@pytest.mark.parametrize("layer", [nnkit.LeakyReLU, nnkit.ELU])
def test_bad_alpha(layer, alpha):
    with pytest.raises(ValueError, match=f"{layer.__name__}: alpha must be positive"):
        layer(alpha)


def test_approximate_is_a_yes_or_no():
    with pytest.raises(TypeError, match="GELU: approximate must be True or False, not 'tanh'"):
        nnkit.GELU("tanh")


def test_checkpoints_keep_options_and_slopes(backend, rng, tmp_path):
    layers = [nnkit.Linear(4, 3), nnkit.LeakyReLU(0.3), nnkit.Maxout(3, 4, pieces=3)]
    layers += [nnkit.PReLU(4, 0.1), nnkit.ELU(0.7), nnkit.GELU(approximate=True), nnkit.SiLU()]
    model = nnkit.Sequential(*layers, nnkit.LogSoftmax(), seed=4, backend=backend)
    model[3].weight.value = [0.1, 0.2, 0.3, 0.4]
    model.save(tmp_path / "model.safetensors")
    again = nnkit.load(tmp_path / "model.safetensors", backend)
    assert repr(again) == repr(model)
    x = rng.normal(size=(5, 4))
    assert host(backend, again(x)).tobytes() == host(backend, model(x)).tobytes()


# -------------------------------------------------------------------------------- functions

FUNCTIONS = [name for name in activations.NAMES if name not in ("prelu", "gelu_tanh")]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_equal_the_layers(backend, rng, dtype, name):
    x = rng.normal(size=(3, 4)).astype(dtype)
    with nnkit.use_backend(backend):
        array = backend.asarray(x)
        y = getattr(activations, name)(array)
        layer = activations.get(name)
        layer.attach(backend, dtype)
        assert backend.owns(y)
        assert y is not array
        assert y.dtype == dtype
        assert host(backend, y).tobytes() == host(backend, layer(array)).tobytes()
    assert host(backend, array).tobytes() == x.tobytes()


def test_functions_of_the_texts(backend):
    with nnkit.use_backend(backend):
        assert activations.step([-2, 1, 3]).tolist() == [0, 1, 1]
        y = activations.sigmoid([-2, 1, 3])
        z = activations.softmax([1010, 1000, 990])
    np.testing.assert_allclose(y, [0.11920292, 0.73105858, 0.95257413], rtol=1e-7)
    np.testing.assert_allclose(z, [9.99954600e-01, 4.53978686e-05, 2.06106005e-09], rtol=1e-8)
    assert type(y) is type(z) is np.ndarray


def test_functions_with_options():
    np.testing.assert_allclose(activations.leaky_relu([-1.0, 2], 0.3), [-0.3, 2])
    np.testing.assert_allclose(activations.elu([-1.0], alpha=2.0), 2 * np.expm1([-1]))
    exact, by_tanh = activations.gelu([2.0]), activations.gelu([2.0], approximate=True)
    np.testing.assert_allclose([*exact, *by_tanh], [1.9544997361, 1.9545976941], rtol=1e-9)
    with pytest.raises(ValueError, match="LeakyReLU: alpha must be positive"):
        activations.leaky_relu([1.0], -1)


@pytest.mark.parametrize(
    ("x", "dtype"),
    [
        (np.float32([1, -1]), np.float32),
        (np.float16([1, -1]), np.float64),
        (np.array([1, -1]), np.float64),
        (np.array([True, False]), np.float64),
        (np.uint8([255]), np.float64),
        (2.5, np.float64),
        (np.ones((2, 0)), np.float64),
    ],
    ids=repr,
)
def test_functions_of_any_numbers(x, dtype):
    y = activations.relu(x)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, np.maximum(x, 0))


def test_functions_of_what_is_no_number():
    with pytest.raises(TypeError, match="numbers expected, but the input has dtype complex128"):
        activations.relu([1j])


def test_derivatives_of_the_texts():
    """One text says that sigmoid' has a maximum of 0.3."""
    x = np.linspace(-5, 5, 1001)
    assert activations.derivative("sigmoid", x).max() == 0.25
    assert activations.derivative("tanh", x).max() == 1
    assert activations.derivative("relu", [-1.0, 0, 1]).tolist() == [0, 0, 1]
    assert activations.derivative(nnkit.LeakyReLU(0.2), [-1.0]).tolist() == [0.2]


@pytest.mark.parametrize("name", ["gelu", "silu", "softplus", "hard_sigmoid"])
def test_derivative(backend, name):
    x, h = np.linspace(-4, 4, 9) + 0.1, 1e-6
    with nnkit.use_backend(backend):
        got = host(backend, activations.derivative(name, backend.asarray(x)))
    f = getattr(activations, name)
    np.testing.assert_allclose(got, (f(x + h) - f(x - h)) / (2 * h), rtol=1e-7, atol=1e-9)


def test_what_has_no_derivative():
    with pytest.raises(ValueError, match=r"Softmax\(\) is not a function of single elements"):
        activations.derivative("softmax", [1.0])
    with pytest.raises(ValueError, match="'step' has no gradient"):
        activations.derivative("step", [1.0])


# ----------------------------------------------------------------------------------- by name


def test_get():
    assert type(activations.get("relu")) is nnkit.ReLU
    assert type(activations.get(None)) is type(activations.get("linear")) is nnkit.Identity
    assert type(activations.get("swish")) is type(activations.get(nnkit.Swish)) is nnkit.SiLU
    assert type(activations.get(activations.tanh)) is nnkit.Tanh
    assert repr(activations.get("gelu")) == "GELU(approximate=False)"
    assert repr(activations.get("gelu_tanh")) == "GELU(approximate=True)"
    assert repr(activations.get({"class": "ELU", "alpha": 0.5})) == "ELU(alpha=0.5)"
    layer = nnkit.LeakyReLU(0.3)
    assert activations.get(layer) is layer
    assert activations.get("relu") is not activations.get("relu"), "a layer is in one place only"


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ("relo", ValueError, "unknown activation 'relo': choose one of identity, sigmoid, tanh,"),
        ("_apply", ValueError, "unknown activation '_apply'"),
        (activations.get, ValueError, "unknown activation 'get'"),
        ({"class": "Linear"}, ValueError, "unknown activation class 'Linear': choose one of Iden"),
        ({}, ValueError, "unknown activation class None"),
        (3, TypeError, "a name, a layer or its class, not 3"),
        (np.tanh, TypeError, "a name, a layer or its class, not <ufunc 'tanh'>"),
    ],
)
def test_get_of_what_is_none(wrong, error, message):
    with pytest.raises(error, match=message):
        activations.get(wrong)


@pytest.mark.parametrize("name", activations.NAMES)
def test_serialize_gives_the_name(name):
    config = activations.serialize(name)
    assert config == {"linear": "identity", "swish": "silu"}.get(name, name)
    assert repr(activations.deserialize(config)) == repr(activations.get(name))


@pytest.mark.parametrize(
    "layer", [nnkit.LeakyReLU(0.3), nnkit.ELU(2), nnkit.PReLU(3, 0.1)], ids=repr
)
def test_serialize_keeps_options(layer):
    config = json.loads(json.dumps(activations.serialize(layer)))
    assert config["class"] == type(layer).__name__
    assert repr(activations.deserialize(config)) == repr(layer)


@pytest.mark.parametrize("name", ["gelu_tanh", "prelu"])
def test_command_line(name, tmp_path, monkeypatch):
    monkeypatch.setenv("NNKIT_BACKEND", "numpy")
    options = ["--epochs=1", "--batch-size=512", "--hidden=5", f"--activation={name}"]
    result = CliRunner().invoke(cli, ["train", "digits", *options, "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    layer = nnkit.load(tmp_path / "model.safetensors", "numpy")[1]
    assert repr(layer) == repr(activations.get(name))


def test_all_names_for_hidden_layers_can_be_trained():
    assert set(activations.HIDDEN) < set(activations.NAMES)
    assert not {"identity", "linear", "step"} & set(activations.HIDDEN)
    for name in activations.HIDDEN:
        model = nnkit.Sequential(
            nnkit.Linear(3, 4), activations.get(name), nnkit.Linear(4, 2), seed=0, backend="numpy"
        )
        model(np.ones((2, 3)))
        model.backward(np.ones((2, 2)))
        assert np.abs(model[0].W.grad).max() > 0, name
