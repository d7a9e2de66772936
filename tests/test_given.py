"""What is given to trainers and models is checked there: partners, masks, targets."""

from __future__ import annotations

import numpy as np
import pytest

import nnkit

X, T = np.random.default_rng(0).normal(size=(8, 4)), np.arange(8) % 3


def network(outputs=3):
    return nnkit.Sequential(nnkit.Linear(4, outputs), backend="numpy", seed=0)


def values(trainer):
    return trainer.model.flat.values.tobytes()


# ------------------------------------------------------------------ models, losses, optimizers

PLACES = "loss and optimizer are in each other's place: write Trainer"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([nnkit.Linear(2, 2)], r"not a layer alone: write Sequential\(Linear\(in_features=2,"),
        ([[nnkit.Linear(2, 2)]], r"takes a Sequential, not a list: write Sequential\(\*layers\)"),
        ([nnkit.Sequential], r"not the class Sequential: write Sequential\(\)"),
        ([None], "Trainer takes a Sequential, not None"),
        (
            [network(), nnkit.MeanSquaredError],
            r"not the class MeanSquaredError: write MeanSquaredEr",
        ),
        (
            [network(), np.mean],
            r'the loss must be one such as MeanSquaredError\(\) or "mse", n',
        ),
        ([network(), None, nnkit.Adam], r"not the class Adam: write Adam\(\)"),
        ([network(), None, 0.1], r"not a number: write SGD\(lr=0\.1\)"),
        ([network(), nnkit.Adam(), nnkit.HuberLoss()], PLACES),
        ([network(), nnkit.Adam], PLACES),
        ([network(), "adam", "mse"], PLACES),
        ([network(), None, "mse"], PLACES),
    ],
)
def test_of_another_kind(arguments, message):
    with pytest.raises(TypeError, match=message):
        nnkit.Trainer(*arguments)


def test_what_is_set_later_is_checked_too():
    trainer = nnkit.Trainer(network())
    with pytest.raises(TypeError, match=r"write SGD\(\)"):
        trainer.optimizer = nnkit.SGD
    assert type(trainer.optimizer) is nnkit.Adam


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([nnkit.ReLU], r"takes layers, not the class ReLU: write ReLU\(\)"),
        ([[nnkit.ReLU()]], r"takes layers one by one, not a list: write {}\(\*layers\)"),
        ([np.tanh], "takes layers, not <ufunc 'tanh'>"),
    ],
)
@pytest.mark.parametrize("container", [nnkit.Sequential, nnkit.Residual, nnkit.Concat])
def test_layers_of_another_kind(container, layers, message):
    with pytest.raises(
        TypeError, match=f"^{container.__name__} {message.format(container.__name__)}"
    ):
        container(*layers)


# ------------------------------------------------------------------ masks

MASKED = np.ma.masked_less(X, 0)


@pytest.mark.parametrize(
    "use",
    {
        "model": lambda x, trainer: trainer.model(x),
        "layer": lambda x, trainer: nnkit.Linear(4, 1)(x),
        "backward": lambda x, trainer: [trainer.model(X), trainer.model.backward(x[:, :3])],
        "fit": lambda x, trainer: trainer.fit(x, X[:, :3], 1, 4),
        "targets": lambda x, trainer: trainer.fit(X, x[:, :3], 1, 4),
        "validation": lambda x, trainer: trainer.fit(
            X, X[:, :3], 1, 4, validation_data=(x, X[:, :3])
        ),
        "evaluate": lambda x, trainer: trainer.evaluate(x, X[:, :3]),
        "predict": lambda x, trainer: trainer.predict(x),
        "loss": lambda x, trainer: trainer.loss(x, X),
        "target of a loss": lambda x, trainer: trainer.loss(X, x),
        "value": lambda x, trainer: setattr(trainer.model[0].W, "value", x[:4, :3]),
        "initial": lambda x, trainer: nnkit.Linear(8, 4, init=x),
        "function": lambda x, trainer: nnkit.activations.tanh(x),
    }.items(),
    ids=lambda use: use[0],
)
def test_masked_arrays(use):
    with nnkit.use_backend("numpy"):
        trainer = nnkit.Trainer(network(), "mse")
        with pytest.raises(TypeError, match=r"masked numbers.*x\.filled\(value\).*x\[~x\.mask"):
            use[1](MASKED, trainer)
        use[1](MASKED.filled(0), trainer)
        use[1](np.ma.masked_less(X, -99), trainer)  # in which nothing is masked


def test_masked_labels():
    t = np.ma.masked_equal(T, 1)
    trainer = nnkit.Trainer(network())
    with pytest.raises(TypeError, match=r"take.*x\[~x\.mask\]|out, x\[~x\.mask\]"):
        trainer.fit(X, t, 1, 4)
    trainer.fit(X[~t.mask], t[~t.mask], 1, 4)


