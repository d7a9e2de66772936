"""Estimators for scikit-learn's pipelines and searches, trained by nnkit.

`MLPClassifier` and `MLPRegressor` are scikit-learn's by parameters and attributes: changing an
import is all it takes. `NetworkClassifier` and `NetworkRegressor` train any other model. They need
scikit-learn, and importing this package raises ImportError without it.
"""

from typing import TYPE_CHECKING, Any

from nnkit.given.missing import missing
from nnkit.reasons import importing

with importing(
    "sklearn", "scikit-learn", "nnkit.sklearn needs scikit-learn: pip install 'scikit-learn>=1.7'"
):
    from nnkit.sklearn.mlp import MLPClassifier, MLPRegressor
    from nnkit.sklearn.networks import NetworkClassifier, NetworkRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "NetworkClassifier", "NetworkRegressor"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Say which name was meant by one that is not there."""
        raise missing(__name__, name, __all__)
