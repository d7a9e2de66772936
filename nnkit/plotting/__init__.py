"""Pictures: each function returns a Matplotlib `Figure`, whose `savefig` writes PNG or SVG.

They need Matplotlib, and raise ImportError without it. No state of pyplot is touched.
Titles and names may be in any script for which a font is installed, such as one of Noto's.
Colours are those of Okabe & Ito (2008), which colour-blind readers tell apart. What ``nnkit plot``
calls a picture is its function's name as well: ``filters`` is `convolution_filters`.
"""

from typing import TYPE_CHECKING, Any

from nnkit.given.missing import missing
from nnkit.plotting.activations import activation_functions
from nnkit.plotting.augmentation import augmented_images
from nnkit.plotting.boundary import decision_regions
from nnkit.plotting.confusion import confusion_matrix
from nnkit.plotting.curves import learning_curves
from nnkit.plotting.digits import predicted_images
from nnkit.plotting.feature_maps import feature_maps
from nnkit.plotting.filters import convolution_filters
from nnkit.plotting.saliency import saliency_map
from nnkit.plotting.valley import optimizer_paths
from nnkit.plotting.weights import first_layer_weights

activations = activation_functions
augmentation = augmented_images
boundary = decision_regions
confusion = confusion_matrix
curves = learning_curves
digits = predicted_images
filters = convolution_filters
optimizers = optimizer_paths
saliency = saliency_map
weights = first_layer_weights

__all__ = [
    "activation_functions",
    "augmented_images",
    "confusion_matrix",
    "convolution_filters",
    "decision_regions",
    "feature_maps",
    "first_layer_weights",
    "learning_curves",
    "optimizer_paths",
    "predicted_images",
    "saliency_map",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Say which name was meant by one that is not there."""
        raise missing(__name__, name, __all__)
