"""The numbers that texts on neural networks print, from nnkit, on every backend."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import nnkit

INPUTS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
GATES = {"AND": [0, 0, 0, 1], "NAND": [1, 1, 1, 0], "OR": [0, 1, 1, 1]}
XOR = [0, 1, 1, 0]


@pytest.fixture(autouse=True)
def _on_this_backend(backend):
    with nnkit.use_backend(backend):
        yield


@pytest.fixture
def host(backend):
    """Copy an array to the host."""
    return lambda array: np.array(backend.to_numpy(array))


def close(got, want, dtype=np.float64, digits=8):
    """Assert that numbers agree to the digits that a text prints, or to those that float32 has."""
    rtol = max(0.6 * 10.0 ** (1 - digits), 4 * np.finfo(dtype).eps)
    np.testing.assert_allclose(got, want, rtol=rtol)


def linear(weights, bias=None, dtype="float64", *behind):
    """Make a model of one linear layer with these weights, and what is behind it."""
    shape = np.shape(weights)
    model = nnkit.Sequential(
        nnkit.Linear(*shape, bias=bias is not None, init=weights), *behind, dtype=dtype
    )
    if bias is not None:
        model[0].b.value = bias
    return model


# ---------------------------------------------------------------------- activations


@pytest.mark.parametrize(
    ("layer", "values"),
    [
        (nnkit.Sigmoid, [0.11920292, 0.73105858, 0.95257413]),
        (nnkit.Step, [0, 1, 1]),
        (nnkit.ReLU, [0, 1, 3]),
    ],
)
def test_activations_of_minus_2_1_3(host, dtype, layer, values):
    model = nnkit.Sequential(layer(), dtype=dtype)
    close(host(model([[-2.0, 1.0, 3.0]]))[0], values, dtype)


def test_step_and_relu_at_zero(host):
    """Step is 1 where x > 0; ReLU's slope at the kink is 0."""
    assert host(nnkit.Step()([[-0.0, 0.0, 1e-30]])).tolist() == [[0, 0, 1]]
    model = nnkit.Sequential(nnkit.ReLU())
    assert host(model([[0.0]])) == 0
    assert host(model.backward([[1.0]])) == 0


@pytest.mark.parametrize(("layer", "steepest"), [(nnkit.Sigmoid, 0.25), (nnkit.Tanh, 1.0)])
def test_steepest_slope(host, layer, steepest):
    """One text gives 0.3 for sigmoid; it is y (1 - y) with y = 1/2, and 1/4 that is."""
    model = nnkit.Sequential(layer(), dtype="float64")
    x = np.linspace(-6, 6, 241)[:, None]
    model(x)
    slope = host(model.backward(np.ones_like(x)))
    assert slope.max() == pytest.approx(steepest, rel=1e-15)
    assert x[slope.argmax()] == 0


@pytest.mark.parametrize("c", [0.5, -3.0])
def test_linear_layers_collapse(host, c):
    """Three layers h(x) = c x are one, c^3 x."""
    h = [nnkit.Linear(1, 1, bias=False, init=[[c]]) for _ in range(3)]
    x = np.array([[-2.0], [1.0], [3.0]])
    deep = nnkit.Sequential(*h, nnkit.Identity(), dtype="float64")
    close(host(deep(x)), c**3 * x, digits=15)
    close(host(linear([[c**3]])(x)), host(deep(x)), digits=15)


def test_linear_layers_collapse_to_the_product_of_their_matrices(host, rng):
    matrices = [rng.normal(size=shape) for shape in ((4, 8), (8, 8), (8, 2))]
    layers = [nnkit.Linear(*W.shape, bias=False, init=W) for W in matrices]
    x = rng.normal(size=(10, 4))
    want = host(linear(matrices[0] @ matrices[1] @ matrices[2])(x))
    np.testing.assert_allclose(
        host(nnkit.Sequential(*layers, dtype="float64")(x)), want, rtol=1e-12, atol=1e-12
    )


