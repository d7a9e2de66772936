"""The parameters of an estimator, checked when it is fitted, as scikit-learn wants it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import Any

from nnkit.given.options import flag, integer, number, shown

Check = Callable[[str, Any], Any]
"""Called with the name that an error says and the value; raises TypeError or ValueError."""


def one_of(*choices: str) -> Check:
    """One of some words."""

    def check(name: str, value: Any) -> None:
        if value not in choices:
            words = ", ".join(map(repr, choices))
            raise ValueError(f"{name} must be one of {words}, not {shown(value)}")

    return check


def or_else(other: Any, check: Check) -> Check:
    """That one value, or what the check allows."""
    return lambda name, value: None if value == other else check(name, value)


count = integer(least=1).checked
yes_or_no = flag().checked
share = number(least=0, below=1).checked
positive = number(above=0).checked
not_negative = number(least=0).checked

PERCEPTRON: Mapping[str, Check] = {
    "solver": one_of("lbfgs", "sgd", "adam"),
    "alpha": not_negative,
    "batch_size": or_else("auto", count),
    "learning_rate": one_of("constant", "invscaling", "adaptive"),
    "learning_rate_init": positive,
    "power_t": not_negative,
    "max_iter": count,
    "shuffle": yes_or_no,
    "tol": not_negative,
    "warm_start": yes_or_no,
    "momentum": number(least=0, most=1).checked,
    "nesterovs_momentum": yes_or_no,
    "early_stopping": yes_or_no,
    "validation_fraction": share,
    "beta_1": share,
    "beta_2": share,
    "epsilon": positive,
    "n_iter_no_change": or_else(inf, count),
    "max_fun": count,
    "dropout": share,
}
"""What the parameters of the perceptrons may be."""


NETWORK: Mapping[str, Check] = {
    "epochs": count,
    "batch_size": count,
    "validation_split": or_else(None, number(above=0, below=1).checked),
    "scale": positive,
    "shuffle": yes_or_no,
    "warm_start": yes_or_no,
}
"""What those of the networks may be, as far as a trainer does not say it."""


def check(estimator: Any, checks: Mapping[str, Check]) -> None:
    """Raise TypeError or ValueError for a parameter that cannot be."""
    for name, checked in checks.items():
        checked(f"{type(estimator).__name__}: {name}", getattr(estimator, name))


def check_perceptron(estimator: Any) -> None:
    """Raise the same for a perceptron's, and where two do not go together."""
    check(estimator, PERCEPTRON)
    name = type(estimator).__name__
    for extra in ("dropout", "callbacks"):
        if estimator.solver == "lbfgs" and getattr(estimator, extra):
            raise ValueError(
                f"{name}: {extra} is for solvers that make epochs: take solver='adam' or 'sgd', or "
                f"leave {extra} out"
            )
