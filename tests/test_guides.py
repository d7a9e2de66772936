"""The code in docs/models.md and docs/sklearn.md runs as it is written there."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import nnkit

GUIDE = Path(__file__).resolve().parents[1] / "docs" / "models.md"
TEXT = GUIDE.read_text("utf-8")


def test_the_guide_to_models(tmp_path, monkeypatch, rng, capsys):
    monkeypatch.chdir(tmp_path)
    names = {"nnkit": nnkit, "x": rng.random((64, 64))}
    with nnkit.use_backend("numpy"):
        for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
            exec(compile(block, GUIDE.name, "exec"), names)
        assert "3.1.0: Linear(in_features=32, out_features=8, bias=True)" in capsys.readouterr().out
        saved = nnkit.load("encoder.safetensors")
        np.testing.assert_array_equal(saved(names["x"]), names["encoder"](names["x"]))
        assert len(names["both"].runs()) == len(names["encoder"].runs()) == 1


IMAGE_LAYERS = re.findall(
    r"^\| `(\w+\(.*?\))` \| (\(.*?\)) \| (\(.*?\)) \| ([\d,]+) \|", TEXT, re.M
)


@pytest.mark.parametrize(("call", "before", "behind", "count"), IMAGE_LAYERS)
def test_the_table_of_layers_for_images(call, before, behind, count):
    layer = eval(call, vars(nnkit))
    assert repr(layer.output_shape(eval(before))) == behind
    assert f"{sum(p.size for p in layer.parameters()):,}" == count


def test_the_table_has_all_layers_for_images():
    shown = {call.partition("(")[0] for call, *_ in IMAGE_LAYERS}
    for name in nnkit.layers.__all__:
        if name.endswith("2d"):
            assert name in shown


ESTIMATORS = GUIDE.with_name("sklearn.md").read_text("utf-8")


def test_the_guide_to_estimators(monkeypatch, capsys):
    """What it prints are shares of right answers, which other machines round otherwise."""
    pytest.importorskip("sklearn")
    names = {}
    with nnkit.use_backend("numpy"):
        for block, output in re.findall(
            r"```python\n(.*?)```\n\n```text\n(.*?)```", ESTIMATORS, re.DOTALL
        ):
            exec(compile(block, "sklearn.md", "exec"), names)
            printed = capsys.readouterr().out
            if output.endswith("%\n"):
                assert float(printed[:-2]) == pytest.approx(float(output[:-2]), abs=1.5)
            else:
                assert printed == output
    assert names["network"].model_[0].height == 8


def test_the_table_of_scikit_learns_parameters():
    pytest.importorskip("sklearn")
    from nnkit.sklearn import MLPClassifier, MLPRegressor

    table = ESTIMATORS.partition("| scikit-learn | nnkit |")[2].partition("\n\n")[0]
    told = {
        name for row in table.split("\n| ") for name in re.findall(r"`(\w+)", row.split(" | ")[0])
    }
    plain = {"random_state", "shuffle", "verbose", "warm_start"}  # the same everywhere
    own = {"backend", "dtype", "dropout", "callbacks"}
    parameters = MLPClassifier().get_params().keys() | MLPRegressor().get_params().keys()
    assert told - {"coefs_", "intercepts_"} == parameters - plain - own

    x, t = np.random.default_rng(0).random((30, 4)), np.arange(30) % 3
    how = {"hidden_layer_sizes": (5, 2), "activation": "logistic", "max_iter": 1, "tol": 9.0}
    sgd = {"solver": "sgd", "learning_rate_init": 0.02}
    with nnkit.use_backend("numpy"), pytest.warns(UserWarning, match="Maximum iterations"):
        mlp = MLPClassifier(**how, **sgd).fit(x, t)
        adam = MLPRegressor(**how, loss="poisson", epsilon=1e-6, beta_1=0.8).fit(x, t)
    assert [repr(layer).partition(", bias")[0] for layer in mlp.model_] == [
        *("Linear(in_features=4, out_features=5", "Sigmoid()"),
        *("Linear(in_features=5, out_features=2", "Sigmoid()"),
        "Linear(in_features=2, out_features=3",
    ]
    optimizer = mlp._trainer.optimizer
    assert (optimizer.lr, optimizer.momentum, optimizer.nesterov) == (0.02, 0.9, True)
    assert (adam._trainer.optimizer.eps, adam._trainer.optimizer.beta1) == (1e-6, 0.8)
    assert mlp._trainer.progress.batch_size == 30
    losses = [type(each._loss).__name__ for each in (mlp, adam)]
    assert losses == ["SoftmaxCrossEntropy", "PoissonLoss"]
    assert mlp.coefs_[1] is not None and np.shares_memory(mlp.coefs_[1], mlp.model_[2].W.value)
    assert np.shares_memory(mlp.intercepts_[1], mlp.model_[2].b.value)