# ---------------------------------------------------------------------- softmax


def softmax(host, a, dtype="float64"):
    return host(nnkit.Sequential(nnkit.Softmax(), dtype=dtype)([a]))[0]


def test_softmax_of_0_3_2_9_4(host, dtype):
    close(
        softmax(host, [0.3, 2.9, 4.0], dtype), [0.01821127, 0.24519181, 0.73659691], dtype, digits=7
    )


def test_softmax_where_the_plain_formula_is_nan(host, dtype):
    a = np.array([1010.0, 1000.0, 990.0])
    with np.errstate(over="ignore", invalid="ignore"):
        assert np.isnan(np.exp(a) / np.exp(a).sum()).all()
    close(softmax(host, a, dtype), [9.99954600e-01, 4.53978686e-05, 2.06106005e-09], dtype)


@pytest.mark.parametrize("constant", [-1000.0, -3.5, 1000.0])
def test_a_constant_does_not_change_softmax(host, constant):
    a = np.array([0.3, 2.9, 4.0])
    np.testing.assert_allclose(softmax(host, a + constant), softmax(host, a), rtol=1e-12)


def test_softmax_does_not_change_argmax(host, rng, dtype):
    scores = rng.normal(size=(100, 10))
    probabilities = host(nnkit.Sequential(nnkit.Softmax(), dtype=dtype)(scores))
    np.testing.assert_array_equal(probabilities.argmax(axis=1), scores.argmax(axis=1))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=8 * np.finfo(dtype).eps)


# ---------------------------------------------------------------------- losses

TWO = np.eye(10)[[2]]
SAYS_2 = np.array([[0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0]])
SAYS_7 = np.array([[0.1, 0.05, 0.1, 0.0, 0.05, 0.1, 0.0, 0.6, 0.0, 0.0]])


@pytest.mark.parametrize(("outputs", "loss"), [(SAYS_2, 0.0975), (SAYS_7, 0.5975)])
def test_half_the_sum_of_squares(host, outputs, loss):
    """It is also the mean of the squares times half the number of outputs."""
    half, mean = nnkit.HalfSquaredError(), nnkit.MeanSquaredError()
    close(half(outputs, TWO), loss, digits=12)
    close(mean(outputs, TWO) * outputs.size / 2, loss, digits=12)
    np.testing.assert_allclose(host(half.backward()), outputs - TWO, rtol=1e-15)


@pytest.mark.parametrize(
    ("outputs", "loss"), [(SAYS_2, 0.510825457099338), (SAYS_7, 2.302584092994546)]
)
def test_cross_entropy_of_probabilities(outputs, loss):
    assert nnkit.CategoricalCrossEntropy(delta=1e-7)(outputs, [2]) == pytest.approx(loss, rel=1e-14)


@pytest.mark.parametrize(
    ("outputs", "loss"), [(SAYS_2, 0.510825457099338), (SAYS_7, 2.302584092994546)]
)
def test_cross_entropy_from_logits(outputs, loss):
    """Softmax undoes log(y + delta), but for the sum of the ten deltas."""
    got = nnkit.SoftmaxCrossEntropy()(np.log(outputs + 1e-7), TWO)
    assert got == pytest.approx(loss + np.log(1 + 10 * 1e-7), rel=1e-12)


# ---------------------------------------------------------------------- perceptrons


@pytest.mark.parametrize(
    ("gate", "weights", "bias"),
    [("AND", (0.5, 0.5), -0.7), ("NAND", (-0.5, -0.5), 0.7), ("OR", (0.5, 0.5), -0.2)],
)
def test_gate_with_given_weights(host, dtype, gate, weights, bias):
    perceptron = linear([[w] for w in weights], [bias], dtype, nnkit.Step())
    assert host(perceptron(INPUTS)).ravel().tolist() == GATES[gate]


