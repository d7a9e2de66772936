"""What other libraries call things, for errors that say what nnkit calls them.

Imported only where something is not found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

_NO_CONVOLUTION = "nnkit has no convolution yet: put Flatten() and Linear layers in its place"
_NO_POOLING = "nnkit has no convolution and pooling yet"
_NO_SEQUENCES = "nnkit has no layers for sequences: no recurrent ones, embeddings or attention"
_ABSOLUTE = "nnkit has no mean absolute error: HuberLoss(delta) with a small delta is near it"

THINGS: dict[str, str] = {
    **dict.fromkeys(("dense", "fullyconnected", "affine", "denselayer"), "Linear"),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "convolution", "conv"), _NO_CONVOLUTION),
    **dict.fromkeys(("maxpool2d", "maxpooling2d", "avgpool2d", "averagepooling2d"), _NO_POOLING),
    **dict.fromkeys(
        ("lstm", "gru", "rnn", "embedding", "multiheadattention", "transformer"), _NO_SEQUENCES
    ),
    **dict.fromkeys(("batchnorm", "batchnormalization", "batchnorm2d"), "BatchNorm1d"),
    "layernormalization": "LayerNorm",
    "module": "Layer",
    "model": "Sequential",
    **dict.fromkeys(("mse", "mseloss"), "MeanSquaredError"),
    **dict.fromkeys(("mae", "maeloss", "l1loss", "l1", "meanabsoluteerror"), _ABSOLUTE),
    "smoothl1loss": "HuberLoss",
    "crossentropyloss": "SoftmaxCrossEntropy",
    "nllloss": "SoftmaxCrossEntropy",
    "nll": "SoftmaxCrossEntropy",
    "sparsecategoricalcrossentropy": "CategoricalCrossEntropy",
    **dict.fromkeys(("bceloss", "bce"), "BinaryCrossEntropy"),
    "bcewithlogitsloss": "SigmoidCrossEntropy",
    "hinge": "HingeLoss",
    **dict.fromkeys(
        ("momentum", "nesterov", "nag"), "write SGD(momentum=0.9), with nesterov=True if you like"
    ),
    **dict.fromkeys(("tensor", "astensor"), "nnkit computes with NumPy and CuPy arrays themselves"),
    **dict.fromkeys(
        ("steplr", "exponentiallr", "cosineannealinglr", "onecyclelr", "lrscheduler"),
        "schedules are in nnkit.schedules, and go to Trainer.fit(schedule=...)",
    ),
    **dict.fromkeys(
        ("modelcheckpoint", "reducelronplateau", "learningratescheduler", "tensorboard"),
        "write a Callback whose on_epoch_end does it; trainer.save(path) writes a checkpoint",
    ),
    "dataloader": "give arrays to Trainer.fit(x, t, batch_size=...), which makes the batches",
    "nograd": "nothing is recorded here: gradients are computed where backward is called",
    "loadmodel": "load",
    **dict.fromkeys(("kaiming", "kaiminguniform", "kaimingnormal", "henormal", "heuniform"), "he"),
    **dict.fromkeys(("glorot", "glorotuniform", "glorotnormal", "xavieruniform"), "xavier"),
    **dict.fromkeys(("lecunnormal", "lecununiform"), "lecun"),
    **dict.fromkeys(("randn", "randomnormal", "gaussian"), "normal"),
}
"""By name in small letters without underscores: the name that nnkit has, or a sentence."""

KEYWORDS: dict[str, str] = {
    **dict.fromkeys(("learning_rate", "alpha", "eta", "step_size", "learning_rate_init"), "lr"),
    "decay": "weight_decay",
    **dict.fromkeys(("l2", "kernel_regularizer", "wd"), "weight_decay"),
    **dict.fromkeys(("clipnorm", "max_norm", "global_clipnorm", "max_grad_norm"), "clip_norm"),
    **dict.fromkeys(("epsilon", "delta"), "eps"),
    **dict.fromkeys(("rho", "decay_rate"), "alpha"),
    "momentum": "beta1",
    **dict.fromkeys(
        ("in_channels", "input_dim", "in_dim", "input_size", "n_in", "inputs"), "in_features"
    ),
    "input_shape": "in_features",
    **dict.fromkeys(
        ("units", "out_channels", "output_dim", "out_dim", "hidden_size", "n_out", "outputs"),
        "out_features",
    ),
    "use_bias": "bias",
    **dict.fromkeys(("kernel_initializer", "weight_init", "initializer"), "init"),
    **dict.fromkeys(("rate", "prob", "probability", "dropout", "keep_prob"), "p"),
    **dict.fromkeys(("num_channels", "normalized_shape", "width"), "num_features"),
    **dict.fromkeys(("num_parameters", "shared_axes"), "features"),
    **dict.fromkeys(("negative_slope", "slope"), "alpha"),
    "smoothing": "label_smoothing",
    **dict.fromkeys(("random_state", "random_seed"), "seed"),
    "device": "backend",
    **dict.fromkeys(("criterion", "loss_fn", "loss_function", "objective"), "loss"),
    **dict.fromkeys(("optim", "solver", "opt"), "optimizer"),
    **dict.fromkeys(("net", "network"), "model"),
}
"""Of other libraries, to ours; taken where the class has ours."""

ADVICE: dict[str, str] = {
    "activation": "an activation is a layer of its own, behind this one",
    "from_logits": "SoftmaxCrossEntropy and SigmoidCrossEntropy take logits, "
    "CategoricalCrossEntropy and BinaryCrossEntropy probabilities",
    "betas": "they are beta1 and beta2",
    "metrics": "accuracy is recorded where the loss has one",
    "name": "layers are known by their places",
}
"""Keywords that no single option stands for."""


def keyword(name: str, known: Iterable[str]) -> str:
    """Say what a keyword argument that is not known was meant to be; "" if that is unclear."""
    ours = {each: each for each in known}
    lower = name.lower()
    if KEYWORDS.get(lower) in ours:
        return _meant(KEYWORDS[lower])
    if lower in ADVICE:
        return ADVICE[lower]
    return _meant(near(lower, ours))


def thing(name: str, known: Mapping[str, str]) -> str:
    """Say what a name was meant to be, of those that are `known` in small letters by `plain`."""
    key = plain(name)
    found = THINGS.get(key, "")
    if " " in found:
        return found
    return _meant(known.get(plain(found)) or known.get(key) or near(key, known))


def plain(name: str) -> str:
    """Return a name as it is compared: in small letters, without underscores and hyphens."""
    return "".join(filter(str.isalnum, name.lower()))


def near(name: str, known: Mapping[str, str]) -> str:
    """Return the known name that is most like it; none: an empty string."""
    found = get_close_matches(name, known, 1, 0.6)
    return known[found[0]] if found else ""


def _meant(name: str) -> str:
    return f"did you mean {name}?" if name else ""
