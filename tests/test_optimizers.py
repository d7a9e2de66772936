"""Optimizer classes in hand-written loops. (The update formulas: test_operations.py.)"""

from __future__ import annotations

import numpy as np
import pytest

import nnkit


def host(backend, array):
    return np.array(backend.to_numpy(array))


def descend(backend, optimizer, steps=3, dtype="float64"):
    """Minimise w^2 + w from w = 1 through a model of one weight; the gradient is 2 w + 1."""
    model = nnkit.Sequential(
        nnkit.Linear(1, 1, bias=False, init=[[1.0]]), backend=backend, dtype=dtype, seed=0
    )
    path = []
    for _ in range(steps):
        w = host(backend, model[0].W.value)[0, 0]
        model([[1.0]])
        model.backward([[2 * w + 1]])
        optimizer.step(model)
        path.append(host(backend, model[0].W.value)[0, 0])
    return path


def by_hand(update, steps=3):
    w, state, path = 1.0, {}, []
    for t in range(1, steps + 1):
        w = update(w, 2 * w + 1, state, t)
        path.append(w)
    return path


def momentum(w, g, s, t, nesterov=False):
    s["v"] = 0.9 * s.get("v", 0) + g
    return w - 0.1 * (g + 0.9 * s["v"] if nesterov else s["v"])


def adam(w, g, s, t, lr=0.1, decay=0.0, decoupled=0.0):
    w *= 1 - lr * decoupled
    g += decay * w
    s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
    s["v"] = 0.999 * s.get("v", 0) + 0.001 * g * g
    return w - lr * s["m"] / (1 - 0.9**t) / (np.sqrt(s["v"] / (1 - 0.999**t)) + 1e-8)


@pytest.mark.parametrize(
    ("optimizer", "update"),
    [
        (lambda: nnkit.SGD(0.1), lambda w, g, s, t: w - 0.1 * g),
        (lambda: nnkit.SGD(0.1, weight_decay=0.5), lambda w, g, s, t: w - 0.1 * (g + 0.5 * w)),
        (lambda: nnkit.SGD(0.1, momentum=0.9), momentum),
        (
            lambda: nnkit.SGD(0.1, momentum=0.9, nesterov=True),
            lambda w, g, s, t: momentum(w, g, s, t, nesterov=True),
        ),
        (lambda: nnkit.Adam(0.1), adam),
        (lambda: nnkit.Adam(0.1, weight_decay=0.2), lambda *a: adam(*a, decay=0.2)),
        (lambda: nnkit.AdamW(0.1, weight_decay=0.2), lambda *a: adam(*a, decoupled=0.2)),
    ],
)
def test_first_steps(backend, optimizer, update):
    np.testing.assert_allclose(descend(backend, optimizer()), by_hand(update), rtol=1e-9)
    np.testing.assert_allclose(
        descend(backend, optimizer(), dtype="float32"), by_hand(update), rtol=2e-6
    )


def test_the_learning_rate_may_change(backend):
    optimizer = nnkit.SGD(0.5)
    first = descend(backend, optimizer, steps=1)
    assert first == [pytest.approx(-0.5)]
    other = nnkit.SGD(0.5)
    other.lr = 0.25
    assert descend(backend, other, steps=1) == [pytest.approx(0.25)]


def test_state_moves_with_the_model(backend):
    model = nnkit.Sequential(nnkit.Linear(2, 1), backend="numpy", seed=0)
    stay = nnkit.Sequential(nnkit.Linear(2, 1), backend="numpy", seed=0)
    moving, staying = nnkit.Adam(), nnkit.Adam()
    for i in range(4):
        if i == 2:
            model.to(backend)
        for m, optimizer in ((model, moving), (stay, staying)):
            m([[1.0, 2.0]])
            m.backward([[0.5 * i - 1]])
            optimizer.step(m)
    np.testing.assert_allclose(host(backend, model[0].W.value), stay[0].W.value, rtol=1e-5)


def test_one_optimizer_for_two_models():
    optimizer = nnkit.Adam()
    models = [nnkit.Sequential(nnkit.Linear(1, 1), backend="numpy") for _ in range(2)]
    optimizer.attach(models[0])
    with pytest.raises(ValueError, match="this Adam serves another model: make a new one"):
        optimizer.attach(models[1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nnkit.SGD(lr=0), "SGD: lr must be positive, not 0"),
        (lambda: nnkit.Adam(lr=float("nan")), "Adam: lr must be positive, not nan"),
        (lambda: nnkit.SGD(momentum=1), "momentum must be at least 0 and below 1"),
        (lambda: nnkit.SGD(nesterov=True), "nesterov needs a momentum above 0"),
        (lambda: nnkit.Adam(beta1=1.0), "beta1 must be at least 0 and below 1"),
        (lambda: nnkit.Adam(eps=0), "eps must be positive"),
        (lambda: nnkit.AdamW(weight_decay=-1), "AdamW: weight_decay must not be negative"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(ValueError, match=message):
        make()
