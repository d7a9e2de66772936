"""Weights of PyTorch's, read and written: against PyTorch itself, and against a file it wrote."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import nnkit
from nnkit.layers.torch_weights import state_dict

FILES = Path(__file__).parent / "files"


def mlp():
    return nnkit.Sequential(
        nnkit.Linear(6, 8),
        nnkit.PReLU(8),
        nnkit.BatchNorm1d(8),
        nnkit.Linear(8, 5, bias=False),
        nnkit.LayerNorm(5),
        nnkit.Tanh(),
        nnkit.Linear(5, 3),
        backend="numpy",
        seed=0,
    )


def cnn(*front):
    """With a Flatten, layers of such rows, and images that are made of rows."""
    return nnkit.Sequential(
        *front,
        nnkit.Conv2d(2, 6, 3, padding=1),
        nnkit.BatchNorm2d(6),
        nnkit.ReLU(),
        nnkit.Conv2d(6, 4, 3, stride=2, groups=2, bias=False),
        nnkit.PReLU(4),
        nnkit.Flatten(),
        nnkit.BatchNorm1d(16),
        nnkit.Linear(16, 12),
        nnkit.LayerNorm(12),
        nnkit.Image(2, 2, 3),
        nnkit.ConvTranspose2d(3, 2, 3, stride=2, output_padding=1),
        nnkit.Flatten(),
        nnkit.Linear(72, 4),
        backend="numpy",
        seed=0,
    )


def shaken(model, seed=0):
    """Have all of a model's arrays be random, so that none can be taken for another."""
    rng = np.random.default_rng(seed)
    model.restore(
        {
            name: rng.uniform(0.5, 1.5, array.shape)
            for name, array in model.state().items()
            if name != "counters"
        }
    )
    return model


def torch_nets():
    from torch import nn

    return {
        "mlp": nn.Sequential(
            nn.Linear(6, 8), nn.PReLU(8), nn.BatchNorm1d(8), nn.Linear(8, 5, bias=False),
            nn.LayerNorm(5), nn.Tanh(), nn.Linear(5, 3),
        ),
        "cnn": nn.Sequential(
            nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(),
            nn.Conv2d(6, 4, 3, stride=2, groups=2, bias=False), nn.PReLU(4), nn.Flatten(),
            nn.BatchNorm1d(16), nn.Linear(16, 12), nn.LayerNorm(12), nn.Unflatten(1, (3, 2, 2)),
            nn.ConvTranspose2d(3, 2, 3, stride=2, output_padding=1), nn.Flatten(),
            nn.Linear(72, 4),
        ),
    }  # fmt: skip


MODELS = {"mlp": mlp, "cnn": cnn}


def inputs(name):
    shape = (4, 6) if name == "mlp" else (4, 2, 6, 6)
    x = np.random.default_rng(1).normal(size=shape).astype("f")
    return x, x if name == "mlp" else x.transpose(0, 2, 3, 1)


def outputs_of(net, x):
    import torch

    with torch.no_grad():
        return net.eval()(torch.from_numpy(x)).numpy()


@pytest.mark.parametrize("name", MODELS)
def test_pytorch_takes_what_nnkit_writes(name, tmp_path):
    pytest.importorskip("torch")
    safe = pytest.importorskip("safetensors.torch")
    model, net = shaken(MODELS[name]()), torch_nets()[name]
    model.save_weights(tmp_path / "w.safetensors", layout="torch")
    net.load_state_dict(safe.load_file(tmp_path / "w.safetensors"), strict=True)
    theirs, ours = inputs(name)
    np.testing.assert_allclose(outputs_of(net, theirs), model(ours), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("name", MODELS)
def test_nnkit_takes_what_pytorch_writes(name, dtype, tmp_path):
    torch = pytest.importorskip("torch")
    safe = pytest.importorskip("safetensors.torch")
    net, model = torch_nets()[name].to(getattr(torch, dtype)), MODELS[name]()
    for tensor in net.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5)
    safe.save_file(net.state_dict(), tmp_path / "w.safetensors")
    model.load_weights(tmp_path / "w.safetensors", layout="torch")
    theirs, ours = inputs(name)
    want = outputs_of(net.float(), theirs)
    np.testing.assert_allclose(model(ours), want, rtol=1e-4, atol=1e-4)
    again = MODELS[name]()
    if dtype != "bfloat16":  # which NumPy does not have
        again.load_weights(net.state_dict(), layout="torch")
        np.testing.assert_array_equal(again(ours), model(ours))