def learn(host, targets, epochs):
    """Perceptron learning; yields the answers after each epoch.

    ``w += (t - y) x`` is a step of gradient descent on the linear layer alone with dy = y - t.
    """
    model, step, optimizer = linear(np.zeros((2, 1)), [0.0]), nnkit.Step(), nnkit.SGD(lr=1)
    for _ in range(epochs):
        for x, t in zip(INPUTS, targets, strict=True):
            model.backward(host(step(model([x]))) - t)
            optimizer.step(model)
        yield host(step(model(INPUTS))).ravel().tolist()


@pytest.mark.parametrize("gate", GATES)
def test_gate_learned(host, gate):
    assert GATES[gate] in learn(host, GATES[gate], epochs=6)


def test_no_perceptron_learns_xor(host, small):
    answers = list(learn(host, XOR, epochs=5 if small else 100))
    right = [sum(a == t for a, t in zip(y, XOR, strict=True)) for y in answers]
    assert max(right) <= 3


def test_no_perceptron_computes_xor(host):
    """729 perceptrons at once, one in each column: 14 of the 16 functions of two bits."""
    grid = np.linspace(-2, 2, 9)
    w1, w2, b = np.array(list(itertools.product(grid, grid, grid))).T
    answers = host(linear([w1, w2], b, "float32", nnkit.Step())(INPUTS)).T
    found = set(map(tuple, answers.astype(int).tolist()))
    everything = set(itertools.product((0, 1), repeat=4))
    assert everything - found == {tuple(XOR), (1, 0, 0, 1)}


def test_xor_made_from_nand_or_and_and(host, dtype):
    model = nnkit.Sequential(
        nnkit.Linear(2, 2, init=[[-0.5, 0.5], [-0.5, 0.5]]),
        nnkit.Step(),
        nnkit.Linear(2, 1, init=[[0.5], [0.5]]),
        nnkit.Step(),
        dtype=dtype,
    )
    model[0].b.value, model[2].b.value = [0.7, -0.2], [-0.7]
    nand, either = host(model[1](model[0](INPUTS))).T
    assert nand.tolist() == GATES["NAND"]
    assert either.tolist() == GATES["OR"]
    assert host(model(INPUTS)).ravel().tolist() == XOR


# ---------------------------------------------------------------------- XOR, learned

START = np.random.default_rng(0).uniform(0, 1, 25)
"""W1 (2, 6), b1 (6,), W2 (6, 1), b2 (1,), all from 0 to 1 as in the text."""


def xor_network():
    """Make the network 2-6-1 of sigmoids; the last one is in the loss."""
    model = nnkit.Sequential(
        nnkit.Linear(2, 6, init=START[:12].reshape(2, 6)),
        nnkit.Sigmoid(),
        nnkit.Linear(6, 1, init=START[18:24].reshape(6, 1)),
        dtype="float64",
    )
    model[0].b.value, model[2].b.value = START[12:18], START[24:]
    return model


def weights_of(model, host):
    return np.concatenate([host(p.value).ravel() for p in model.parameters()])


def xor_outputs(backend, networks):
    """Outputs (k, 4, 1) of k networks, each a row of 25 numbers."""
    X = backend.asarray(INPUTS.astype(float))
    W1, b1 = networks[:, :12].reshape(-1, 2, 6), networks[:, 12:18].reshape(-1, 1, 6)
    W2, b2 = networks[:, 18:24].reshape(-1, 6, 1), networks[:, 24:].reshape(-1, 1, 1)
    hidden = backend.activation("sigmoid", backend.xp.matmul(X, W1) + b1)
    return backend.activation("sigmoid", backend.xp.matmul(hidden, W2) + b2)


def xor_losses(backend, networks):
    """Binary cross-entropy of each network, summed over the four examples."""
    y, log = xor_outputs(backend, networks), backend.xp.log
    T = backend.asarray(np.array(XOR, float)[:, None])
    return -(T * log(y + 1e-7) + (1 - T) * log(1 - y + 1e-7)).sum(axis=(1, 2))


