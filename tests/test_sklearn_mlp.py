"""`nnkit.sklearn`'s perceptrons are scikit-learn's: the same parameters, figures and numbers."""

from __future__ import annotations

import pickle
import warnings
from inspect import signature

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

import sklearn.neural_network
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_iris,
    make_multilabel_classification,
    make_regression,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import minmax_scale, scale
from sklearn.utils.multiclass import type_of_target

import nnkit
from nnkit.sklearn import MLPClassifier, MLPRegressor
from tests.conftest import BACKENDS

IRIS = load_iris(return_X_y=True)
CANCER = scale(load_breast_cancer().data), load_breast_cancer().target
DIABETES = load_diabetes(return_X_y=True)
LABELS = make_multilabel_classification(n_samples=60, random_state=0)
NUMBERS = tuple(a / 20 for a in make_regression(90, n_targets=3, random_state=0))
COUNTS = np.abs(DIABETES[0]), np.random.default_rng(0).poisson(2, len(DIABETES[0]))
SGD = {"solver": "sgd", "learning_rate_init": 0.01}
unfinished = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def both(kind, data, **parameters):
    """scikit-learn's and ours, fitted."""
    x, t, *weights = data
    parameters = {"hidden_layer_sizes": 10, "max_iter": 15, "random_state": 3} | parameters
    for module in (sklearn.neural_network, nnkit.sklearn):
        yield getattr(module, kind)(**parameters).fit(x, t, *weights)


# ------------------------------------------------------------------ as there


@unfinished
@pytest.mark.parametrize(
    ("kind", "data", "parameters"),
    [
        ("MLPClassifier", IRIS, SGD | {"batch_size": 40, "alpha": 1.0}),
        ("MLPClassifier", IRIS, SGD | {"learning_rate": "adaptive", "tol": 0.1, "max_iter": 60}),
        ("MLPClassifier", IRIS, SGD | {"learning_rate": "invscaling", "shuffle": False}),
        ("MLPClassifier", CANCER, SGD | {"nesterovs_momentum": False, "activation": "logistic"}),
        ("MLPClassifier", CANCER, SGD | {"momentum": 1.0, "activation": "tanh"}),
        ("MLPClassifier", CANCER, SGD | {"early_stopping": True, "n_iter_no_change": 2}),
        ("MLPClassifier", LABELS, SGD | {"alpha": 2.0, "hidden_layer_sizes": (6, 5)}),
        ("MLPClassifier", LABELS, {"solver": "lbfgs", "alpha": 2.0}),
        ("MLPClassifier", IRIS, {"solver": "lbfgs", "activation": "identity"}),
        ("MLPRegressor", NUMBERS, SGD | {"alpha": 1.0, "hidden_layer_sizes": []}),
        ("MLPRegressor", (*DIABETES, 1 + DIABETES[1] % 3), {"solver": "lbfgs"}),
        ("MLPRegressor", COUNTS, SGD | {"loss": "poisson"}),
        ("MLPRegressor", (*COUNTS, 1.0 + COUNTS[1]), {"loss": "poisson", "solver": "lbfgs"}),
    ],
)
def test_the_same_random_state_gives_the_same_network(kind, data, parameters):
    there, here = both(kind, data, **parameters)
    np.testing.assert_allclose(here.loss_, there.loss_, rtol=1e-9)
    for ours, theirs in zip(
        here.coefs_ + here.intercepts_, there.coefs_ + there.intercepts_, strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-8)
    for name in FIGURES:
        ours, theirs = (getattr(e, name, "absent") for e in (here, there))
        assert ours == (theirs if theirs in (None, "absent") else pytest.approx(theirs)), name
    assert here.score(*data[:2]) == pytest.approx(there.score(*data[:2]))


FIGURES = [
    *("n_iter_", "t_", "n_layers_", "n_outputs_", "n_features_in_", "out_activation_"),
    *("loss_curve_", "best_loss_", "validation_scores_", "best_validation_score_"),
]


@unfinished
def test_adam_differs_by_the_place_of_its_epsilon():
    there, here = both("MLPClassifier", CANCER, max_iter=10)
    np.testing.assert_allclose(here.loss_curve_, there.loss_curve_, rtol=1e-5)
    np.testing.assert_allclose(here.coefs_[0], there.coefs_[0], atol=1e-4)