def test_a_file_that_pytorch_wrote():
    """How it was made: tests/files/README.md."""
    theirs = load_file(FILES / "torch_cnn_expected.safetensors")
    x = theirs["x"].transpose(0, 2, 3, 1)
    for front in ((), (nnkit.Image(6, 6, 2),), (nnkit.Identity(), nnkit.Image(6, 6, 2))):
        model = cnn(*front)
        model.load_weights(FILES / "torch_cnn.safetensors", layout="torch")
        np.testing.assert_allclose(model(x), theirs["y"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_what_is_written_comes_back(name, tmp_path):
    model, again = shaken(MODELS[name]()), shaken(MODELS[name](), seed=1)
    path = tmp_path / "w.safetensors"
    model.save_weights(path, layout="torch")
    again.load_weights(path, layout="torch")
    before, behind = model.state(), again.state()
    for key in before:
        np.testing.assert_array_equal(before[key], behind[key])


def test_names_and_shapes_are_those_of_pytorch(tmp_path):
    mlp().save_weights(tmp_path / "w.safetensors", layout="torch")
    tensors = load_file(tmp_path / "w.safetensors")
    assert {name: array.shape for name, array in tensors.items() if name[0] in "023"} == {
        "0.weight": (8, 6), "0.bias": (8,), "3.weight": (5, 8),
        "2.weight": (8,), "2.bias": (8,), "2.running_mean": (8,), "2.running_var": (8,),
        "2.num_batches_tracked": (),
    }  # fmt: skip
    assert tensors["2.num_batches_tracked"].dtype == np.int64


def renamed(state, names):
    """The state with modules called otherwise, in their order."""
    modules = dict.fromkeys(name.rpartition(".")[0] for name in state)
    new = dict(zip(modules, names, strict=True))
    parts = {name: name.rpartition(".") for name in state}
    return {f"{new[m]}.{own}": state[name] for name, (m, _, own) in parts.items()}


def layers(*widths):
    linear = (nnkit.Linear(*pair) for pair in pairwise(widths))
    return nnkit.Sequential(*linear, backend="numpy")


def state_of(model):
    return {name: np.ascontiguousarray(a) for name, a in state_dict(model, None).items()}


@pytest.mark.parametrize(
    "names", [["fc1", "fc2", "fc10"], ["net.2.a", "net.10.a", "net.11.a"], ["a", "b", "c"]]
)
def test_layers_alike_go_by_their_numbers(names, tmp_path):
    model, again = shaken(layers(3, 3, 3, 3)), layers(3, 3, 3, 3)
    shuffled = dict(sorted(renamed(state_of(model), names).items(), reverse=True))
    save_file(shuffled, tmp_path / "w.safetensors")
    if names == ["a", "b", "c"]:
        with pytest.raises(nnkit.CheckpointError) as error:
            again.load_weights(tmp_path / "w.safetensors", layout="torch")
        assert str(error.value) == (
            f"{tmp_path / 'w.safetensors'} is of another network: which of a, b, c comes first "
            "cannot be said: give names=[...], the names of its tensors in the order of the "
            "model's layers"
        )
    given = ["a.weight", "a.bias", "b.weight", "c.weight"] if names[0] == "a" else None
    again.load_weights(tmp_path / "w.safetensors", layout="torch", names=given)
    x = np.ones((1, 3))
    np.testing.assert_array_equal(again(x), model(x))


def test_written_under_the_names_of_a_network(tmp_path):
    model, again = shaken(layers(3, 4, 2)), layers(3, 4, 2)
    names = ["first.weight", "first.bias", "last.weight", "last.bias"]
    model.save_weights(tmp_path / "w.safetensors", layout="torch", names=names)
    assert sorted(load_file(tmp_path / "w.safetensors")) == sorted(names)
    again.load_weights(tmp_path / "w.safetensors", layout="torch")  # of two kinds, one each
    np.testing.assert_array_equal(again(np.ones((1, 3))), model(np.ones((1, 3))))
    with pytest.raises(ValueError, match=r"^names are of 1 modules, but 2 layers have weights: 0"):
        model.save_weights(tmp_path / "w.safetensors", layout="torch", names=names[:2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("0.bias"), r"it has 0 of bias \(4,\), weight \(4, 3\) where the model has "
         "1: 0$"),
        (lambda s: s.update({"2.weight": np.ones(3)}), "the model has no layer for its 2$"),
        (lambda s: s.update({"0.bias": np.full(4, np.nan)}), "its 0.bias holds NaN or infinity$"),
        (lambda s: s.update({"0.bias": np.ones(4, int)}), "its 0.bias is of int64, not of real "
         "numbers$"),
    ],
)  # fmt: skip
def test_what_does_not_fit(change, message):
    model = layers(3, 4, 2)
    state = state_of(model)
    change(state)
    before = model.state()
    with pytest.raises(ValueError, match=message):
        model.load_weights(state, layout="torch")
    assert all((model.state()[name] == before[name]).all() for name in before)


def test_names_of_modules_of_other_shapes():
    model = layers(3, 4, 2)
    names = ["1.weight", "0.weight"]
    with pytest.raises(ValueError, match=r"^its 1 is bias \(2,\), weight \(2, 4\), but layer 0, "):
        model.load_weights(state_of(model), layout="torch", names=names)


def test_files_that_are_none(tmp_path):
    path = tmp_path / "w.pt"
    with pytest.raises(FileNotFoundError, match="there is no file"):
        mlp().load_weights(path, layout="torch")
    path.write_bytes(b"PK\3\4" + bytes(100))
    with pytest.raises(nnkit.CheckpointError, match=r"; in PyTorch, safetensors\.torch\.save_file"):
        mlp().load_weights(path, layout="torch")
    with pytest.raises(ValueError, match=r"^layout must be nnkit, torch, keras, not 'tf'$"):
        mlp().load_weights(path, layout="tf")
    with pytest.raises(TypeError, match=r"^load_weights takes a file, unless layout is 'torch' or"):
        mlp().load_weights({})
    theirs = FILES / "torch_cnn.safetensors"
    with pytest.raises(
        nnkit.CheckpointError, match=r"read by model\.load_weights\(path, layout='to"
    ):
        mlp().load_weights(theirs)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ((nnkit.Flatten(), nnkit.Linear(8, 2)), "nothing says which images are flattened in front "
         r"of .*Linear\(.*: begin the model with Image\(height, width, channels\)$"),
        ((nnkit.Image(2, 2, 2), nnkit.Concat("flatten"), nnkit.Linear(8, 2)),
         r"^Concat joins rows of images, whose order is another there"),
        ((nnkit.Linear(2, 8), nnkit.Residual("tanh"), nnkit.Image(2, 2, 2)),
         r"^Image\(.* makes images of rows that nnkit cannot order: set W by hand$"),
    ],
)  # fmt: skip
def test_orders_that_cannot_be_said(model, message, tmp_path):
    model = nnkit.Sequential(*model, backend="numpy")
    with pytest.raises(ValueError, match=message):
        model.save_weights(tmp_path / "w.safetensors", layout="torch")
    assert not (tmp_path / "w.safetensors").exists()