def test_xor_by_central_differences_and_by_backpropagation(backend, host, small):
    """20,001 steps of the text: delta 1e-4, learning rate 1e-2, the loss summed.

    All 50 nudged networks are run at once. Backpropagation of the mean of the four losses takes
    the same steps with four times the learning rate.
    """
    steps, delta, lr = 5 if small else 20_001, 1e-4, 1e-2
    w = backend.asarray(START[None].copy())
    nudges = backend.asarray(delta * np.concatenate([np.eye(25), -np.eye(25)]))
    for _ in range(steps):
        up, down = xor_losses(backend, w + nudges).reshape(2, 25)
        w -= lr * (up - down) / (2 * delta)

    model = xor_network()
    trainer = nnkit.Trainer(model, nnkit.SigmoidCrossEntropy(), nnkit.SGD(lr=4 * lr))
    batches = np.tile(INPUTS, (steps, 1)), np.tile(XOR, steps)
    history = trainer.fit(*batches, epochs=1, batch_size=4, shuffle=False)

    start = backend.asarray(START[None])
    first = host(xor_losses(backend, start))[0]
    y = host(xor_outputs(backend, start))[0]
    assert 4 * nnkit.BinaryCrossEntropy(delta=1e-7)(y, XOR) == pytest.approx(first, rel=1e-12)
    assert 4 * history.step_loss[0] == pytest.approx(first, rel=1e-5)
    np.testing.assert_allclose(host(w)[0], weights_of(model, host), rtol=1e-4)
    if not small:
        assert host(xor_outputs(backend, w)).round().ravel().tolist() == XOR
        assert trainer.predict(INPUTS).ravel().tolist() == XOR


def test_xor_learned_by_backpropagation(backend, host):
    """With Adam, 100 steps are enough."""
    trainer = nnkit.Trainer(xor_network(), nnkit.SigmoidCrossEntropy(), nnkit.Adam(lr=0.3))
    batches = np.tile(INPUTS, (100, 1)), np.tile(XOR, 100)
    trainer.fit(*batches, epochs=1, batch_size=4, shuffle=False)
    assert trainer.predict(INPUTS).ravel().tolist() == XOR
    assert trainer.evaluate(INPUTS, XOR)["accuracy"] == 1


# ---------------------------------------------------------------------- convolution and pooling

IMAGE = [[1, 2, 3, 0], [0, 1, 2, 3], [3, 0, 1, 2], [2, 3, 0, 1]]
LARGER = [[(3, 0, 1, 2)[(j - i + 2) % 4] for j in range(7)] for i in range(7)]
"""The image again, to the right and below: row after row of 1 2 3 0 1 2 3."""
FILTER = np.array([[2.0, 0, 1], [0, 1, 2], [1, 0, 2]])


@pytest.mark.parametrize(
    ("image", "options", "bias", "expected"),
    [
        (IMAGE, {}, 0, [[15, 16], [6, 15]]),
        (IMAGE, {}, 3, [[18, 19], [9, 18]]),
        (
            IMAGE,
            {"padding": 1},
            0,
            [[7, 12, 10, 2], [4, 15, 16, 10], [10, 6, 15, 6], [8, 10, 4, 3]],
        ),
        (LARGER, {"stride": 2}, 0, [[15, 17, 15], [17, 15, 17], [15, 17, 15]]),
    ],
)
def test_a_filter_of_3_by_3(host, dtype, image, options, bias, expected):
    layer = nnkit.Conv2d(1, 1, 3, init=FILTER[:, :, None, None], **options)
    model = nnkit.Sequential(layer, dtype=dtype)
    layer.b.value = [bias]
    assert host(model([image]))[0, :, :, 0].tolist() == expected


def test_the_larger_image_goes_on_as_the_small_one():
    assert LARGER[0] == [1, 2, 3, 0, 1, 2, 3]
    assert [row[:4] for row in LARGER[:4]] == IMAGE