@unfinished
def test_each_backend(backend, small):
    """A captured step, a smaller last batch, the penalty and a multiple of the loss on each."""
    x, t = (a[: 9 if small else 60] for a in LABELS)
    how = SGD | {"hidden_layer_sizes": 4, "batch_size": 4, "alpha": 1.0, "max_iter": 2}
    there, here = (e for e in both("MLPClassifier", (x, t), **how))
    with nnkit.use_backend(backend):
        here = MLPClassifier(random_state=3, **how).fit(x, t)
    np.testing.assert_allclose(here.loss_curve_, there.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(here.coefs_[0], there.coefs_[0], rtol=1e-9)
    np.testing.assert_allclose(here.predict_proba(x), there.predict_proba(x), rtol=1e-9)


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_parameters_and_their_defaults(kind):
    theirs, ours = (
        signature(getattr(module, kind)).parameters.items()
        for module in (sklearn.neural_network, nnkit.sklearn)
    )
    ours = [(name, p.default, p.kind) for name, p in ours]
    assert ours[: len(theirs)] == [(name, p.default, p.kind) for name, p in theirs]
    assert [name for name, *_ in ours[len(theirs) :]] == [
        "backend",
        "dtype",
        "dropout",
        "callbacks",
    ]


# ------------------------------------------------------------------ scikit-learn's tests, retold

PAIRS = minmax_scale(IRIS[0][20:80]), IRIS[1][20:80]
"""Of two classes."""


@unfinished
def test_a_larger_alpha_gives_smaller_weights():
    sums = [
        [np.abs(w).sum() for w in MLPClassifier(10, alpha=alpha, random_state=1).fit(*PAIRS).coefs_]
        for alpha in (0, 1)
    ]
    assert np.all(np.array(sums[0]) > sums[1])


@unfinished
def test_an_epoch_worked_out_by_hand():
    """The numbers are scikit-learn's, in test_fit of its test_mlp.py."""
    x = np.array([[0.6, 0.8, 0.7]])
    how = {"solver": "sgd", "learning_rate_init": 0.1, "alpha": 0.1, "momentum": 0}
    mlp = MLPClassifier(2, "logistic", **how, random_state=1).partial_fit(x, [0], classes=[0, 1])
    mlp.coefs_ = [np.array([[0.1, 0.2], [0.3, 0.1], [0.5, 0]]), np.array([[0.1], [0.2]])]
    mlp.intercepts_ = [np.array([0.1, 0.1]), np.array([1.0])]
    mlp.partial_fit(x, [0])
    first = [[0.098, 0.195756], [0.2956664, 0.096008], [0.4939998, -0.002244]]
    np.testing.assert_allclose(mlp.coefs_[0], first, atol=1e-3)
    np.testing.assert_allclose(mlp.coefs_[1], [[0.04706], [0.154089]], atol=1e-3)
    np.testing.assert_allclose(mlp.intercepts_[0], [0.098333, 0.09626], atol=1e-3)
    assert mlp.intercepts_[1] == pytest.approx([0.9235], abs=1e-3)
    assert mlp.predict_proba(x)[0, 1] == pytest.approx(0.739, abs=1e-3)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_lbfgs_fits_numbers(activation):
    """A network that is not linear fits noise better than one that is."""
    x, t = make_regression(n_samples=100, n_features=10, bias=20.0, noise=100.0, random_state=7)
    t = scale(t)
    how = {"solver": "lbfgs", "max_iter": 200, "tol": 1e-3, "random_state": 1}
    mlp = MLPRegressor(hidden_layer_sizes=50, activation=activation, **how).fit(x, t)
    assert mlp.score(x, t) > (0.7 if activation == "identity" else 0.98)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_max_fun_limits_lbfgs(kind):
    mlp = kind(hidden_layer_sizes=10, solver="lbfgs", max_fun=5, tol=0, random_state=1)
    with pytest.warns(
        ConvergenceWarning, match=r"Increase max_iter \(now 200\) or max_fun \(now 5"
    ):
        mlp.fit(*PAIRS)
    assert mlp.n_iter_ <= 5


def test_several_labels_a_row():
    x, t = LABELS
    mlp = MLPClassifier(50, "logistic", solver="lbfgs", alpha=1e-5, max_iter=150, random_state=0)
    assert mlp.fit(x, t).score(x, t) > 0.97
    p = mlp.predict_proba(x)
    np.testing.assert_array_equal(p > 0.5, t == 1)
    assert np.abs(p.sum(axis=1) - 1).max() > 1e-5, "each label by itself"
    np.testing.assert_allclose(mlp.predict_log_proba(x), np.log(p))
    little = MLPClassifier(5, "logistic", solver="sgd", learning_rate_init=0.2, random_state=0)
    for _ in range(3):
        little.partial_fit(x, t, classes=[0, 1, 2, 3, 4])
    assert little.predict(x).shape == t.shape


@unfinished
@pytest.mark.parametrize("momentum", [0, 0.9])
def test_epochs_one_by_one_are_those_of_fit(momentum):
    """In full batches, which have no order; the velocity goes on from call to call."""
    x, t = NUMBERS
    how = {"momentum": momentum, "batch_size": len(x), "random_state": 1} | SGD
    whole = MLPRegressor(hidden_layer_sizes=8, **how, max_iter=30).fit(x, t)
    each = MLPRegressor(hidden_layer_sizes=8, **how)
    for _ in range(30):
        each.partial_fit(x, t)
    np.testing.assert_allclose(each.predict(x), whole.predict(x), rtol=1e-9)
    assert (each.t_, each.loss_curve_) == (whole.t_, pytest.approx(whole.loss_curve_))


def test_classes_of_later_calls():
    mlp = MLPClassifier(4, random_state=0)
    mlp.partial_fit([[1], [2], [3]], ["a", "b", "c"], classes=["a", "b", "c", "d"])
    mlp.partial_fit([[4]], ["d"])
    assert mlp.classes_.tolist() == ["a", "b", "c", "d"]
    with pytest.raises(
        ValueError, match=r"`y` has classes not in `self.classes_`. .* \['e'\]: give"
    ):
        mlp.partial_fit([[4]], ["e"])
    with pytest.raises(ValueError, match="expects discrete classes on a regression target"):
        mlp.partial_fit([[4], [5]], [0.5, 1.5])
    with pytest.raises(ValueError, match="but y has 2 columns of classes: fit one for each"):
        mlp.partial_fit([[4], [5]], [["a", "b"], ["b", "c"]])
    mlp.partial_fit([[4]], ["d"], classes=["d", "c", "b", "a"])
    with pytest.raises(ValueError, match="is not the same as on last call to partial_fit"):
        mlp.partial_fit([[1]], ["a"], classes=["a", "b"])
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        MLPClassifier().partial_fit([[1]], ["a"])
    assert not hasattr(MLPClassifier(solver="lbfgs"), "partial_fit")


@unfinished
def test_weights_that_are_not_finite():
    x = np.finfo(float).max * np.random.default_rng(0).random((10, 2))
    with pytest.raises(ValueError, match=r"^Solver produced non-finite parameter weights.*Scaler"):
        MLPRegressor().fit(x, np.arange(10.0))


@unfinished
def test_the_order_matters_if_it_is_drawn():
    x, t = NUMBERS[0][:30], NUMBERS[1][:30]
    how = {"max_iter": 1, "batch_size": 1, "random_state": 0}
    drawn, kept = (
        [MLPRegressor(hidden_layer_sizes=1, shuffle=s, **how).fit(x, t).coefs_[0] for _ in "12"]
        for s in (True, False)
    )
    np.testing.assert_array_equal(*drawn)
    np.testing.assert_array_equal(*kept)
    assert not np.array_equal(drawn[0], kept[0])


def test_a_large_tolerance_ends_soon_and_none_at_all_never():
    x, t = [[3, 2], [1, 6]], [1, 0]
    assert MLPClassifier(tol=0.5, max_iter=3000, solver="sgd").fit(x, t).n_iter_ < 100
    never = MLPClassifier(4, tol=1e9, max_iter=40, solver="sgd", n_iter_no_change=np.inf)
    with pytest.warns(
        ConvergenceWarning, match=r"^Stochastic Optimizer: Maximum iterations \(40\)"
    ):
        assert never.fit(x, t).n_iter_ == 40
    for patience in (2, 5, 10):
        mlp = MLPClassifier(tol=1e9, solver="sgd", n_iter_no_change=patience).fit(x, t)
        assert mlp.n_iter_ == patience + 2, "the first epoch improves on nothing"


def test_what_is_told(capsys):
    mlp = MLPClassifier(2, solver="sgd", max_iter=2, verbose=True, tol=0)
    with pytest.warns(ConvergenceWarning):
        mlp.fit([[3, 2], [1, 6]], [1, 0])
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"Iteration {i + 1}, loss = {x:.8f}" for i, x in enumerate(mlp.loss_curve_)]
    mlp.set_params(tol=9.0, max_iter=50, n_iter_no_change=1).fit([[3, 2], [1, 6]], [1, 0])
    end = "Training loss did not improve more than tol=9.000000 for 1 consecutive epochs. Stopping."
    assert capsys.readouterr().out.splitlines()[-1] == end