@pytest.mark.parametrize("layout", ["torch", "keras"])
def test_weights_that_are_not_finite_are_not_written(layout, tmp_path):
    model = layers(2, 2)
    model[0].W.value[0, 0] = np.nan
    with pytest.raises(ValueError, match=r"^its 0\.weight holds NaN or infinity$"):
        model.save_weights(tmp_path / "w", layout=layout)
    assert not (tmp_path / "w").exists()


def test_layers_of_ones_own_and_containers_keep_their_names(tmp_path):
    class Scale(nnkit.Layer):
        def __init__(self):
            self.s = nnkit.Parameter((3,), "ones")

        def forward(self, x):
            return x * self.s.value

    def made():
        inner = nnkit.Residual(nnkit.Linear(3, 3), Scale(), shortcut=nnkit.Linear(3, 3))
        return nnkit.Sequential(inner, nnkit.Maxout(3, 2), backend="numpy")

    model, again = shaken(made()), made()
    model.save_weights(tmp_path / "w.safetensors", layout="torch")
    assert {"0.1.s", "0.shortcut.weight", "1.weight"} < {*load_file(tmp_path / "w.safetensors")}
    again.load_weights(tmp_path / "w.safetensors", layout="torch")
    x = np.ones((2, 3))
    np.testing.assert_array_equal(again(x), model(x))


@pytest.mark.parametrize(
    "around",
    [
        lambda: nnkit.Residual(nnkit.Linear(3, 3), "relu", shortcut=nnkit.Linear(3, 3)),
        lambda: nnkit.Residual(nnkit.Residual("relu", nnkit.Linear(3, 3)), shortcut=layers(3, 3)),
        lambda: nnkit.Concat(nnkit.Linear(3, 3), nnkit.Linear(3, 3)),
    ],
)
def test_layers_beside_each_other_do_not_go_by_numbers(around):
    """Nothing says which way PyTorch's forward sends x first."""
    model, again = (nnkit.Sequential(around(), backend="numpy") for _ in "ab")
    theirs = renamed(state_of(shaken(model)), ["c1", "c2"])
    with pytest.raises(
        ValueError, match=r"^which of c1, c2 comes first cannot be said: give names"
    ):
        again.load_weights(theirs, layout="torch")
    again.load_weights(theirs, layout="torch", names=[*theirs])
    np.testing.assert_array_equal(again(np.ones((2, 3))), model(np.ones((2, 3))))


def test_layers_of_one_way_go_by_numbers():
    """Those of blocks one behind the other, the shortcuts being of another shape."""

    def made():
        block = nnkit.Linear(3, 3), nnkit.Linear(3, 3)
        return nnkit.Sequential(
            nnkit.Residual(*block, shortcut=nnkit.Linear(3, 3, bias=False)),
            nnkit.Residual(nnkit.Linear(3, 3)),
            nnkit.Concat(nnkit.Linear(3, 3), "relu"),
            backend="numpy",
        )

    model, again = shaken(made()), made()
    names = ["net.1.fc1", "net.1.fc2", "net.1.around", "net.2.fc1", "net.3.fc1"]
    again.load_weights(renamed(state_of(model), names), layout="torch")
    np.testing.assert_array_equal(again(np.ones((2, 3))), model(np.ones((2, 3))))
