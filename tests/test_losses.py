"""Loss classes: values, gradients, targets they take and refuse. (Kernels: test_operations.py.)"""

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
        with pytest.raises(ValueError, match="labels must be integers, but their dtype is float64"):
            nnkit.SoftmaxCrossEntropy()(self.z, [1.0, 2.0, 3.0])

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

    def test_nan_targets(self):
        with pytest.raises(ValueError, match="targets hold NaN or infinity"):
            nnkit.MeanSquaredError()(self.z, self.z + np.nan)

    def test_predictions_without_rows(self):
        with pytest.raises(ValueError, match=r"shape \(n, outputs\), not \(4,\)"):
            nnkit.MeanSquaredError()(np.zeros(4), np.zeros(4))

    def test_backward_first(self):
        with pytest.raises(RuntimeError, match="before backward"):
            nnkit.MeanSquaredError().backward()