def test_early_stopping():
    mlp = MLPClassifier(8, tol=0.2, max_iter=3000, early_stopping=True, random_state=0, **SGD)
    mlp.fit(*PAIRS)
    assert mlp.n_iter_ < 3000
    assert mlp.best_loss_ is None
    assert max(mlp.validation_scores_) == mlp.best_validation_score_
    with pytest.raises(
        ValueError, match="partial_fit does not support early_stopping=True: set it"
    ):
        mlp.partial_fit(*PAIRS)
    with pytest.raises(ValueError, match=r"only 1 member.*too few members are: \['b'\]"):
        MLPClassifier(early_stopping=True).fit([[1], [2], [3], [4]], list("aaab"))
    with pytest.raises(ValueError, match="The validation set is too small"):
        MLPRegressor(early_stopping=True).fit([[1.0], [2]], [1.0, 2])


def test_a_rate_that_gets_smaller():
    mlp = MLPClassifier(tol=0.5, max_iter=3000, solver="sgd", learning_rate="adaptive")
    mlp.fit([[3, 2], [1, 6]], [1, 0])
    assert mlp._trainer.optimizer.lr < 1e-6


def test_going_on_with_what_was_fitted():
    how = {"warm_start": True, "random_state": 0, "max_iter": 3}
    for kind in (MLPClassifier, MLPRegressor):
        mlp = kind(hidden_layer_sizes=4, **how, n_iter_no_change=np.inf)
        for curve in (3, 6):
            with pytest.warns(ConvergenceWarning):
                mlp.fit(*IRIS)
            assert (mlp.n_iter_, len(mlp.loss_curve_)) == (3, curve)
        with pytest.raises(ValueError, match=r"layers of \[4, 4, .\] units and cannot go on with"):
            mlp.set_params(hidden_layer_sizes=5).fit(*IRIS)
    message = "the same classes as in the previous call to fit. Previously got"
    with pytest.raises(ValueError, match=message):
        MLPClassifier(4, solver="lbfgs", warm_start=True, tol=0.1).fit(*IRIS).fit(
            IRIS[0], IRIS[1] + 1
        )


