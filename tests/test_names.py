"""Names as strings, and what other libraries call things."""

from __future__ import annotations

import inspect
import subprocess
import sys

import numpy as np
import pytest

import nnkit
from nnkit import losses, optimizers, schedules
from nnkit.given.foreign import KEYWORDS, THINGS, plain
from nnkit.loading import LAYER_CLASSES


def network(*layers):
    return nnkit.Sequential(*(layers or [nnkit.Linear(4, 3)]), backend="numpy", seed=0)


# ------------------------------------------------------------------ strings


@pytest.mark.parametrize("name", losses.LOSS_CLASSES)
def test_losses_by_the_names_of_their_classes(name):
    cls = losses.LOSS_CLASSES[name]
    for text in (name, name.lower(), losses.names.snake(name)):
        assert type(losses.get(text)) is cls
    assert losses.get(text) is not losses.get(text)


@pytest.mark.parametrize(
    ("name", "made"),
    {
        "mse": "MeanSquaredError()",
        "Mean-Squared Error": "MeanSquaredError()",
        "MSELoss": "MeanSquaredError()",
        "cross_entropy": "SoftmaxCrossEntropy(label_smoothing=0.0)",
        "categorical_crossentropy": "CategoricalCrossEntropy(delta=1e-07)",
        "sparse_categorical_crossentropy": "CategoricalCrossEntropy(delta=1e-07)",
        "bce": "BinaryCrossEntropy(delta=1e-07)",
        "bce_with_logits": "SigmoidCrossEntropy(label_smoothing=0.0)",
        "hinge": "HingeLoss()",
        "huber": "HuberLoss(delta=1.0)",
    }.items(),
)
def test_losses_as_others_call_them(name, made):
    assert repr(losses.get(name)) == made


@pytest.mark.parametrize(
    ("name", "made"),
    {
        **{name: name for name in optimizers.OPTIMIZERS},
        **{name.lower(): name for name in optimizers.OPTIMIZERS},
        "RMSprop": "RMSProp",
        "momentum": "SGD(lr=0.1, momentum=0.9, ",
    }.items(),
)
def test_optimizers(name, made):
    assert repr(optimizers.get(name)).startswith(made)


