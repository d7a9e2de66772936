"""Last layers and losses that do not go together, though nothing but the result would say so."""

from __future__ import annotations

from nnkit.given.meanings import ANY, DISTRIBUTIONS, LOG_PROBABILITIES, UNCHANGED
from nnkit.layers import Layer, Sequential
from nnkit.losses import LOSS_CLASSES, Loss


def misfit(model: Sequential, loss: Loss) -> str:
    """Say what is wrong with a model's last layer and a loss, and the remedy; "" if nothing is.

    Judged by what they declare, `Layer.gives` and `Loss.takes`: where one declares nothing, all is
    well.
    """
    for path, layer, shape in model.shapes(None):
        of_rows = layer.gives in (DISTRIBUTIONS, LOG_PROBABILITIES)
        if of_rows and shape is not None and shape[-1] == 1:
            return (
                f"layer {path}, {layer!r}, gets rows of one number, whose softmax is always 1, so "
                "that nothing is learned: for yes or no leave it out, and train with "
                "SigmoidCrossEntropy()"
            )
    if loss.least_outputs > 1 and model.out_features == 1:
        return (
            f"{type(loss).__name__} of a single output is always 0, so that nothing is "
            "learned: for yes or no take SigmoidCrossEntropy(), otherwise one output for each class"
        )
    path, last = _last(model)
    if last.gives is None or not loss.takes or last.gives in loss.takes:
        return ""
    wanted = loss.takes[0]
    if wanted is ANY:
        remedy = "leave it out"
    else:
        remedy = f"put {wanted.from_layer} {'behind it' if last.gives is ANY else 'in its place'}"
    twin = LOSS_CLASSES.get(loss.twin)
    if twin is not None and last.gives in twin.takes:
        remedy += f", or train with {loss.twin}()"
    return (
        f"{type(loss).__name__} takes {wanted.words}, but layer {path}, {last!r}, gives "
        f"{last.gives.words}, which trains badly, without an error: {remedy}"
    )


def _last(model: Sequential) -> tuple[str, Layer]:
    """Return the last layer that decides what the outputs mean, and where it is."""
    links = [link for path, layer in model.children() for link in layer.opened(path)]
    for path, layer in reversed(links):
        if layer.gives is not UNCHANGED:
            return path, layer
    return links[-1]
