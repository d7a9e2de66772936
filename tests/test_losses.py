"""Loss classes: values, gradients, targets they take and refuse. (Kernels: operations/.)"""

from __future__ import annotations

import numpy as np
import pytest

import nnkit


@pytest.fixture(autouse=True)
def _current(backend):
    with nnkit.use_backend(backend):
        yield


def host(backend, array):
    return np.array(backend.to_numpy(array))


def test_softmax_cross_entropy(backend):
    loss = nnkit.SoftmaxCrossEntropy()
    z = np.array([[2.0, 0.0], [0.0, 0.0]])
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    assert loss(z, [0, 1]) == pytest.approx(-np.log(p[[0, 1], [0, 1]]).mean())
    np.testing.assert_allclose(host(backend, loss.backward()), (p - np.eye(2)) / 2, rtol=1e-12)


def test_labels_and_one_hot_rows_agree(backend, rng):
    z, t = rng.normal(size=(6, 5)), rng.integers(0, 5, 6)
    loss = nnkit.SoftmaxCrossEntropy()
    first, gradient = loss(z, t), host(backend, loss.backward())
    assert loss(z, np.eye(5)[t]) == pytest.approx(first)
    np.testing.assert_allclose(host(backend, loss.backward()), gradient, rtol=1e-12)


def test_sigmoid_cross_entropy(backend, rng):
    z, t = rng.normal(size=(4, 3)), rng.integers(0, 2, (4, 3))
    p = 1 / (1 + np.exp(-z))
    loss = nnkit.SigmoidCrossEntropy()
    assert loss(z, t) == pytest.approx(-np.mean(t * np.log(p) + (1 - t) * np.log(1 - p)))
    np.testing.assert_allclose(host(backend, loss.backward()), (p - t) / 12, rtol=1e-12)


def test_mean_squared_error(backend):
    loss = nnkit.MeanSquaredError()
    assert loss([[1.0, 2.0]], [[0.0, 4.0]]) == pytest.approx(2.5)
    np.testing.assert_allclose(host(backend, loss.backward()), [[1, -2]])


def test_half_squared_error(backend):
    """Half the sum over the outputs, the mean over the rows."""
    loss = nnkit.HalfSquaredError()
    assert loss([[1.0, 2.0]], [[0.0, 4.0]]) == pytest.approx(2.5)
    np.testing.assert_allclose(host(backend, loss.backward()), [[1, -2]])
    assert loss([[1.0, 2.0], [0.0, 0.0]], [[0.0, 4.0], [0.0, 2.0]]) == pytest.approx(2.25)
    np.testing.assert_allclose(host(backend, loss.backward()), [[0.5, -1], [0, -1]])


def test_binary_cross_entropy_of_probabilities(backend):
    """PyTorch 2.13.0, which has no delta: agreement to its size."""
    y = [[0.880797077978, 0.268941421370, 0.622459331202], [0.5, 0.731058578630, 0.119202922022]]
    loss = nnkit.BinaryCrossEntropy()
    assert loss(y, [[1, 0, 1], [0, 0, 1]]) == pytest.approx(0.8412672603104072, abs=1e-6)
    gradient = [
        [-0.18922254720610, 0.22797990686190, -0.26775510995210],
        [0.33333333333333, 0.61971363807650, -1.39817601648844],
    ]
    np.testing.assert_allclose(host(backend, loss.backward()), gradient, atol=2e-6)
    assert nnkit.BinaryCrossEntropy(delta=0.5)([[0.0]], [[1]]) == pytest.approx(np.log(2))
    assert np.isfinite(loss([[0.0, 1.0]], [[1, 0]]))


def test_categorical_cross_entropy_of_probabilities(backend):
    """The texts' example: 0.510825457099338 for 0.6, 2.302584092994546 for 0.1."""
    loss = nnkit.CategoricalCrossEntropy()
    y = [0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0]
    assert loss([y], [2]) == pytest.approx(0.510825457099338, rel=1e-14)
    want = np.zeros((1, 10))
    want[0, 2] = -1 / 0.6000001
    np.testing.assert_allclose(host(backend, loss.backward()), want, rtol=1e-14)
    assert loss([y], np.eye(10)[[7]]) == pytest.approx(2.302584092994546, rel=1e-14)
    assert np.isfinite(loss([y], [9]))
    assert loss([y, y], [2, 7]) == pytest.approx((0.510825457099338 + 2.302584092994546) / 2)


