"""ONNX files of other programs: what nnkit makes of them, and what it refuses."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import nnkit

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

import nnkit.onnx  # noqa: E402

RNG = np.random.default_rng(0)


def weights(*shape):
    return RNG.uniform(0.5, 1.5, shape).astype(np.float32)


def node(operator, /, *inputs, out="y", **attributes):
    return helper.make_node(operator, inputs, [out], name=f"the {operator}", **attributes)


def chain(*nodes, end="y"):
    """Nodes one behind the other, each (operator, further inputs, attributes), to a tensor."""
    made = []
    for i, (operator, *rest) in enumerate(nodes):
        attributes = rest.pop() if rest and isinstance(rest[-1], dict) else {}
        x, y = f"h{i}" if i else "x", f"h{i + 1}" if i + 1 < len(nodes) else end
        made.append(node(operator, x, *rest, out=y, **attributes))
    return made


def proto(nodes, size, /, kind=TensorProto.FLOAT, batch="b", opset=17, **constants):
    return helper.make_model(
        helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("x", kind, [batch, *size])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(np.asarray(a), name) for name, a in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=8,
    )


@pytest.fixture
def same(tmp_path):
    """Load, and compare with the reference evaluator; returns the classes of the layers."""

    def check(nodes, size, /, **options):
        made = proto(nodes, size, **options)
        onnx.save(made, tmp_path / "m.onnx")
        model = nnkit.onnx.load(tmp_path / "m.onnx", "numpy")
        x = np.random.default_rng(1).normal(size=(3, *size)).astype(np.float32)
        if options.get("kind") == TensorProto.UINT8:
            x = np.arange(3 * np.prod(size)).reshape(3, *size).astype(np.uint8)
        want = ReferenceEvaluator(made).run(None, {"x": x})[0]
        got = model(x.transpose(0, 2, 3, 1) if x.ndim == 4 else x)
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
        return " ".join(type(layer).__name__ for layer in model)

    return check


# ------------------------------------------------------------------ rows


def test_products_and_biases(same):
    nodes = chain(
        ("MatMul", "a"), ("Add", "b"), ("Relu",), ("MatMul", "c"), ("Add", "d"), ("Softmax",)
    )
    constants = {"a": weights(4, 5), "b": weights(5), "c": weights(5, 3), "d": weights(1, 3)}
    assert same(nodes, (4,), **constants) == "Linear ReLU Linear Softmax"
    gemm = chain(("Gemm", "a", "b", {"transB": 1, "alpha": 0.5, "beta": 2.0}), ("Add", "d"))
    assert same(gemm, (4,), a=weights(3, 4), b=weights(1), d=weights(3)) == "Linear"
    assert same([node("Gemm", "x", "a")], (4,), a=weights(4, 2).astype("f8")) == "Linear"


def test_activations_and_normalisation(same):
    nodes = chain(
        ("Elu",),
        ("LeakyRelu", {"alpha": 0.3}),
        ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
        ("BatchNormalization", "a", "b", "c", "d", {"epsilon": 1e-3}),
        ("LayerNormalization", "a", "b"),
        ("PRelu", "a"),
        ("PRelu", "one"),
        ("Dropout",),
        ("Identity",),
        ("LogSoftmax", {"axis": 1}),
    )
    constants = {name: weights(4) for name in "abcd"} | {"one": weights()}
    assert same(nodes, (4,), **constants) == (
        "ELU LeakyReLU HardSigmoid BatchNorm1d LayerNorm PReLU PReLU LogSoftmax"
    )


def spelt(formula):
    """Nodes of a formula such as ("Mul", "x", 0.5), and its numbers by name."""
    nodes, numbers = [], {}

    def tensor(each, out=None):
        if isinstance(each, float):
            numbers.setdefault(f"c{each}", np.float32(each))
            return f"c{each}"
        if isinstance(each, str):
            return each
        made = node(each[0], *map(tensor, each[1:]), out=out or f"t{len(nodes)}")
        made.output[0] = out or f"t{len(nodes)}"
        nodes.append(made)
        return made.output[0]

    tensor(formula, "y")
    return nodes, numbers


GATE = ("Add", 1.0, ("Erf", ("Div", "x", 2**0.5)))
CUBE = ("Mul", 0.044715, ("Pow", "x", 3.0))
TANH = ("Add", ("Tanh", ("Mul", ("Add", "x", CUBE), (2 / np.pi) ** 0.5)), 1.0)
SQUARED = ("Mul", "x", ("Mul", "x", "x"))
TANH_OF_PRODUCTS = (
    "Add", ("Tanh", ("Mul", (2 / np.pi) ** 0.5, ("Add", "x", ("Mul", SQUARED, 0.044715)))), 1.0
)  # fmt: skip
SPELT = [
    (("Mul", ("Sigmoid", "x"), "x"), "SiLU"),
    (("Div", "x", ("Add", 1.0, ("Abs", "x"))), "Softsign"),
    (("Where", ("Greater", "x", 20.0), "x", ("Softplus", "x")), "Softplus"),
    (("Mul", ("Mul", "x", GATE), 0.5), "GELU"),
    (("Mul", ("Mul", "x", 0.5), GATE), "GELU"),
    (("Mul", ("Mul", GATE, 0.5), "x"), "GELU"),
    (("Mul", ("Mul", "x", 0.5), TANH), "GELU"),
    (("Mul", 0.5, ("Mul", "x", TANH_OF_PRODUCTS)), "GELU"),
]


@pytest.mark.parametrize(("formula", "layer"), SPELT)
def test_activations_that_are_spelt_out(formula, layer, same):
    nodes, numbers = spelt(formula)
    assert same(nodes, (4,), **numbers) == layer
    (nodes[-1].output[0],) = ("z",)
    nodes.append(node("Relu", "z"))
    assert same(nodes, (4,), **numbers) == f"{layer} ReLU"


def test_what_inputs_are_multiplied_by(same, tmp_path):
    assert same(chain(("Mul", "s"), ("Relu",)), (4,), s=np.float32(0.25)) == "ReLU"
    nodes = chain(("Cast", {"to": TensorProto.FLOAT}), ("Div", "s"), ("Gemm", "a"))
    constants = {"s": np.float32(255), "a": weights(4, 2)}
    assert same(nodes, (4,), kind=TensorProto.UINT8, **constants) == "Linear"
    assert nnkit.onnx.load(tmp_path / "m.onnx").inputs.scale == pytest.approx(1 / 255)
    assert same([node("Mul", "s", "x", out="a"), node("Relu", "a")], (4,), s=weights(1)) == "ReLU"


def test_bytes_that_a_graph_takes_as_they_are(same, tmp_path):
    """nnkit does not scale them to 0..1 as it would those of images."""
    nodes = chain(("Cast", {"to": TensorProto.FLOAT}), ("Gemm", "a"))
    assert same(nodes, (16,), kind=TensorProto.UINT8, a=weights(16, 2)) == "Linear"
    model, x = nnkit.onnx.load(tmp_path / "m.onnx", "numpy"), np.full((2, 16), 200, np.uint8)
    np.testing.assert_array_equal(nnkit.Trainer(model, "mse").predict(x), model(x.astype("f")))


def test_a_bias_of_one_number(same):
    bias = {"m": weights(4, 3), "w": weights(2, 3, 3, 3), "s": np.float32(2), "t": weights(1)}
    assert same(chain(("MatMul", "m"), ("Add", "s")), (4,), **bias) == "Linear"
    nodes = chain(("Conv", "w"), ("Add", "s"), ("Add", "t"), ("GlobalAveragePool",), ("Flatten",))
    assert same(nodes, (3, 5, 5), **bias) == "Conv2d GlobalAvgPool2d"


def test_casts_that_change_nothing(same):
    floats = [("Cast", {"to": TensorProto.DOUBLE}), ("Cast", {"to": TensorProto.FLOAT})]
    step = [("Greater", "zero"), ("Cast", {"to": TensorProto.BOOL}), floats[1]]
    assert same(chain(*floats, *step), (4,), zero=np.float32(0)) == "Step"


@pytest.mark.parametrize("operator", ["Softmax", "LogSoftmax"])
def test_softmax_of_old_opsets(operator, same):
    assert same(chain(("Tanh",), (operator,)), (4,), opset=11) == f"Tanh {operator}"
    nodes = [
        node("Transpose", "x", out="a", perm=[0, 2, 3, 1]),
        node(operator, "a", out="b", axis=3),
        node("Flatten", "b"),
    ]
    assert same(nodes, (2, 3, 4), opset=11) == f"{operator} Flatten"


# ------------------------------------------------------------------ images


def cnn(flatten):
    return [
        *chain(
            ("Conv", "w", "b", {"pads": [1, 1, 1, 1], "group": 1}),
            ("BatchNormalization", "n", "n", "n", "n"),
            ("PRelu", "p"),
            ("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2]}),
            ("Conv", "v", {"pads": [0, 0, 1, 1]}),
            ("Add", "q"),
            ("AveragePool", {"kernel_shape": [2, 1], "strides": [1, 1]}),
            end="h7",
        ),
        *flatten,
        node("BatchNormalization", "h8", *"mmmm", out="h9"),
        node("PRelu", "h9", "m", out="h10"),
        node("Gemm", "h10", "f"),
    ]


CNN = {
    "w": weights(4, 3, 3, 3),
    "b": weights(4),
    "n": weights(4),
    "p": weights(4, 1, 1),
    "v": weights(6, 4, 2, 2),
    "q": weights(1, 6, 1, 1),
    "m": weights(48),
    "f": weights(48, 5),
}
FLATTENING = {
    "Flatten": [node("Flatten", "h7", out="h8")],
    "Reshape": [node("Reshape", "h7", "shape", out="h8", allowzero=1)],
    "view": [
        node("Shape", "h7", out="s"),
        helper.make_node("Constant", [], ["zero"], value_int=0),
        node("Gather", "s", "zero", out="n0"),
        node("Unsqueeze", "n0", "axes", out="n1"),
        node("Concat", "n1", "rest", out="n2", axis=0),
        node("Reshape", "h7", "n2", out="h8"),
    ],
}


@pytest.mark.parametrize("how", FLATTENING)
def test_images_with_their_channels_first(same, how):
    """Behind Flatten, weights are put into nnkit's order."""
    constants = {"shape": np.array([-1, 48]), "axes": np.array([0]), "rest": np.array([-1])}
    layers = same(cnn(FLATTENING[how]), (3, 6, 8), **CNN, **constants)
    assert layers == (
        "Conv2d BatchNorm2d PReLU MaxPool2d Conv2d AvgPool2d Flatten BatchNorm1d PReLU Linear"
    )


