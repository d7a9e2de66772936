"""ONNX files that nnkit writes: checked, and run by two programs that know nothing of it."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

import nnkit
from nnkit.kernels.table import ACTIVATIONS
from nnkit.loading import LAYER_CLASSES

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from onnx.reference import ReferenceEvaluator  # noqa: E402

import nnkit.onnx  # noqa: E402
from nnkit.onnx.elementwise import ELEMENTWISE  # noqa: E402
from nnkit.onnx.graph import IR_VERSION, OPSET  # noqa: E402
from nnkit.onnx.translating import TRANSLATIONS  # noqa: E402


def network(*layers, **options):
    return nnkit.Sequential(*layers, backend=options.pop("backend", "numpy"), seed=0, **options)


def shaken(model):
    """Have running averages, and all else, be other than what they begin as."""
    rng = np.random.default_rng(0)
    state = model.state()
    counters = state.pop("counters")
    state = {name: a + rng.uniform(0, 0.5, a.shape).astype(a.dtype) for name, a in state.items()}
    model.restore({**state, "counters": counters})
    return model


def run(path, x):
    """What onnxruntime gives."""
    return onnxruntime.InferenceSession(path).run(None, {"x": x})[0]


def check(model, path, shape, free=False):
    """Export, and compare what three programs give; returns the nodes' operators."""
    nnkit.onnx.export(model, path, shape=None if free else shape)
    made = onnx.load(path)
    onnx.checker.check_model(made, full_check=True)
    x = np.random.default_rng(1).normal(size=(3, *shape)).astype(np.float32)
    want = model(x)
    for got in (run(path, x), ReferenceEvaluator(made).run(None, {"x": x})[0]):
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
    return [node.op_type for node in made.graph.node]


IMAGE = (5, 6, 4)
SAMPLES = {
    "AvgPool2d": (lambda: nnkit.AvgPool2d(3, 2, (1, 0)), IMAGE),
    "BatchNorm1d": (lambda: nnkit.BatchNorm1d(4, eps=0.1), (4,)),
    "BatchNorm2d": (lambda: nnkit.BatchNorm2d(4), IMAGE),
    "ChannelsLast": (nnkit.ChannelsLast, IMAGE),
    "Concat": (lambda: nnkit.Concat("tanh", nnkit.Conv2d(4, 3, 1), "identity"), IMAGE),
    "Conv2d": (lambda: nnkit.Conv2d(4, 6, (2, 3), 1, "same", groups=2, dilation=2), IMAGE),
    "ConvTranspose2d": (lambda: nnkit.ConvTranspose2d(4, 3, 3, (2, 3), 1, (1, 2)), IMAGE),
    "Dropout": (nnkit.Dropout, (4,)),
    "Dropout2d": (nnkit.Dropout2d, IMAGE),
    "Flatten": (nnkit.Flatten, IMAGE),
    "GlobalAvgPool2d": (nnkit.GlobalAvgPool2d, IMAGE),
    "Image": (lambda: nnkit.Image(2, 3, 4), (24,)),
    "LayerNorm": (lambda: nnkit.LayerNorm(4, eps=0.1), (4,)),
    "Linear": (lambda: nnkit.Linear(4, 3), (4,)),
    "LogSoftmax": (nnkit.LogSoftmax, (4,)),
    "MaxPool2d": (lambda: nnkit.MaxPool2d(2, 1, 1), IMAGE),
    "Maxout": (lambda: nnkit.Maxout(4, 3, 3), (4,)),
    "PReLU": (lambda: nnkit.PReLU(4), IMAGE),
    "Residual": (lambda: nnkit.Residual(nnkit.Conv2d(4, 2, 1), shortcut=nnkit.Conv2d(4, 2, 1)),
                 IMAGE),
    "Sequential": (lambda: network("relu", nnkit.Linear(4, 2, bias=False)), (4,)),
    "Softmax": (nnkit.Softmax, (4,)),
    "Upsample2d": (lambda: nnkit.Upsample2d((2, 3)), IMAGE),
}  # fmt: skip
"""A layer of each class that needs arguments or images, and the shape of an example."""
ALL = SAMPLES | {
    name: (cls, (3, 4)) for name, cls in LAYER_CLASSES.items() if issubclass(cls, nnkit.Activation)
}