@pytest.mark.parametrize(
    ("size", "kernel", "padding", "stride", "out"),
    [(4, 3, 1, 1, 4), (7, 3, 0, 2, 3), (28, 5, 2, 3, 10)],
)
def test_how_large_the_output_is(size, kernel, padding, stride, out):
    layer = nnkit.Conv2d(1, 1, kernel, stride, padding)
    assert layer.output_shape((size, size, 1)) == (out, out, 1)


def test_the_rows_of_im2col_are_90_of_75_numbers(host, rng):
    """Ten images of 7x7 with three channels, under filters of 5x5."""
    x = rng.normal(size=(10, 7, 7, 3))
    model = nnkit.Sequential(nnkit.Conv2d(3, 4, 5, bias=False), seed=0, dtype="float64")
    windows = np.lib.stride_tricks.sliding_window_view(x, (5, 5), axis=(1, 2))
    rows = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, 75)
    assert rows.shape == (90, 75)
    product = rows @ host(model[0].W.value).reshape(75, 4)
    close(host(model(x)), product.reshape(10, 3, 3, 4), digits=12)


def test_the_largest_of_each_window_of_2_by_2(host, dtype):
    image = np.array([[1, 2, 1, 0], [0, 1, 2, 3], [3, 0, 1, 2], [2, 4, 0, 1]], float)[..., None]
    model = nnkit.Sequential(nnkit.MaxPool2d(2), dtype=dtype)
    assert host(model(image[None]))[0, :, :, 0].tolist() == [[2, 3], [4, 2]]
    dx = host(model.backward(np.array([[10.0, 20], [30, 40]])[None, :, :, None]))
    expected = [[0, 10, 0, 0], [0, 0, 0, 20], [0, 0, 0, 40], [0, 30, 0, 0]]
    assert dx[0, :, :, 0].tolist() == expected
    mean = nnkit.Sequential(nnkit.AvgPool2d(2), dtype=dtype)
    assert host(mean(image[None]))[0, :, :, 0].tolist() == [[1, 1.5], [2.25, 1]]


# ---------------------------------------------------------------------- forward and gradients


def test_three_layers(host, dtype):
    """The network 2-3-2-2 with sigmoid in the hidden layers and the identity at the end."""
    weights = (
        [[0.1, 0.3, 0.5], [0.2, 0.4, 0.6]],
        [[0.1, 0.4], [0.2, 0.5], [0.3, 0.6]],
        [[0.1, 0.3], [0.2, 0.4]],
    )
    biases = [0.1, 0.2, 0.3], [0.1, 0.2], [0.1, 0.2]
    layers = [nnkit.Linear(*np.shape(W), init=W) for W in weights]
    activations = nnkit.Sigmoid(), nnkit.Sigmoid(), nnkit.Identity()
    pairs = itertools.chain.from_iterable(zip(layers, activations, strict=True))
    model = nnkit.Sequential(*pairs, dtype=dtype)
    for layer, b in zip(layers, biases, strict=True):
        layer.b.value = b
    z1 = host(model[1](model[0]([[1.0, 0.5]])))
    close(z1[0], [0.57444252, 0.66818777, 0.75026011], dtype)
    close(host(model[3](model[2](z1)))[0], [0.62624937, 0.7710107], dtype, digits=7)
    close(host(model([[1.0, 0.5]]))[0], [0.31682708, 0.69627909], dtype)


