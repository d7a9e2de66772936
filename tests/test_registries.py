"""What is declared is exported and may be in a checkpoint; what a user declares is not."""

from __future__ import annotations

import inspect
import re

import pytest

import nnkit
from nnkit import layers, loading, losses, optimizers
from nnkit.kernels.table import ACTIVATIONS

MODULES = [layers.activations, losses, optimizers]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_a_file_exports_all_its_public_classes(module):
    bases = nnkit.Layer, nnkit.Loss, nnkit.Optimizer
    declared = {
        name
        for name, thing in vars(module).items()
        if inspect.isclass(thing) and issubclass(thing, bases) and not name.startswith("_")
    }
    assert set(module.__all__) == {
        name for name in declared if vars(module)[name].__module__ == module.__name__
    }
    assert set(module.__all__) <= set(nnkit.__all__)
    for name in module.__all__:
        assert getattr(nnkit, name) is getattr(module, name)


def test_every_row_of_the_table_has_a_name():
    assert set(ACTIVATIONS) <= set(nnkit.activations.NAMES)
    for kind in ACTIVATIONS:
        assert nnkit.activations.get(kind).kind == kind


def test_registries_hold_what_is_exported():
    assert losses.LOSS_CLASSES.keys() | {"Loss"} == set(losses.__all__)
    assert optimizers.OPTIMIZERS.keys() | {"Optimizer"} == set(optimizers.__all__)
    assert loading.LAYER_CLASSES.keys() | {"Swish", "Layer", "Activation"} == set(layers.__all__)


def test_what_a_user_declares_gets_into_no_registry(tmp_path):
    class Own(nnkit.Activation, kind="tanh"):
        pass

    class OwnLoss(nnkit.MeanSquaredError):
        pass

    class OwnOptimizer(nnkit.SGD):
        pass

    assert type(nnkit.activations.get("tanh")) is nnkit.Tanh
    assert "OwnLoss" not in losses.LOSS_CLASSES
    assert "OwnOptimizer" not in optimizers.OPTIMIZERS
    model = nnkit.Sequential(nnkit.Linear(2, 2), Own(), backend="numpy")
    model.save(tmp_path / "own.safetensors")
    with pytest.raises(nnkit.CheckpointError, match="unknown class 'Own'"):
        nnkit.load(tmp_path / "own.safetensors", "numpy")
    again = nnkit.load(tmp_path / "own.safetensors", "numpy", custom_layers=[Own])
    assert type(again[1]) is Own
    for what in (OwnLoss(), None), (None, OwnOptimizer()):
        path = tmp_path / "trainer.safetensors"
        nnkit.Trainer(nnkit.Sequential(nnkit.Linear(2, 2), backend="numpy"), *what).save(path)
        part, name = ("loss", "OwnLoss") if what[0] else ("optimizer", "OwnOptimizer")
        with pytest.raises(
            nnkit.CheckpointError,
            match=f"^{re.escape(str(path))}: its {part} is of the unknown class '{name}', "
            r"which is not nnkit's: only the model can be read, with nnkit\.load$",
        ):
            nnkit.Trainer.load(path, "numpy")
        assert nnkit.load(path, "numpy").out_features == 2


def test_an_activation_is_capturable_unless_it_writes_a_pass():
    class Plain(nnkit.Activation, kind="relu"):
        pass

    class Written(nnkit.Activation, kind="relu"):
        def forward(self, x):
            return super().forward(x)

    class Said(Written, kind="relu"):
        capturable = True

    assert [cls.capturable for cls in (Plain, Written, Said)] == [True, False, True]


def test_a_kind_must_be_in_the_table():
    with pytest.raises(ValueError, match="Odd: the table of activations has no row 'odd'"):

        class Odd(nnkit.Activation, kind="odd"):
            pass