@pytest.mark.parametrize("targets", [[[1, 0], [0, 1]], [[1, -1], [-1, 1]]])
def test_hinge(backend, targets):
    loss = nnkit.HingeLoss()
    assert loss([[0.5, 2.0], [-3.0, 0.0]], targets) == pytest.approx((0.5 + 3 + 0 + 1) / 4)
    np.testing.assert_allclose(host(backend, loss.backward()), [[-0.25, 0.25], [0, -0.25]])


def test_huber(backend):
    """PyTorch 2.13.0."""
    loss = nnkit.HuberLoss(delta=0.7)
    assert loss([[2, -1, 0.5], [0, 1, -2]], np.zeros((2, 3))) == pytest.approx(0.5575, rel=1e-6)
    want = [[0.7 / 6, -0.7 / 6, 0.5 / 6], [0, 0.7 / 6, -0.7 / 6]]
    np.testing.assert_allclose(host(backend, loss.backward()), want, rtol=1e-6)


def test_poisson(backend):
    """PyTorch 2.13.0, and what is no count."""
    loss = nnkit.PoissonLoss()
    assert loss([[0.5, -1.0], [2.0, 0.0]], [[1, 0], [3, 2]]) == pytest.approx(0.9764142027)
    want = [[(np.exp(0.5) - 1) / 4, np.exp(-1) / 4], [(np.exp(2) - 3) / 4, -0.25]]
    np.testing.assert_allclose(host(backend, loss.backward()), want, rtol=1e-6)
    with pytest.raises(ValueError, match="targets of PoissonLoss are counts"):
        loss([[0.5]], [[-1]])


def test_label_smoothing(backend):
    """PyTorch 2.13.0, by labels and by rows."""
    z = np.array([[2, -1, 0.5], [0, 1, -2]])
    loss = nnkit.SoftmaxCrossEntropy(label_smoothing=0.1)
    for target in ([0, 2], np.eye(3)[[0, 2]]):
        assert loss(z, target) == pytest.approx(1.7868284233793383, rel=1e-12)
        gradient = [
            [-0.07386814937202, 0.00288961996867, 0.07097852940335],
            [0.11308156350454, 0.33602558968245, -0.44910715318699],
        ]
        np.testing.assert_allclose(host(backend, loss.backward()), gradient, atol=1e-13)


def test_label_smoothing_of_binary_targets():
    z, t = np.array([[2, -1, 0.5]]), np.array([[1, 0, 1]])
    smooth = nnkit.SigmoidCrossEntropy(label_smoothing=0.2)(z, t)
    assert smooth == pytest.approx(nnkit.SigmoidCrossEntropy()(z, [[0.9, 0.1, 0.9]]))


@pytest.mark.parametrize(
    ("loss", "outputs", "answers"),
    [
        (nnkit.SoftmaxCrossEntropy(label_smoothing=0.9), [[-1, -2, -3], [0, 0, 1]], [0, 2]),
        (nnkit.CategoricalCrossEntropy(), [[0.5, 0.5, 0], [0, 0.1, 0.9]], [0, 2]),
        (nnkit.SigmoidCrossEntropy(), [[-0.1, 0, 0.1]], [[0, 0, 1]]),
        (nnkit.BinaryCrossEntropy(), [[0.4, 0.5, 0.6]], [[0, 0, 1]]),
        (nnkit.HingeLoss(), [[-0.1, 0, 0.1]], [[-1, -1, 1]]),
        (nnkit.HuberLoss(), [[-0.1, 0, 0.1]], [[-0.1, 0, 0.1]]),
        (nnkit.PoissonLoss(), [[0, -np.inf]], [[1, 0]]),
    ],
    ids=lambda value: repr(value) if isinstance(value, nnkit.losses.Loss) else "",
)
def test_answers_are_what_is_counted_as_right(backend, loss, outputs, answers):
    y = np.array(outputs, float)
    assert loss.answers(y).tolist() == answers
    if loss.counts_correct:
        t = loss.prepare(backend, np.array(answers), y.shape, np.float64)
        log, at = backend.zeros((1, 2), np.float64), backend.zeros(3, np.int64)
        gradient = backend.empty(y.shape, np.float64)
        loss.measure(backend, backend.asarray(y), t, gradient, log, at)
        assert host(backend, log)[0, 1] == np.size(answers)


