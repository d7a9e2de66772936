"""Estimators in scikit-learn's world: its checks, pipelines, searches, tables."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

import joblib
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits, load_iris, make_multilabel_classification
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import nnkit
from nnkit.sklearn import MLPClassifier, MLPRegressor, NetworkClassifier, NetworkRegressor
from tests.conftest import BACKENDS

X, T = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[T]
SKIPPED = {
    "check_array_api_input",
    "check_classifiers_multilabel_output_format_decision_function",
}
"""Array API input is off unless the environment asks for it; there is no decision function."""
unfinished = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
on_cpu = pytest.mark.parametrize("place", [name for name in BACKENDS if name != "cupy"])


def network(features, outputs):
    """In float64, because scikit-learn compares predictions by rows and in batches to 1e-7."""
    layers = nnkit.Linear(features, 16), "relu", nnkit.Linear(16, outputs)
    return nnkit.Sequential(*layers, dtype="float64")


def images(features, outputs):
    side = int(features**0.5)
    layers = nnkit.Image(side, side), nnkit.Conv2d(1, 4, 3), "relu", nnkit.MaxPool2d(2)
    inner = nnkit.Sequential(*layers, nnkit.Flatten(), seed=0)
    width = inner.output_shape((features,))[0]
    return nnkit.Sequential(*inner, nnkit.Linear(width, outputs))


ESTIMATORS = {
    "classifier": MLPClassifier(max_iter=30),
    "regressor": MLPRegressor(max_iter=30),
    "network": NetworkClassifier(network, optimizer=nnkit.Adam(0.01)),
    "network of numbers": NetworkRegressor(network, optimizer=nnkit.Adam(0.05)),
}


# ------------------------------------------------------------------ scikit-learn's checks


@on_cpu
@pytest.mark.parametrize("kind", ESTIMATORS)
@pytest.mark.filterwarnings("ignore")
def test_the_checks_of_scikit_learn(kind, place):
    """All of them; none is expected to fail."""
    if place == "numba":
        pytest.importorskip("numba")
    with nnkit.use_backend(place):
        found = check_estimator(clone(ESTIMATORS[kind]), on_skip=None)
    skipped = {each["check_name"] for each in found if each["status"] != "passed"}
    assert skipped <= SKIPPED
    assert len(found) > 50


# ------------------------------------------------------------------ pipelines and searches


def test_a_search_by_processes(tmp_path):
    """With names of classes, the result written to a file, and threads that share the cores."""
    mlp = MLPClassifier(8, solver="lbfgs", tol=0.01, random_state=0, backend="numpy")
    pipeline = make_pipeline(StandardScaler(), mlp)
    search = GridSearchCV(pipeline, {"mlpclassifier__alpha": [0.01, 100.0]}, cv=3, n_jobs=2)
    search.fit(X, NAMES)
    assert search.best_params_ == {"mlpclassifier__alpha": 0.01}
    assert search.score(X, NAMES) > 0.95
    joblib.dump(search, tmp_path / "search.joblib")
    again = joblib.load(tmp_path / "search.joblib")
    np.testing.assert_array_equal(again.predict(X), search.predict(X))


def test_processes_share_the_cores():
    """joblib says by NUMBA_NUM_THREADS how many threads each of its processes may use."""
    count = joblib.delayed(_threads)()
    with joblib.parallel_config("loky", inner_max_num_threads=1):
        assert joblib.Parallel(n_jobs=2)([count, count]) == [1, 1]


def _threads():
    from nnkit.kernels.numba.runtime import threads

    return threads.count()


@unfinished
def test_cross_validation_and_clones():
    net = NetworkClassifier(network, epochs=30, optimizer=nnkit.Adam(0.01), random_state=0)
    scaled = make_pipeline(StandardScaler(), net)
    assert cross_val_score(scaled, X, NAMES, cv=3).min() > 0.85
    assert clone(net).get_params().keys() == net.get_params().keys()
    assert net.optimizer.state()[0] == {}, "a copy was trained with"
    assert "epochs=30" in repr(net)


# ------------------------------------------------------------------ tables


@unfinished
def test_data_frames():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    columns = [f"column {i}" for i in range(4)]
    plain = MLPClassifier(8, max_iter=5, random_state=0).fit(X, NAMES)
    for make in (pandas.DataFrame, polars.DataFrame):
        frame = make(dict(zip(columns, X.T, strict=True)))
        mlp = MLPClassifier(8, max_iter=5, random_state=0).fit(frame, make({"t": NAMES})["t"])
        assert mlp.feature_names_in_.tolist() == columns
        np.testing.assert_array_equal(mlp.predict_proba(frame), plain.predict_proba(X))
        with pytest.raises(ValueError, match="feature names should match"):
            mlp.predict(frame[columns[::-1]])
    scaled = make_pipeline(StandardScaler(), mlp).set_output(transform="pandas")
    frame = pandas.DataFrame(X, columns=columns).assign(kind=NAMES)
    assert [*scaled[:-1].fit_transform(frame[columns]).columns] == columns
    mixed = make_column_transformer((OneHotEncoder(), ["kind"]), remainder="passthrough")
    assert make_pipeline(mixed, clone(plain)).fit(frame, T).predict(frame).shape == (150,)


@unfinished
@pytest.mark.parametrize("kind", ["csr_matrix", "csc_array"])
def test_sparse_tables(kind):
    import scipy.sparse

    x = np.where(X > 2, X, 0)
    sparse = getattr(scipy.sparse, kind)(x)
    mlp = MLPClassifier(8, solver="lbfgs", max_iter=20, random_state=0)
    dense = clone(mlp).fit(x, T).predict_proba(x)
    np.testing.assert_array_equal(mlp.fit(sparse, T).predict_proba(sparse), dense)


@unfinished
def test_large_sparse_tables(monkeypatch):
    """Made dense by batches, for any solver but lbfgs."""
    import scipy.sparse

    sparse, results = scipy.sparse.csr_array(np.where(X > 2, X, 0)), []
    for most in (nnkit.sklearn.estimator.LARGEST, 0):
        monkeypatch.setattr(nnkit.sklearn.estimator, "LARGEST", most)
        how = {"max_iter": 5, "random_state": 0, "early_stopping": True}
        net = NetworkClassifier(network, epochs=2, random_state=0).fit(sparse, T)
        mlp = MLPClassifier(8, **how).fit(sparse, T, sample_weight=1 + T)
        results.append(np.hstack([e.predict_proba(sparse) for e in (net, mlp)]))
    np.testing.assert_allclose(*results, rtol=1e-9)


# ------------------------------------------------------------------ any model


def test_images_in_rows():
    """A convolutional network; the seeds come from `random_state`."""
    x, t = load_digits(return_X_y=True)
    x, t = x[:600], t[:600]
    how = {"epochs": 8, "optimizer": nnkit.Adam(0.01), "scale": 1 / 16, "validation_split": 0.2}
    one, again, other = (
        NetworkClassifier(images, random_state=seed, **how).fit(x, t) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.predict_proba(x), again.predict_proba(x))
    assert not np.array_equal(one.predict_proba(x), other.predict_proba(x))
    assert one.score(x, t) > 0.9
    assert (len(one.history_), one.n_iter_, one.loss_) == (8, 8, one.history_.loss[-1])
    assert one.history_.val_accuracy[-1] > 0.8


def test_networks_of_labels_and_numbers():
    x, t = make_multilabel_classification(60, random_state=0)
    net = NetworkClassifier(network, epochs=90, optimizer=nnkit.Adam(0.02), random_state=0)
    assert net.fit(x, t).score(x, t) > 0.9
    how = {"optimizer": nnkit.Adam(0.02), "random_state": 0}
    numbers = NetworkRegressor(network, loss="poisson", epochs=60, scale=0.1, **how)
    numbers.fit(X, np.c_[T, 2 - T])
    assert numbers.score(X, np.c_[T, 2 - T]) > 0.8
    assert numbers.predict(X).min() > 0, "rates"
    chances = NetworkRegressor(network, loss="bce_with_logits", epochs=20, random_state=0)
    assert set(np.ravel(chances.fit(X, T / 2).predict(X) < 1)) == {True}


def test_weights_of_classes():
    """As scikit-learn has them, by names; they multiply those of the examples."""
    rare = np.r_[:50, 50:56, 100:150]
    x, t = X[rare], NAMES[rare]
    found = {}
    for weights in (None, "balanced", {"versicolor": 100.0, "setosa": 1.0, "virginica": 1.0}):
        net = NetworkClassifier(network, class_weight=weights, epochs=40, random_state=0)
        found[str(weights)] = (net.fit(x, t, np.ones(len(t))).predict(X) == "versicolor").sum()
    assert found["None"] < found["balanced"] <= found[str(weights)]


def test_a_network_goes_on():
    net = NetworkClassifier(network, epochs=2, random_state=0, warm_start=True)
    first = net.fit(X, T).model_
    assert net.fit(X, T).model_ is first
    assert net.partial_fit(X, T).n_iter_ == 5
    with pytest.raises(ValueError, match="warm_start can only be used where"):
        net.fit(X, T + 1)
    numbers = NetworkRegressor(network, random_state=0).partial_fit(X, T).partial_fit(X, T)
    assert numbers.n_iter_ == 2


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (
            lambda d, k: None,
            TypeError,
            r"build\(4, 3\) must return a nnkit.Sequential, not None",
        ),
        (
            lambda d, k: nnkit.Sequential(nnkit.Linear(d, 5)),
            ValueError,
            r"build\(4, 3\) must return a model of 3 outputs, but its last layer gives 5: make it",
        ),
    ],
)
def test_models_that_cannot_be(build, error, message):
    with pytest.raises(error, match=f"^NetworkClassifier: {message}"):
        NetworkClassifier(build).fit(X, T)


def test_networks_that_cannot_be_fitted():
    with pytest.raises(ValueError, match="two classes at least, but y has one class only: 'a'"):
        NetworkClassifier(network).fit(X, ["a"] * 150)
    with pytest.raises(ValueError, match="NetworkClassifier: epochs must be an integer of at"):
        NetworkClassifier(network, epochs=0).fit(X, T)
    for loss, name in {"mse": "MeanSquaredError", "hinge": "HingeLoss"}.items():
        with pytest.raises(
            ValueError,
            match="^NetworkClassifier: loss must be SoftmaxCrossEntropy or CategoricalCrossEntropy "
            f"for classes, not {name}, which gives no probability of each$",
        ):
            NetworkClassifier(network, loss=loss).fit(X, T)
    message = "loss must be SigmoidCrossEntropy or BinaryCrossEntropy for labels that each apply"
    with pytest.raises(ValueError, match=message):
        NetworkClassifier(network, loss="cross_entropy").fit(X, np.c_[T == 0, T > 0].astype(int))
    with pytest.raises(NotFittedError):
        NetworkRegressor(network).predict(X)


# ------------------------------------------------------------------ without scikit-learn


def test_without_scikit_learn():
    code = """
import sys
class NoSklearn:
    def find_spec(self, name, path=None, target=None):
        if name == "sklearn":
            raise ModuleNotFoundError("No module named 'sklearn'", name=name)
sys.meta_path.insert(0, NoSklearn())
import nnkit
try:
    nnkit.sklearn
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "nnkit.sklearn needs scikit-learn: pip install 'scikit-learn>=1.7'\n"


def test_nothing_of_it_is_imported_with_nnkit():
    code = "import sys, nnkit; print({'sklearn', 'scipy', 'joblib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="MLPClassifier"):
        nnkit.sklearn.MLPClasifier  # noqa: B018