@pytest.mark.parametrize("name", LAYER_CLASSES)
def test_every_layer(name, tmp_path):
    """A new layer needs a translation, and where it takes arguments a sample."""
    make, shape = ALL[name]
    check(shaken(network(make())), tmp_path / "m.onnx", shape)
    again = shaken(network(make()))
    nnkit.onnx.export(again, tmp_path / "m.onnx", shape=shape)
    x = np.random.default_rng(1).normal(size=(2, *shape)).astype("f")
    back = nnkit.onnx.load(tmp_path / "m.onnx", "numpy")
    np.testing.assert_allclose(back(x), again(x), rtol=1e-6, atol=1e-6)


def test_every_row_of_the_table_of_activations():
    assert ELEMENTWISE.keys() == ACTIVATIONS.keys()
    for cls in LAYER_CLASSES.values():
        assert TRANSLATIONS.keys() & {*cls.__mro__}, cls


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ((nnkit.BatchNorm2d(1),), (4, 5)),
        ((nnkit.Conv2d(1, 2, 2), "relu", nnkit.BatchNorm2d(2)), (4, 5)),
        ((nnkit.ConvTranspose2d(1, 2, 2, bias=False),), (4, 5)),
        ((nnkit.GELU(approximate=True), nnkit.PReLU(), nnkit.Softmax()), (4, 5)),
        ((nnkit.Conv2d(4, 3, 1), nnkit.LogSoftmax()), IMAGE),
        ((nnkit.Conv2d(4, 3, 1), nnkit.GlobalAvgPool2d(), nnkit.Image(1, 1, 3)), IMAGE),
        ((nnkit.ChannelsLast(), nnkit.Conv2d(5, 3, 2), nnkit.Flatten()), IMAGE),
        ((nnkit.Image(5, 6, 4), nnkit.Residual("tanh", nnkit.MaxPool2d(1))), IMAGE),
        ((nnkit.Residual("identity"), nnkit.Concat("identity", "identity")), (4,)),
    ],
)
def test_what_is_put_together(layers, shape, tmp_path):
    check(shaken(network(*layers)), tmp_path / "m.onnx", shape)


@pytest.mark.parametrize("n", [0, 1, 7])
def test_any_number_of_examples(n, tmp_path):
    model = nnkit.models.lenet((8, 8), seed=0, backend="numpy")
    nnkit.onnx.export(model, tmp_path / "m.onnx", shape=(64,))
    x = np.ones((n, 64), np.float32)
    assert run(tmp_path / "m.onnx", x).shape == (n, 10)


def test_images_are_turned_twice_at_most(tmp_path):
    small = nnkit.models.small_vgg((8, 8, 3), seed=0, backend="numpy")
    assert check(small, tmp_path / "m.onnx", (8, 8, 3)).count("Transpose") == 2
    residual = network(
        nnkit.Conv2d(3, 4, 3, padding=1),
        nnkit.Residual(nnkit.Conv2d(4, 4, 3, padding=1), nnkit.BatchNorm2d(4)),
        nnkit.Concat("relu", nnkit.MaxPool2d(1)),
        nnkit.GlobalAvgPool2d(),
    )
    assert check(residual, tmp_path / "m.onnx", (9, 7, 3)).count("Transpose") == 1


def test_sizes_that_layers_leave_open_stay_free(tmp_path):
    model = network(nnkit.Conv2d(3, 2, 3), nnkit.GlobalAvgPool2d(), nnkit.Linear(2, 2))
    for shape in ((8, 8, 3), (5, 9, 3)):
        check(model, tmp_path / "m.onnx", shape, free=True)
    (given,) = onnx.load(tmp_path / "m.onnx").graph.input
    dims = [d.dim_param or d.dim_value for d in given.type.tensor_type.shape.dim]
    assert dims == ["n", "height", "width", 3]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_every_dtype_and_backend(backend, dtype, tmp_path):
    if dtype not in backend.dtypes:
        pytest.skip(f"{backend.name} has no {dtype}")

    def made(**options):
        return network(nnkit.Linear(4, 3), "tanh", nnkit.BatchNorm1d(3), **options)

    model, same = made(backend=backend, dtype=dtype), made()
    same.restore(model.state())
    nnkit.onnx.export(model, tmp_path / "m.onnx")
    x = np.eye(4, dtype="f")
    np.testing.assert_allclose(run(tmp_path / "m.onnx", x), same(x), rtol=1e-5, atol=1e-5)