ALIKE = [(7, 3, 2), (8, 2, 2), (7, 5, 3), (9, 1, 2), (7, 3, 1)]
"""Sizes of images, of windows and of strides for which both sides are padded alike."""


@pytest.mark.parametrize("auto", ["SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize(("size", "kernel", "stride"), [*ALIKE, (6, 2, 3)])
def test_convolutions_padded_by_a_rule(size, kernel, stride, auto, same):
    nodes = chain(
        ("Conv", "w", {"strides": [stride] * 2, "auto_pad": auto}),
        ("MaxPool", {"kernel_shape": [3, 3], "auto_pad": auto}),
        ("AveragePool", {"kernel_shape": [3, 3], "auto_pad": auto, "count_include_pad": 1}),
        ("GlobalAveragePool",),
        ("Flatten",),
    )
    layers = same(nodes, (3, size, size), w=weights(2, 3, kernel, kernel))
    assert layers == "Conv2d MaxPool2d AvgPool2d GlobalAvgPool2d"


@pytest.mark.parametrize(("size", "kernel", "stride"), ALIKE)
@pytest.mark.parametrize("operator", ["MaxPool", "AveragePool"])
def test_pooling_padded_by_a_rule(operator, size, kernel, stride, same):
    """The upper rule: what the reference evaluator makes of the lower one is not what ONNX says."""
    window = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "auto_pad": "SAME_UPPER"}
    window |= {"count_include_pad": 1} if operator == "AveragePool" else {}
    nodes = chain((operator, window), ("GlobalAveragePool",), ("Flatten",))
    assert same(nodes, (3, size, size)).endswith("Pool2d GlobalAvgPool2d")


def test_a_graph_made_for_some_number_of_examples_takes_any(same):
    nodes = chain(("Reshape", "shape"), ("Gemm", "a"))
    assert same(nodes, (2, 3), batch=3, shape=np.array([3, 6]), a=weights(6, 2)) == "Flatten Linear"


def test_ways_that_part_and_meet(same):
    nodes = [
        node("Conv", "x", "w", out="a", pads=[1, 1, 1, 1]),
        node("Relu", "a", out="b"),
        node("Conv", "x", "v", out="c"),
        node("Add", "b", "c", out="d"),
        node("Tanh", "d", out="e"),
        node("Concat", "e", "d", out="f", axis=1),
        node("Add", "f", "f", out="g"),
        node("GlobalAveragePool", "g", out="h"),
        node("Flatten", "h", out="i"),
        node("Gemm", "i", "u"),
    ]
    constants = {"w": weights(4, 3, 3, 3), "v": weights(4, 3, 1, 1), "u": weights(8, 2)}
    assert same(nodes, (3, 5, 6), **constants) == "Residual Concat Residual GlobalAvgPool2d Linear"


def test_rows_become_images_and_grow(same):
    nodes = chain(
        ("Reshape", "shape"),
        ("ConvTranspose", "w", "b", {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
        ("Resize", "", "scales", {"mode": "nearest"}),
        end="h3",
    )
    nodes += [node("ReduceMean", "h3", out="z", axes=[2, 3]), node("Squeeze", "z", "axes")]
    constants = {
        "shape": np.array([-1, 4, 2, 3]),
        "w": weights(4, 2, 3, 3),
        "b": weights(2),
        "scales": np.array([1, 1, 2, 3], np.float32),
        "axes": np.array([2, 3]),
    }
    layers = same(nodes, (24,), **constants)
    assert layers == "Image ChannelsLast ConvTranspose2d Upsample2d GlobalAvgPool2d"
    one = chain(("Reshape", "shape"), ("Conv", "w"), ("Flatten",))
    constants = {"shape": np.array([0, 1, 4, 6]), "w": weights(1, 1, 3, 3)}
    assert same(one, (24,), **constants) == "Image Conv2d Flatten"


def test_sizes_that_are_free(tmp_path):
    made = proto(chain(("Conv", "w"), ("GlobalAveragePool",), ("Flatten",)), ("c", "h", "w"),
                 w=weights(2, 3, 2, 2))  # fmt: skip
    onnx.save(made, tmp_path / "m.onnx")
    assert nnkit.onnx.load(tmp_path / "m.onnx", "numpy")(np.ones((2, 7, 5, 3))).shape == (2, 2)


# ------------------------------------------------------------------ what nnkit cannot express

IMAGES = (3, 6, 6)
UPPER = {"auto_pad": "SAME_UPPER", "strides": [2, 2]}
REFUSED = [
    (chain(("Sin",)), (4,), "node 'the Sin' (Sin): nnkit has no layer that does this"),
    (chain(("Clip", "s", "s")), (4,), "node 'the Clip' (Clip): nnkit has no layer that does this"),
    ([node("Sigmoid", "x", out="a"), node("Mul", "a", "a")], (4,), "node 'the Mul' (Mul): nnkit "
     "has no layer that does this with several tensors"),
    (chain(("Relu",), ("Mul", "s")), (4,), "node 'the Mul' (Mul): nnkit multiplies the input "
     "alone, by one number"),
    (chain(("Relu",), ("Add", "s")), (4,), "node 'the Add' (Add): nnkit adds numbers behind Linear "
     "and convolutions alone"),
    (chain(("Gemm", "m", {"transA": 1})), (4,), "node 'the Gemm' (Gemm): transA is 1; nnkit reads "
     "0 alone"),
    (chain(("HardSigmoid",)), (4,), "node 'the HardSigmoid' (HardSigmoid): alpha is 0.2, but "
     "nnkit's HardSigmoid has 0.16666666666666666"),
    (chain(("Relu", {"other": 1})), (4,), "node 'the Relu' (Relu): nnkit does not know its other"),
    (chain(("Softmax", {"axis": 0})), (4,), "node 'the Softmax' (Softmax): nnkit's is along "
     "channels or columns, not axis 0"),
    (chain(("MaxPool", {"kernel_shape": [2, 2], "ceil_mode": 1})), IMAGES, "node 'the MaxPool' "
     "(MaxPool): ceil_mode is 1; nnkit reads 0 alone"),
    (chain(("AveragePool", {"kernel_shape": [2, 2], "pads": [1] * 4})), IMAGES, "node 'the "
     "AveragePool' (AveragePool): padding is not counted; nnkit's AvgPool2d counts it, as zeros"),
    (chain(("Conv", "w", {"pads": [0, 0, 1, 2]})), IMAGES, "node 'the Conv' (Conv): padding "
     "(0, 0, 1, 2) (NOTSET): nnkit's is the same on both sides; export it with such pads"),
    (chain(("Conv", "w", UPPER)), (3, 7, 7), "node 'the Conv' (Conv): padding (0, 0, 1, 1) "
     "(SAME_UPPER): nnkit's is the same on both sides; export it with such pads"),
    (chain(("Conv", "w3", UPPER)), IMAGES, "node 'the Conv' (Conv): padding (0, 0, 1, 1) "
     "(SAME_UPPER): nnkit's is the same on both sides; export it with such pads"),
    (chain(("Conv", "w", {"pads": [0, 0, 1, 1], "strides": [2, 2]})), IMAGES, "node 'the Conv' "
     "(Conv): padding (0, 0, 1, 1) (NOTSET): nnkit's is the same on both sides; export it with "
     "such pads"),
    (chain(("MaxPool", {"kernel_shape": [3, 3], **UPPER})), IMAGES, "node 'the MaxPool' (MaxPool): "
     "padding (0, 0, 1, 1) (SAME_UPPER): nnkit's is the same on both sides; export it with such "
     "pads"),
    (chain(("Conv", "w3", UPPER)), (3, "h", "w"), "node 'the Conv' (Conv): with strides its "
     "padding depends on the size of images, which is free: export it with a fixed size, or with "
     "pads"),
    (chain(("Conv", "w", {"auto_pad": "SAME"})), IMAGES, "node 'the Conv' (Conv): nnkit knows no "
     "auto_pad 'SAME'"),
    (chain(("Conv", "w9")), IMAGES, "node 'the Conv' (Conv): Conv2d(3, 2, 9, bias=False): a "
     "window of 9 x 9 is larger than the image, 6 x 6 with its padding"),
    (chain(("Cast", {"to": TensorProto.INT32})), (4,), "node 'the Cast' (Cast): it makes numbers "
     "int32, and all of nnkit's are real"),
    (chain(("Relu",), ("Cast", {"to": TensorProto.BOOL})), (4,), "node 'the Cast' (Cast): it makes "
     "numbers bool, and all of nnkit's are real"),
    (chain(("Div", "shape1")), (4,), "node 'the Div' (Div): input 1 holds no real numbers"),
    ([node("Div", "s", "x")], (4,), "node 'the Div' (Div): it divides by its input; nnkit "
     "multiplies that, by one number"),
    ([node("Mul", "x", "s", out="a"), node("Add", "a", "x")], (4,), "node 'the Mul' (Mul): nnkit "
     "multiplies the input alone, by one number"),
    (chain(("Conv", "m")), IMAGES, "node 'the Conv' (Conv): nnkit has convolutions of images "
     "alone"),
    (chain(("Conv", "w")), (4,), "node 'the Conv' (Conv): it takes images, but is given shape (4,) "
     "for each example"),
    (chain(("Conv", "w")), IMAGES, "its output is images with their channels first; nnkit's have "
     "them last"),
    (chain(("Conv", "w"), ("Flatten",)), IMAGES, "its output is rows of images whose channels come "
     "first: nnkit's are last"),
    (chain(("Conv", "nan")), IMAGES, "node 'the Conv' (Conv): input 1 holds NaN or infinity"),
    (chain(("Transpose", {"perm": [0, 2, 1, 3]})), IMAGES, "node 'the Transpose' (Transpose): "
     "nnkit turns images alone, from channels first to last or back"),
    (chain(("Reshape", "shape")), IMAGES, "node 'the Reshape' (Reshape): nnkit makes rows or "
     "images, not shape (7, 5), of (3, 6, 6)"),
    (chain(("Resize", "", "half")), IMAGES, "node 'the Resize' (Resize): nnkit repeats pixels "
     "whole times, not [1.0, 1.0, 0.5, 0.5]"),
    ([node("Gemm", "x", "x")], (4,), "node 'the Gemm' (Gemm): nnkit has no layer that does this "
     "with several tensors"),
    ([node("Relu", "z")], (4,), "node 'the Relu' (Relu): 'z' is made by no node before it"),
    ([helper.make_node("Scaler", ["x"], ["y"], domain="ai.onnx.ml")], (4,), "node 'y' (Scaler): "
     "nnkit knows no operators of 'ai.onnx.ml'"),
    ([node("Relu", "x", out="a"), node("Tanh", "a", out="b"),
      node("Concat", "a", "b", "x", axis=1)], (4,), "node 'the Concat' (Concat): nodes that "
     "several ways go through, but not all, nnkit cannot express"),
    ([node("Relu", "x", out="a"), node("Concat", "a", "a", "x", axis=1)], (4,), "node 'the Relu' "
     "(Relu): nodes that several ways go through, but not all, nnkit cannot express"),
]  # fmt: skip
CONSTANTS = {
    "s": weights(),
    "m": weights(4, 4),
    "w": weights(2, 3, 2, 2),
    "w3": weights(2, 3, 3, 3),
    "w9": weights(2, 3, 9, 9),
    "shape1": np.array([2]),
    "nan": np.full((2, 3, 2, 2), np.nan, np.float32),
    "shape": np.array([7, 5]),
    "half": np.array([1, 1, 0.5, 0.5], np.float32),
}


@pytest.mark.parametrize(("nodes", "shape", "message"), REFUSED)
def test_what_is_refused(nodes, shape, message, tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(proto(nodes, shape, **CONSTANTS).SerializeToString())
    with pytest.raises(nnkit.CheckpointError) as error:
        nnkit.onnx.load(path)
    assert str(error.value) == f"{path}: nnkit cannot read it as a model: {message}"


@pytest.mark.parametrize("operator", ["Softmax", "LogSoftmax"])
def test_softmax_of_old_opsets_that_is_of_whole_images(operator, tmp_path):
    nodes = chain(("Conv", "w"), (operator,), ("GlobalAveragePool",), ("Flatten",))
    onnx.save(proto(nodes, IMAGES, opset=11, w=CONSTANTS["w"]), tmp_path / "m.onnx")
    message = "before opset 13 it is of all axes from 1 on, and nnkit's of the channels of each "
    with pytest.raises(nnkit.CheckpointError, match=message):
        nnkit.onnx.load(tmp_path / "m.onnx")


def doubled(times):
    """A constant that is put behind itself, and once more, and so on."""
    names = ["shape", *(f"k{i}" for i in range(times))]
    return [node("Concat", a, a, out=b, axis=0) for a, b in pairwise(names)]


def picked(times):
    return [node("Gather", "shape", "many", out=f"k{i}") for i in range(times)]


def converted(times):
    return [node("Cast", "big", out=f"k{i}", to=TensorProto.DOUBLE) for i in range(times)]


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (doubled(40), r"node 'the Concat' \(Concat\): it makes a constant of 128 numbers; nnkit "
         "computes shapes alone$"),
        (picked(2), r"node 'the Gather' \(Gather\): it makes a constant of 100 numbers; nnkit "
         "computes shapes alone$"),
        (converted(9), r"node 'the Cast' \(Cast\): the constants of the graph take far more memory "
         "than its weights$"),
    ],
)  # fmt: skip
def test_constants_that_grow(nodes, message, tmp_path):
    constants = {"big": np.ones(1 << 18, "f"), "many": np.zeros(100, int), "a": weights(4, 2)}
    made = proto([*nodes, node("MatMul", "x", "a")], (4,), shape=np.array([7, 5]), **constants)
    onnx.save(made, tmp_path / "m.onnx")
    with pytest.raises(nnkit.CheckpointError, match=message):
        nnkit.onnx.load(tmp_path / "m.onnx")


def nested(depth, operator="Add", **attributes):
    """Ways that part inside others, and meet again, the inner ones first."""
    names = ["x", *(f"a{i}" for i in range(depth))]
    nodes = [node("Relu", a, out=b) for a, b in pairwise(names)]
    y = names[-1]
    for i, x in enumerate(reversed(names[:-1])):
        nodes += [
            node("Tanh", y, out=f"b{i}"),
            node(operator, f"b{i}", x, out=f"c{i}", **attributes),
        ]
        y = f"c{i}"
    nodes[-1].output[0] = "y"
    return nodes


def test_ways_inside_others_are_as_deep_as_can_be_saved(same, tmp_path):
    same(nested(30), (4,))
    same(nested(30, "Concat", axis=1), (4,))
    nnkit.onnx.load(tmp_path / "m.onnx").save(tmp_path / "m.safetensors")
    onnx.save(proto(nested(1200), (4,)), tmp_path / "m.onnx")
    with pytest.raises(nnkit.CheckpointError, match="ways that part inside others, more than 30 d"):
        nnkit.onnx.load(tmp_path / "m.onnx")


def test_a_number_that_is_none_does_not_warn(tmp_path):
    signalling = np.array([0x7F800001] * 8, np.uint32).view(np.float32).reshape(4, 2)
    onnx.save(proto([node("MatMul", "x", "a")], (4,), a=signalling), tmp_path / "m.onnx")
    with pytest.raises(nnkit.CheckpointError, match=r"input 1 holds NaN or infinity$"):
        nnkit.onnx.load(tmp_path / "m.onnx")


def huge(made):
    made.graph.initializer[0].dims[:] = [2**40, 2**40]


def two(made):
    made.graph.output.append(made.graph.output[0])


def function(made):
    made.functions.add().name = "f"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (huge, r"nnkit cannot read it as a model: "),
        (two, r"it has 1 inputs and 2 outputs: a model has one of each$"),
        (function, r"it has functions: nnkit reads plain nodes$"),
        (lambda m: m.opset_import[0].ClearField("version"), r"its operators are of version 0, and "
         r"nnkit reads those from 9 on: onnx\.version_converter makes newer ones$"),
        (lambda m: m.graph.input[0].type.tensor_type.ClearField("shape"), r"its input 'x' has no "
         r"shape of 2 to 4 axes$"),
        (lambda m: m.graph.ClearField("node"), r"its output does not depend on its input$"),
    ],
)  # fmt: skip
def test_files_that_are_odd(change, message, tmp_path):
    made = proto([node("MatMul", "x", "a")], (4,), a=weights(4, 2))
    change(made)
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(nnkit.CheckpointError, match=message):
        nnkit.onnx.load(tmp_path / "m.onnx")