def test_gradient_of_a_network_2_3(host):
    """The text's numbers are numerical gradients; backpropagation gives the same."""
    model = linear([[0.47355232, 0.9977393, 0.84668094], [0.85557411, 0.03563661, 0.69422093]])
    loss, x, t = nnkit.SoftmaxCrossEntropy(), [[0.6, 0.9]], [2]
    scores = model(x)
    close(host(scores)[0], [1.05414809, 0.63071653, 1.1328074])
    assert loss(scores, t) == pytest.approx(0.92806853663411326, rel=1e-7)
    model.backward(loss.backward())
    gradient = [
        [0.21924763, 0.14356247, -0.36281009],
        [0.32887144, 0.2153437, -0.54421514],
    ]
    close(host(model[0].W.grad), gradient, digits=7)
    assert nnkit.gradcheck(model, loss, x, t)


@pytest.mark.parametrize(
    ("lr", "end", "digits"),
    [
        (0.1, (-6.11110793e-10, 8.14814391e-10), 6),
        (1e-10, (-2.99999994, 3.99999992), 9),
    ],
)
def test_gradient_descent_in_a_bowl(host, lr, end, digits):
    """f = x0^2 + x1^2 from (-3, 4), 100 steps; the point is the weight of a layer that is fed 1."""
    model, optimizer = linear([[-3.0, 4.0]]), nnkit.SGD(lr)
    for _ in range(100):
        model.backward(2 * host(model([[1.0]])))
        optimizer.step(model)
    close(host(model[0].W.value)[0], end, digits=digits)


@pytest.mark.parametrize(
    ("settings", "points"),
    [
        (("SGD", 0.95), [(-6.335, -1.8), (-5.733175, 1.62), (-5.188523375, -1.458)]),
        (("SGD", 0.1, 0.9), [(-6.93, 1.6), (-6.7977, 0.92), (-6.610653, 0.124)]),
        (("AdaGrad", 1.5, 1e-12), [(-5.5, 0.5), (-4.5732676721, 0.1361965624)]),
    ],
)
def test_first_steps_in_a_valley(host, settings, points):
    """f = x^2 / 20 + y^2 from (-7, 2)."""
    name, *arguments = settings
    model, optimizer = linear([[-7.0, 2.0]]), getattr(nnkit, name)(*arguments)
    path = []
    for _ in points:
        x, y = host(model([[1.0]]))[0]
        model.backward([[x / 10, 2 * y]])
        optimizer.step(model)
        path.append(host(model[0].W.value)[0])
    close(path, points, digits=10)


# ---------------------------------------------------------------------- the worked example
#
# x = (0.35, 0.9), hidden weights (0.1, 0.8) and (0.4, 0.6), output weights (0.3, 0.9), no biases,
# sigmoid throughout, target 0.5, half the squared error, learning rate 1.
#
# The text updates the output's weights first and then takes the hidden deltas from the *updated*
# weights: 0.0406 * 0.272392 * 0.2176 = 2.406e-3. The chain rule has the weights that the forward
# pass used: 0.0406 * 0.3 * 0.2176 = 2.650e-3. The text also rounds at every line, and slips twice:
# 0.0406 * 0.87305 * 0.6637 * 0.3363 is 7.912e-3, not 7.916e-3, and 0.6 - 0.9 * 7.916e-3 is
# 0.592876, which it cuts to 0.5928.

TARGET = 0.5


def two_layers():
    """Make the two layers as models of their own, so that one can be updated before the other."""
    hidden = linear([[0.1, 0.4], [0.8, 0.6]], None, "float64", nnkit.Sigmoid())
    return hidden, linear([[0.3], [0.9]], None, "float64", nnkit.Sigmoid())


def test_worked_example_forward(host):
    hidden, output = two_layers()
    x = [[0.35, 0.9]]
    close(host(hidden[0](x))[0], [0.755, 0.68], digits=12)
    h = hidden(x)
    np.testing.assert_allclose(host(h)[0], [0.68, 0.6637], atol=5e-4)
    np.testing.assert_allclose(host(output[0](h)), 0.80133, atol=5e-4)
    np.testing.assert_allclose(host(output(h)), 0.69, atol=5e-4)


