"""Optimizer classes in hand-written loops. (The update formulas: operations/test_optimizers.py.)"""

from __future__ import annotations

import numpy as np
import pytest

import nnkit


def host(backend, array):
    return np.array(backend.to_numpy(array))


def descend(backend, optimizer, steps=3, dtype="float64", start=(1.0, -2.0, 0.5)):
    """Minimise the sum of w^2 + w through a model whose outputs are its weights."""
    model = nnkit.Sequential(
        nnkit.Linear(1, 3, bias=False, init=[start]), backend=backend, dtype=dtype, seed=0
    )
    path = []
    for _ in range(steps):
        w = model([[1.0]])
        model.backward(2 * w + 1)
        optimizer.step(model)
        path.append(host(backend, model[0].W.value)[0])
    return path


PYTORCH = [
    (
        lambda: nnkit.SGD(0.1),
        [[0.7, -1.7, 0.3], [0.46, -1.46, 0.14], [0.268, -1.268, 0.012]],
    ),
    (
        lambda: nnkit.SGD(0.1, weight_decay=0.5),
        [[0.65, -1.6, 0.275], [0.3875, -1.3, 0.10625], [0.190625, -1.075, -0.0203125]],
    ),
    (
        lambda: nnkit.SGD(0.1, momentum=0.9),
        [[0.7, -1.7, 0.3], [0.19, -1.19, -0.04], [-0.407, -0.593, -0.438]],
    ),
    (
        lambda: nnkit.SGD(0.1, momentum=0.9, nesterov=True),
        [
            [0.43, -1.43, 0.12],
            [-0.1664, -0.8336, -0.2776],
            [-0.662528, -0.337472, -0.608352],
        ],
    ),
    (
        lambda: nnkit.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.5),
        [
            [0.335, -1.24, 0.0725],
            [-0.297625, -0.517, -0.3341875],
            [-0.750240625, 0.000275, -0.6251546875],
        ],
    ),
    (
        lambda: nnkit.SGD(0.1, momentum=0.9, clip_norm=2),
        [
            [0.872079597459, -1.872079597459, 0.41471973164],
            [0.629030835175, -1.629030835175, 0.25268722345],
            [0.282366555539, -1.282366555539, 0.021577703693],
        ],
    ),
    (
        lambda: nnkit.AdaGrad(0.1),
        [
            [0.900000000003, -1.900000000003, 0.400000000005],
            [0.831768174969, -1.831768174969, 0.333103526845],
            [0.777324539084, -1.777324539084, 0.280456181357],
        ],
    ),
    (
        lambda: nnkit.AdaGrad(0.1, eps=0.5, weight_decay=0.5),
        [
            [0.9125, -1.911111111111, 0.418181818182],
            [0.850561131272, -1.848168748499, 0.360413455747],
            [0.800348620066, -1.79707815044, 0.313889370019],
        ],
    ),
    (
        lambda: nnkit.RMSProp(0.1),
        [
            [3.3333e-08, -1.000000033333, -0.49999995],
            [-0.317660444611, -0.682339555389, -0.500000000252],
            [-0.433306998557, -0.566693001443, -0.499999999997],
        ],
    ),
    (
        lambda: nnkit.RMSProp(0.1, alpha=0.8, eps=0.5, weight_decay=0.5),
        [
            [0.830528793415, -1.825240083797, 0.350620481676],
            [0.70561939471, -1.696054572223, 0.242184693809],
            [0.60120283795, -1.587534942305, 0.153686987319],
        ],
    ),
    (
        lambda: nnkit.Adam(0.1),
        [
            [0.900000000333, -1.900000000333, 0.4000000005],
            [0.800239062292, -1.800239062292, 0.300412228692],
            [0.700902870518, -1.700902870518, 0.201586272946],
        ],
    ),
    (
        lambda: nnkit.Adam(0.1, beta1=0.8, beta2=0.9, eps=0.5, weight_decay=0.5),
        [
            [0.9125, -1.911111111111, 0.418181818182],
            [0.825574512747, -1.822698934163, 0.337405132561],
            [0.739408045437, -1.734920326987, 0.25798400337],
        ],
    ),
    (
        lambda: nnkit.AdamW(0.1),
        [
            [0.899000000333, -1.898000000333, 0.3995000005],
            [0.798343153962, -1.796347260375, 0.299515623405],
            [0.698217092738, -1.695232159115, 0.200398025029],
        ],
    ),
    (
        lambda: nnkit.AdamW(0.1, weight_decay=0.5),
        [
            [0.850000000333, -1.800000000333, 0.3750000005],
            [0.707912228336, -1.61062558226, 0.25681828384],
            [0.573649670546, -1.431859096739, 0.145567896959],
        ],
    ),
]
"""What PyTorch 2.13.0 (torch.optim, float64; clip_grad_norm_) makes of w = (1, -2, 0.5)."""


