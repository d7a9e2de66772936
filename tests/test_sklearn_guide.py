"""The code in docs/sklearn.md runs as it is written there, and its table is right."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

import nnkit
from bench import estimators
from nnkit.sklearn import MLPClassifier, MLPRegressor

GUIDE = Path(__file__).resolve().parents[1] / "docs" / "sklearn.md"
TEXT = GUIDE.read_text("utf-8")


def test_the_guide_to_estimators(monkeypatch, capsys):
    """What it prints are shares of right answers, which other machines round otherwise."""
    names = {}
    with nnkit.use_backend("numpy"):
        for block, output in re.findall(
            r"```python\n(.*?)```\n\n```text\n(.*?)```", TEXT, re.DOTALL
        ):
            exec(compile(block, "sklearn.md", "exec"), names)
            printed = capsys.readouterr().out
            if output.endswith("%\n"):
                assert float(printed[:-2]) == pytest.approx(float(output[:-2]), abs=1.5)
            else:
                assert printed == output
    assert names["network"].model_[0].height == 8


def test_the_table_of_scikit_learns_parameters():
    table = TEXT.partition("| scikit-learn | nnkit |")[2].partition("\n\n")[0]
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


def test_the_bench_compares_the_same_work(capsys):
    estimators.main(["--backend", "numpy", "--rounds", "1", "iris"])
    _, there, here, single = capsys.readouterr().out.splitlines()
    for line in (there, here, single):
        name, _, rest = line.partition("0.97")
        assert name.startswith("iris"), line
        assert " 200.0 " in rest, "iterations"