def test_every_loss_is_restored_with_its_options():
    for name, cls in nnkit.losses.LOSS_CLASSES.items():
        assert cls().config() == {"class": name} | {key: vars(cls())[key] for key in cls.options}
    loss = nnkit.HuberLoss(delta=0.5)
    assert loss.config() == {"class": "HuberLoss", "delta": 0.5}
    assert repr(loss) == "HuberLoss(delta=0.5)"


def test_one_output_takes_targets_without_a_second_axis():
    loss = nnkit.SigmoidCrossEntropy()
    assert loss([[0.0], [0.0]], [0, 1]) == pytest.approx(np.log(2))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "uint16"])
def test_labels_of_any_integer_dtype(dtype):
    z = [[5.0, 0.0], [0.0, 5.0]]
    assert nnkit.SoftmaxCrossEntropy()(z, np.array([0, 1], dtype)) < 0.01


class TestErrors:
    z = np.zeros((3, 4))

    def test_labels_out_of_range(self):
        with pytest.raises(
            ValueError, match="labels must be 0 to 3 for 4 outputs, but they reach from 1 to 4"
        ):
            nnkit.SoftmaxCrossEntropy()(self.z, [1, 4, 2])
        with pytest.raises(ValueError, match="from -1 to 2"):
            nnkit.SoftmaxCrossEntropy()(self.z, [1, -1, 2])

    def test_labels_that_are_no_integers(self):
        with pytest.raises(ValueError, match=r"must be whole numbers, but label 1 is 2\.5: for"):
            nnkit.SoftmaxCrossEntropy()(self.z, [1.0, 2.5, 3.0])

    def test_targets_that_do_not_fit(self):
        with pytest.raises(ValueError, match=r"targets of shape \(2,\) for predictions of shape"):
            nnkit.SoftmaxCrossEntropy()(self.z, [1, 2])
        with pytest.raises(ValueError, match=r"targets of shape \(3, 2\) for predictions"):
            nnkit.MeanSquaredError()(self.z, np.zeros((3, 2)))

    def test_rows_that_are_no_probabilities(self):
        with pytest.raises(ValueError, match="not negative, with sum 1"):
            nnkit.SoftmaxCrossEntropy()(self.z, np.ones((3, 4)))

    def test_targets_out_of_0_to_1(self):
        with pytest.raises(ValueError, match="must be from 0 to 1"):
            nnkit.SigmoidCrossEntropy()(self.z, self.z + 2)

    def test_hinge_targets(self):
        with pytest.raises(ValueError, match="must be -1 and 1, or 0 and 1"):
            nnkit.HingeLoss()(self.z, self.z + 0.5)

    @pytest.mark.parametrize("cls", [nnkit.SoftmaxCrossEntropy, nnkit.SigmoidCrossEntropy])
    @pytest.mark.parametrize("value", [-0.1, 1, np.nan])
    def test_label_smoothing_out_of_0_to_1(self, cls, value):
        with pytest.raises(ValueError, match=f"{cls.__name__}: label_smoothing must be at least 0"):
            cls(label_smoothing=value)

    @pytest.mark.parametrize(
        "cls", [nnkit.BinaryCrossEntropy, nnkit.CategoricalCrossEntropy, nnkit.HuberLoss]
    )
    def test_delta_not_positive(self, cls):
        with pytest.raises(ValueError, match=f"{cls.__name__}: delta must be positive, not 0"):
            cls(delta=0)

    def test_nan_targets(self):
        with pytest.raises(ValueError, match="targets hold NaN or infinity"):
            nnkit.MeanSquaredError()(self.z, self.z + np.nan)

    def test_predictions_without_rows(self):
        with pytest.raises(ValueError, match=r"shape \(n, outputs\), not \(4,\)"):
            nnkit.MeanSquaredError()(np.zeros(4), np.zeros(4))

    def test_backward_first(self):
        with pytest.raises(RuntimeError, match="before backward"):
            nnkit.MeanSquaredError().backward()