def test_evaluation_whatever_the_mode(tmp_path):
    model = shaken(network(nnkit.Linear(4, 4), nnkit.BatchNorm1d(4), nnkit.Dropout(0.5)))
    model.train()
    nnkit.onnx.export(model, tmp_path / "m.onnx")
    assert model.training
    x = np.eye(4, dtype="f")
    np.testing.assert_allclose(run(tmp_path / "m.onnx", x), model.eval()(x), rtol=1e-5, atol=1e-5)


# ------------------------------------------------------------------ what the file says


@pytest.fixture
def trainer():
    rng = np.random.default_rng(0)
    model = network(nnkit.Image(4, 4), nnkit.Conv2d(1, 2, 3), "relu", "flatten", nnkit.Linear(8, 3))
    trained = nnkit.Trainer(model)
    x = rng.integers(0, 256, (24, 16)).astype(np.uint8)
    trained.fit(x, np.arange(24) % 3, 1, 8, progress=False)
    trained.x = x
    return trained


def test_what_the_file_says_of_itself(trainer, tmp_path):
    nnkit.onnx.export(trainer, tmp_path / "m.onnx", class_names=("cat", "dog", "Ö"))
    made = onnx.load(tmp_path / "m.onnx")
    said = {entry.key: json.loads(entry.value) for entry in made.metadata_props}
    assert said["class_names"] == ["cat", "dog", "Ö"]
    assert said["inputs"] == {"scale": None, "bytes_scaled": True, "low": 0.0, "high": 1.0}
    assert said["loss"] == {"class": "SoftmaxCrossEntropy", "label_smoothing": 0.0}
    assert (made.producer_name, made.producer_version) == ("nnkit", nnkit.__version__)
    assert [(each.domain, each.version) for each in made.opset_import] == [("", OPSET)]
    assert made.ir_version == IR_VERSION
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    assert session.get_modelmeta().custom_metadata_map["class_names"] == '["cat", "dog", "\\u00d6"]'
    assert nnkit.onnx.load(tmp_path / "m.onnx").inputs == trainer.model.inputs


def test_names_of_the_checkpoint(trainer, tmp_path):
    trainer.extra = {"class_names": ["cat", "dog"]}
    nnkit.onnx.export(trainer, tmp_path / "m.onnx")
    (names,) = (e.value for e in onnx.load(tmp_path / "m.onnx").metadata_props if "names" in e.key)
    assert json.loads(names) == ["cat", "dog", "2"]