def test_worked_example_as_the_text_rounds_it(host):
    def sigmoid(z, digits):
        model = nnkit.Sequential(nnkit.Sigmoid(), dtype="float64")
        return round(host(model([[z]])).item(), digits)

    x = 0.35, 0.9
    z = x[0] * 0.1 + x[1] * 0.8, x[0] * 0.4 + x[1] * 0.6
    assert z == pytest.approx((0.755, 0.68))
    h = sigmoid(z[0], 2), sigmoid(z[1], 4)
    assert h == (0.68, 0.6637)
    a = 0.3 * h[0] + 0.9 * h[1]
    assert a == pytest.approx(0.80133)
    y = sigmoid(a, 2)
    assert y == 0.69
    delta = round((y - TARGET) * y * (1 - y), 4)
    assert delta == 0.0406
    w = 0.3 - delta * h[0], round(0.9 - delta * h[1], 5)
    assert w == pytest.approx((0.272392, 0.87305))
    deltas = [delta * wj * hj * (1 - hj) for wj, hj in zip(w, h, strict=True)]
    assert deltas[0] == pytest.approx(2.406e-3, abs=0.5e-6)
    assert deltas[1] == pytest.approx(7.912e-3, abs=0.5e-6)
    assert deltas[1] == pytest.approx(7.916e-3, abs=5e-6)
    new = [w - d * xi for d, ws in zip(deltas, ((0.1, 0.8), (0.4, 0.6)), strict=True)
           for w, xi in zip(ws, x, strict=True)]  # fmt: skip
    np.testing.assert_allclose(new[:3], [0.09916, 0.7978, 0.3972], atol=5e-5)
    assert 0.6 - 7.916e-3 * x[1] == pytest.approx(0.5928756)
    assert new[3] == pytest.approx(0.5928, abs=1e-4)


def test_worked_example_in_the_texts_order_of_steps(host):
    """Without rounding; the second backward pass of the output goes through its new weights."""
    hidden, output = two_layers()
    y = host(output(hidden([[0.35, 0.9]])))
    output.backward(y - TARGET)
    nnkit.SGD(lr=1).step(output)
    np.testing.assert_allclose(host(output[0].W.value).ravel(), [0.272392, 0.87305], atol=1e-4)
    hidden.backward(output.backward(y - TARGET))
    nnkit.SGD(lr=1).step(hidden)
    new = host(hidden[0].W.value).T.ravel()
    np.testing.assert_allclose(new, [0.09916, 0.7978, 0.3972, 0.5928], atol=1e-4)


def test_worked_example_by_correct_backpropagation(host):
    hidden, output = two_layers()
    x = np.array([[0.35, 0.9]])
    h = host(hidden(x))
    y = host(output(h))
    loss = nnkit.HalfSquaredError()
    assert loss(y, [TARGET]) == pytest.approx((y.item() - TARGET) ** 2 / 2)
    hidden.backward(output.backward(loss.backward()))
    delta = (y - TARGET) * y * (1 - y)
    deltas = delta * [0.3, 0.9] * h * (1 - h)
    np.testing.assert_allclose(delta, 0.0406, atol=1e-4)
    np.testing.assert_allclose(host(hidden[0].W.grad), x.T * deltas, rtol=1e-12)
    for layer in (hidden, output):
        nnkit.SGD(lr=1).step(layer)
    np.testing.assert_allclose(
        host(hidden[0].W.value).T.ravel(), [0.09907, 0.79761, 0.39714, 0.59265], atol=5e-6
    )
    np.testing.assert_allclose(host(output[0].W.value).ravel(), [0.27233, 0.87300], atol=5e-6)


def test_worked_example_learns_faster_by_correct_backpropagation(host):
    x = [[0.35, 0.9]]
    errors = []
    for passes in (1, 2):
        hidden, output = two_layers()
        y = host(output(hidden(x)))
        dh = output.backward(y - TARGET)
        nnkit.SGD(lr=1).step(output)
        hidden.backward(dh if passes == 1 else output.backward(y - TARGET))
        nnkit.SGD(lr=1).step(hidden)
        errors.append(host(output(hidden(x))).item() - TARGET)
    np.testing.assert_allclose(errors, 0.18205, atol=1e-4)
    assert errors[0] < errors[1] < 0.19