def external(made, **place):
    """Move the weights of a model into the file weights.bin, and say that they lie there."""
    (tensor,) = made.graph.initializer
    data = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in ({"location": "weights.bin", "offset": "4"} | place).items():
        tensor.external_data.add(key=key, value=value)
    return bytes(4) + data


def test_weights_in_a_file_beside_it(tmp_path):
    path, W = tmp_path / "m.onnx", weights(4, 2)
    made = proto([node("MatMul", "x", "a")], (4,), a=W)
    (tmp_path / "weights.bin").write_bytes(external(made))
    path.write_bytes(made.SerializeToString())
    np.testing.assert_array_equal(nnkit.onnx.load(path, "numpy")[0].W.value, W)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ({"offset": "5"}, "weights.bin is too short for its a$"),
        ({"offset": "-4"}, "weights.bin is too short for its a$"),
        ({"location": "../weights.bin"}, r"its a lies in '\.\./weights\.bin': nnkit reads files"),
        ({"location": "link.bin"}, "its a lies in 'link.bin': nnkit reads files of the same"),
        ({"location": ""}, "its a lies in ''"),
    ],
)  # fmt: skip
def test_weights_in_other_files(place, message, tmp_path):
    made = proto([node("MatMul", "x", "a")], (4,), a=weights(4, 2))
    (tmp_path / "weights.bin").write_bytes(external(made, **place))
    if place.get("location") == "link.bin":
        (tmp_path / "link.bin").symlink_to("weights.bin")
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(nnkit.CheckpointError, match=message):
        nnkit.onnx.load(tmp_path / "m.onnx")


def test_files_that_are_none(tmp_path):
    path = tmp_path / "m.onnx"
    with pytest.raises(FileNotFoundError):
        nnkit.onnx.load(path)
    for data in (b"", b"not at all", b"\x89PNG\r\n\x1a\n" + bytes(90)):
        path.write_bytes(data)
        with pytest.raises(nnkit.CheckpointError, match=r"m\.onnx is no ONNX file or is damaged"):
            nnkit.onnx.load(path)


def test_damaged_bytes_are_read_or_refused(tmp_path):
    """Whatever a byte becomes, no other error comes out, and no great memory is asked for."""
    path, rng = tmp_path / "m.onnx", np.random.default_rng(0)
    whole = proto(cnn(FLATTENING["Flatten"]), (3, 6, 8), **CNN).SerializeToString()
    read = 0
    for _ in range(150):
        data = bytearray(whole[: rng.integers(len(whole))] if rng.random() < 0.2 else whole)
        for at in rng.integers(max(len(data), 1), size=rng.integers(1, 4)):
            data[at : at + 1] = rng.bytes(1)
        path.write_bytes(data)
        try:
            nnkit.onnx.load(path, "numpy")
            read += 1
        except nnkit.CheckpointError:
            pass
    assert 0 < read < 150
