"""Last layers and losses that do not go together; loops in a mode that nobody has chosen."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import nnkit
from nnkit.layers import Linear
from nnkit.loading import LAYER_CLASSES
from nnkit.losses import LOSS_CLASSES
from nnkit.training.partners import misfit

X, T = np.random.default_rng(0).normal(size=(8, 4)), np.arange(8) % 3


def network(*layers, outputs=3):
    return nnkit.Sequential(Linear(4, outputs), *layers, backend="numpy", seed=0)


LOGITS = r"takes logits, any numbers, but layer 1, {}\(.*\), gives .*: leave it out"
WRONG = {
    "cross_entropy": {
        "softmax": LOGITS.format("Softmax") + r", or train with CategoricalCrossEntropy\(\)",
        "sigmoid": LOGITS.format("Sigmoid"),
        "relu": LOGITS.format("ReLU"),
        "tanh": LOGITS.format("Tanh"),
        "gelu": LOGITS.format("GELU"),
        "exponential": LOGITS.format("Exponential"),
    },
    "sigmoid_cross_entropy": {
        "sigmoid": LOGITS.format("Sigmoid") + r", or train with BinaryCrossEntropy\(\)",
        "softmax": LOGITS.format("Softmax"),
        "log_softmax": LOGITS.format("LogSoftmax"),
        "relu": LOGITS.format("ReLU"),
    },
    "categorical_crossentropy": {
        "flatten": r"layer 0, Linear.*: put Softmax\(\) behind it, or train with SoftmaxCrossEntro",
        "log_softmax": r": put Softmax\(\) in its place, or train with SoftmaxCrossEntropy\(\)$",
        "sigmoid": r"add up to 1, but .*each from 0 to 1, .*: put Softmax\(\) in its place$",
        "relu": r": put Softmax\(\) in its place$",
    },
    "bce": {
        "leaky_relu": r": put Sigmoid\(\) behind it, or train with SigmoidCrossEntropy\(\)$",
        "tanh": r"numbers of a narrow range around 0, .*: put Sigmoid\(\) in its place$",
    },
    "hinge": {"sigmoid": LOGITS.format("Sigmoid"), "relu": LOGITS.format("ReLU")},
}


@pytest.mark.parametrize(("loss", "layer"), [(a, b) for a in WRONG for b in WRONG[a]])
def test_pairs_that_train_badly(loss, layer):
    with pytest.warns(UserWarning, match=WRONG[loss][layer]) as said:
        nnkit.Trainer(network(layer), loss)
    assert [w.filename for w in said] == [__file__]


@pytest.mark.parametrize(
    ("loss", "layers"),
    [
        ("cross_entropy", ["log_softmax"]),  # whose softmax is that of its input
        ("cross_entropy", ["leaky_relu", nnkit.Dropout()]),
        ("categorical_crossentropy", ["softmax", "flatten"]),
        ("bce", ["sigmoid"]),
        ("bce", ["hard_sigmoid"]),
        ("hinge", ["tanh"]),
        *[(loss, [layer]) for loss in ("mse", "huber") for layer in ("softmax", "sigmoid", "relu")],
    ],
)
def test_pairs_that_go_together(loss, layers):
    nnkit.Trainer(network(*layers), loss)  # a warning would be an error


def test_layers_and_losses_that_declare_nothing():
    class Own(nnkit.Layer):
        pass

    class OwnLoss(nnkit.Loss):
        pass

    assert not misfit(network("softmax", Own()), LOSS_CLASSES["SoftmaxCrossEntropy"]())
    assert not misfit(network("softmax"), OwnLoss())
    assert not misfit(network(nnkit.Residual("relu")), LOSS_CLASSES["SoftmaxCrossEntropy"]())


def test_every_layer_of_ours_says_what_it_gives():
    unknown = {name for name, cls in LAYER_CLASSES.items() if cls.gives is None}
    assert unknown - {"Activation", "Layer"} == {"Concat", "Residual", "Sequential", "Step"}
    for cls in LOSS_CLASSES.values():
        assert not cls.twin or LOSS_CLASSES[cls.twin].twin == cls.__name__


def test_inside_others_and_behind_what_changes_nothing():
    model = nnkit.Sequential(network("softmax"), "flatten", nnkit.Dropout(), backend="numpy")
    with pytest.warns(UserWarning, match=r"layer 0\.1, Softmax\(\), gives rows"):
        nnkit.Trainer(model)


@pytest.mark.parametrize("loss", ["mse", "bce", "categorical_crossentropy"])
def test_softmax_of_one_number(loss):
    with pytest.warns(UserWarning, match=r"layer 1, Softmax\(\), gets rows of one number"):
        nnkit.Trainer(network("softmax", outputs=1), loss)


def test_cross_entropy_of_one_output():
    with pytest.warns(UserWarning, match="of a single output is always 0.*SigmoidCrossEntropy"):
        trainer = nnkit.Trainer(network(outputs=1))
    with pytest.raises(ValueError, match=r"but they reach from 0 to 2: for yes or no in one outpu"):
        trainer.fit(X, T, 1, 4)


def test_fit_tells_of_what_has_been_changed_since_and_once():
    trainer = nnkit.Trainer(network())
    trainer.model.append("softmax")
    with pytest.warns(UserWarning, match="leave it out") as said:
        trainer.fit(X, T, 1, 4)
        trainer.fit(X, T, 1, 4)
    assert [w.filename for w in said] == [__file__]
    trainer.loss = "categorical_crossentropy"
    trainer.fit(X, T, 1, 4)


# ------------------------------------------------------------------ modes


def loop(model, steps=2):
    loss, optimizer = nnkit.SoftmaxCrossEntropy(), nnkit.SGD()
    for _ in range(steps):
        loss(model(X), T)
        model.backward(loss.backward())
        optimizer.step(model)


@pytest.mark.parametrize("layer", [nnkit.Dropout(0.2), nnkit.BatchNorm1d(3)], ids=repr)
def test_a_loop_in_a_mode_that_nobody_chose(layer):
    model = network(layer)
    with pytest.warns(UserWarning, match=r"call model\.train\(\) before the loop, or") as said:
        loop(model)
    assert [w.filename for w in said] == [__file__]
    assert f"layer 1, {layer!r}, does not train" in str(said[0].message)


@pytest.mark.parametrize("choose", [nnkit.Sequential.train, nnkit.Sequential.eval])
def test_a_loop_in_a_mode_that_was_chosen(choose):
    model = choose(network(nnkit.Dropout(0.2)))
    loop(model)
    loop(model[:])


def test_a_loop_after_fit_and_from_a_file(tmp_path):
    model = network(nnkit.BatchNorm1d(3))
    nnkit.Trainer(model).fit(X, T, 1, 4)
    model.save(tmp_path / "a.safetensors")
    for each in (model, nnkit.load(tmp_path / "a.safetensors", "numpy")):
        with pytest.warns(UserWarning, match="evaluation mode"):
            loop(each)


def test_without_layers_that_have_modes_nothing_is_said():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loop(network("relu"))