@pytest.mark.parametrize("loss", ["SoftmaxCrossEntropy", "SigmoidCrossEntropy", "HuberLoss"])
def test_bytes_and_probabilities_are_those_of_predict_proba(trainer, loss, tmp_path):
    trainer.loss = loss
    options = {"shape": (16,), "dtype": "uint8", "probabilities": True}
    nnkit.onnx.export(trainer, tmp_path / "m.onnx", **options)
    want = trainer.predict_proba(trainer.x)
    np.testing.assert_allclose(run(tmp_path / "m.onnx", trainer.x), want, rtol=1e-5, atol=1e-5)
    back = nnkit.onnx.load(tmp_path / "m.onnx", "numpy")
    np.testing.assert_allclose(back(trainer.x), want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_scale_is_in_the_file(dtype, tmp_path):
    model = network(nnkit.Linear(4, 2))
    x = np.arange(24).reshape(6, 4).astype(dtype)
    trained = nnkit.Trainer(model, "mse")
    trained.fit(x, np.ones((6, 2)), 1, 3, scale=0.125, progress=False)
    nnkit.onnx.export(model, tmp_path / "m.onnx", dtype=dtype)
    np.testing.assert_allclose(run(tmp_path / "m.onnx", x), trained.predict(x), rtol=1e-5)
    np.testing.assert_allclose(nnkit.onnx.load(tmp_path / "m.onnx")(x), model(x), rtol=1e-6)


# ------------------------------------------------------------------ layers of one's own, refusals


class Square(nnkit.Layer):
    def forward(self, x):
        return x * x


class Same(nnkit.Linear):
    """A class of one's own that computes as its base does."""


def test_a_layer_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.setattr("nnkit.onnx.translating.TRANSLATIONS", {**TRANSLATIONS})
    model = network(nnkit.Conv2d(4, 3, 1), nnkit.Residual("relu", Square()))
    with pytest.raises(ValueError) as error:
        nnkit.onnx.export(model, tmp_path / "m.onnx")
    assert str(error.value) == (
        "layer 1.1: nnkit does not know what Square() is in ONNX; say so in a function of "
        "(graph, layer, x), decorated with @nnkit.onnx.exporter(Square)"
    )
    assert not (tmp_path / "m.onnx").exists()

    @nnkit.onnx.exporter(Square)
    def square(graph, layer, x):
        assert type(layer) is Square
        return graph.add("Mul", graph.add("Mul", x, x), graph.weight("one", [1]))

    check(model, tmp_path / "m.onnx", IMAGE)
    check(network(Same(4, 2)), tmp_path / "m.onnx", (4,))


def diverged():
    model = network(nnkit.Linear(2, 2))
    model[0].W.value[0, 0] = np.inf
    return model


class OwnLoss(nnkit.MeanSquaredError):
    def probabilities(self, backend, y):
        return y * y


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: nnkit.onnx.export(nnkit.Linear(2, 2), p), "export takes a Sequential or a "
         "Trainer, not Linear(in_features=2, out_features=2, bias=True)"),
        (lambda p: nnkit.onnx.export(network("relu"), p), "the model takes inputs of more than one "
         "shape: give that of one example, such as shape=(28, 28)"),
        (lambda p: nnkit.onnx.export(network(nnkit.Linear(2, 2)), p, shape=(3,)), "input of shape "
         "(1, 3): layer 0: Linear(in_features=2, out_features=2, bias=True) takes rows of 2 "
         "numbers, not of shape (3,); write Linear(3, 2)"),
        (lambda p: nnkit.onnx.export(network(nnkit.Linear(2, 2)), p, dtype="int8"), "dtype must be "
         "float32 or uint8, not 'int8'"),
        (lambda p: nnkit.onnx.export(network(nnkit.Linear(2, 2)), p, probabilities=True),
         "probabilities=True needs the loss: give export the trainer, not its model"),
        (lambda p: nnkit.onnx.export(network(nnkit.Linear(2, 2)), p, class_names=["a"]),
         "1 class_names for 2 outputs"),
        (lambda p: nnkit.onnx.export(nnkit.Trainer(network(nnkit.Linear(2, 2)), OwnLoss()), p,
                                     probabilities=True),
         "nnkit does not know what OwnLoss() makes of outputs in ONNX: leave probabilities out, or "
         "put a layer for them behind the model"),
        (lambda p: nnkit.onnx.export(diverged(), p),
         "0.weight holds what float32 cannot, NaN or infinity: has training diverged? Nothing is "
         "written"),
    ],
)  # fmt: skip
def test_what_is_refused(call, message, tmp_path):
    (tmp_path / "m.onnx").write_text("as it was")
    with pytest.raises((TypeError, ValueError)) as error:
        call(tmp_path / "m.onnx")
    assert str(error.value) == message
    assert (tmp_path / "m.onnx").read_text() == "as it was"


@pytest.mark.parametrize("name", ["export", "load"])
def test_without_the_package(name, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    model = [network("relu")] if name == "export" else []
    with pytest.raises(ImportError, match=r"^ONNX files need the package onnx: pip install onnx$"):
        getattr(nnkit.onnx, name)(*model, tmp_path / "m.onnx")


def test_weights_beyond_what_a_file_holds(tmp_path, monkeypatch):
    monkeypatch.setattr("nnkit.onnx.graph.LARGEST", 15)
    with pytest.raises(ValueError, match=r"^an ONNX file has room for 2 GiB of weights, and the"):
        nnkit.onnx.export(network(nnkit.Linear(2, 2)), tmp_path / "m.onnx")