# ---------------------------------------------------------------------- deep networks


def gradient_ratio(host, rng, activation, depth, width=16):
    """Size of the gradient by the input over that by the output of a deep network."""
    layers = [layer for _ in range(depth) for layer in (nnkit.Linear(width, width), activation())]
    model = nnkit.Sequential(*layers, seed=0, dtype="float64")
    x, dy = rng.normal(size=(2, 50, width))
    model(x)
    return np.linalg.norm(host(model.backward(dy))) / np.linalg.norm(dy)


def test_gradients_vanish_with_depth_under_sigmoid_and_not_under_relu(host, rng):
    table = {
        activation: [gradient_ratio(host, rng, activation, depth) for depth in (1, 5, 10)]
        for activation in (nnkit.Sigmoid, nnkit.ReLU)
    }
    sigmoid, relu = table[nnkit.Sigmoid], table[nnkit.ReLU]
    assert sigmoid[0] > 100 * sigmoid[1] > 10_000 * sigmoid[2]
    assert min(relu) > 0.1
    assert max(relu) < 10


def one_unit(activation):
    """Make a unit whose input is negative for every x from 0 to 1."""
    return linear([[1.0]], [-2.0], "float64", activation)


def test_a_relu_that_is_never_positive_is_dead(host):
    model, optimizer = one_unit(nnkit.ReLU()), nnkit.SGD(lr=0.1)
    x = np.linspace(0, 1, 11)[:, None]
    for _ in range(3):
        y = host(model(x))
        assert not y.any()
        model.backward(y - 1)
        assert not host(model.flat.grads).any()
        optimizer.step(model)
    assert weights_of(model, host).tolist() == [1, -2]


def leaky():
    return nnkit.LeakyReLU(alpha=0.1)


@pytest.mark.parametrize("activation", [leaky, nnkit.Tanh, nnkit.Sigmoid])
def test_other_units_come_back(host, activation):
    model, optimizer = one_unit(activation()), nnkit.SGD(lr=0.1)
    x = np.linspace(0, 1, 11)[:, None]
    for _ in range(50):
        model.backward(host(model(x)) - 1)
        optimizer.step(model)
    assert (host(model[0](x)) > 0).any()


# ---------------------------------------------------------------------- digits


@pytest.fixture(scope="module")
def digits():
    from nnkit.data import load

    return load("digits")


@pytest.fixture
def recogniser(digits, small):
    """Train a network 64-50-10 in batches of 100; on the simulator for four steps."""
    rows, epochs = (200, 2) if small else (len(digits.x_train), 20)
    model = nnkit.Sequential(
        nnkit.Linear(64, 50), nnkit.Sigmoid(), nnkit.Linear(50, 10), seed=0, dtype="float32"
    )
    trainer = nnkit.Trainer(model, nnkit.SoftmaxCrossEntropy(), nnkit.SGD(lr=0.3))
    trainer.fit(digits.x_train[:rows], digits.t_train[:rows], epochs=epochs, batch_size=100)
    return trainer


def test_digits_are_recognised(recogniser, digits, small):
    assert recogniser.history.loss[-1] < recogniser.history.loss[0]
    if not small:
        assert recogniser.evaluate(digits.x_test, digits.t_test)["accuracy"] > 0.9


def test_batches_do_not_change_the_answers(recogniser, digits):
    x = digits.x_test[:60]
    one_by_one = np.concatenate([recogniser.predict(row[None]) for row in x])
    np.testing.assert_array_equal(recogniser.predict(x, batch_size=25), one_by_one)
    probabilities = recogniser.predict_proba(x)
    assert probabilities.shape == (60, 10)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), one_by_one)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