@unfinished
def test_going_on_in_another_way():
    """The figures that the new solver, or the new way of stopping, goes by begin anew."""
    mlp = MLPClassifier(4, warm_start=True, max_iter=2, random_state=0)
    stopping = ("validation_scores_", "best_validation_score_")
    for length, parameters in enumerate(
        [{"solver": "lbfgs"}, {"solver": "adam"}, {"early_stopping": True}, {"solver": "lbfgs"}]
    ):
        mlp.set_params(**parameters).fit(*IRIS)
        assert len(getattr(mlp, "loss_curve_", ())) == (0, 2, 4, 4)[length]
    assert (mlp.best_loss_, len(mlp.validation_scores_)) == (None, 2)
    mlp.set_params(solver="sgd", early_stopping=False).partial_fit(*IRIS)
    assert mlp.best_loss_ == mlp.loss_curve_[4]
    assert [getattr(mlp, name) for name in stopping] == [None, None]
    mlp.set_params(warm_start=False, solver="lbfgs").fit(*IRIS)
    assert not any(hasattr(mlp, name) for name in ("loss_curve_", "best_loss_", *stopping))


def test_lbfgs_lets_go_of_the_data():
    mlp = MLPClassifier(4, solver="lbfgs", tol=0.1, random_state=0).fit(*IRIS)
    kept = [value for _, layer in mlp.model_.walk() for value in vars(layer).values()]
    assert not any(value.size >= 150 for value in kept if isinstance(value, np.ndarray))


