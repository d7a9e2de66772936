"""nnkit's perceptrons beside scikit-learn's: how good they are, and how long `fit` takes.

``python -m bench.estimators``: both in one process, in turn, on the same parts of the data, with
the same `random_state`. Each round has another split and seed; times are of `fit` alone.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Sequence
from statistics import mean, median, stdev
from typing import Any, NamedTuple

import numpy as np
import sklearn.neural_network
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import nnkit.sklearn

Table = tuple[np.ndarray, np.ndarray]


def houses() -> Table:
    """8,000 rows that are like those of California's houses: eight columns, skewed, with noise."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((8000, 8))
    x[:, 2:6] = np.exp(x[:, 2:6])
    place = np.exp(-((x[:, 0] - 1) ** 2) - x[:, 1] ** 2) + np.tanh(x[:, 6] * x[:, 7])
    return x, place + 0.5 * np.log1p(x[:, 2]) - 0.2 * x[:, 3] + 0.3 * rng.standard_normal(8000)


class Problem(NamedTuple):
    """Data, and what is fitted to it."""

    load: Callable[..., Table]
    kind: str
    parameters: dict[str, Any]


PROBLEMS = {
    "iris": Problem(lambda: load_iris(return_X_y=True), "MLPClassifier", {}),
    "digits": Problem(lambda: load_digits(return_X_y=True), "MLPClassifier", {}),
    "digits, sgd": Problem(
        lambda: load_digits(return_X_y=True),
        "MLPClassifier",
        {"solver": "sgd", "learning_rate_init": 0.05},
    ),
    "digits, lbfgs": Problem(
        lambda: load_digits(return_X_y=True), "MLPClassifier", {"solver": "lbfgs"}
    ),
    "breast cancer": Problem(lambda: load_breast_cancer(return_X_y=True), "MLPClassifier", {}),
    "diabetes": Problem(
        lambda: load_diabetes(return_X_y=True), "MLPRegressor", {"solver": "lbfgs"}
    ),
    "houses": Problem(houses, "MLPRegressor", {"early_stopping": True}),
}
MAKERS = {
    "scikit-learn": (sklearn.neural_network, {}),
    "nnkit": (nnkit.sklearn, {}),
    "nnkit, float32": (nnkit.sklearn, {"dtype": "float32"}),
}


def fitted(maker: str, problem: Problem, seed: int) -> tuple[float, float, int]:
    """Fit to three quarters; return the seconds, the score on the rest, and the iterations."""
    module, more = MAKERS[maker]
    x, rest, t, wanted = train_test_split(*problem.load(), random_state=seed)
    scaler = StandardScaler().fit(x)
    estimator = getattr(module, problem.kind)(random_state=seed, **problem.parameters, **more)
    x, rest = scaler.transform(x), scaler.transform(rest)
    start = time.perf_counter()
    estimator.fit(x, t)
    return time.perf_counter() - start, estimator.score(rest, wanted), estimator.n_iter_


def main(arguments: Sequence[str] | None = None) -> None:
    """Warm up, take turns, and print scores, times and ratios."""
    parser = argparse.ArgumentParser(prog="python -m bench.estimators", description=__doc__)
    parser.add_argument("--backend", default="auto", help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("problems", nargs="*", metavar="PROBLEM", help=", ".join(PROBLEMS))
    chosen = parser.parse_args(arguments)
    warnings.simplefilter("ignore", ConvergenceWarning)
    nnkit.set_backend(chosen.backend)
    print(f"{'':14} {'':15} {'score':>14} {'iterations':>10} {'ms':>8} {'times as fast':>20}")
    for name in chosen.problems or PROBLEMS:
        runs: dict[str, list[tuple[float, float, int]]] = {maker: [] for maker in MAKERS}
        for maker in MAKERS:
            fitted(maker, PROBLEMS[name], seed=0)
        for seed in range(chosen.rounds):
            for maker in MAKERS:
                runs[maker].append(fitted(maker, PROBLEMS[name], seed))
        for maker, rows in runs.items():
            seconds, scores, iterations = zip(*rows, strict=True)
            # An iteration is the same work for all; how many there are differs by rounding.
            each = [
                (a / n) / (b / m)
                for (a, _, n), (b, _, m) in zip(runs["scikit-learn"], rows, strict=True)
            ]
            score = f"{mean(scores):.4f} ±{stdev(scores) if len(scores) > 1 else 0:.4f}"
            ratio = f"{median(each):6.2f} ({min(each):.2f} to {max(each):.2f})"
            taken = f"{mean(iterations):10.1f} {1e3 * median(seconds):8.1f}"
            print(f"{name:14} {maker:15} {score:>14} {taken} {ratio}")


if __name__ == "__main__":
    main()
