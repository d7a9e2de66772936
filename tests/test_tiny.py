"""What nnkit is, in ten tests: begin here. They take the reference backend, and no two seconds."""

from __future__ import annotations

import numpy as np
import pytest

import nnkit

X, T = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]]), np.array([0, 1, 1, 0])  # XOR


@pytest.fixture(autouse=True)
def _on_numpy():
    with nnkit.use_backend("numpy"):
        yield


def network(**options):
    return nnkit.Sequential(
        nnkit.Linear(2, 8), nnkit.Tanh(), nnkit.Linear(8, 2), **{"seed": 0, **options}
    )


def test_a_linear_layer_is_x_w_plus_b():
    model = nnkit.Sequential(nnkit.Linear(2, 1, init=[[2.0], [3.0]]))
    model[0].b.value = [10.0]
    assert model([[1.0, 1.0], [0.0, 2.0]]).tolist() == [[15.0], [16.0]]


def test_backpropagation_agrees_with_central_differences():
    check = nnkit.gradcheck(network(dtype="float64"), nnkit.SoftmaxCrossEntropy(), X, T)
    assert check.ok, str(check)
    assert set(check.errors) >= {"0.weight", "0.bias", "2.weight", "2.bias"}


def test_softmax_of_equal_logits_loses_the_logarithm_of_the_classes():
    loss = nnkit.SoftmaxCrossEntropy()
    assert float(loss(np.zeros((3, 10)), [1, 5, 9])) == pytest.approx(np.log(10))
    gradient = loss.backward()  # softmax - target, over the 3 examples
    assert gradient[0, 0] == pytest.approx(0.1 / 3)
    assert gradient[0, 1] == pytest.approx((0.1 - 1) / 3)


def test_a_step_of_sgd_goes_down_the_gradient():
    model, loss = network(), nnkit.SoftmaxCrossEntropy()
    loss(model(X), T)
    model.backward(loss.backward())
    W, dW = model[0].W.value.copy(), model[0].W.grad.copy()
    nnkit.SGD(lr=0.5).step(model)
    np.testing.assert_allclose(model[0].W.value, W - 0.5 * dW, rtol=1e-6)
    assert abs(dW).max() > 0


def test_xor_is_learned():
    trainer = nnkit.Trainer(network(), nnkit.SoftmaxCrossEntropy(), nnkit.Adam(lr=0.1))
    trainer.fit(X, T, epochs=100, batch_size=4)
    assert trainer.predict(X).tolist() == T.tolist()


def test_the_same_seed_is_the_same_run():
    def losses(seed):
        trainer = nnkit.Trainer(network(seed=seed), nnkit.SoftmaxCrossEntropy(), nnkit.Adam())
        return trainer.fit(X, T, epochs=3, batch_size=2).step_loss

    assert losses(1) == losses(1)
    assert losses(1) != losses(2)


def test_dropout_is_off_in_evaluation():
    model = nnkit.Sequential(nnkit.Dropout(0.5), seed=0)
    x = np.ones((1, 1000))
    kept = model.train()(x) > 0
    assert 400 < kept.sum() < 600
    assert (model.eval()(x) == 1).all()


def test_what_is_saved_comes_back(tmp_path):
    model = network()
    model.save(tmp_path / "xor.safetensors")
    assert (nnkit.load(tmp_path / "xor.safetensors")(X) == model(X)).all()
    assert (network(seed=1)(X) != model(X)).any()


def test_a_network_is_the_same_on_another_backend_but_for_rounding():
    model, exact = network(), network(dtype="float64")
    np.testing.assert_allclose(model(X), exact(X), rtol=1e-5, atol=1e-6)
    for name in nnkit.available_backends():
        moved = model.to(name)
        assert moved.backend.name == name
        assert moved.backend.to_numpy(moved[0].W.value).tolist() == network()[0].W.value.tolist()


def test_an_error_names_the_remedy():
    images = np.zeros((2, 8, 8))
    with pytest.raises(ValueError, match=r"not of shape \(8, 8\); put Flatten\(\) in front of it"):
        nnkit.Sequential(nnkit.Linear(64, 10))(images)