def test_training_that_diverges_ends():
    """The score of what is set aside is NaN then, and weights of the best epoch are kept."""
    how = SGD | {"learning_rate_init": 1, "early_stopping": True, "max_iter": 20}
    mlp = MLPRegressor(activation="identity", **how, random_state=0)
    with (
        pytest.warns(ConvergenceWarning),
        pytest.warns(
            nnkit.DivergenceWarning,
            match="^training has diverged, and the weights are those of the best validation score "
            r"before, -3.978e\+05: scale the data, with StandardScaler\(\) for instance, or lower",
        ),
    ):
        mlp.fit(*IRIS)
    assert np.isnan(mlp.validation_scores_[-1])
    assert np.isfinite(mlp.predict(IRIS[0])).all()


@pytest.mark.filterwarnings("ignore::RuntimeWarning:sklearn")
def test_a_classifier_that_diverges():
    """With NaN for weights each row is of the first class, which can be the best score."""
    how = SGD | {"early_stopping": True, "learning_rate_init": 0.05, "batch_size": 32}
    x, t = scale(IRIS[0]) * 1e18, IRIS[1]
    for module in (sklearn.neural_network, nnkit.sklearn):
        with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
            module.MLPClassifier(**how, random_state=0).fit(x, t)


# ------------------------------------------------------------------ more than there


@unfinished
def test_dtypes(backend, small):
    if small:
        pytest.skip("the simulator takes a long time")
    x, t = PAIRS
    with nnkit.use_backend(backend):
        for given, dtype, wanted in (
            ("f4", None, "f4"),
            ("f8", None, "f8"),
            ("f8", "float32", "f4"),
        ):
            mlp = MLPClassifier(4, dtype=dtype, max_iter=3).fit(x.astype(given), t)
            assert (
                {w.dtype for w in mlp.coefs_} == {mlp.predict_proba(x).dtype} == {np.dtype(wanted)}
            )


@unfinished
def test_dropout_and_callbacks():
    class Epochs(nnkit.Callback):
        def __init__(self):
            self.seen = 0

        def on_epoch_end(self, trainer):
            self.seen += 1
            trainer.stop = self.seen == 4

    epochs = Epochs()
    mlp = MLPClassifier((5, 4), dropout=0.5, callbacks=[epochs], random_state=0).fit(*IRIS)
    assert [type(layer).__name__ for layer in mlp.model_] == [
        *("Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Linear")
    ]
    assert (mlp.n_iter_, epochs.seen) == (4, 4)
    again = MLPClassifier((5, 4), dropout=0.5, max_iter=4, random_state=0).fit(*IRIS)
    np.testing.assert_array_equal(again.coefs_[0], mlp.coefs_[0])
    for name, value in {"dropout": 0.5, "callbacks": [epochs]}.items():
        with pytest.raises(ValueError, match=f"{name} is for solvers that make"):
            MLPClassifier(solver="lbfgs", **{name: value}).fit(*IRIS)
    with pytest.raises(TypeError, match="callbacks must be a list"):
        MLPClassifier(callbacks=3).fit(*IRIS)


@unfinished
def test_weights_are_those_of_the_model():
    mlp = MLPClassifier(4, max_iter=2, random_state=0).fit(*IRIS)
    mlp.coefs_[0][...] = 0
    assert len(np.unique(mlp.predict_proba(IRIS[0]), axis=0)) == 1
    with pytest.raises(AttributeError, match="this MLPClassifier is not fitted yet: call fit"):
        MLPClassifier().coefs_  # noqa: B018
    assert not hasattr(MLPClassifier(), "coefs_")


@unfinished
def test_interrupted_by_the_user():
    class Interrupt(nnkit.Callback):
        def on_epoch_end(self, trainer):
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="^Training interrupted by user"):
        mlp = MLPClassifier(4, callbacks=[Interrupt()]).fit(*IRIS)
    assert mlp.n_iter_ == 1
    assert mlp.predict(IRIS[0]).shape == (150,)