@pytest.mark.parametrize("make", [np.ma.asarray, list, lambda x: [[x[0]], [x[1]]]])
def test_every_backend_refuses_masks(backend, make):
    with pytest.raises(TypeError, match="knows no masks"):
        backend.asarray(make(MASKED))


# ------------------------------------------------------------------ targets

LABELS = {
    "list": [*map(int, T)],
    "floats": T.astype(float),
    "float32": T.astype("f"),
    "column": T[:, None],
    "column of floats": T[:, None].astype(float),
    "objects": T.astype(object),
    "uint8": T.astype("u1"),
    "uint64": T.astype("u8"),
    "rows": np.eye(3)[T],
    "rows of integers": np.eye(3, dtype=int)[T],
    "rows of booleans": np.eye(3, dtype=bool)[T],
}


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("loss", ["cross_entropy", nnkit.SoftmaxCrossEntropy(0.1)], ids=str)
def test_labels_as_they_come(name, loss):
    trainers = [nnkit.Trainer(network(), loss) for _ in range(2)]
    for trainer, t in zip(trainers, (T, LABELS[name]), strict=True):
        trainer.fit(X, t, 2, 4)
        trainer.evaluate(X, t)
    np.testing.assert_allclose(*(x.model.flat.values for x in trainers), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("loss", ["cross_entropy", "bce_with_logits", "mse", "hinge"])
def test_booleans(loss):
    yes = np.arange(8) % 2 == 0
    trainers = [nnkit.Trainer(network(1 + (loss == "cross_entropy")), loss) for _ in range(2)]
    for trainer, t in zip(trainers, (yes, yes.astype(int)), strict=True):
        trainer.fit(X, t, 2, 4)
    assert values(trainers[0]) == values(trainers[1])


TEXT = r"not text such as '{}': number the classes with names, t = np\.unique\(t, return_inverse"


@pytest.mark.parametrize(
    ("t", "error", "message"),
    [
        (["cat", "dog"] * 4, TypeError, TEXT.format("cat")),
        (np.array(["cat", "dog"] * 4, object), TypeError, TEXT.format("cat")),
        (["0", "1"] * 4, TypeError, TEXT.format("0")),
        ([None, 1] * 4, TypeError, "dtype is object: leave out the rows without one"),
        (T + 1j, TypeError, "dtype is complex128"),
        (T.astype("M8[s]"), TypeError, "dtype is datetime64"),
        (T + 0.5, ValueError, r"whole numbers, but label 0 is 0\.5: for .* MeanSquaredError"),
        (T * np.nan, ValueError, "whole numbers, but label 0 is nan: leave such rows out"),
        (T + 1, ValueError, "labels must be 0 to 2 for 3 outputs, .* from 1 to 3: give t - 1"),
        (T - 1, ValueError, "reach from -1 to 1$"),
        (T * 1e300, ValueError, "labels must be 0 to 2 for 3 outputs"),
    ],
)
def test_labels_that_are_refused(t, error, message):
    with pytest.raises(error, match=message):
        nnkit.Trainer(network()).fit(X, t, 1, 4)


def test_the_remedies_work():
    trainer = nnkit.Trainer(network())
    _, t = np.unique(["cat", "dog", "cow", "dog"] * 2, return_inverse=True)
    trainer.fit(X, t, 1, 4)
    trainer.fit(X, (T + 1) - 1, 1, 4)
    trainer.fit(X, np.array(["0", "2"] * 4).astype(float), 1, 4)
    for loss in ("mse", "bce_with_logits", "hinge"):
        with pytest.raises(ValueError, match=r"one-hot rows of labels are np\.eye\(3\)\[t\]$"):
            nnkit.Trainer(network(), loss).fit(X, T, 1, 4)
        nnkit.Trainer(network(), loss).fit(X, np.eye(3)[T], 1, 4)


@pytest.mark.parametrize("loss", ["mse", "huber", "bce_with_logits", "hinge"])
def test_text_as_numbers_of_single_outputs(loss):
    with pytest.raises(TypeError, match="not text such as '1'"):
        nnkit.Trainer(network(1), loss).fit(X, ["1", "0"] * 4, 1, 4)


class Column:
    """As pandas and polars give a table's column: of objects, where a number may be missing."""

    def __init__(self, *values):
        self.values = values

    def __len__(self):
        return len(self.values)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype or object)


def test_columns_of_tables():
    trainers = [nnkit.Trainer(network()) for _ in range(2)]
    for trainer, t in zip(trainers, (T, Column(*T)), strict=True):
        trainer.fit(X, t, 1, 4)
    assert values(trainers[0]) == values(trainers[1])
    with pytest.raises(TypeError, match="not text such as 'a'"):
        trainer.fit(X, Column(*"abababab"), 1, 4)
    with pytest.raises(TypeError, match="leave out the rows without one"):
        trainer.fit(X, Column(*T[:7], None), 1, 4)