def test_a_model_and_its_trainer_by_names():
    model = network(nnkit.Linear(4, 5), "relu", nnkit.Linear(5, 3))
    assert repr(model[1]) == "ReLU()"
    assert len(model.steps) == 2, "fused as ReLU() is"
    model[1] = "LeakyReLU"
    model.append("flatten")
    model.insert(0, "tanh")
    kinds = [type(layer).__name__ for layer in model]
    assert " ".join(kinds) == "Tanh Linear LeakyReLU Linear Flatten"
    inner = nnkit.Residual("tanh", shortcut="gelu"), nnkit.Concat("relu", "identity")
    assert [*map(repr, inner)] == [
        "Residual(Tanh(), shortcut=GELU(approximate=False))",
        "Concat(ReLU(), Identity())",
    ]
    trainer = nnkit.Trainer(model, "mse", "sgd")
    trainer.loss = "huber"
    assert (repr(trainer.loss), type(trainer.optimizer)) == ("HuberLoss(delta=1.0)", nnkit.SGD)
    assert nnkit.gradcheck(network(), "mse", np.ones((2, 4)), np.ones((2, 3))).ok


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: losses.get("msee"), "unknown loss 'msee': choose one of .*mean_squared_error.*"
         r"\(did you mean mse\?\)$"),
        (lambda: losses.get("mae"), r"\(nnkit has no mean absolute error: HuberLoss with"),
        (lambda: losses.get("zzz"), "softmax_cross_entropy$"),
        (lambda: optimizers.get("adma"), "unknown optimizer 'adma': choose one of sgd, adagrad, "
         r"adam, adamw, rmsprop, momentum \(did you mean adam\?\)$"),
        (lambda: network("rleu"), r"unknown layer 'rleu'.*\(did you mean relu\?\)$"),
        (lambda: network("conv2d"), r"unknown layer 'conv2d'.*\(write Conv2d\(\.\.\.\)\)$"),
        (lambda: network("conv3d"), r"\(nnkit has no convolutions of volumes: Conv2d is of images"),
    ],
)  # fmt: skip
def test_names_that_are_none(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ------------------------------------------------------------------ names of other libraries


@pytest.mark.parametrize(
    ("name", "meant"),
    {
        "Dense": r"did you mean nnkit\.Linear\?",
        "MSELoss": r"did you mean nnkit\.MeanSquaredError\?",
        "CrossEntropyLoss": r"did you mean nnkit\.SoftmaxCrossEntropy\?",
        "BatchNorm": r"write BatchNorm1d\(\.\.\.\) for rows of numbers, BatchNorm2d\(",
        "RMSprop": r"did you mean nnkit\.RMSProp\?",
        "MeanSquareError": r"did you mean nnkit\.MeanSquaredError\?",
        "Conv2D": r"did you mean nnkit\.Conv2d\?",
        "Conv2DTranspose": r"did you mean nnkit\.ConvTranspose2d\?",
        "MaxPooling2D": r"did you mean nnkit\.MaxPool2d\?",
        "AveragePooling2D": r"did you mean nnkit\.AvgPool2d\?",
        "GlobalAveragePooling2D": r"did you mean nnkit\.GlobalAvgPool2d\?",
        "UpSampling2D": r"did you mean nnkit\.Upsample2d\?",
        "Conv1d": r"write Conv2d with kernel_size=\(1, k\), and Image\(1, length, channels\) in",
        "DepthwiseConv2D": r"write Conv2d\(\.\.\., groups=in_channels\)",
        "LSTM": "nnkit has no layers for sequences",
        "RandomCrop": "pictures are changed where they are trained on: fit",
        "ResNet18": r"did you mean nnkit\.models\.resnet20\?",
        "StepLR": r"did you mean nnkit\.schedules\.StepDecay\?",
        "ModelCheckpoint": r"did you mean nnkit\.Checkpoint\?",
        "ReduceLROnPlateau": r"did you mean nnkit\.ReduceOnPlateau\?",
    }.items(),
)
def test_attributes(name, meant):
    with pytest.raises(AttributeError, match=f"^module 'nnkit' has no attribute '{name}': {meant}"):
        getattr(nnkit, name)
    assert not hasattr(nnkit, name)
    with pytest.raises(ImportError, match=f"^cannot import name '{name}' from 'nnkit': {meant}"):
        exec(f"from nnkit import {name}")


@pytest.mark.parametrize(
    ("module", "name", "meant"),
    [
        ("activations", "Relu", "did you mean nnkit.activations.relu?"),
        ("augment", "RandomHorizontalFlip", "pictures are changed where they are trained on: "
         "fit(x, t, augment=nnkit.augment.Flip())"),
        ("callbacks", "WandbLogger", "did you mean nnkit.callbacks.WeightsAndBiases?"),
        ("augment", "flip", "did you mean nnkit.augment.Flip?"),
        ("augment", "Compose", "write several in a list, fit(x, t, augment=[Shift(2), Flip()])"),
        ("data", "load_mnist", "did you mean nnkit.data.load?"),
        ("initializers", "kaiming_uniform", "did you mean nnkit.initializers.he?"),
        ("losses", "CrossEntropyLoss", "did you mean nnkit.losses.SoftmaxCrossEntropy?"),
        ("models", "resnet18", "did you mean nnkit.models.resnet20?"),
        ("models", "LeNet", "did you mean nnkit.models.lenet?"),
        ("optimizers", "RMSprop", "did you mean nnkit.optimizers.RMSProp?"),
        ("plotting", "plot_confusion", "did you mean nnkit.plotting.confusion_matrix?"),
        ("schedules", "CosineAnnealingLR", "did you mean nnkit.schedules.Cosine?"),
    ],
)  # fmt: skip
def test_attributes_of_modules(module, name, meant):
    with pytest.raises(AttributeError) as error:
        getattr(getattr(nnkit, module), name)
    assert str(error.value) == f"module 'nnkit.{module}' has no attribute '{name}': {meant}"
    with pytest.raises(AttributeError, match=r"has no attribute 'zzzzz'$"):
        _ = getattr(nnkit, module).zzzzz
    with pytest.raises(ImportError, match=f"^cannot import name '{name}' from 'nnkit.{module}'"):
        exec(f"from nnkit.{module} import {name}")


@pytest.mark.parametrize(
    ("owner", "name", "meant"),
    [
        (network(), "fit", "a trainer does that, nnkit.Trainer(model, loss).fit(x, t, epochs=5)"),
        (nnkit.Linear(1, 2), "predict", "a trainer does that, nnkit.Trainer(model, "
         "loss).predict(x); model(x) gives the outputs"),
        (network(), "state_dict", "a copy of all values is model.state()"),
        (network(), "cuda", "write model.to('cupy')"),
        (nnkit.Adam(), "zero_grad", "gradients are overwritten by backward: there is nothing to "
         "set to zero"),
    ],
)  # fmt: skip
def test_attributes_of_objects(owner, name, meant):
    with pytest.raises(AttributeError) as error:
        getattr(owner, name)
    cls = type(owner).__name__
    assert str(error.value) == f"'{cls}' object has no attribute '{name}': {meant}"
    assert not hasattr(owner, name)
    with pytest.raises(AttributeError, match=f"^'{cls}' object has no attribute 'zzz'$"):
        _ = owner.zzz


def test_a_property_says_by_itself_what_it_lacks():
    class Own(nnkit.Layer):
        @property
        def fit(self):
            return self.inner

    with pytest.raises(AttributeError, match=r"^'Own' object has no attribute 'inner'$"):
        _ = Own().fit


def test_names_that_nobody_knows():
    with pytest.raises(ImportError, match=r"^cannot import name 'nonsense' from 'nnkit' \("):
        from nnkit import nonsense  # noqa: F401
    with pytest.raises(AttributeError, match=r"has no attribute '__wrapped__'$"):
        _ = nnkit.__wrapped__


def test_the_tables_lead_to_what_there_is():
    known = {plain(name) for name in [*nnkit.__all__, *nnkit.initializers.INITIALIZERS]}
    for word, ours in THINGS.items():
        assert word == plain(word)
        module, _, last = ours.rpartition(".")
        if " " not in ours:
            assert hasattr(getattr(nnkit, module), last) if module else plain(ours) in known, word
    classes = [getattr(nnkit, name) for name in nnkit.callbacks.__all__]
    classes += [nnkit.Trainer, *LAYER_CLASSES.values(), *losses.LOSS_CLASSES.values()]
    classes += [*optimizers.OPTIMIZERS.values(), *schedules.SCHEDULES.values()]
    classes += nnkit.models.MODELS.values()
    taken = {name for cls in classes for name in inspect.signature(cls).parameters}
    for word, known_as in KEYWORDS.items():
        assert all(" " in ours or ours in taken for ours in known_as), word


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nnkit.Adam(learning_rate=1), r"Adam .*'learning_rate' \(it takes lr, beta1, beta2"
         r", eps, weight_decay, l1, clip_norm\): did you mean lr\?$"),
        (lambda: nnkit.Adam(momentum=1), r"did you mean beta1\?$"),
        (lambda: nnkit.AdamW(beta_1=1), r"AdamW .*did you mean beta1\?$"),
        (lambda: nnkit.Adam(betas=(0, 1)), "they are beta1 and beta2$"),
        (lambda: nnkit.Linear(in_channels=1, out_channels=2), r"did you mean in_features\?$"),
        (lambda: nnkit.Linear(1, 2, activation="relu"), "an activation is a layer of its own"),
        (lambda: nnkit.Conv2d(in_features=1), r"did you mean in_channels\?$"),
        (lambda: nnkit.Conv2d(1, filters=2), r"did you mean out_channels\?$"),
        (lambda: nnkit.Conv2d(1, 2, 3, strides=2), r"did you mean stride\?$"),
        (lambda: nnkit.Conv2d(1, 2, size=3), r"did you mean kernel_size\?$"),
        (lambda: nnkit.Conv2d(1, 2, 3, dilation_rate=2), r"did you mean dilation\?$"),
        (lambda: nnkit.Conv2d(1, 2, 3, data_format="channels_first"), r"images are \(n, height, "
         r"width, channels\): put ChannelsLast\(\) in front of channels-first data$"),
        (lambda: nnkit.MaxPool2d(pool_size=2), r"did you mean size\?$"),
        (lambda: nnkit.AvgPool2d(kernel_size=2), r"did you mean size\?$"),
        (lambda: nnkit.MaxPool2d(2, ceil_mode=True), "windows that reach over the edge are left"),
        (lambda: nnkit.Upsample2d(size=2), r"did you mean scale\?$"),
        (lambda: nnkit.Upsample2d(2, mode="bilinear"), r"scale\): each pixel is repeated, as the "
         r"nearest neighbour; there is nothing in between$"),
        (lambda: nnkit.ReLU(inplace=True), r"^ReLU got an unexpected keyword argument 'inplace' "
         r"\(it takes none\): leave it out; fit has the memory of all layers ready beforehand$"),
        (lambda: nnkit.Linear(2, 3, input_shape=(2,)), r"did you mean in_features\?$"),
        (lambda: nnkit.Conv2d(2, 3, 3, input_shape=(8, 8, 2)), r": the first layer's in_channels "
         r"or in_features says what it takes; rows of pixels become images in Image\(height, width"
         r", channels\)$"),
        (lambda: nnkit.BatchNorm2d(3, affine=False), r": gamma and beta are always there; "
         r"layer\.frozen = True keeps them as they are$"),
        (lambda: nnkit.BatchNorm1d(3, track_running_stats=True), ": running averages are always "
         "kept$"),
        (lambda: nnkit.ConvTranspose2d(2, 2, 3, groups=2), ": of the convolutions only Conv2d has "
         "groups and dilation$"),
        (lambda: nnkit.ConvTranspose2d(2, 2, 3, dilation=2), "only Conv2d has groups and dilation"),
        (lambda: nnkit.Residual("relu", downsample="relu"), r"did you mean shortcut\?$"),
        (lambda: nnkit.models.resnet20(num_classes=3), r"^resnet20 got an unexpected keyword "
         r"argument 'num_classes' \(it takes image, classes, seed, dtype, backend, fuse\): did you "
         r"mean classes\?$"),
        (lambda: nnkit.models.lenet(input_shape=(28, 28)), r"did you mean image\?$"),
        (lambda: nnkit.models.vgg(device="cuda"), r"did you mean backend\?$"),
        (lambda: nnkit.models.vgg(weights="imagenet"), "nnkit has no networks that are trained"),
        (lambda: nnkit.Dropout(rate=0.1), r"did you mean p\?$"),
        (lambda: nnkit.LeakyReLU(negative_slope=0.1), r"did you mean alpha\?$"),
        (lambda: nnkit.SGD(zzz=1), r"SGD got an unexpected keyword argument 'zzz' \(.*\)$"),
        (lambda: schedules.StepDecay(step_size=3), r"did you mean every\?$"),
        (lambda: nnkit.Sequential(nnkit.ReLU(), random_state=3), r"did you mean seed\?$"),
        (lambda: nnkit.Trainer(network(), criterion="mse"), r"Trainer .*did you mean loss\?$"),
    ],
)  # fmt: skip
def test_keywords(call, message):
    with pytest.raises(TypeError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nnkit.Conv2d(32, 3), "Conv2d lacks kernel_size: write Conv2d(in_channels, "
         "out_channels, kernel_size); in_channels, which Keras finds by itself, is the first"),
        (lambda: nnkit.Linear(10), "Linear lacks out_features: write Linear(in_features, "
         "out_features); in_features, which Keras finds by itself, is the first"),
        (lambda: nnkit.Linear(out_features=10), "Linear lacks in_features: write Linear("
         "in_features, out_features); in_features, which Keras finds by itself, is the first"),
        (nnkit.Maxout, "Maxout lacks in_features and out_features: write Maxout("
         "in_features, out_features)"),
        (nnkit.MaxPool2d, "MaxPool2d lacks size: write MaxPool2d(size)"),
        (lambda: nnkit.ReLU(0.1), "ReLU takes no arguments"),
        (lambda: nnkit.Dropout(0.5, 1), "Dropout takes p, but was given 2 arguments"),
    ],
)  # fmt: skip
def test_too_few_arguments_and_too_many(call, message):
    with pytest.raises(TypeError) as error:
        call()
    assert str(error.value) == message


class Mixed:
    def __init__(self, scale=2):
        self.scale = scale


def test_another_base_has_its_constructor_called():
    class Own(nnkit.Layer, Mixed):
        def __init__(self):
            super().__init__()

    class Taking(nnkit.Layer, Mixed):
        pass

    assert (Own().scale, Taking(3).scale, Taking().scale) == (2, 3, 2)


def test_an_own_layer_s_error_names_whose_constructor_it_is():
    class Own(nnkit.Linear):
        def __init__(self, n):
            super().__init__(n)

    with pytest.raises(TypeError, match=r"^Linear lacks out_features: write Linear\("):
        Own(3)


def test_constructors_look_as_they_were_written():
    assert [*inspect.signature(nnkit.Dropout).parameters] == ["p"]
    assert not inspect.signature(nnkit.ReLU).parameters

    class Own(nnkit.Layer):
        def __init__(self, width, **rest):
            self.rest = rest

    assert Own(3, learning_rate=1).rest == {"learning_rate": 1}


def test_nothing_of_this_is_imported_before_it_is_needed():
    code = "import sys, nnkit; nnkit.Adam(lr=1); print('nnkit.given.foreign' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
