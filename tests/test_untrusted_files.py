"""Checkpoints that somebody changed: refused before memory is taken or a kernel sees a number."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import nnkit
from nnkit import checkpoint
from nnkit.training import Progress

X, T = np.eye(11, 4, dtype=np.float32), np.arange(11) % 2


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.safetensors"


@pytest.fixture
def change(path):
    """Write a run in the middle of an epoch, change something in it, and put the checksum right."""

    class Stop(nnkit.Callback):
        def on_step_end(self, trainer):
            trainer.stop = len(trainer.history) == 1 and trainer.progress.step == 2

    model = nnkit.Sequential(
        nnkit.Linear(4, 3),
        nnkit.BatchNorm1d(3),
        nnkit.LeakyReLU(0.1),
        nnkit.Linear(3, 2),
        seed=1,
        backend="numpy",
    )
    trainer = nnkit.Trainer(model, optimizer=nnkit.SGD(0.1, momentum=0.9))
    stopping = nnkit.EarlyStopping("loss")
    schedule = nnkit.schedules.StepDecay(5)
    trainer.fit(X, T, 3, 3, callbacks=[stopping, Stop()], schedule=schedule)
    trainer.save(path, note="a")
    tensors = load_file(path)
    with safe_open(path, "numpy") as file:
        config = json.loads(file.metadata()["nnkit"])

    def changed(what):
        what(config, tensors)
        text = json.dumps(config).replace('"@deep@"', "[" * 5000 + "]" * 5000)
        metadata = {"nnkit": text, "checksum": checkpoint._checksum(text, tensors)}
        save_file(tensors, path, metadata)

    return changed


def put(*places):
    """Change the configuration: ``put("progress", "step", -1)``."""

    def what(config, tensors):
        *holders, key, value = places
        for holder in holders:
            config = config[holder]
        config[key] = value

    return what


def drop(*places):
    def what(config, tensors):
        *holders, key = places
        for holder in holders:
            config = config[holder]
        del config[key]

    return what


def tensor(name, make):
    def what(config, tensors):
        tensors[name] = make(tensors[name]) if name in tensors else make(None)

    return what


def one(value):
    """A copy of an array with one element changed."""

    def make(array):
        array = array.copy()
        array.flat[1] = value
        return array

    return make


LAYER = ("model", "layers", 0)
CONVOLUTION = {
    "class": "Conv2d",
    "in_channels": 2,
    "out_channels": 4,
    "kernel_size": [3, 3],
    "stride": [1, 1],
    "padding": [0, 0],
    "bias": True,
    "groups": 1,
    "dilation": [1, 1],
}

POOLING = {"class": "MaxPool2d", "size": [2, 2], "stride": [2, 2], "padding": [0, 0]}


def convolution(class_="Conv2d", **changed):
    """Put a convolution, with options changed, in the place of the first layer."""
    return put(*LAYER, CONVOLUTION | changed | {"class": class_})


CONFIGURATIONS = [
    (put("progress", "step", -(10**6)), "a run cannot have step -1000000"),
    (put("progress", "step", 5), "a run cannot be at step 5 of 4, in updates of 1 steps"),
    (put("progress", "accumulate", 4), "a run cannot be at step 2 of 4, in updates of 4 steps"),
    (put("progress", "accumulate", 0), "a run cannot have accumulate 0"),
    (put("progress", "epochs", 1e308), r"Progress: epochs cannot be 1e\+308"),
    (put("progress", "epochs", 2**53 + 1), "a run cannot have epochs 9007199254740993"),
    (put("progress", "epoch", True), "Progress: epoch cannot be True"),
    (put("progress", "epoch", 2), "epochs_made cannot be 1"),
    (put("progress", "batch_size", 12), "a run cannot have batch_size 12 and 11 examples"),
    (put("progress", "examples", 13), "its training.log has 4 rows for 5 steps"),
    (put("progress", "seed", "0"), "Progress: seed cannot be '0'"),
    (put("progress", "\x1b[31m", 1), r"Progress knows no '\\x1b\[31m'"),
    (drop("progress", "seed"), "Progress has no seed"),
    (put("progress", []), r"Progress cannot be \[\]"),
    (put("epochs_made", -1), "epochs_made cannot be -1"),
    (put("schedule", "every", 0), "StepDecay: every must be an integer of at least 1, not 0"),
    (put("schedule", "every", "x"), "StepDecay: every cannot be 'x'"),
    (put("schedule", "class", "Missing"), "Missing knows no 'every'"),
    (put("schedule", "class", ["a"]), "its training configuration is damaged"),
    (put("optimizer", "lr", float("nan")), "SGD: lr must be at least 0 and finite, not nan"),
    (put("optimizer", "class", "Optimizer"), "unknown class 'Optimizer'"),
    (put("optimizer", "more", 1), "unexpected keyword argument 'more'"),
    (put("loss", "SoftmaxCrossEntropy"), "its loss cannot be 'SoftmaxCrossEntropy'"),
    (put("loss", "class", {"class": "ReLU"}), "a class has a name, not"),
    (put("extra", "note", {"nnkit.tensor": "0.it"}), "it has no '0.it'"),
    (put("more", 1), "nnkit knows no 'more' in a configuration"),
    (put("version", True), "has checkpoint format True"),
    (put("model", "layers", 2, "class", "Layer"), "unknown class 'Layer'"),
    (put("model", "layers", 2, "class", "Activation"), "unknown class 'Activation'"),
    (put("model", "layers", 2, "class", "Chain"), "unknown class 'Chain'"),
    (put("model", "layers", 2, {"class": "ReLU"}), None),  # another network, and a sound one
    (put("model", "layers", 2, 5), "Sequential takes layers, not 5"),
    (put("model", "layers", 2, "@deep@"), "it cannot be used"),
    (
        put("model", "layers", 2, "alpha", "0.1"),
        "LeakyReLU: alpha must be a positive number, not",
    ),
    (put("model", "layers", []), "Sequential needs at least one layer"),
    (put("model", "layers", 2, "relu"), r"its model.layers\[2\] cannot be 'relu'"),
    (put("model", "frozen", ["9.weight"]), "its model.frozen cannot be"),
    (put("model", "fuse", "no"), "Sequential: fuse must be True or False, not 'no'"),
    (put("model", "seed", "1"), "Sequential: seed must be an integer, not '1'"),
    (put("model", "dtype", "int8"), "dtype must be float32 or float64, not 'int8'"),
    (put("model", "dtype", "float64"), r"its model.0.\w+ is of float32, not of float64"),
    (put("model", "more", 1), "unexpected keyword argument 'more'"),
    (put("model", 7), "its model cannot be built"),
    (put(*LAYER, "bias", 7), "Linear: bias must be True or False, not 7"),
    (put(*LAYER, "bias", False), "the model has no 0.bias"),
    (put(*LAYER, "in_features", 5), r"its 0.weight has shape \(4, 3\), but the model's has"),
    (convolution(kernel_size="5"), "kernel_size must be an integer of at least 1 or a pair"),
    (convolution(kernel_size=[5, 5, 5]), r"kernel_size must be .*, not \[5, 5, 5\]"),
    (convolution(kernel_size=[[5], 5]), r"kernel_size must be .*, not \[5\]"),
    (
        convolution(kernel_size=[5, 0]),
        "Conv2d: kernel_size must be an integer of at least 1, not 0",
    ),
    (convolution(kernel_size=[1e400, 1]), "kernel_size must be .*finite, not inf"),
    (convolution(stride=0), "Conv2d: stride must be an integer of at least 1, not 0"),
    (put(*LAYER, POOLING | {"stride": 2}), r"its model.layers\[0\].stride cannot be 2"),
    (convolution(padding="full"), "padding must be .*, not 'full'"),
    (convolution(groups=3), r"groups must divide in_channels and out_channels"),
    (convolution(class_="ConvTranspose2d"), "ConvTranspose2d.* unexpected keyword argument"),
    (put(*LAYER, {"class": "_Pooling", "size": [2, 2]}), "unknown class '_Pooling'"),
]
TENSORS = [
    (tensor("model.0.weight", one(np.nan)), "its model.0.weight holds NaN or infinity"),
    (tensor("optimizer.velocity.0.weight", one(np.inf)), "its optimizer.velocity.0.weight holds"),
    (tensor("callbacks.EarlyStopping.0.best.0.bias", one(np.nan)), "0.best.0.bias holds NaN"),
    (tensor("model.0.weight", lambda x: x.view("i4")), "0.weight is of int32, not of float32"),
    (tensor("model.0.bias", lambda x: x.astype("f8")), "its model.0.bias is of float64, not of"),
    (tensor("model.0.weight", lambda x: x.T.copy()), r"its 0.weight has shape \(3, 4\)"),
    (tensor("model.1.running_var", lambda x: x[:2]), r"its 1.running_var has shape \(2,\)"),
    (tensor("model.more", lambda _: X), "the model has no more"),
    (tensor("more", lambda _: X), "nnkit knows no tensor 'more'"),
    (tensor("model.counters", one(-1)), "its model.counters are damaged"),
    (tensor("model.counters", lambda x: x[:2]), "its model.counters are damaged"),
    (tensor("optimizer.counters", one(2**62)), "its optimizer.counters are damaged"),
    (tensor("optimizer.velocity.0.bias", lambda x: x.view("i4")), "0.bias is of int32, not of"),
    (tensor("optimizer.velocity.0.bias", lambda x: x[:2]), r"shape \(2,\), not \(3,\)"),
    (tensor("optimizer.m.0.bias", lambda _: X), "the model has no optimizer.m.0.bias"),
    (tensor("training.log", lambda x: x[:2]), "its training.log has 2 rows for 4 steps"),
    (tensor("training.log", lambda x: x.view("i8")), "its training.log is damaged"),
    (tensor("training.logs", lambda _: X), "nnkit knows no training.logs"),
    (tensor("history.loss", lambda x: x.astype("f4")), "loss has shape .1,. and dtype float32"),
    (tensor("history.accuracy", lambda x: np.ones(2)), "accuracy has 2 figures for 1 epochs"),
    (tensor("history.accuracy", lambda x: x + 1e308), "accuracies are not from 0 to 1"),
    (tensor("history.seconds", lambda x: x - 1e308), "its seconds are no times"),
    (tensor("history.seconds", lambda x: x + 1e308), "its seconds are no times"),
    (tensor("training.log", lambda x: x * np.nan), "steps with no number of right answers"),
    (tensor("history.more", lambda _: np.ones(2)), "a history has no 'more'"),
    (lambda config, tensors: tensors.pop("history.loss"), "a history must have 'loss'"),
    (tensor("callbacks.x", lambda _: X), "no callback has a tensor 'x'"),
]


@pytest.mark.parametrize(
    ("what", "message"), CONFIGURATIONS + TENSORS, ids=lambda x: x if isinstance(x, str) else ""
)
def test_what_cannot_be_is_refused(change, path, what, message):
    change(what)
    if message is None:
        assert isinstance(nnkit.Trainer.load(path, "numpy").model[2], nnkit.ReLU)
        return
    with pytest.raises(nnkit.CheckpointError, match=message) as caught:
        nnkit.Trainer.load(path, "numpy")
    assert str(path) in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("bit", range(0, 8, 3))
def test_every_changed_byte_is_noticed(change, path, bit):
    """A weight that is another by one bit would go unnoticed otherwise."""
    change(lambda config, tensors: None)
    data = bytearray(path.read_bytes())
    data[-9] ^= 1 << bit
    path.write_bytes(data)
    with pytest.raises(nnkit.CheckpointError, match="changed or damaged after it was written"):
        nnkit.Trainer.load(path, "numpy")


WIDE = {"class": "Linear", "in_features": 12_000, "out_features": 12_000, "bias": True}
NORM = {"class": "BatchNorm1d", "num_features": 10**10, "eps": 1e-5, "momentum": 0.1}
INNER = {"class": "Sequential", "layers": [WIDE], "seed": 0, "dtype": "float32", "fuse": True}
BESIDE = {"class": "Residual", "layers": [WIDE], "shortcut": None}
KERNELS = CONVOLUTION | {"kernel_size": [10**9, 10**9]}
GROUPS = CONVOLUTION | dict.fromkeys(("in_channels", "out_channels", "groups"), 10**9)
TRANSPOSED = {name: x for name, x in KERNELS.items() if name not in ("groups", "dilation")}
TRANSPOSED |= {"class": "ConvTranspose2d", "output_padding": [0, 0]}
LARGE = [WIDE, NORM, INNER, BESIDE, KERNELS, GROUPS, TRANSPOSED]


@pytest.mark.parametrize("layer", LARGE, ids=lambda x: x["class"])
@pytest.mark.parametrize("read", [nnkit.load, nnkit.Trainer.load])
def test_a_small_file_takes_little_memory(change, path, layer, read):
    change(put("model", "layers", 0, layer))
    tracemalloc.start()
    try:
        with pytest.raises(nnkit.CheckpointError, match="is more than the file's tensors hold"):
            read(path, "numpy")
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["Sequential", "Residual"])
def test_layers_nested_so_deeply_that_they_take_long(change, path, kind):
    def nest(config, tensors):
        layer = {"class": "Flatten"}
        for _ in range(70):
            layer = {"class": kind, "layers": [layer]}
            layer |= (
                INNER | {"layers": layer["layers"]} if kind == "Sequential" else {"shortcut": None}
            )
        config["model"]["layers"].insert(1, layer)

    change(nest)
    with pytest.raises(nnkit.CheckpointError, match="it is nested more than 128 deep"):
        nnkit.load(path, "numpy")


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("best.0.weight", lambda x: x[:2], r"its 0.weight has shape \(2, 3\)"),
        ("best.0.weight", lambda x: x.view("i4"), "its 0.weight is of int32"),
        ("best.more", lambda _: X, "the model has no more"),
        ("epoch", lambda x: np.array(x - 5), "its best epoch cannot be -"),
    ],
)
def test_what_callbacks_kept_is_refused_when_the_run_goes_on(change, path, name, make, message):
    change(tensor(f"callbacks.EarlyStopping.0.{name}", make))
    trainer = nnkit.Trainer.load(path, "numpy")
    before = trainer.model.state()
    with pytest.raises(nnkit.CheckpointError, match=f"was kept for EarlyStopping.0 .*: {message}"):
        trainer.resume(X, T, callbacks=[nnkit.EarlyStopping("loss")])
    assert all((before[name] == x).all() for name, x in trainer.model.state().items())


def test_numbers_that_were_changed_in_python_are_refused_too(change, path):
    change(lambda config, tensors: None)
    trainer = nnkit.Trainer.load(path, "numpy")
    trainer.progress.step = -(10**6)
    with pytest.raises(ValueError, match="a run cannot have step -1000000"):
        trainer.resume(X, T)


def test_more_steps_an_update_than_there_are_take_no_memory():
    progress = Progress(1, 3, 0, True, 10, 0, accumulate=2**50)
    assert progress.next_batches() == [3, 3, 3, 1]
    assert progress.factors(lambda update, total: 0.5).tolist() == [0.5] * 4
    model = nnkit.Sequential(nnkit.Linear(4, 2), backend="numpy")
    trainer = nnkit.Trainer(model)
    assert len(trainer.fit(X, T, 2, 3, accumulate=2**50)) == 2


def test_a_schedule_that_overflows_is_named(change, path):
    change(put("schedule", {"class": "StepDecay", "every": 1, "factor": 1e308}))
    trainer = nnkit.Trainer.load(path, "numpy")
    with pytest.raises(ValueError, match=r"StepDecay\(every=1, factor=1e\+308\) cannot be comput"):
        trainer.resume(X, T, 9)