@unfinished
def test_batches_larger_than_the_data_and_pickles():
    with pytest.warns(UserWarning, match="^batch_size 500 is more than the 150 rows: one batch"):
        mlp = MLPClassifier(4, batch_size=500, max_iter=2, random_state=0).fit(*IRIS)
    again = pickle.loads(pickle.dumps(mlp))
    assert "_rows" not in vars(again._trainer.progress), "nothing is as long as the data"
    np.testing.assert_array_equal(again.predict_proba(IRIS[0]), mlp.predict_proba(IRIS[0]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for each in (mlp, again):
            each.partial_fit(*IRIS)
    np.testing.assert_array_equal(again.coefs_[0], mlp.coefs_[0])


@unfinished
def test_a_pickle_for_a_machine_without_numba():
    if "numba" not in BACKENDS:
        pytest.skip("numba is not tested here")
    mlp = MLPClassifier(4, max_iter=2, random_state=0, backend="numba").fit(*IRIS)
    assert b"numba" in pickle.dumps(mlp)
    mlp.set_params(backend=None).model_.to("numpy")
    assert b"numba" not in pickle.dumps(mlp)
    again = pickle.loads(pickle.dumps(mlp)).partial_fit(*IRIS)
    assert again.model_.backend.name == "numpy"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"alpha": -1}, "^MLPClassifier: alpha must be at least 0, not -1"),
        ({"solver": "newton"}, "^MLPClassifier: solver must be one of 'lbfgs', 'sgd', 'adam', not"),
        (
            {"hidden_layer_sizes": (3, 0)},
            "hidden_layer_sizes must be an integer of at least 1, not 0",
        ),
        ({"activation": "foo"}, "^unknown activation 'foo': choose one of identity, "),
        ({"n_iter_no_change": 0}, "n_iter_no_change must be an integer of at least 1, not 0"),
        ({"batch_size": 1.5}, "batch_size must be an integer of at least 1, not 1.5"),
    ],
)
def test_parameters_that_cannot_be(parameters, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(**parameters).fit(*IRIS)


@pytest.mark.parametrize(
    ("x", "t", "message"),
    [
        ([[np.nan], [1]], [0, 1], "contains NaN(.|\n)*using an imputer"),
        ([[np.inf], [1]], [0, 1], "contains infinity .*: leave such rows out, or limit the column"),
        (
            np.array([["red"], ["blue"]]),
            [0, 1],
            "'red'.*: encode columns of text, with .*OneHotEncoder",
        ),
        ([[1], [2]], [0.5, 1.7], "expects discrete classes on a regression target"),
        ([[1], [2]], [[1, 2], [3, 0]], "has 2 columns of classes: fit one for each column, with"),
        ([[1], [2]], [0, 1, 1], "inconsistent numbers of samples"),
        ([1, 2], [0, 1], "Reshape your data"),
    ],
)
def test_data_that_cannot_be(x, t, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier().fit(x, t)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (
            [1, 1],
            r"^sample_weight must have shape \(150,\), a weight for each row of X, not \(2,\)",
        ),
        (
            np.zeros(150),
            "^sample_weight must hold no negative number, and not be zero for all rows",
        ),
    ],
)
def test_weights_that_cannot_be(weights, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier().fit(*IRIS, sample_weight=weights)


@unfinished
def test_weights_of_rows_in_several_batches():
    """Scaled to a mean of 1 by batches there, and over all rows here."""
    for size, least, most in ((150, 0, 1e-12), (32, 1e-5, 1e-2)):
        there, here = both("MLPClassifier", (*IRIS, 1.0 + IRIS[1]), **SGD | {"batch_size": size})
        assert least <= np.abs(there.coefs_[0] - here.coefs_[0]).max() < most


def test_a_small_call_asks_once_what_kind_of_classes_there_are(monkeypatch):
    asked = []

    def counted(y, *args, **options):
        asked.append(y)
        return type_of_target(y, *args, **options)

    mlp = MLPClassifier(4, random_state=0).partial_fit(*IRIS, classes=[0, 1, 2])
    for module in (sklearn.utils.multiclass, nnkit.sklearn.classifying):
        monkeypatch.setattr(module, "type_of_target", counted)
    mlp.partial_fit(*IRIS, classes=[0, 1, 2])
    assert len(asked) == 1


@unfinished
def test_a_number_for_all_weights():
    there, here = both("MLPClassifier", (*IRIS, 2.0), **SGD)
    np.testing.assert_allclose(here.coefs_[0], there.coefs_[0], rtol=1e-9)