@pytest.mark.parametrize(("optimizer", "path"), PYTORCH, ids=[repr(make()) for make, _ in PYTORCH])
def test_first_steps_are_those_of_pytorch(backend, optimizer, path):
    np.testing.assert_allclose(descend(backend, optimizer()), path, rtol=0, atol=1e-11)
    single = descend(backend, optimizer(), dtype="float32")
    np.testing.assert_allclose(single, path, rtol=0, atol=1e-6)


@pytest.mark.parametrize("make", [nnkit.SGD, nnkit.AdaGrad, nnkit.RMSProp, nnkit.Adam, nnkit.AdamW])
def test_l1_adds_the_sign(backend, make):
    """A constant gradient added by l1, or by the loss itself, gives the same path."""
    path = descend(backend, make(lr=0.1, l1=3.0), steps=1, start=(1.0, -2.0, 0.0))
    model = nnkit.Sequential(
        nnkit.Linear(1, 3, bias=False, init=[[1.0, -2.0, 0.0]]), backend=backend, dtype="float64"
    )
    model([[1.0]])
    model.backward([[3.0 + 3, -3.0 - 3, 1.0]])
    make(lr=0.1).step(model)
    np.testing.assert_allclose(path[0], host(backend, model[0].W.value)[0], rtol=1e-12)


def test_l1_makes_useless_weights_small(backend, rng):
    """Of six inputs two matter."""
    x = rng.normal(size=(60, 6))
    t = x[:, :1] - 2 * x[:, 1:2]
    model = nnkit.Sequential(nnkit.Linear(6, 1), backend=backend, seed=0)
    trainer = nnkit.Trainer(model, nnkit.MeanSquaredError(), nnkit.SGD(0.05, l1=0.1))
    trainer.fit(x, t, epochs=30, batch_size=30)
    w = np.abs(host(backend, model[0].W.value))[:, 0]
    assert (w[2:] < 0.02).all()
    assert (w[:2] > 0.8).all()


def test_the_learning_rate_may_change(backend):
    optimizer = nnkit.SGD(0.5)
    np.testing.assert_allclose(descend(backend, optimizer, steps=1), [[-0.5, -0.5, -0.5]])
    other = nnkit.SGD(0.5)
    other.lr = 0.25
    np.testing.assert_allclose(descend(backend, other, steps=1), [[0.25, -1.25, 0.0]])


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
        (lambda: nnkit.Adam(lr=float("nan")), "Adam: lr must be positive and finite, not nan"),
        (lambda: nnkit.SGD(momentum=1), "momentum must be at least 0 and below 1"),
        (lambda: nnkit.SGD(nesterov=True), "nesterov needs a momentum above 0"),
        (lambda: nnkit.Adam(beta1=1.0), "beta1 must be at least 0 and below 1"),
        (lambda: nnkit.Adam(eps=0), "eps must be positive"),
        (lambda: nnkit.AdamW(weight_decay=-1), "AdamW: weight_decay must be at least 0, not -1"),
        (lambda: nnkit.SGD(l1=-1), "SGD: l1 must be at least 0, not -1"),
        (lambda: nnkit.SGD(clip_norm=0), "SGD: clip_norm must be positive or None"),
        (lambda: nnkit.RMSProp(alpha=1), "RMSProp: alpha must be at least 0 and below 1, not 1"),
        (lambda: nnkit.AdaGrad(eps=-1e-3), "AdaGrad: eps must be positive, not -0.001"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(ValueError, match=message):
        make()
